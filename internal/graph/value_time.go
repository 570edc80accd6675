package graph

import (
	"strconv"
	"strings"
	"time"
)

const (
	dateHint     = "must be a date like 2026-01-31"
	datetimeHint = "must be a date and time with zone like 2026-01-31T09:30:00Z"
)

// checkDate wants a day of the Gregorian calendar, 0001-01-01 to 9999-12-31.
func checkDate(s string) string {
	if len(s) != len(time.DateOnly) {
		return dateHint
	}
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.Year() < 1 {
		return dateHint
	}
	return ""
}

// normalDatetime wants RFC 3339 with at most nine digits of a second and gives
// the same moment in UTC. No leap seconds.
func normalDatetime(s string) (string, string) {
	// The standard library also reads a comma, and drops what a nanosecond
	// cannot hold.
	_, fraction, _ := strings.Cut(s, ".")
	if digits := strings.IndexFunc(fraction, func(c rune) bool { return c < '0' || c > '9' }); digits > 9 {
		return "", datetimeHint + ", to the nanosecond at most"
	}
	var t time.Time
	if err := t.UnmarshalText([]byte(strings.ToUpper(s))); err != nil || strings.Contains(s, ",") {
		return "", datetimeHint
	}
	t = t.UTC()
	if t.Year() < 1 || t.Year() > 9999 {
		return "", datetimeHint + ", in the years 1 to 9999"
	}
	return t.Format(time.RFC3339Nano), ""
}

// checkTime holds a canonical date or datetime against min and max.
func (p *Property) checkTime(s string) string {
	if p.Min != nil && timeBefore(s, unquoted(p.Min)) {
		return "must not be before " + unquoted(p.Min)
	}
	if p.Max != nil && timeBefore(unquoted(p.Max), s) {
		return "must not be after " + unquoted(p.Max)
	}
	return ""
}

// unquoted is the text of a canonical date or datetime.
func unquoted(raw []byte) string {
	s, err := strconv.Unquote(string(raw))
	if err != nil {
		return ""
	}
	return s
}

// timeBefore compares two canonical dates or two canonical datetimes. Their
// text sorts like time does once the Z is off: a fraction then extends the
// second that it follows.
func timeBefore(a, b string) bool {
	return strings.TrimSuffix(a, "Z") < strings.TrimSuffix(b, "Z")
}

package graph

import (
	"strconv"
	"strings"
)

// The bounds of a number. Within them every number is finite in every
// client's language, and its canonical text is short.
const (
	maxDigits   = 64  // significant decimal digits
	maxExponent = 300 // of the leading digit, either sign
)

// decimal is an exact decimal number d.ddd × 10^exp. digits has no zeros at
// its ends; zero has no digits, no sign and exp 0, so equal numbers are equal
// structs.
type decimal struct {
	digits string
	exp    int // the power of ten of the first digit
	neg    bool
}

// parseDecimal reads a JSON number, in time linear in its length. The string
// says what is wrong with it, or is empty. The text must be a valid JSON
// number.
func parseDecimal(s string) (decimal, string) {
	var d decimal
	s, d.neg = strings.CutPrefix(s, "-")
	mantissa, exponent := s, ""
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		mantissa, exponent = s[:i], s[i+1:]
	}
	whole, frac, _ := strings.Cut(mantissa, ".")
	digits := whole + frac
	trimmed := strings.TrimLeft(digits, "0")
	if trimmed == "" {
		return decimal{}, ""
	}
	exp, ok := parseExponent(exponent)
	if !ok {
		return decimal{}, numberRange
	}
	d.exp = exp + len(whole) - 1 - (len(digits) - len(trimmed))
	d.digits = strings.TrimRight(trimmed, "0")
	if len(d.digits) > maxDigits {
		return decimal{}, "has more than " + strconv.Itoa(maxDigits) + " significant digits"
	}
	if d.exp > maxExponent || d.exp < -maxExponent {
		return decimal{}, numberRange
	}
	return d, ""
}

const numberRange = "is out of range: its size must be between 1e-300 and 1e301"

// parseExponent reads the digits after the e. It refuses an exponent that no
// mantissa of a permitted size could bring back into range.
func parseExponent(s string) (int, bool) {
	if s == "" {
		return 0, true
	}
	s, neg := strings.CutPrefix(s, "-")
	s = strings.TrimLeft(strings.TrimPrefix(s, "+"), "0")
	if s == "" {
		return 0, true
	}
	if len(s) > 9 {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, false
	}
	if neg {
		n = -n
	}
	return n, true
}

// places is the number of digits after the decimal point.
func (d decimal) places() int { return max(0, len(d.digits)-1-d.exp) }

// compare is -1, 0 or +1 as d is less than, equal to or greater than o.
func (d decimal) compare(o decimal) int {
	switch {
	case d.sign() != o.sign():
		if d.sign() < o.sign() {
			return -1
		}
		return 1
	case d.sign() < 0:
		return o.compareSize(d)
	default:
		return d.compareSize(o)
	}
}

func (d decimal) sign() int {
	switch {
	case d.digits == "":
		return 0
	case d.neg:
		return -1
	default:
		return 1
	}
}

func (d decimal) compareSize(o decimal) int {
	switch {
	case d.exp < o.exp:
		return -1
	case d.exp > o.exp:
		return 1
	default:
		return strings.Compare(d.digits, o.digits)
	}
}

// append writes the canonical JSON form, the one that JavaScript prints:
// plain from 1e-6 to below 1e21, else d.ddde±x.
func (d decimal) append(b []byte) []byte {
	if d.digits == "" {
		return append(b, '0')
	}
	if d.neg {
		b = append(b, '-')
	}
	n := len(d.digits)
	switch {
	case d.exp >= 21 || d.exp < -6:
		b = append(b, d.digits[0])
		if n > 1 {
			b = append(append(b, '.'), d.digits[1:]...)
		}
		b = append(b, 'e')
		if d.exp > 0 {
			b = append(b, '+')
		}
		return strconv.AppendInt(b, int64(d.exp), 10)
	case d.exp < 0:
		b = append(b, "0."...)
		b = append(b, strings.Repeat("0", -d.exp-1)...)
		return append(b, d.digits...)
	case n <= d.exp+1:
		b = append(b, d.digits...)
		return append(b, strings.Repeat("0", d.exp+1-n)...)
	default:
		b = append(b, d.digits[:d.exp+1]...)
		b = append(b, '.')
		return append(b, d.digits[d.exp+1:]...)
	}
}

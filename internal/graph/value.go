package graph

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/graphroom/graphroom/internal/fault"
)

// maxCurrencyPlaces is the number of decimals that an amount of money may have.
const maxCurrencyPlaces = 4

// Canonical checks raw against the property and returns the one form in which
// its value is stored: equal values are equal bytes, and Canonical of a
// canonical value gives it back. The result shares no memory with raw.
//
// The forms (docs/SPEC.md, rules B-20 and following):
//
//	text         a string, at most MaxText bytes
//	number       exact, written like JavaScript does; at most 64 digits
//	integer      a number without decimals; 2.0 is 2
//	currency     a number with at most 4 decimals; never rounded
//	boolean      true or false
//	date         "2026-01-31"
//	datetime     RFC 3339, moved to UTC, no trailing zeros in its fraction
//	select       the id of an option, given by id or by name
//	multiselect  an array of option ids in the order of the file, none twice
//	url          http, https or mailto; scheme and host in lower case
//	json         any JSON: compact, keys sorted
//	reference    the id of a node in lower case; that the node exists is not checked
//
// null is refused: a value is removed with DeleteProperty. Every refusal is
// INVALID_COMMAND, with places that begin with the property's id.
func (p *Property) Canonical(raw json.RawMessage) (json.RawMessage, error) {
	if len(raw) > MaxCommandBytes {
		return nil, fault.New(fault.InvalidCommand, "%s is larger than any command", p.ID)
	}
	r := newJSONReader(raw, p.ID)
	out := p.canonical(r)
	r.end()
	if len(out) > MaxValue {
		r.note("is larger than " + strconv.Itoa(MaxValue) + " bytes")
	}
	if err := r.err(fault.InvalidCommand, ""); err != nil {
		return nil, err
	}
	return out, nil
}

// canonical reads one value of the property's type. What it returns is
// meaningless when a fault was noted.
func (p *Property) canonical(r *jsonReader) []byte {
	if r.kind() == kindNull {
		r.note("must not be null: DeleteProperty removes a value")
		r.null()
		return nil
	}
	switch p.Type {
	case TypeNumber, TypeInteger, TypeCurrency:
		return p.canonicalNumber(r)
	case TypeBoolean:
		if !r.want(kindBoolean) {
			return nil
		}
		return strconv.AppendBool(nil, r.boolean())
	case TypeMultiselect:
		return p.canonicalChoices(r)
	case TypeJSON:
		return r.appendCanonical(nil)
	default:
		if !r.want(kindString) {
			return nil
		}
		return p.canonicalString(r, r.str())
	}
}

func (p *Property) canonicalString(r *jsonReader, s string) []byte {
	if r.broken {
		return nil
	}
	var problem string
	switch p.Type {
	case TypeSelect:
		s, problem = p.choice(s)
	case TypeDate:
		problem = checkDate(s)
	case TypeDatetime:
		s, problem = normalDatetime(s)
	case TypeURL:
		s, problem = normalURL(s)
	case TypeReference:
		id, ok := parseID(s)
		if !ok || id.IsZero() {
			problem = "must be the id of a node: " + idHint
		}
		s = id.String()
	default:
		if len(s) > MaxText {
			problem = "is longer than " + strconv.Itoa(MaxText) + " bytes"
		}
	}
	if problem == "" {
		problem = p.checkString(s)
	}
	if problem != "" {
		r.note(problem)
		return nil
	}
	return appendString(nil, s)
}

// checkString holds a normalised string against the rules of the file.
func (p *Property) checkString(s string) string {
	if p.MaxLength > 0 && utf8.RuneCountInString(s) > p.MaxLength {
		return "is longer than " + strconv.Itoa(p.MaxLength) + " characters"
	}
	if p.pattern != nil && !p.pattern.MatchString(s) {
		return "does not match the pattern " + p.Pattern
	}
	if p.Type == TypeDate || p.Type == TypeDatetime {
		return p.checkTime(s)
	}
	return ""
}

func (p *Property) canonicalNumber(r *jsonReader) []byte {
	if !r.want(kindNumber) {
		return nil
	}
	text := r.number()
	if r.broken {
		return nil
	}
	d, problem := parseDecimal(text)
	switch {
	case problem != "":
	case p.Type == TypeInteger && d.places() > 0:
		problem = "must be a whole number"
	case p.Type == TypeCurrency && d.places() > maxCurrencyPlaces:
		problem = "must have at most " + strconv.Itoa(maxCurrencyPlaces) + " decimals"
	case p.Min != nil && d.compare(p.min) < 0:
		problem = "must be at least " + string(p.Min)
	case p.Max != nil && d.compare(p.max) > 0:
		problem = "must be at most " + string(p.Max)
	}
	if problem != "" {
		r.note(problem)
		return nil
	}
	return d.append(nil)
}

// choice finds an option by id or name and returns its id.
func (p *Property) choice(s string) (id, problem string) {
	at, ok := p.optionAt[s]
	if !ok {
		return "", "must be one of " + p.optionNames() + ", not " + quote(s)
	}
	return p.Options[at].ID, ""
}

// optionNames lists the first options for a message.
func (p *Property) optionNames() string {
	const shown = 8
	var names []string
	for i, o := range p.Options {
		if i == shown {
			names = append(names, "...")
			break
		}
		names = append(names, quote(o.Name))
	}
	return strings.Join(names, ", ")
}

func (p *Property) canonicalChoices(r *jsonReader) []byte {
	if !r.want(kindArray) {
		return nil
	}
	chosen := make([]bool, len(p.Options))
	r.array(func(int) {
		if !r.want(kindString) {
			return
		}
		s := r.str()
		if r.broken {
			return
		}
		at, ok := p.optionAt[s]
		if !ok {
			_, problem := p.choice(s)
			r.note(problem)
			return
		}
		chosen[at] = true
	})
	out := []byte{'['}
	for at, yes := range chosen {
		if !yes {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = appendString(out, p.Options[at].ID)
	}
	return append(out, ']')
}

// CanonicalName checks a node's name: valid UTF-8, at most MaxName characters,
// no control characters. The empty name is a name; white space is kept. A
// refusal is INVALID_COMMAND.
func CanonicalName(s string) (string, error) {
	if problem := checkName(s); problem != "" {
		return "", fault.New(fault.InvalidCommand, "name %s", problem).
			With(fault.Detail{Location: NameProperty, Message: problem})
	}
	return s, nil
}

// CanonicalNameValue is CanonicalName for the raw JSON value of an
// UpdateProperty of "name": a string. A refusal is INVALID_COMMAND, with a
// place that begins with "name".
func CanonicalNameValue(raw json.RawMessage) (string, error) {
	r := newJSONReader(raw, NameProperty)
	name := ""
	if r.want(kindString) {
		name = r.str()
		if problem := checkName(name); problem != "" {
			r.note(problem)
		}
	}
	r.end()
	if err := r.err(fault.InvalidCommand, ""); err != nil {
		return "", err
	}
	return name, nil
}

func checkName(s string) string { return checkLine(s, MaxName) }

// checkLine checks text that people see on one line.
func checkLine(s string, limit int) string {
	switch {
	case len(s) > limit && utf8.RuneCountInString(s) > limit:
		return "is longer than " + strconv.Itoa(limit) + " characters"
	case !utf8.ValidString(s):
		return "is not valid UTF-8"
	case strings.ContainsFunc(s, unicode.IsControl):
		return "must not hold control characters or line breaks"
	default:
		return ""
	}
}

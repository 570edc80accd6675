package graph

import (
	"errors"
	"strconv"
	"strings"

	"github.com/graphroom/graphroom/internal/fault"
)

// err gives all noted faults as one error, or nil. what names the input in
// the message, which is that of the first fault.
func (r *jsonReader) err(code fault.Code, what string) error {
	if len(r.faults) == 0 {
		return nil
	}
	if r.more > 0 {
		r.faults = append(r.faults, fault.Detail{Location: r.root, Message: "has " + strconv.Itoa(r.more) + " more faults"})
		r.more = 0
	}
	first := r.faults[0]
	message := what + first.Location + " " + first.Message
	if n := len(r.faults) - 1; n > 0 {
		message += " (and " + strconv.Itoa(n) + " more)"
	}
	return fault.New(code, "%s", message).With(r.faults...)
}

// relocate returns err with the places of its details that begin with from
// moved to begin with to, and leaves any other error as it is. It turns the
// place inside a value ("budget") into the place inside a command
// ("data.properties.budget").
func relocate(err error, from, to string) error {
	var e *fault.Error
	if !errors.As(err, &e) || len(e.Details) == 0 {
		return err
	}
	moved := *e
	moved.Details = make([]fault.Detail, len(e.Details))
	for i, d := range e.Details {
		if rest, ok := strings.CutPrefix(d.Location, from); ok {
			d.Location = to + rest
		}
		moved.Details[i] = d
	}
	return &moved
}

// quote writes client text into a message: quoted, escaped and cut.
func quote(s string) string {
	const maxShown = 64
	if len(s) > maxShown {
		s = strings.ToValidUTF8(s[:maxShown], "") + "..."
	}
	return strconv.Quote(s)
}

package journal

import (
	"errors"
	"fmt"

	"github.com/graphroom/graphroom/internal/fault"
)

// The answers of a driver, to be matched with errors.Is. What a driver returns
// is always a *fault.Error (for the edge) that wraps one of them.
var (
	// ErrConflict: the head is not the expected one, or the session to create
	// exists. Nothing was written. CONFLICT.
	ErrConflict = errors.New("journal: conflict")

	// ErrUnknown: there is no such session. INVALID_SESSION.
	ErrUnknown = errors.New("journal: unknown session")

	// ErrTrimmed: the wanted records are no longer kept. CONFLICT.
	ErrTrimmed = errors.New("journal: trimmed")

	// ErrInvalid: the arguments break the interface's rules. Nothing was
	// written; it is a bug of the caller. INTERNAL.
	ErrInvalid = errors.New("journal: invalid argument")

	// ErrTooLarge: over MaxAppend, MaxSnapshot or MaxMeta. Nothing was written.
	// TOO_LARGE.
	ErrTooLarge = errors.New("journal: too large")

	// ErrCorrupt: what is stored is not what was written. errors.As finds the
	// *CorruptError with the place. INTERNAL.
	ErrCorrupt = errors.New("journal: corrupt")

	// ErrUnavailable: the journal has failed before, is closed or its caller's
	// context ended before the call began. Nothing was written. UNAVAILABLE.
	ErrUnavailable = errors.New("journal: unavailable")

	// ErrUncertain: a mutation was begun and may or may not have been written.
	// UNAVAILABLE. To settle, ask Head (Snapshot, Meta, ...) again: a driver
	// answers that only when the outcome of every earlier call is decided for
	// good, and answers ErrUnavailable until then. The embedded driver fails
	// for good on the first uncertain outcome: it settles when the store is
	// opened again.
	ErrUncertain = errors.New("journal: outcome unknown")
)

// CorruptError names the place of a damaged or missing value.
type CorruptError struct {
	// Kind is what is damaged: "record", "snapshot", "meta", "project", "key" or
	// "store".
	Kind string
	// Name is the session, project or key; empty for the store as a whole.
	Name string
	// Seq is the record's last seq (or, when the record itself is missing, the
	// first missing seq), the snapshot's seq, or 0 where none is known.
	Seq uint64
	// Reason says what is wrong, for people.
	Reason string
	// Err is the engine's own error, if it reported one.
	Err error
}

// Error gives kind, name, seq and reason in one line.
func (e *CorruptError) Error() string {
	s := "corrupt " + e.Kind
	if e.Name != "" {
		s += " " + e.Name
	}
	if e.Seq != 0 {
		s += fmt.Sprintf(" seq %d", e.Seq)
	}
	s += ": " + e.Reason
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap lets errors.Is find ErrCorrupt and the engine's error.
func (e *CorruptError) Unwrap() []error {
	if e.Err != nil {
		return []error{ErrCorrupt, e.Err}
	}
	return []error{ErrCorrupt}
}

// Unknown is the answer for a session that does not exist.
func Unknown(session string) error {
	return fault.Wrap(ErrUnknown, fault.InvalidSession, "unknown session %q", clip(session))
}

// Conflict is the answer for an append whose expected head is not the head.
func Conflict(session string, after, head uint64) error {
	return fault.Wrap(ErrConflict, fault.Conflict,
		"session %q is at seq %d, not at %d", clip(session), head, after)
}

// Exists is the answer for a session that cannot be created again.
func Exists(session string) error {
	return fault.Wrap(ErrConflict, fault.Conflict, "session %q exists already", clip(session))
}

// Trimmed is the answer for a read before the first kept seq.
func Trimmed(session string, after, first uint64) error {
	return fault.Wrap(ErrTrimmed, fault.Conflict,
		"session %q keeps its log from seq %d; seq %d is gone", clip(session), first, after+1)
}

// Invalid is the answer for arguments that break the interface's rules.
func Invalid(format string, args ...any) error {
	return fault.Wrap(ErrInvalid, fault.Internal, format, args...)
}

// TooLarge is the answer for a value over its bound, in bytes.
func TooLarge(what string, size, bound int64) error {
	return fault.Wrap(ErrTooLarge, fault.TooLarge, "%s of %d bytes is over the bound of %d", what, size, bound)
}

// Corrupt wraps a place in the answer for the edge.
func Corrupt(e *CorruptError) error {
	return fault.Wrap(e, fault.Internal, "stored data is damaged")
}

// Unavailable is the answer when nothing was begun; cause is for the log.
func Unavailable(cause error) error {
	return fault.Wrap(join(ErrUnavailable, cause), fault.Unavailable, "the journal takes no calls now")
}

// Uncertain is the answer when a mutation was begun and its outcome is not
// known; cause is for the log.
func Uncertain(cause error) error {
	return fault.Wrap(join(ErrUncertain, cause), fault.Unavailable,
		"the outcome is unknown; the same command_id may be tried again")
}

func join(sentinel, cause error) error {
	if cause == nil {
		return sentinel
	}
	return fmt.Errorf("%w: %w", sentinel, cause)
}

func clip(s string) string {
	if len(s) > MaxSessionID {
		return s[:MaxSessionID] + "…"
	}
	return s
}

// Package fault is the one error that crosses a package border: a stable code
// for programs, a class for the edge, a message for people.
//
// It owns the catalogue of codes. It does not know HTTP, Socket.IO or logging:
// only internal/server maps a Class to a status, an ack or a disconnect. An
// error that is not a *Error is foreign: it is logged in full at the edge and
// leaves the program as INTERNAL, without its text.
//
// A *Error is immutable after it was made and safe for concurrent use.
package fault

import (
	"errors"
	"fmt"
)

// Class says what kind of answer an error deserves, whatever its code.
type Class uint8

// The classes. The zero value is ClassInternal, so that an error nobody
// classified is never shown.
const (
	ClassInternal     Class = iota // our fault; the text stays in the log
	ClassInvalid                   // the request can never succeed as it is
	ClassNotFound                  // what it names does not exist
	ClassConflict                  // the state forbids it now
	ClassPrecondition              // the caller's expected state is not the state
	ClassUnauthorized              // no or bad credentials
	ClassForbidden                 // good credentials, not allowed
	ClassMethod                    // the resource exists, the method does not
	ClassTooLarge                  // over a size limit
	ClassMedia                     // a content type we do not read
	ClassLimited                   // too many requests
	ClassUnavailable               // outcome unknown or server going away; the same command_id may be tried again
)

// Code is the stable, upper-case name of an error. Clients match on it.
type Code string

// The catalogue. A code belongs to exactly one class; see classOf.
const (
	Internal           Code = "INTERNAL"
	InvalidRequest     Code = "INVALID_REQUEST"
	InvalidCommand     Code = "INVALID_COMMAND"
	InvalidSession     Code = "INVALID_SESSION"
	NodeNotFound       Code = "NODE_NOT_FOUND"
	LinkNotFound       Code = "LINK_NOT_FOUND"
	TemplateNotFound   Code = "TEMPLATE_NOT_FOUND"
	ProjectNotFound    Code = "PROJECT_NOT_FOUND"
	PropertyNotFound   Code = "PROPERTY_NOT_FOUND"
	NotFound           Code = "NOT_FOUND"
	Cycle              Code = "CYCLE"
	Conflict           Code = "CONFLICT"
	Duplicate          Code = "DUPLICATE"
	HasParent          Code = "HAS_PARENT"
	NothingToUndo      Code = "NOTHING_TO_UNDO"
	NothingToRedo      Code = "NOTHING_TO_REDO"
	PreconditionFailed Code = "PRECONDITION_FAILED"
	Unauthorized       Code = "UNAUTHORIZED"
	Forbidden          Code = "FORBIDDEN"
	MethodNotAllowed   Code = "METHOD_NOT_ALLOWED"
	TooLarge           Code = "TOO_LARGE"
	UnsupportedMedia   Code = "UNSUPPORTED_MEDIA_TYPE"
	RateLimited        Code = "RATE_LIMITED"
	Unavailable        Code = "UNAVAILABLE"
)

// ClassOf returns the class a code belongs to; ClassInternal for a code that
// is not in the catalogue.
func ClassOf(code Code) Class {
	switch code {
	case InvalidRequest, InvalidCommand, NothingToUndo, NothingToRedo:
		return ClassInvalid
	case InvalidSession, NodeNotFound, LinkNotFound, TemplateNotFound,
		ProjectNotFound, PropertyNotFound, NotFound:
		return ClassNotFound
	case Cycle, Conflict, Duplicate, HasParent:
		return ClassConflict
	case PreconditionFailed:
		return ClassPrecondition
	case Unauthorized:
		return ClassUnauthorized
	case Forbidden:
		return ClassForbidden
	case MethodNotAllowed:
		return ClassMethod
	case TooLarge:
		return ClassTooLarge
	case UnsupportedMedia:
		return ClassMedia
	case RateLimited:
		return ClassLimited
	case Unavailable:
		return ClassUnavailable
	default:
		return ClassInternal
	}
}

// Detail points at one place of a request or file that is wrong.
type Detail struct {
	// Location is a dotted path into the input ("data.properties.budget") or
	// a file position ("outline.yaml:12:3").
	Location string `json:"location"`
	Message  string `json:"message"`
}

// Error is a coded error. Message is written for the person at the other end
// and never holds the text of a foreign error; Err may hold one for the log.
type Error struct {
	Code    Code
	Class   Class
	Message string
	Details []Detail
	Err     error
}

// New makes an error of the code's class with a formatted message.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Class: ClassOf(code), Message: fmt.Sprintf(format, args...)}
}

// Wrap makes an error that carries err for the log only.
func Wrap(err error, code Code, format string, args ...any) *Error {
	e := New(code, format, args...)
	e.Err = err
	return e
}

// With returns a copy of e that carries details too.
func (e *Error) With(details ...Detail) *Error {
	c := *e
	c.Details = append(append([]Detail(nil), e.Details...), details...)
	return &c
}

// Error gives the code, the message and, for the log, the wrapped error.
func (e *Error) Error() string {
	if e.Err != nil {
		return string(e.Code) + ": " + e.Message + ": " + e.Err.Error()
	}
	return string(e.Code) + ": " + e.Message
}

// Unwrap returns the wrapped foreign error, if any.
func (e *Error) Unwrap() error { return e.Err }

// From returns err as a *Error. A foreign error becomes INTERNAL and is
// wrapped, so that the log has it and the client does not. From(nil) is nil.
func From(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return Wrap(err, Internal, "internal error")
}

// Is reports whether err is, or wraps, a *Error with that code.
func Is(err error, code Code) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == code
}

package server

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/session"
)

// taggedError is a refusal that leaves with the ETag of what is there now.
type taggedError struct {
	error
	tag string
}

// Unwrap returns the refusal itself.
func (e *taggedError) Unwrap() error { return e.error }

// tagOf is the ETag that err carries, or "".
func tagOf(err error) string {
	var tagged *taggedError
	if errors.As(err, &tagged) {
		return tagged.tag
	}
	return ""
}

// current is the ETag of an open project's graph, and the seq in it.
func current(ctx context.Context, sess *session.Session, projectID string) (tag string, seq uint64, err error) {
	err = sess.Read(ctx, projectID, func(v session.View) error {
		tag, seq = etag(v.Epoch, v.ProjectID, v.Seq), v.Seq
		return nil
	})
	return tag, seq, err
}

// expectedSeq reads If-Match as an expected_seq: the seq of the ETag that the
// client knows (SPEC R-26). nil: it expects nothing. PRECONDITION_FAILED where
// no tag is of this project in this history.
func expectedSeq(ctx context.Context, sess *session.Session, ifMatch, projectID string) (*uint64, error) {
	if ifMatch == "" || strings.TrimSpace(ifMatch) == "*" {
		return nil, nil
	}
	tag, head, err := current(ctx, sess, projectID)
	if err != nil {
		return nil, err
	}
	graph := tag[:strings.LastIndexByte(tag, '.')+1] // quote, epoch and project
	var best *uint64
	for candidate := range strings.SplitSeq(ifMatch, ",") {
		candidate = strings.TrimPrefix(strings.TrimSpace(candidate), "W/") // a proxy that compresses says so; the graph is the same
		digits, ok := strings.CutPrefix(candidate, graph)
		if !ok {
			continue
		}
		seq, err := strconv.ParseUint(strings.TrimSuffix(digits, `"`), 10, 64)
		if err == nil && seq <= head && (best == nil || *best < seq) {
			best = &seq
		}
	}
	if best == nil {
		return nil, &taggedError{tag: tag, error: fault.New(fault.PreconditionFailed, "If-Match names no state of this project's history").
			With(fault.Detail{Location: "current_seq", Message: strconv.FormatUint(head, 10)})}
	}
	return best, nil
}

// expect joins If-Match with the body's expected_seq.
func expect(ctx context.Context, sess *session.Session, ifMatch string, b *executeBody) error {
	seq, err := expectedSeq(ctx, sess, ifMatch, b.ProjectID)
	if seq == nil || err != nil {
		return err
	}
	if b.ExpectedSeq != nil && *b.ExpectedSeq != *seq {
		return fault.New(fault.InvalidRequest, "If-Match and expected_seq expect two different states: send one of them").
			With(fault.Detail{Location: "expected_seq", Message: "differs from If-Match"})
	}
	b.ExpectedSeq = seq
	return nil
}

// tagged adds the ETag of what is there now to a failed precondition.
func tagged(ctx context.Context, sess *session.Session, projectID string, err error) error {
	if !fault.Is(err, fault.PreconditionFailed) {
		return err
	}
	tag, _, terr := current(ctx, sess, projectID)
	if terr != nil {
		return err
	}
	return &taggedError{tag: tag, error: err}
}

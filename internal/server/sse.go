package server

import (
	"bytes"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/graphroom/graphroom/internal/session"
)

const (
	eventStream = "text/event-stream"

	ssePiece       = 64 << 10         // bytes that are gathered, and most that are written under one deadline
	stallTimeout   = 30 * time.Second // a client that takes no piece for that long is cut
	hurryTimeout   = 2 * time.Second  // for all that is left when the server stops
	reconnectAfter = 2 * time.Second  // told to clients: a restart is over by then, mostly
)

// eventID is the id of a numbered event in a stream: what Last-Event-ID brings
// back.
func eventID(epoch string, seq uint64) string { return epoch + "." + strconv.FormatUint(seq, 10) }

// parseEventID reads an id. One that is not ours gives an epoch that nothing has.
func parseEventID(id string) (epoch string, seq uint64) {
	i := strings.LastIndexByte(id, '.')
	if i < 0 {
		return "", 0
	}
	seq, err := strconv.ParseUint(id[i+1:], 10, 64)
	if err != nil {
		return "", 0
	}
	return id[:i], seq
}

// wantsStream reports whether an Accept header asks for an event stream by
// name, and not for JSON rather.
func wantsStream(accept string) bool {
	quality := map[string]float64{}
	for part := range strings.SplitSeq(accept, ",") {
		media, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		q := 1.0
		if text, ok := params["q"]; ok {
			if q, err = strconv.ParseFloat(text, 64); err != nil {
				continue
			}
		}
		quality[media] = max(quality[media], q)
	}
	return quality[eventStream] > 0 && quality[eventStream] >= quality["application/json"]
}

// eventWriter writes server-sent events in pieces, each with a deadline of its
// own: a client that reads on is never cut, one that does not always is. It
// belongs to one goroutine; only hurry may be called from another.
type eventWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	buf     []byte

	mu      sync.Mutex
	hurried bool // the last deadline is set
}

func newEventWriter(w http.ResponseWriter) *eventWriter {
	return &eventWriter{w: w, control: http.NewResponseController(w)}
}

// event adds one event. What is large is not gathered but written at once; the
// error is the client's.
func (e *eventWriter) event(it *session.Item, id string) error {
	if id != "" {
		e.field("id", id)
	}
	e.field("event", it.Name)
	data := it.Payload
	if bytes.IndexByte(data, '\r') >= 0 { // between two values of the JSON; alone it would end the line too
		data = bytes.ReplaceAll(data, []byte{'\r'}, []byte{' '})
	}
	for line := range bytes.SplitSeq(data, []byte{'\n'}) {
		e.buf = append(e.buf, "data: "...)
		if len(line) > ssePiece {
			if err := e.write(e.buf); err != nil {
				return err
			}
			e.buf = e.buf[:0]
			if err := e.write(line); err != nil {
				return err
			}
		} else {
			e.buf = append(e.buf, line...)
		}
		e.buf = append(e.buf, '\n')
	}
	e.buf = append(e.buf, '\n')
	return nil
}

// place sets the client's last event id without an event.
func (e *eventWriter) place(id string) {
	e.field("id", id)
	e.buf = append(e.buf, '\n')
}

// retry tells the client when to come back after the stream has ended.
func (e *eventWriter) retry() { e.field("retry", strconv.FormatInt(reconnectAfter.Milliseconds(), 10)) }

// comment is a sign of life that no client shows to anyone.
func (e *eventWriter) comment(text string) { e.buf = append(e.buf, ": "+text+"\n\n"...) }

func (e *eventWriter) field(name, value string) {
	e.buf = append(e.buf, name...)
	e.buf = append(e.buf, ": "...)
	e.buf = append(e.buf, value...)
	e.buf = append(e.buf, '\n')
}

// full tells that it is time to flush.
func (e *eventWriter) full() bool { return len(e.buf) >= ssePiece }

// flush sends what is gathered.
func (e *eventWriter) flush() error {
	if len(e.buf) == 0 {
		return nil
	}
	if err := e.write(e.buf); err != nil {
		return err
	}
	if e.buf = e.buf[:0]; cap(e.buf) > 2*ssePiece {
		e.buf = nil
	}
	return e.control.Flush()
}

func (e *eventWriter) write(p []byte) error {
	for len(p) > 0 {
		n := min(len(p), ssePiece)
		e.extend()
		if _, err := e.w.Write(p[:n]); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// extend gives the next piece its time. A writer without deadlines (a test
// recorder) has none.
func (e *eventWriter) extend() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.hurried {
		_ = e.control.SetWriteDeadline(time.Now().Add(stallTimeout))
	}
}

// hurry bounds all that will still be written.
func (e *eventWriter) hurry() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.hurried = true
	_ = e.control.SetWriteDeadline(time.Now().Add(hurryTimeout))
}

package session

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/graphroom/graphroom/internal/graph"
)

// Names of the events that are not a change of the graph. The six graph:*
// names are graph.Event's.
const (
	EventCommandExecuting    = "command:executing"
	EventCommandExecuted     = "command:executed"
	EventCommandFailed       = "command:failed"
	EventCommandUndo         = "command:undo"
	EventCommandRedo         = "command:redo"
	EventSessionConnected    = "session:connected"
	EventSessionDisconnected = "session:disconnected"
	EventProjectSaved        = "project:saved"
	EventProjectLoaded       = "project:loaded"
)

// Item is one event, finished for sending. A numbered event has a Seq; hints,
// failures and session events have Seq 0. Head is the session's last number at
// that point of the stream. Index counts the items of one Feed and means
// nothing elsewhere. Payload is one JSON object and must not be changed.
type Item struct {
	Index     uint64          `json:"-"`
	Seq       uint64          `json:"seq,omitempty"`
	Head      uint64          `json:"-"`
	ProjectID string          `json:"-"`
	Name      string          `json:"event"`
	Payload   json.RawMessage `json:"data"`
}

// envelope is the common head of every payload, in wire order.
type envelope struct {
	SessionID string  `json:"session_id"`
	ProjectID string  `json:"project_id,omitempty"`
	Timestamp string  `json:"timestamp"`
	Seq       uint64  `json:"seq,omitempty"`
	HeadSeq   *uint64 `json:"head_seq,omitempty"`
	CommandID string  `json:"command_id,omitempty"`
	Actor     string  `json:"actor,omitempty"`
}

const timestampLayout = "2006-01-02T15:04:05.000Z"

func timestamp(t time.Time) string { return t.UTC().Format(timestampLayout) }

// payload joins the envelope and a body object into one JSON object.
func payload(env envelope, body any) json.RawMessage {
	return slices.Clip(appendPayload(make([]byte, 0, payloadSize), env, body))
}

// appendPayload appends a payload to dst. Envelope and body are our own types:
// failing to encode them is a bug, which the turn contains.
func appendPayload(dst []byte, env envelope, body any) []byte {
	dst = env.appendJSON(dst)
	at := len(dst) - 1 // of the closing brace, where the body goes on
	if own, ok := body.(graph.EventBody); ok {
		dst = own.AppendJSON(dst[:at])
	} else {
		data, err := marshalBody(body)
		if err != nil {
			panic(fmt.Sprintf("session: event body: %v", err))
		}
		dst = append(dst[:at], data...)
	}
	if len(dst) == at+2 { // {}
		return append(dst[:at], '}')
	}
	dst[at] = ','
	return dst
}

// payloadSize is what most payloads fit into.
const payloadSize = 480

// appendJSON writes the envelope as encoding/json would, without its cost: it
// stands in every event.
func (env *envelope) appendJSON(dst []byte) []byte {
	dst = appendText(append(dst, `{"session_id":`...), env.SessionID)
	if env.ProjectID != "" {
		dst = appendText(append(dst, `,"project_id":`...), env.ProjectID)
	}
	dst = appendText(append(dst, `,"timestamp":`...), env.Timestamp)
	if env.Seq != 0 {
		dst = strconv.AppendUint(append(dst, `,"seq":`...), env.Seq, 10)
	}
	if env.HeadSeq != nil {
		dst = strconv.AppendUint(append(dst, `,"head_seq":`...), *env.HeadSeq, 10)
	}
	if env.CommandID != "" {
		dst = appendText(append(dst, `,"command_id":`...), env.CommandID)
	}
	if env.Actor != "" {
		dst = appendText(append(dst, `,"actor":`...), env.Actor)
	}
	return append(dst, '}')
}

// appendText writes a string as encoding/json does.
func appendText(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, err := json.Marshal(s)
			if err != nil {
				panic(fmt.Sprintf("session: text: %v", err)) // a string always can
			}
			return append(dst, quoted...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

// marshalBody encodes without HTML escaping: payloads are data, not markup.
func marshalBody(body any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), nil
}

type executingBody struct {
	CommandType string `json:"command_type"`
}

type executedBody struct {
	CommandType string          `json:"command_type"`
	Result      json.RawMessage `json:"result"`
}

type failedBody struct {
	CommandType string      `json:"command_type"`
	Error       failedError `json:"error"`
}

type failedError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

type turnedBody struct {
	RequestID   string          `json:"request_id"`
	CommandType string          `json:"command_type"`
	Applied     []graph.Outcome `json:"applied"`
	Skipped     []graph.Outcome `json:"skipped"`
	AppliedMore int             `json:"applied_more,omitempty"`
	SkippedMore int             `json:"skipped_more,omitempty"`
}

type savedBody struct {
	Revision uint64 `json:"revision"`
	Name     string `json:"name"`
}

type loadedBody struct {
	TemplateID string          `json:"template_id"`
	Name       string          `json:"name"`
	Revision   uint64          `json:"revision"`
	Graph      json.RawMessage `json:"graph"`
}

// clientBody is session:connected and session:disconnected.
type clientBody struct {
	ClientID    string  `json:"client_id"`
	ClientCount int     `json:"client_count"`
	User        *Client `json:"user"`
	Epoch       string  `json:"epoch,omitempty"`
	Recovered   *bool   `json:"recovered,omitempty"`
	Reason      string  `json:"reason,omitempty"`
}

// events gives the entry's numbered events, First through Last in order: those
// of its changes, then the one that says what kind of entry it was. step, if
// any, is called between them.
func (e *entry) events(sessionID string, step func()) []Item {
	env := envelope{
		SessionID: sessionID,
		ProjectID: e.ProjectID,
		Timestamp: timestamp(e.at()),
		CommandID: e.CommandID,
		Actor:     e.Actor,
	}
	if e.Kind == kindUndo || e.Kind == kindRedo {
		env.CommandID = e.Target
	}
	items := make([]Item, 0, e.Last-e.First+1)
	seq := e.First
	var scratch []byte
	add := func(name string, body any) {
		env.Seq = seq
		scratch = appendPayload(scratch[:0], env, body)
		items = append(items, Item{Seq: seq, Head: seq, ProjectID: e.ProjectID, Name: name, Payload: bytes.Clone(scratch)})
		seq++
	}
	for _, c := range e.Changes {
		if step != nil {
			step()
		}
		for _, ev := range c.Events() {
			add(ev.Name, ev.Body)
		}
	}
	switch e.Kind {
	case kindCommand:
		add(EventCommandExecuted, executedBody{CommandType: e.CommandType, Result: e.Result})
	case kindUndo, kindRedo:
		name := EventCommandUndo
		if e.Kind == kindRedo {
			name = EventCommandRedo
		}
		add(name, turnedBody{
			RequestID: e.CommandID, CommandType: e.CommandType,
			Applied: outcomes(e.Applied), Skipped: outcomes(e.Skipped),
			AppliedMore: e.AppliedMore, SkippedMore: e.SkippedMore,
		})
	case kindSave:
		add(EventProjectSaved, savedBody{Revision: e.Saved.Revision, Name: e.Saved.Name})
	case kindLoad:
		l := e.Loaded
		add(EventProjectLoaded, loadedBody{TemplateID: l.TemplateID, Name: l.Name, Revision: l.Revision, Graph: l.Graph})
	}
	return items
}

// outcomes makes an absent list an empty one: clients iterate over it.
func outcomes(o []graph.Outcome) []graph.Outcome {
	if o == nil {
		return []graph.Outcome{}
	}
	return o
}

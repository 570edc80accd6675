package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
)

// request is a command, undo or redo, the same at every try.
type request struct {
	event string // as a socket sends it
	path  string // as REST has it
	body  map[string]any
	id    string
}

// answer is a receipt or a refusal, over either way.
type answer struct {
	OK      *bool           `json:"ok"`
	Success bool            `json:"success"`
	ID      string          `json:"command_id"`
	Seq     uint64          `json:"seq"`
	Result  json.RawMessage `json:"result"`
	Error   *struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// done is an acknowledged request, to be tried again later.
type done struct {
	req    request
	answer answer
}

// writer sends one request after the other. Without a client it uses REST.
type writer struct {
	name    string
	rng     *rand.Rand
	world   *world
	ledger  *ledger
	tally   *tally
	client  *client
	rest    *http.Client
	base    string // of REST
	nodes   []string
	history []done
}

const (
	maxNodes   = 30
	maxHistory = 50
)

// run works until the writers are drained.
func (w *writer) run(ctx context.Context) {
	var open *request
	repeat := -1
	for {
		m, err := w.world.await(ctx, func(m mode) bool { return m == modeLoad || m == modeDrain || m == modeEnd })
		if err != nil || m == modeEnd || m == modeDrain && open == nil {
			return
		}
		if open == nil {
			var r request
			if repeat = -1; len(w.history) > 0 && w.rng.IntN(20) == 0 {
				repeat = w.rng.IntN(len(w.history))
				r = w.history[repeat].req
			} else {
				r = w.next()
				w.ledger.ask(r.id)
			}
			open = &r
		}
		a, err := w.send(ctx, *open)
		if err != nil || a.Error != nil && a.Error.Code == "UNAVAILABLE" {
			w.tally.add(&w.tally.Retries, 1)
			w.pause(ctx)
			continue
		}
		if repeat >= 0 {
			w.compare(w.history[repeat], a)
		} else {
			w.settle(*open, a)
		}
		open = nil
	}
}

// pause waits for a change when the server is not there.
func (w *writer) pause(ctx context.Context) {
	m, changed := w.world.now()
	if m == modeLoad || m == modeDrain {
		select { // it may be gone without our knowing yet; do not spin
		case <-changed:
		case <-ctx.Done():
		case <-w.tally.tick():
		}
	}
}

// settle takes the first answer to a request.
func (w *writer) settle(r request, a answer) {
	if a.Error != nil {
		if !mayRefuse(a.Error.Code) {
			w.ledger.faults.twice(w.ledger.session, "%s %v was refused: %s %s", r.event, r.body, a.Error.Code, a.Error.Message)
		}
		w.tally.add(&w.tally.Refused, 1)
		w.ledger.refuse(r.id)
		w.forget(r)
		return
	}
	w.tally.add(&w.tally.Commands, 1)
	w.ledger.acknowledged(r.id, a.Seq)
	w.world.acked()
	w.learn(r)
	w.history = append(w.history, done{r, a})
	if len(w.history) > maxHistory {
		w.history = slices.Delete(w.history, 0, 1)
	}
}

// compare holds the answer to a repeated request against the first one.
func (w *writer) compare(d done, a answer) {
	w.tally.add(&w.tally.Repeats, 1)
	if a.Error != nil || a.Seq != d.answer.Seq || a.ID != d.answer.ID || !bytes.Equal(a.Result, d.answer.Result) {
		w.ledger.faults.twice(w.ledger.session, "%s %v again: %+v, first %+v", d.req.event, d.req.body, a, d.answer)
	}
}

// mayRefuse lists what random commands of several writers may run into. An id
// in use is not among it: that would be a command done twice.
func mayRefuse(code string) bool {
	return slices.Contains([]string{"NODE_NOT_FOUND", "NOTHING_TO_UNDO", "NOTHING_TO_REDO", "CYCLE"}, code)
}

// send asks once. An error says that the outcome is not known.
func (w *writer) send(ctx context.Context, r request) (answer, error) {
	var text []byte
	var err error
	if w.client != nil {
		text, err = w.client.call(ctx, r.event, r.body)
	} else {
		text, err = w.post(ctx, r)
	}
	var a answer
	if err == nil {
		err = json.Unmarshal(text, &a)
	}
	if err == nil && a.Error == nil && !a.Success {
		err = fmt.Errorf("neither receipt nor refusal: %.200s", text)
	}
	return a, err
}

func (w *writer) post(ctx context.Context, r request) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, replyWait)
	defer cancel()
	text, err := json.Marshal(r.body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.base+r.path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Session-ID", w.ledger.session)
	req.Header.Set("X-Actor", w.name)
	resp, err := w.rest.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	return io.ReadAll(resp.Body)
}

// uuid makes a version 4 UUID from the seed.
func (w *writer) uuid() string {
	a, b := w.rng.Uint64(), w.rng.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>48&0x3fff|0x8000, b&0xffffffffffff)
}

func (w *writer) node() string { return w.nodes[w.rng.IntN(len(w.nodes))] }

// next makes a new request.
func (w *writer) next() request {
	id := w.uuid()
	step := func(event, path string) request {
		return request{event: event, path: "/sessions/" + w.ledger.session + path, id: id, body: map[string]any{"command_id": id, "scope": "actor"}}
	}
	command := func(typ string, data map[string]any) request {
		return request{event: "command:execute", path: "/commands/execute", id: id, body: map[string]any{"command_id": id, "command_type": typ, "data": data}}
	}
	pick := w.rng.IntN(100)
	switch {
	case pick < 8:
		return step("command:undo", "/undo")
	case pick < 12:
		return step("command:redo", "/redo")
	case len(w.nodes) == 0 || pick < 30 && len(w.nodes) < maxNodes:
		return command("CreateNode", map[string]any{"blueprint_type_id": "item", "node_id": w.uuid(), "name": w.name, "index": w.rng.IntN(5)})
	case pick < 40:
		return command("MoveNode", map[string]any{"node_id": w.node(), "parent_id": nil, "index": w.rng.IntN(5)})
	case pick < 46 && len(w.nodes) > 5:
		return command("DeleteNode", map[string]any{"node_id": w.node()})
	case pick < 52:
		return command("Batch", map[string]any{"commands": []any{
			map[string]any{"command_type": "UpdateProperty", "data": w.update()},
			map[string]any{"command_type": "UpdateProperty", "data": w.update()},
		}})
	default:
		return command("UpdateProperty", w.update())
	}
}

func (w *writer) update() map[string]any {
	return map[string]any{"node_id": w.node(), "property_id": "note", "value": fmt.Sprintf("%s-%d", w.name, w.rng.Uint32())}
}

// learn keeps the ids of this writer's nodes.
func (w *writer) learn(r request) {
	switch data, _ := r.body["data"].(map[string]any); r.body["command_type"] {
	case "CreateNode":
		id, _ := data["node_id"].(string)
		w.nodes = append(w.nodes, id)
	case "DeleteNode":
		w.forget(r)
	}
}

// forget drops the node of a request that was deleted, or whose creation was
// undone.
func (w *writer) forget(r request) {
	data, _ := r.body["data"].(map[string]any)
	id, ok := data["node_id"].(string)
	if commands, isBatch := data["commands"].([]any); isBatch {
		first, _ := commands[w.rng.IntN(len(commands))].(map[string]any)
		inner, _ := first["data"].(map[string]any)
		id, ok = inner["node_id"].(string)
	}
	if ok {
		w.nodes = slices.DeleteFunc(w.nodes, func(n string) bool { return n == id })
	}
}

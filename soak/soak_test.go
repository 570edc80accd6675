package main

import (
	"context"
	"encoding/json"
	"path/filepath"
	"testing"
	"time"
)

// SPEC D-20: a handful of kills; `make soak` does two hundred.
func TestKills(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills server processes")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	dir := t.TempDir()
	binary, err := build(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	res, err := soak(ctx, options{
		rounds: 5, sessions: 2, acks: 300, checkEvery: 2, seed: 1, binary: binary, data: filepath.Join(dir, "data"), log: t.Output(),
	})
	text, jerr := json.MarshalIndent(res, "", " ")
	if err != nil || jerr != nil || res.Verdict != verdictPass {
		t.Fatalf("%v\n%s", err, text)
	}
	if res.Commands == 0 || res.Compared == 0 || res.Receipts == 0 || res.Reconnects == 0 || len(res.Checks) < 2 {
		t.Errorf("it looked at nothing:\n%s", text)
	}
}

// The ledger finds what it is there to find.
func TestLedger(t *testing.T) {
	executed := func(seq uint64, id string) event {
		return event{Seq: seq, Name: "command:executed", Data: json.RawMessage(`{"command_id":"` + id + `"}`)}
	}
	for name, c := range map[string]struct {
		lost, twice, reordered int
		do                     func(l *ledger)
	}{
		"all is well": {0, 0, 0, func(l *ledger) {
			_ = l.read(page{Epoch: "e", Events: []event{executed(1, "a"), executed(2, "b")}})
			l.acknowledged("a", 1)
			l.compare("client", 2, []uint64{l.digest("command:executed", []byte(`{"command_id":"b"}`))})
		}},
		"an acknowledged command is gone": {1, 0, 0, func(l *ledger) { l.acknowledged("a", 1) }},
		"it stands elsewhere": {0, 0, 1, func(l *ledger) {
			_ = l.read(page{Epoch: "e", Events: []event{executed(1, "a")}})
			l.acknowledged("a", 2)
		}},
		"it stands twice": {0, 1, 0, func(l *ledger) {
			_ = l.read(page{Epoch: "e", Events: []event{executed(1, "a"), executed(2, "a")}})
		}},
		"nobody asked for it": {0, 1, 0, func(l *ledger) { _ = l.read(page{Epoch: "e", Events: []event{executed(1, "z")}}) }},
		"it was refused": {0, 1, 0, func(l *ledger) {
			l.refuse("a")
			_ = l.read(page{Epoch: "e", Events: []event{executed(1, "a")}})
		}},
		"the journal has a gap": {0, 0, 1, func(l *ledger) {
			if l.read(page{Epoch: "e", Events: []event{executed(1, "a"), executed(3, "b")}}) == nil {
				panic("no error")
			}
		}},
		"another epoch": {1, 0, 0, func(l *ledger) { _ = l.read(page{Epoch: "f"}) }},
		"the past has changed": {1, 0, 0, func(l *ledger) {
			_ = l.read(page{Epoch: "e", Events: []event{executed(1, "a")}})
			l.again(page{Epoch: "e", Events: []event{executed(1, "b")}})
		}},
		"a client got another event": {0, 0, 1, func(l *ledger) {
			_ = l.read(page{Epoch: "e", Events: []event{executed(1, "a")}})
			l.compare("c", 1, []uint64{7})
		}},
		"a client knows of the future": {1, 0, 0, func(l *ledger) { l.compare("c", 1, []uint64{7}) }},
	} {
		f := &faults{}
		l := newLedger("s", f)
		l.epoch = "e"
		l.ask("a")
		l.ask("b")
		c.do(l)
		l.settle()
		if f.Lost != c.lost || f.Twice != c.twice || f.Reordered != c.reordered || f.any() != (c.lost+c.twice+c.reordered > 0) {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

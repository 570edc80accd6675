package server

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/graphroom/graphroom/internal/session"
)

// SPEC R-27: /asyncapi.json describes the events as they really are.
func TestAsyncAPI(t *testing.T) {
	r := newRig(t)
	got := r.do("GET", "/asyncapi.json", "")
	var doc struct {
		AsyncAPI   string `json:"asyncapi"`
		Components struct {
			Messages map[string]struct {
				Name    string
				Payload struct{ Properties map[string]any }
			}
		}
	}
	if err := json.Unmarshal([]byte(got.Body), &doc); err != nil || doc.AsyncAPI != "3.0.0" {
		t.Fatalf("%v %s", err, got.Body)
	}
	described := map[string][]string{}
	for key, m := range doc.Components.Messages {
		if !strings.HasSuffix(key, ".request") {
			described[m.Name] = slices.Sorted(maps.Keys(m.Payload.Properties))
		}
	}
	golden, err := os.ReadFile("testdata/events.golden")
	if err != nil {
		t.Fatal(err)
	}
	real := map[string][]string{}
	event := ""
	for line := range strings.Lines(string(golden)) {
		if !strings.HasPrefix(line, " ") {
			event = strings.TrimSpace(line)
			continue
		}
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		name = strings.TrimSuffix(name, "?")
		if !slices.Contains(real[event], name) {
			real[event] = append(real[event], name)
		}
	}
	for name, fields := range real {
		if name == session.EventCommandUndo || name == session.EventCommandRedo {
			fields = append(fields, "applied_more", "skipped_more") // of a huge undo only: session.TestHugeUndo
			real[name] = fields
		}
		slices.Sort(fields)
	}
	if diff := cmp.Diff(real, described); diff != "" {
		t.Errorf("events as they are (-) and as they are described (+):\n%s", diff)
	}
}

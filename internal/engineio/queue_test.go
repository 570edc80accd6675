package engineio

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
)

// SPEC E-6: one answer holds at most so many packets, whatever chunks they
// came in; the rest stays, in order.
func TestQueuePayloadIsBounded(t *testing.T) {
	var q queue
	var chunk []byte
	for i := range 40 {
		chunk = append(chunk, TextFrame(fmt.Append(nil, i))...)
		if i%7 == 6 {
			q.push(chunk)
			chunk = nil
		}
	}
	q.push(chunk)
	next := 0
	for !q.empty() {
		packets := strings.Split(string(q.payload(15)), "\x1e")
		if len(packets) != 15 && !q.empty() {
			t.Fatalf("%d packets while more wait", len(packets))
		}
		for _, p := range packets {
			if p != fmt.Sprint("4", next) {
				t.Fatalf("packet %q, want 4%d", p, next)
			}
			next++
		}
	}
	if next != 40 || q.bytes != 0 {
		t.Fatalf("%d packets, %d bytes left", next, q.bytes)
	}
}

// SPEC E-6: how many packets an answer holds goes by the agent.
func TestPacketsByAgent(t *testing.T) {
	for agent, want := range map[string]int{
		"": pollPackets, "python-requests/2.28.1": pollPackets, "Python/3.11 aiohttp/3.8.4": pollPackets,
		"Mozilla/5.0 (X11; Linux x86_64)": pollPacketsMany, "node-XMLHttpRequest": pollPacketsMany,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("User-Agent", agent)
		if got := packetsFor(r); got != want {
			t.Errorf("%q: %d", agent, got)
		}
	}
}

package e2e

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// startProxy runs a reverse proxy that knows no websocket, as some company
// networks have: refuse answers an upgrade with an error, else its Upgrade
// header is dropped on the way. blocked counts the upgrades it stopped.
func startProxy(t *testing.T, s *server, refuse bool) (address string, blocked *atomic.Int64) {
	t.Helper()
	target, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	blocked = new(atomic.Int64)
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
	}}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
			blocked.Add(1)
			if refuse {
				http.Error(w, "no websocket here", http.StatusForbidden)
				return
			}
			r.Header.Del("Upgrade")
			r.Header.Del("Connection")
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	return proxy.URL, blocked
}

func TestPollingGoesOnWhereWebsocketIsBlocked(t *testing.T) {
	for name, refuse := range map[string]bool{"refused": true, "stripped": false} {
		t.Run(name, func(t *testing.T) {
			proxy, blocked := startProxy(t, shared.live, refuse) // first, to end last: it waits for the polls in it
			s := startScript(t, "client.mjs")
			session := "proxy-" + name
			r := newRoom(t, shared.live, session, "outline")
			start := len(r.journal(t, session))
			behind := s.open(t, "behind", proxy, "/graph", nil, object{"session_id": session})
			behind.awaitJoined(t, 1)
			last := ""
			for range 200 {
				last = r.create(t, object{"blueprint_type_id": "item", "parent_id": r.root})
			}
			behind.awaitEvent(t, "graph:node-created", "node_id", last)
			behind.await(t, "the last command:executed", 200, func(l line) bool { return l.Type == "event" && l.Name == "command:executed" })
			checkNumbered(t, behind.name, numbered(behind.all()), r.journal(t, session)[start:])
			for _, l := range behind.all() {
				if l.Type == "upgrade" || l.Type == "disconnect" || l.Type == "connect" && l.Transport != "polling" {
					t.Errorf("behind the proxy: %+v", l)
				}
			}
			if blocked.Load() == 0 {
				t.Error("the client never tried websocket: the proxy blocked nothing")
			}
		})
	}
}

// checkNumbered compares what a client got with the journal, event by event.
func checkNumbered(t *testing.T, who string, got, want []recorded) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s got %d numbered events, the journal has %d", who, len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		a, b := got[i], want[i]
		if a.Seq == b.Seq && a.Event == b.Event && (string(a.Data) == string(b.Data) || canonical(a.Data) == canonical(b.Data)) {
			continue
		}
		t.Errorf("%s, numbered event %d (-journal +client):\n%s", who, i, cmp.Diff(jsonText(b), jsonText(a)))
		return
	}
}

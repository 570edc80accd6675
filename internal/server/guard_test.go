package server

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// SPEC O-10, O-11: who may come in, for the default and for a chosen list.
func TestGuard(t *testing.T) {
	type row struct {
		host, origin, site, mode string
		ok                       bool
	}
	check := func(t *testing.T, g *guard, rows []row) {
		t.Helper()
		for _, row := range rows {
			r := httptest.NewRequest("GET", "/", nil)
			r.Host = row.host
			for name, value := range map[string]string{"Origin": row.origin, "Sec-Fetch-Site": row.site, "Sec-Fetch-Mode": row.mode} {
				if value != "" {
					r.Header.Set(name, value)
				}
			}
			if err := g.check(r); (err == nil) != row.ok {
				t.Errorf("%+v: %v", row, err)
			}
		}
	}
	byDefault, err := newGuard(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	check(t, byDefault, []row{
		{host: "127.0.0.1:5000", ok: true},
		{host: "localhost", ok: true},
		{host: "LOCALHOST.:5000", ok: true},
		{host: "app.localhost:5000", ok: true},
		{host: "[::1]:5000", ok: true},
		{host: "192.168.1.7:5000", ok: true}, // an address cannot be rebound
		{host: "evil.example:5000"},
		{host: "localhost.evil.example"},
		{host: "127.0.0.1.evil.example"},
		{host: ""},
		{host: "localhost:5000", origin: "http://localhost:3000", ok: true},
		{host: "localhost:5000", origin: "https://127.0.0.1", ok: true},
		{host: "localhost:5000", origin: "http://[::1]:8080", ok: true},
		{host: "localhost:5000", origin: "https://evil.example"},
		{host: "localhost:5000", origin: "http://localhost.evil.example"},
		{host: "localhost:5000", origin: "null"},
		{host: "localhost:5000", origin: "file://localhost"},
		{host: "localhost:5000", origin: "http://user@localhost"},
		{host: "localhost:5000", origin: "::"},
		{host: "192.168.1.7:5000", origin: "http://192.168.1.7:5000", ok: true}, // a page that we served
		{host: "192.168.1.7:5000", origin: "http://192.168.1.7:5001"},
		{host: "evil.example", origin: "http://evil.example"}, // rebinding: same origin, and still out
		{host: "localhost", site: "cross-site", mode: "no-cors"},
		{host: "localhost", site: "cross-site", mode: "navigate", ok: true},
		{host: "localhost", site: "same-origin", mode: "cors", ok: true},
	})
	chosen, err := newGuard([]string{"https://app.example.com", " http://other.example:80/ "}, []string{"Proxy.internal."})
	if err != nil {
		t.Fatal(err)
	}
	check(t, chosen, []row{
		{host: "localhost:5000", origin: "https://app.example.com", ok: true},
		{host: "localhost:5000", origin: "https://APP.example.com:443", ok: true},
		{host: "localhost:5000", origin: "http://other.example", ok: true},
		{host: "localhost:5000", origin: "http://app.example.com"},
		{host: "localhost:5000", origin: "http://localhost:3000"}, // a list replaces the default
		{host: "app.example.com", ok: true},
		{host: "proxy.internal:8443", ok: true},
		{host: "elsewhere.example"},
	})
	open, err := newGuard([]string{"*", "loopback", ""}, []string{"*", ""})
	if err != nil {
		t.Fatal(err)
	}
	check(t, open, []row{
		{host: "anything.example", origin: "https://evil.example", ok: true},
		{host: "anything.example", site: "cross-site", mode: "no-cors", ok: true},
	})
	for _, bad := range [][2]string{{"app.example.com", ""}, {"https://a/path", ""}, {"null", ""}, {"", "http://a"}, {"", "a:1"}} {
		if _, err := newGuard([]string{bad[0]}, []string{bad[1]}); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header["Origin"] = []string{"http://localhost", "https://evil.example"}
	if byDefault.check(r) == nil {
		t.Error("two origins were accepted")
	}
}

// SPEC O-10: the guard stands before REST, polling, websocket and preflights
// alike, and what it lets in may be read.
func TestGuardEverywhere(t *testing.T) {
	r := newRig(t)
	for _, path := range []string{"/api/v1/health", "/docs", "/metrics", "/socket.io/?EIO=4&transport=polling", "/socket.io/?EIO=4&transport=websocket", "/nope"} {
		for _, header := range []string{"Origin: https://evil.example", "Host: evil.example"} {
			got := r.do("GET", path, "", header)
			if got.Status != http.StatusForbidden || got.code() != "FORBIDDEN" || got.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s %s: %v", path, header, got)
			}
		}
	}
	const page = "http://localhost:3000"
	for _, path := range []string{"/api/v1/health", "/socket.io/?EIO=4&transport=polling"} {
		got := r.do("GET", path, "", "Origin: "+page)
		if got.Status != 200 || got.Header.Get("Access-Control-Allow-Origin") != page || !strings.Contains(got.Header.Get("Access-Control-Expose-Headers"), "Etag") &&
			!strings.Contains(got.Header.Get("Access-Control-Expose-Headers"), "ETag") {
			t.Errorf("%s: %v", path, got.Header)
		}
		if _, rest, ok := strings.Cut(got.Body, `"sid":"`); ok {
			sid, _, _ := strings.Cut(rest, `"`)
			r.do("POST", path+"&sid="+sid, "1", "Content-Type: text/plain")
		}
		pre := r.do("OPTIONS", path, "", "Origin: "+page, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type,x-session-id")
		if pre.Status != 204 || pre.Header.Get("Access-Control-Allow-Origin") != page || !strings.Contains(strings.ToLower(pre.Header.Get("Access-Control-Allow-Headers")), "x-session-id") {
			t.Errorf("preflight %s: %d %v", path, pre.Status, pre.Header)
		}
	}
	if got := r.do("OPTIONS", "/api/v1/health", "", "Origin: https://evil.example", "Access-Control-Request-Method: POST"); got.Status != 403 {
		t.Errorf("a foreign preflight: %v", got)
	}
}

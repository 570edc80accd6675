package server

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/rs/cors"

	"github.com/graphroom/graphroom/internal/fault"
)

// guard decides whether a request may reach the server at all: the Host it
// names and the Origin it comes from. One list holds for REST, polling and
// websocket alike. It is immutable and safe for concurrent use.
//
// Why the Host too: a web page whose name is made to resolve to 127.0.0.1 (DNS
// rebinding) is same-origin with us in the browser's eyes, and then only its
// name gives it away. A literal address cannot be rebound and always passes.
type guard struct {
	anyOrigin bool
	anyHost   bool
	loopback  bool // loopback origins pass
	origins   map[string]bool
	hosts     map[string]bool
}

// newGuard builds the guard from the two option lists. Without origins, the
// loopback origins of every port pass. "*" switches a check off.
func newGuard(origins, hosts []string) (*guard, error) {
	g := &guard{origins: map[string]bool{}, hosts: map[string]bool{}, loopback: len(origins) == 0}
	for _, raw := range origins {
		switch raw = strings.TrimSpace(raw); raw {
		case "":
		case "*":
			g.anyOrigin = true
		case "loopback":
			g.loopback = true
		default:
			norm, host, ok := normalOrigin(raw)
			if !ok {
				return nil, fault.New(fault.InvalidRequest, "origin %q is not scheme://host[:port], \"loopback\" or \"*\"", raw)
			}
			g.origins[norm] = true
			g.hosts[host] = true
		}
	}
	for _, raw := range hosts {
		switch raw = strings.ToLower(strings.TrimSpace(raw)); raw {
		case "":
		case "*":
			g.anyHost = true
		default:
			if strings.ContainsAny(raw, "/:@ ") {
				return nil, fault.New(fault.InvalidRequest, "host %q is not a plain host name (no scheme, no port)", raw)
			}
			g.hosts[strings.TrimSuffix(raw, ".")] = true
		}
	}
	return g, nil
}

// normalOrigin gives the canonical text of an origin and its host name.
func normalOrigin(raw string) (norm, host string, ok bool) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme == "" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || (u.Path != "" && u.Path != "/") {
		return "", "", false
	}
	scheme := strings.ToLower(u.Scheme)
	host = strings.ToLower(u.Hostname())
	port := u.Port()
	if (scheme == "http" && port == "80") || (scheme == "https" && port == "443") {
		port = ""
	}
	norm = scheme + "://" + bracket(host)
	if port != "" {
		norm += ":" + port
	}
	return norm, host, true
}

func bracket(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

// check refuses with FORBIDDEN what may not come in (SPEC O-10, O-11).
func (g *guard) check(r *http.Request) error {
	if !g.hostAllowed(r.Host) {
		return fault.New(fault.Forbidden, "this server does not answer for host %q; name it with --hosts", clip(r.Host))
	}
	if values := r.Header.Values("Origin"); len(values) > 0 {
		if len(values) > 1 || !g.originAllowed(values[0], r.Host) {
			return fault.New(fault.Forbidden, "origin %q may not use this server; list it with --origins", clip(values[0]))
		}
		return nil
	}
	// A browser that sends no Origin (an <img>, a <script>) still says where
	// it comes from. Following a link here is fine, being embedded is not.
	if r.Header.Get("Sec-Fetch-Site") == "cross-site" && r.Header.Get("Sec-Fetch-Mode") != "navigate" && !g.anyOrigin {
		return fault.New(fault.Forbidden, "another site may not use this server; list its origin with --origins")
	}
	return nil
}

func (g *guard) hostAllowed(hostport string) bool {
	if g.anyHost {
		return true
	}
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
	if host == "" {
		return false
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return isLocalhost(host) || g.hosts[host]
}

// originAllowed judges an Origin header. A page that we served ourselves, from
// a Host that passed the check, is always allowed.
func (g *guard) originAllowed(origin, requestHost string) bool {
	if g.anyOrigin {
		return true
	}
	norm, host, ok := normalOrigin(origin)
	if !ok {
		return g.origins[origin] // "null" cannot be listed: normalOrigin refuses it there too
	}
	if g.origins[norm] || (g.loopback && isLoopback(host) && strings.HasPrefix(norm, "http")) {
		return true
	}
	for _, scheme := range []string{"http", "https"} {
		if own, _, ok := normalOrigin(scheme + "://" + requestHost); ok && own == norm {
			return true
		}
	}
	return false
}

func isLocalhost(host string) bool {
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

func isLoopback(host string) bool {
	if isLocalhost(host) {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// clip bounds foreign text that is repeated in a message.
func clip(s string) string {
	if len(s) > 100 {
		return s[:100] + "…"
	}
	return s
}

// crossOrigin answers preflights and marks answers readable for the origins
// that the guard lets in.
func (g *guard) crossOrigin() *cors.Cors {
	return cors.New(cors.Options{
		AllowOriginVaryRequestFunc: func(r *http.Request, origin string) (bool, []string) {
			return g.originAllowed(origin, r.Host), nil
		},
		AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete},
		AllowedHeaders: []string{"Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "Last-Event-ID",
			"X-Actor", "X-Request-ID", "X-Session-ID"},
		ExposedHeaders:       []string{"ETag", "Retry-After", "X-Request-ID"},
		AllowCredentials:     true, // there are none to steal: no cookie or other ambient credential is ever read
		AllowPrivateNetwork:  true,
		MaxAge:               600,
		OptionsSuccessStatus: http.StatusNoContent,
	})
}

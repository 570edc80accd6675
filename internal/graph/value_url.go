package graph

import (
	"net/url"
	"strconv"
	"strings"
)

const urlHint = "must be a URL that begins with http://, https:// or mailto:"

// normalURL checks a URL that people may click on and lower-cases its scheme
// and host. Everything else stays as it was given.
func normalURL(s string) (string, string) {
	if len(s) > MaxURL {
		return "", "is longer than " + strconv.Itoa(MaxURL) + " bytes"
	}
	if strings.ContainsFunc(s, func(c rune) bool {
		return c <= ' ' || c >= 0x7F && c <= 0xA0 || strings.ContainsRune(`<>"\`+"`", c)
	}) {
		return "", urlHint + ", without spaces, quotes, backslashes or angle brackets"
	}
	u, err := url.Parse(s)
	if err != nil {
		return "", urlHint
	}
	rest := s[len(u.Scheme):]
	switch u.Scheme {
	case "http", "https":
		if u.Hostname() == "" {
			return "", urlHint + ", with a host"
		}
		// rest is ://[user@]host[:port] and then the path.
		end := len(rest)
		if i := strings.IndexAny(rest[3:], "/?#"); i >= 0 {
			end = 3 + i
		}
		host := 3 + strings.LastIndexByte(rest[3:end], '@') + 1
		return u.Scheme + rest[:host] + strings.ToLower(rest[host:end]) + rest[end:], ""
	case "mailto":
		if to, _, _ := strings.Cut(u.Opaque, "?"); to == "" {
			return "", urlHint + ", with an address"
		}
		return u.Scheme + rest, ""
	default:
		return "", urlHint
	}
}

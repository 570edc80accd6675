package engineio

import (
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"time"
)

// Config is what a Server needs. The zero value of every field means its
// default.
type Config struct {
	// Logger receives refused requests (debug) and panics of the handler
	// (error). Default: discard.
	Logger *slog.Logger

	// CheckOrigin says whether a request may use the server; it is asked for
	// every request of every transport. Default: requests without Origin and
	// those whose Origin is the Host.
	CheckOrigin func(*http.Request) bool

	// Address names the peer that the limits per address count. Default: the
	// host of RemoteAddr.
	Address func(*http.Request) string

	// PingInterval is the time between a pong (or the handshake) and the next
	// ping. Default 25 s.
	PingInterval time.Duration
	// PingTimeout is how long after a ping was queued its pong may take.
	// Default 20 s.
	PingTimeout time.Duration
	// UpgradeTimeout bounds a probe that is never completed. Default 10 s.
	UpgradeTimeout time.Duration
	// CloseTimeout bounds an orderly close: the last poll, or the peer's
	// closing handshake. Default 5 s.
	CloseTimeout time.Duration
	// WriteTimeout closes a conn whose socket took no byte for so long while
	// some were queued. Default 30 s.
	WriteTimeout time.Duration

	// MaxPayload bounds a POST body and a WebSocket message, in bytes. It is
	// told to clients. Default 1,000,000.
	MaxPayload int64
	// MaxQueue bounds the unsent bytes of a conn; one message may stand over
	// it. Default 1 MiB.
	MaxQueue int
	// FlushInterval is the least time between two flushes of a lane, and half
	// the most when flushing few messages to many conns takes much of its time.
	// The first message after silence goes at once. Default 2 ms; negative: no
	// wait.
	FlushInterval time.Duration
	// Lanes is how many goroutines write. Default GOMAXPROCS.
	Lanes int
	// Deflate offers permessage-deflate (without context takeover).
	Deflate bool
	// ReadBuffer is the size of a WebSocket's read buffer. Default 512 bytes:
	// larger messages are read past it, straight into their own buffer.
	ReadBuffer int

	// Limits refuse or slow down peers.
	Limits Limits

	// NewID makes session ids: unguessable, unique. Default: 120 random bits.
	NewID func() string
}

// Limits bound what peers may ask of a server. Zero means the default, a
// negative value no limit.
type Limits struct {
	// Conns bounds the open conns. Over it a handshake is answered 503.
	// Default 100,000.
	Conns int
	// ConnsPerAddress bounds the open conns of one address (429).
	// Default 20,000: a reverse proxy is one address.
	ConnsPerAddress int
	// HandshakesPerSecond bounds new conns, with twice as much at once (429).
	// Default 10,000.
	HandshakesPerSecond int
	// MessagesPerSecond bounds the packets and pings that are read from one
	// conn, with twice as many at once. A faster peer is not closed but read more slowly. Default 5,000.
	MessagesPerSecond int
	// HeaderBytes bounds what is kept of a handshake's headers for as long as
	// the conn lives, and its URL and host, which are refused when they are
	// longer. Default 8 KiB.
	HeaderBytes int
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.CheckOrigin == nil {
		c.CheckOrigin = sameOrigin
	}
	if c.Address == nil {
		c.Address = remoteHost
	}
	if c.NewID == nil {
		c.NewID = RandomID
	}
	orDuration(&c.PingInterval, 25*time.Second)
	orDuration(&c.PingTimeout, 20*time.Second)
	orDuration(&c.UpgradeTimeout, 10*time.Second)
	orDuration(&c.CloseTimeout, 5*time.Second)
	orDuration(&c.WriteTimeout, 30*time.Second)
	orDuration(&c.FlushInterval, 2*time.Millisecond)
	if c.MaxPayload <= 0 {
		c.MaxPayload = 1_000_000
	}
	orInt(&c.MaxQueue, 1<<20)
	orInt(&c.ReadBuffer, 512)
	if c.Lanes <= 0 {
		c.Lanes = runtime.GOMAXPROCS(0)
	}
	orInt(&c.Limits.Conns, 100_000)
	orInt(&c.Limits.ConnsPerAddress, 20_000)
	orInt(&c.Limits.HandshakesPerSecond, 10_000)
	orInt(&c.Limits.MessagesPerSecond, 5_000)
	orInt(&c.Limits.HeaderBytes, 8<<10)
	return c
}

func orDuration(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

func orInt(n *int, value int) {
	if *n == 0 {
		*n = value
	}
}

func sameOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}

func remoteHost(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// RandomID returns 120 random bits, unguessable, as 20 characters of URL-safe base64, the
// form that other servers use.
func RandomID() string {
	var b [15]byte
	rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

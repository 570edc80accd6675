package socketio

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/graphroom/graphroom/internal/engineio"
)

// Config is what a Server needs. The zero value of every field means its
// default.
type Config struct {
	// Path is the only path that is served, with and without its last slash.
	// Default "/socket.io/".
	Path string
	// Logger receives refused requests (debug) and panics of handlers (error).
	// Default: discard.
	Logger *slog.Logger
	// CheckOrigin says whether a request may use the server. Default: requests
	// without Origin and those whose Origin is the Host.
	CheckOrigin func(*http.Request) bool
	// Address names the peer that the limits per address count. Default: the
	// host of RemoteAddr.
	Address func(*http.Request) string

	// PingInterval and PingTimeout are the heartbeat. Default 25 s and 20 s.
	PingInterval, PingTimeout time.Duration
	// ConnectTimeout closes a connection that joined no namespace. Default 45 s.
	ConnectTimeout time.Duration
	// UpgradeTimeout bounds an upgrade. Default 10 s.
	UpgradeTimeout time.Duration
	// CloseTimeout bounds the orderly end of a connection, and how long the
	// context of a socket outlives its connection while events that came before
	// its end are handled. Default 5 s.
	CloseTimeout time.Duration
	// WriteTimeout closes a connection that takes no byte of what is queued.
	// Default 30 s.
	WriteTimeout time.Duration

	// MaxPayload bounds what a client sends at once, in bytes. Default 1,000,000.
	MaxPayload int64
	// MaxQueue bounds what is unsent on a connection, in bytes; one message may
	// stand over it. Default 1 MiB.
	MaxQueue int
	// FlushInterval is the least time between two writes to a connection, and
	// half the most; the first message after silence goes at once. Default 2 ms;
	// negative: none.
	FlushInterval time.Duration
	// Deflate offers permessage-deflate on WebSocket.
	Deflate bool

	// Limits refuse or slow down clients.
	Limits Limits

	// NewID makes connection and socket ids: unguessable, unique. Default: 120
	// random bits.
	NewID func() string
}

// Limits bound what clients may ask of a server. Zero means the default, a
// negative value no limit.
type Limits struct {
	// Conns bounds the open connections. Default 100,000.
	Conns int
	// ConnsPerAddress bounds those of one address. Default 20,000.
	ConnsPerAddress int
	// HandshakesPerSecond bounds new connections. Default 10,000.
	HandshakesPerSecond int
	// MessagesPerSecond bounds what is read from one connection; a faster
	// client is read more slowly. Default 5,000.
	MessagesPerSecond int
	// Attachments bounds the binary attachments of one packet. More close the
	// connection. Default 10, as in other servers; negative: none allowed.
	Attachments int
	// Namespaces bounds the sockets of one connection. More are refused with
	// CONNECT_ERROR. Default 16.
	Namespaces int
}

func (c Config) withDefaults() Config {
	if c.Path == "" {
		c.Path = "/socket.io/"
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.ConnectTimeout <= 0 {
		c.ConnectTimeout = 45 * time.Second
	}
	if c.CloseTimeout <= 0 {
		c.CloseTimeout = 5 * time.Second
	}
	if c.NewID == nil {
		c.NewID = engineio.RandomID
	}
	if c.Limits.Attachments == 0 {
		c.Limits.Attachments = 10
	}
	if c.Limits.Namespaces == 0 {
		c.Limits.Namespaces = 16
	}
	return c
}

func (c Config) engine() engineio.Config {
	return engineio.Config{
		Logger: c.Logger, CheckOrigin: c.CheckOrigin, Address: c.Address, NewID: c.NewID,
		PingInterval: c.PingInterval, PingTimeout: c.PingTimeout, UpgradeTimeout: c.UpgradeTimeout,
		CloseTimeout: c.CloseTimeout, WriteTimeout: c.WriteTimeout,
		MaxPayload: c.MaxPayload, MaxQueue: c.MaxQueue, FlushInterval: c.FlushInterval, Deflate: c.Deflate,
		Limits: engineio.Limits{
			Conns: c.Limits.Conns, ConnsPerAddress: c.Limits.ConnsPerAddress,
			HandshakesPerSecond: c.Limits.HandshakesPerSecond, MessagesPerSecond: c.Limits.MessagesPerSecond,
		},
	}
}

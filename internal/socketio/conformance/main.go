// Command conformance is the server that the official protocol test suites of
// Engine.IO 4 and Socket.IO 5 (docs/engine.io-protocol/v4-test-suite and
// docs/socket.io-protocol/v5-test-suite of github.com/socketio/socket.io) run
// against. They expect it on port 3000, where it listens unless told otherwise.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/graphroom/graphroom/internal/engineio"
	"github.com/graphroom/graphroom/internal/socketio"
)

const (
	pingInterval   = 300 * time.Millisecond
	pingTimeout    = 200 * time.Millisecond
	connectTimeout = time.Second
	maxPayload     = 1_000_000
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

func run() error {
	listen := flag.String("listen", ":3000", "address to listen on")
	deflate := flag.Bool("deflate", false, "offer permessage-deflate")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	engine := engineio.NewServer(engineio.Config{
		PingInterval: pingInterval, PingTimeout: pingTimeout, MaxPayload: maxPayload, Deflate: *deflate,
	}, echo{})
	sockets := socketio.New(socketio.Config{
		PingInterval: pingInterval, PingTimeout: pingTimeout, MaxPayload: maxPayload, ConnectTimeout: connectTimeout,
		Deflate: *deflate,
	})
	for _, name := range []string{"/", "/custom"} {
		sockets.Namespace(name, handler())
	}
	mux := http.NewServeMux()
	mux.Handle("/engine.io/", engine)
	mux.Handle("/socket.io/", sockets)
	server := &http.Server{Addr: *listen, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = engine.Close(ctx) // the exit closes what is left
	_ = sockets.Close(ctx)
	return server.Shutdown(ctx)
}

// handler emits auth, message-back and acknowledgements with what it was given.
func handler() socketio.Handler {
	return socketio.Handler{
		Connect: func(_ context.Context, s *socketio.Socket, auth json.RawMessage) (socketio.Accept, error) {
			s.Set(auth)
			return socketio.Accept{}, nil
		},
		Connected: func(s *socketio.Socket) {
			_ = s.Emit("auth", s.Get()) // it fails only when the client is gone
		},
		Event: func(s *socketio.Socket, e socketio.Event) {
			args := make([]any, len(e.Args))
			for i := range args {
				v, err := e.Value(i)
				if err != nil {
					return // the packet was checked: this cannot be
				}
				args[i] = v
			}
			switch {
			case e.Name == "message":
				_ = s.Emit("message-back", args...)
			case e.Name == "message-with-ack" && e.Ack != nil:
				e.Ack(args...)
			}
		},
	}
}

// echo sends back what it gets.
type echo struct{}

// Open has nothing to do.
func (echo) Open(*engineio.Conn) {}

// Message sends the message back.
func (echo) Message(c *engineio.Conn, data []byte, binary bool) {
	frame := engineio.TextFrame(data)
	if binary {
		frame = engineio.BinaryFrame(data)
	}
	_ = c.Send(frame) // it fails only when the peer is gone
}

// Close has nothing to do.
func (echo) Close(*engineio.Conn, string) {}

// Lagging cannot happen: nothing is broadcast.
func (echo) Lagging(*engineio.Subscriber, uint64, []*engineio.Group) {}

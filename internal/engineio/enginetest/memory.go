package enginetest

import (
	"context"
	"net"
	"sync"
)

// Memory is a listener whose connections are net.Pipe pairs: no network, so
// that a server and its clients can live in a testing/synctest bubble.
type Memory struct {
	accept chan net.Conn
	once   sync.Once
	closed chan struct{}
}

// NewMemory returns a listener.
func NewMemory() *Memory {
	return &Memory{accept: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept waits for Dial.
func (m *Memory) Accept() (net.Conn, error) {
	select {
	case c := <-m.accept:
		return c, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept and Dial.
func (m *Memory) Close() error {
	m.once.Do(func() { close(m.closed) })
	return nil
}

// Addr returns a name.
func (m *Memory) Addr() net.Addr { return address{} }

// Dial opens a connection.
func (m *Memory) Dial(ctx context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case m.accept <- pipe{server}:
		return client, nil
	case <-m.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type pipe struct{ net.Conn }

// RemoteAddr looks like one of a network.
func (pipe) RemoteAddr() net.Addr { return address{} }

type address struct{}

// Network returns "memory".
func (address) Network() string { return "memory" }

// String returns an address with a port.
func (address) String() string { return "memory:1" }

//go:build !unix

package engineio

import "net"

// fdWriter does not exist here: every socket has a writing goroutine while
// something is queued.
type fdWriter struct{}

func newFDWriter(net.Conn) *fdWriter { return nil }

func (w *fdWriter) write([]byte) (int, error) { return 0, net.ErrClosed }

func (w *fdWriter) writeAll(func() []byte, func(int)) error { return net.ErrClosed }

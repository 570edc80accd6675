//go:build unix

package engineio

import (
	"errors"
	"net"
	"syscall"
)

// fdWriter writes to a socket without waiting. Its owner sees to it that one
// goroutine at a time uses it.
type fdWriter struct {
	raw  syscall.RawConn
	once func(fd uintptr) bool
	buf  []byte
	n    int
	err  error
}

// newFDWriter returns nil when conn is not a plain socket: what wraps one (TLS
// above all) must see every byte.
func newFDWriter(conn net.Conn) *fdWriter {
	var sc syscall.Conn
	switch v := conn.(type) {
	case *net.TCPConn:
		sc = v
	case *net.UnixConn:
		sc = v
	default:
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	w := &fdWriter{raw: raw}
	w.once = w.try
	return w
}

// write writes as much of p as the socket takes now.
func (w *fdWriter) write(p []byte) (int, error) {
	w.buf, w.n, w.err = p, 0, nil
	err := w.raw.Write(w.once)
	w.buf = nil
	if err == nil {
		err = w.err
	}
	return w.n, err
}

func (w *fdWriter) try(fd uintptr) bool {
	w.n, w.err = writeFD(int(fd), w.buf)
	return true
}

// writeAll writes what next returns, waiting for the socket as long as its
// write deadline allows, until next returns nil. wrote is told every progress.
func (w *fdWriter) writeAll(next func() []byte, wrote func(int)) error {
	var failed error
	err := w.raw.Write(func(fd uintptr) bool {
		for {
			p := next()
			if p == nil {
				return true
			}
			n, err := writeFD(int(fd), p)
			if n > 0 {
				wrote(n)
			}
			if err != nil {
				failed = err
				return true
			}
			if n < len(p) {
				return false
			}
		}
	})
	if err == nil {
		err = failed
	}
	return err
}

// writeFD returns fewer bytes than p has, without error, when the socket takes
// no more.
func writeFD(fd int, p []byte) (int, error) {
	done := 0
	for done < len(p) {
		n, err := syscall.Write(fd, p[done:])
		if n > 0 {
			done += n
			continue
		}
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if errors.Is(err, syscall.EAGAIN) {
			return done, nil
		}
		return done, err
	}
	return done, nil
}

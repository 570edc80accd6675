package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/graphroom/graphroom/internal/fault"
)

// quietLog is the log of a command that works on a data folder and ends:
// warnings and errors only, for people.
func quietLog(s *streams) *slog.Logger {
	return slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// interruptible is a context that SIGINT and SIGTERM end.
func interruptible() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
}

// explain words an error for the person at the terminal: the message, and each
// fault with its place.
func explain(s *streams, err error) error {
	var coded *fault.Error
	if !errors.As(err, &coded) {
		return err
	}
	if len(coded.Details) > 0 {
		fmt.Fprintln(s.err, "graphroom:", coded.Message)
		for _, d := range coded.Details {
			fmt.Fprintf(s.err, "  %s: %s\n", d.Location, d.Message)
		}
		return reported{err}
	}
	if coded.Class == fault.ClassInternal {
		return err // for people here, the cause matters
	}
	return errors.New(coded.Message)
}

// open gives a file's content, or standard input's for "-".
func open(s *streams, file string) (io.Reader, func(), error) {
	if file == "-" {
		return s.in, func() {}, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, nil, err
	}
	return f, func() { _ = f.Close() }, nil
}

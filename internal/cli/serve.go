package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/lmittmann/tint"
	"github.com/mattn/go-isatty"

	"github.com/graphroom/graphroom/internal/app"
)

// serveCmd holds one field for each option of docs/SPEC.md's table; the struct
// tags are that table's source.
type serveCmd struct {
	Config string `help:"Read options from a YAML file: 'listen: 127.0.0.1:5000' and so on, by the names below." placeholder:"FILE"`

	Listen   string   `help:"Address to listen on, host:port. Port 0 takes a free one." default:"127.0.0.1:5000" placeholder:"ADDR" group:"Network"`
	Origins  []string `help:"Browser origins that may use the server, such as https://app.example.com. Default: pages from this machine (\"loopback\"); \"*\" lets every web page in." placeholder:"ORIGIN" group:"Network"`
	Hosts    []string `help:"Further host names that the server answers for, such as a proxy's. Addresses, localhost and the hosts of --origins always pass." placeholder:"HOST" group:"Network"`
	Realtime bool     `help:"Serve Socket.IO beside REST." default:"true" negatable:"" group:"Network"`
	Insecure bool     `help:"Allow listening beyond this machine although anyone who reaches the port may then read and change everything." group:"Network"`

	Data      string `help:"Folder of the data; made when missing." default:"graphroom-data" type:"path" placeholder:"DIR" group:"Data"`
	Journal   string `help:"Where changes are kept: pebble (in the data folder, durable) or memory (gone at exit)." enum:"pebble,memory" default:"pebble" group:"Data"`
	Sync      string `help:"When a change is on disk: always (before it is acknowledged) or interval (soon after)." enum:"always,interval" default:"always" group:"Data"`
	Templates string `help:"Folder with further blueprint files (*.yaml) beside the built-in ones." type:"path" placeholder:"DIR" group:"Data"`

	LogLevel  string `help:"debug, info, warn or error. debug shows every event with its room and recipients." enum:"debug,info,warn,error" default:"info" group:"Log"`
	LogFormat string `help:"auto (colours on a terminal, else text), text or json." enum:"auto,text,json" default:"auto" group:"Log"`

	ShutdownTimeout time.Duration `help:"Longest time that a graceful stop may take." default:"10s" group:"Limits"`
	MaxBody         int64         `help:"Largest request body." default:"1048576" group:"Limits"`
	MaxImport       int64         `help:"Largest project file that POST /projects/import takes." default:"67108864" group:"Limits"`
	MaxConnections  int           `help:"Most Socket.IO connections at once." default:"100000" group:"Limits"`
	MaxQueue        int           `help:"Most unsent bytes held for one connection before it reads from the journal instead." default:"1048576" group:"Limits"`
	PingInterval    time.Duration `help:"Time between heartbeats of a connection." default:"25s" group:"Limits"`
	PingTimeout     time.Duration `help:"Time that a heartbeat may stay unanswered." default:"20s" group:"Limits"`
	FlushInterval   time.Duration `help:"Time that events may be gathered into one write; the first after silence goes at once." default:"2ms" group:"Limits"`
	MaxStreams      int           `help:"Most event streams over HTTP (text/event-stream) at once." default:"10000" group:"Limits"`

	KeepEntries     int           `help:"Newest commands of a session that are kept for clients that come back and for repeated command ids." default:"10000" group:"Sessions"`
	HistoryLimit    int           `help:"Most commands of one actor in one project that can be undone." default:"1000" group:"Sessions"`
	SnapshotEntries int           `help:"Fewest commands between two snapshots of a session: more make a longer start, fewer more writing." default:"1000" group:"Sessions"`
	FeedBytes       int           `help:"Newest events of a session kept in memory; slower clients read from the journal." default:"4194304" group:"Sessions"`
	IdleAfter       time.Duration `help:"Time after which a session that nobody uses leaves memory; its data stay." default:"5m" group:"Sessions"`
}

// Validate implements kong.Validatable: a limit of nothing, which would mean the
// default further in, is refused.
func (c *serveCmd) Validate() error {
	for _, limit := range []struct {
		name  string
		value int64
	}{
		{"shutdown-timeout", int64(c.ShutdownTimeout)}, {"max-body", c.MaxBody}, {"max-import", c.MaxImport},
		{"max-connections", int64(c.MaxConnections)}, {"max-queue", int64(c.MaxQueue)}, {"ping-interval", int64(c.PingInterval)},
		{"ping-timeout", int64(c.PingTimeout)}, {"flush-interval", int64(c.FlushInterval)}, {"max-streams", int64(c.MaxStreams)},
		{"keep-entries", int64(c.KeepEntries)}, {"history-limit", int64(c.HistoryLimit)}, {"snapshot-entries", int64(c.SnapshotEntries)},
		{"feed-bytes", int64(c.FeedBytes)}, {"idle-after", int64(c.IdleAfter)},
	} {
		if limit.value <= 0 {
			return fmt.Errorf("--%s must be more than 0", limit.name)
		}
	}
	return nil
}

// Run serves until SIGINT or SIGTERM; a second signal ends the process at once.
func (c *serveCmd) Run(s *streams) error {
	log, err := c.logger(s.err)
	if err != nil {
		return err
	}
	setRuntime()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return c.run(ctx, s, log, stop)
}

// run is Run with the signals' context and what to call when it has ended.
func (c *serveCmd) run(ctx context.Context, s *streams, log *slog.Logger, ended func()) error {
	return app.Run(ctx, c.options(log), func(a *app.App) {
		printAddresses(s.out, a.URL(), c)
		context.AfterFunc(ctx, ended)
	})
}

func (c *serveCmd) options(log *slog.Logger) app.Options {
	return app.Options{
		Version:         version(),
		Logger:          log,
		Listen:          c.Listen,
		Origins:         c.Origins,
		Hosts:           c.Hosts,
		Realtime:        c.Realtime,
		Insecure:        c.Insecure,
		Data:            c.Data,
		Journal:         c.Journal,
		Sync:            c.Sync,
		Templates:       c.Templates,
		ShutdownTimeout: c.ShutdownTimeout,
		MaxBody:         c.MaxBody,
		MaxImport:       c.MaxImport,
		MaxConnections:  c.MaxConnections,
		MaxQueue:        c.MaxQueue,
		PingInterval:    c.PingInterval,
		PingTimeout:     c.PingTimeout,
		FlushInterval:   c.FlushInterval,
		MaxStreams:      c.MaxStreams,
		KeepEntries:     c.KeepEntries,
		HistoryLimit:    c.HistoryLimit,
		SnapshotEntries: c.SnapshotEntries,
		FeedBytes:       c.FeedBytes,
		IdleAfter:       c.IdleAfter,
	}
}

// printAddresses tells a person what to open, before anything else is printed.
func printAddresses(w io.Writer, url string, c *serveCmd) {
	fmt.Fprintf(w, "Graphroom is ready. Open %s/\n\n", url)
	fmt.Fprintf(w, "  REST       %s/api/v1\n", url)
	fmt.Fprintf(w, "  API docs   %s/docs\n", url)
	if c.Realtime {
		fmt.Fprintf(w, "  Socket.IO  %s/socket.io/ (namespaces / and /graph)\n", url)
	} else {
		fmt.Fprintf(w, "  Socket.IO  off (--realtime=false)\n")
	}
	if c.Journal == "memory" {
		fmt.Fprintf(w, "  Data       in memory: gone at exit\n")
	} else {
		fmt.Fprintf(w, "  Data       %s\n", c.Data)
	}
	fmt.Fprintf(w, "\nStop with Ctrl-C.\n")
}

// logger builds the program's log on w.
func (c *serveCmd) logger(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return nil, err
	}
	options := &slog.HandlerOptions{Level: level}
	switch {
	case c.LogFormat == "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	case c.LogFormat == "auto" && isTerminal(w):
		return slog.New(tint.NewTextHandler(w, &tint.Options{Level: level, TimeFormat: time.TimeOnly})), nil
	default:
		return slog.New(slog.NewTextHandler(w, options)), nil
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

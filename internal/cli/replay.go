package cli

import (
	"fmt"

	"github.com/graphroom/graphroom/internal/app"
)

type replayCmd struct {
	Dir     string `arg:"" name:"dir" type:"path" help:"Data folder of a server that is not running."`
	Session string `arg:"" name:"session" help:"The session."`
	At      uint64 `env:"-" help:"Show the graph as it was right after this seq. Default: as it is." placeholder:"SEQ"`
	Project string `env:"-" help:"The open project. Default: the one that was active then." placeholder:"ID"`
}

// Run prints the graph on one line, in the shape of GET /graph.
func (c *replayCmd) Run(s *streams) error {
	ctx, stop := interruptible()
	defer stop()
	graph, err := app.GraphAt(ctx, c.Dir, c.Session, c.Project, c.At, quietLog(s))
	if err != nil {
		return explain(s, err)
	}
	_, err = fmt.Fprintf(s.out, "%s\n", graph)
	return err
}

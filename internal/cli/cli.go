// Package cli is the command line: it turns flags, environment and a YAML file
// into options, runs one subcommand and gives its exit status. Each subcommand
// is a file.
//
// It owns words and precedence (flag > GRAPHROOM_* > --config file > default)
// and nothing else: what serving means is internal/app's. Nothing here is
// shared between calls; Main may be called from several goroutines.
package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/alecthomas/kong"
)

// Exit statuses. 2 is for a command line that cannot be understood.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

// commands is the grammar. The help texts are what a newcomer reads first.
type commands struct {
	Serve     serveCmd     `cmd:"" help:"Start the server (the usual first step)."`
	Blueprint blueprintCmd `cmd:"" help:"Work with blueprint files, the templates of projects."`
	Check     checkCmd     `cmd:"" help:"Verify all that is stored in a data folder."`
	Replay    replayCmd    `cmd:"" help:"Show a session's graph as it was at any point of its journal."`
	Export    exportCmd    `cmd:"" help:"Write a saved project into a file."`
	Import    importCmd    `cmd:"" help:"Save the project of a file in a data folder."`
	Version   versionCmd   `cmd:"" help:"Print the version and what it was built with."`
}

// streams are the program's input and output, for the subcommands.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

const description = `Graphroom is a real-time graph-editing backend: it holds project graphs, executes commands with undo and redo over REST and Socket.IO, and pushes every change to every client of the same session.

Start it with "graphroom serve", then open the printed address.`

// exitRequest carries kong's wish to stop (after --help) out of Parse.
type exitRequest struct{ status int }

// Main runs the program with the arguments after its name and returns its exit
// status: 0 done, 1 failed, 2 not understood. `serve` blocks until the process
// is told to stop.
func Main(args []string, in io.Reader, out, errOut io.Writer) (status int) {
	defer func() {
		if p := recover(); p != nil {
			exit, ok := p.(exitRequest)
			if !ok {
				panic(p)
			}
			status = exit.status
		}
	}()
	var grammar commands
	io := &streams{in: in, out: out, err: errOut}
	parser, err := kong.New(&grammar,
		kong.Name("graphroom"),
		kong.Description(description),
		kong.Writers(out, errOut),
		kong.Exit(func(code int) { panic(exitRequest{code}) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.DefaultEnvars("GRAPHROOM"),
		kong.Resolvers(&configFile{}),
		kong.Vars{"version": version()},
		kong.ExplicitGroups([]kong.Group{
			{Key: "Network", Title: "Network:"},
			{Key: "Data", Title: "Data:"},
			{Key: "Log", Title: "Log:"},
			{Key: "Sessions", Title: "Sessions (bytes, durations such as 30s):"},
			{Key: "Limits", Title: "Limits (bytes, durations such as 30s):"},
		}),
	)
	if err != nil {
		fmt.Fprintln(errOut, "graphroom:", err)
		return exitError
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	ctx, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintln(errOut, "graphroom:", err)
		fmt.Fprintln(errOut, `Run "graphroom --help" for the commands and "graphroom serve --help" for the options.`)
		return exitUsage
	}
	if err := ctx.Run(io); err != nil {
		var quiet reported
		if !errors.As(err, &quiet) {
			fmt.Fprintln(errOut, "graphroom:", err)
		}
		return exitError
	}
	return exitOK
}

// reported is an error whose text was already printed.
type reported struct{ error }

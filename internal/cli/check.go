package cli

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/graphroom/graphroom/internal/app"
	"github.com/graphroom/graphroom/internal/session"
)

type checkCmd struct {
	Dir       string `arg:"" name:"dir" type:"path" help:"Data folder of a server that is not running."`
	Templates string `help:"Folder with further blueprint files, as given to serve." type:"path" placeholder:"DIR"`
	Verbose   bool   `short:"v" env:"-" help:"A line for each session."`
	JSON      bool   `name:"json" env:"-" help:"Print the summary and the problems as one JSON object."`
}

// checkResult is what --json prints.
type checkResult struct {
	app.Checked
	Sound bool     `json:"sound"`
	Found []string `json:"found"`
	Error string   `json:"error,omitempty"`
}

// Run reads everything in the data folder, prints what it found and makes the
// exit status 1 when anything is wrong or could not be read.
func (c *checkCmd) Run(s *streams) error {
	ctx, stop := interruptible()
	defer stop()
	found := []string{}
	sum, err := app.Check(ctx, c.Dir, c.Templates, quietLog(s), app.CheckReport{
		Problem: func(text string) {
			found = append(found, text)
			if !c.JSON {
				fmt.Fprintln(s.out, "problem:", text)
			}
		},
		Session: func(r session.Report) {
			if c.Verbose && !c.JSON {
				printSession(s, r)
			}
		},
	})
	if c.JSON {
		return c.printJSON(s, checkResult{Checked: sum, Sound: err == nil && len(found) == 0, Found: found}, err)
	}
	if err != nil {
		return explain(s, err)
	}
	fmt.Fprintf(s.out, "%s: %d sessions, %d entries, %d snapshots (%d compared with their entries), %d saved projects, %d keys, %d bytes\n",
		c.Dir, sum.Sessions, sum.Entries, sum.Snapshots, sum.Compared, sum.Projects, sum.Keys, sum.Bytes)
	if sum.Problems > 0 {
		fmt.Fprintf(s.out, "%d problems\n", sum.Problems)
		return reported{errors.New("the data folder is damaged")}
	}
	fmt.Fprintln(s.out, "ok")
	return nil
}

func (c *checkCmd) printJSON(s *streams, r checkResult, err error) error {
	if err != nil {
		r.Error = err.Error()
	}
	text, merr := json.MarshalIndent(r, "", "  ")
	if merr != nil {
		return merr
	}
	fmt.Fprintln(s.out, string(text))
	if !r.Sound {
		return reported{errors.New("the data folder is damaged or could not be read")}
	}
	return nil
}

func printSession(s *streams, r session.Report) {
	line := fmt.Sprintf("session %s: %d entries, seq %d to %d", r.SessionID, r.Entries, r.FirstSeq, r.HeadSeq)
	switch {
	case r.Snapshot == 0:
		line += ", no snapshot"
	case r.Replayed:
		line += fmt.Sprintf(", snapshot at %d compared with its entries", r.Snapshot)
	default:
		line += fmt.Sprintf(", snapshot at %d", r.Snapshot)
	}
	fmt.Fprintln(s.out, line)
}

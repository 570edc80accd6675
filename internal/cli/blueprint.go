package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/graph"
)

type blueprintCmd struct {
	Check blueprintCheckCmd `cmd:"" help:"Check blueprint files and report every fault with its line and column."`
}

type blueprintCheckCmd struct {
	Files []string `arg:"" name:"file" help:"Blueprint files (YAML). \"-\" reads standard input."`
}

const maxBlueprintFile = 1 << 20

// Run checks each file and prints one line for a good one and one for each
// fault of a bad one; a bad file makes the exit status 1.
func (c *blueprintCheckCmd) Run(io *streams) error {
	bad := false
	for _, file := range c.Files {
		bp, err := readBlueprint(io, file)
		if err == nil {
			fmt.Fprintf(io.out, "%s: ok: %s (%d node types, %d link types)\n", file, bp.ID(), len(bp.NodeTypes()), len(bp.LinkTypes()))
			continue
		}
		bad = true
		var coded *fault.Error
		if errors.As(err, &coded) && len(coded.Details) > 0 {
			for _, d := range coded.Details {
				fmt.Fprintf(io.err, "%s: %s\n", d.Location, d.Message)
			}
			continue
		}
		fmt.Fprintf(io.err, "%s: %v\n", file, err)
	}
	if bad {
		return reported{errors.New("a blueprint is not valid")}
	}
	return nil
}

func readBlueprint(s *streams, file string) (*graph.Blueprint, error) {
	in := s.in
	name := "standard input"
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, errors.Unwrap(err)
		}
		defer func() { _ = f.Close() }()
		in, name = f, filepath.Base(file)
	}
	data, err := io.ReadAll(io.LimitReader(in, maxBlueprintFile+1))
	if err != nil {
		return nil, err
	}
	return graph.ParseBlueprint(name, data)
}

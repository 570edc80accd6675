package app

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/graph"
)

const maxTemplateFile = 1 << 20

// loadTemplates gives the built-in blueprints and those of the folder, which
// win over a built-in one of the same id. A broken file is reported with each
// fault's place and does not take the others down; a folder that cannot be
// read is an error.
func loadTemplates(dir string, log *slog.Logger) ([]*graph.Blueprint, error) {
	all, err := graph.Builtin()
	if err != nil {
		return nil, err
	}
	if dir == "" {
		return all, nil
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("templates: %w", err)
	}
	from := map[string]string{}
	for _, entry := range files {
		name := entry.Name()
		if ext := strings.ToLower(filepath.Ext(name)); entry.IsDir() || (ext != ".yaml" && ext != ".yml") {
			continue
		}
		bp, err := readTemplate(filepath.Join(dir, name))
		if err != nil {
			reportTemplate(log, name, err)
			continue
		}
		if first, twice := from[bp.ID()]; twice {
			log.Error("template left out: its id is taken", "file", name, "id", bp.ID(), "taken_by", first)
			continue
		}
		from[bp.ID()] = name
		all = append(all, bp)
	}
	return all, nil
}

func readTemplate(path string) (*graph.Blueprint, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxTemplateFile+1))
	if err != nil {
		return nil, err
	}
	return graph.ParseBlueprint(filepath.Base(path), data)
}

func reportTemplate(log *slog.Logger, name string, err error) {
	var coded *fault.Error
	if !errors.As(err, &coded) || len(coded.Details) == 0 {
		log.Error("template left out", "file", name, "error", err)
		return
	}
	for _, d := range coded.Details {
		log.Error("template left out", "at", d.Location, "fault", d.Message)
	}
}

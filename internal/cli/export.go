package cli

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/graphroom/graphroom/internal/app"
)

type exportCmd struct {
	Dir     string `arg:"" name:"dir" type:"path" help:"Data folder of a server that is not running."`
	Project string `arg:"" name:"project" help:"Id of the saved project."`
	Output  string `short:"o" env:"-" type:"path" help:"File to write. Default: standard output." placeholder:"FILE"`
}

// Run writes the project file.
func (c *exportCmd) Run(s *streams) error {
	ctx, stop := interruptible()
	defer stop()
	data, err := app.Export(ctx, c.Dir, c.Project, quietLog(s))
	if err != nil {
		return explain(s, err)
	}
	if c.Output == "" {
		_, err = s.out.Write(data)
		return err
	}
	return writeWhole(c.Output, data)
}

// writeWhole writes a file so that no reader ever sees half of it.
func writeWhole(path string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	if err == nil {
		err = tmp.Chmod(0o644)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
	return err
}

package cli

import (
	"errors"
	"fmt"

	"github.com/graphroom/graphroom/internal/app"
)

type importCmd struct {
	Dir       string `arg:"" name:"dir" type:"path" help:"Data folder of a server that is not running; made when missing."`
	File      string `arg:"" name:"file" help:"Project file, as export writes it. \"-\" reads standard input."`
	Templates string `help:"Folder with further blueprint files, as given to serve." type:"path" placeholder:"DIR"`
	Replace   bool   `env:"-" help:"Save over a project of the same id, as its next revision."`
	Revision  uint64 `env:"-" help:"With --replace: only over this revision." placeholder:"N"`
	MaxBytes  int64  `env:"-" help:"Largest file." default:"268435456"`
}

// Run saves the project of the file. A file with any fault is refused whole and
// every fault is printed with its place.
func (c *importCmd) Run(s *streams) error {
	if c.Revision != 0 && !c.Replace {
		return errors.New("--revision needs --replace")
	}
	ctx, stop := interruptible()
	defer stop()
	in, done, err := open(s, c.File)
	if err != nil {
		return err
	}
	defer done()
	saved, err := app.Import(ctx, in, app.ImportOptions{
		Dir: c.Dir, Templates: c.Templates, MaxBytes: c.MaxBytes, Replace: c.Replace, Revision: c.Revision, Logger: quietLog(s),
	})
	if err != nil {
		return explain(s, err)
	}
	_, err = fmt.Fprintf(s.out, "imported %s: %q, template %s, revision %d\n", saved.ProjectID, saved.Name, saved.TemplateID, saved.Revision)
	return err
}

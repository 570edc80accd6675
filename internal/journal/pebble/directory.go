package pebble

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	pdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/graphroom/graphroom/internal/fault"
)

// Files in the data directory, beside the database in storeDir.
const (
	storeDir   = "store"
	formatFile = "FORMAT"
	ownerFile  = "OWNER"
)

// formatName and formatVersion are the content of FORMAT: "graphroom-store 1".
// The version goes up with every change that an older program cannot read.
const (
	formatName    = "graphroom-store"
	formatVersion = 1
)

// directory is a claimed data directory.
type directory struct {
	fs    vfs.FS
	root  string
	store string
	lock  *pdb.Lock
	owner bool // we wrote OWNER
	fresh bool // it holds no database yet
}

// claim makes the directory, locks it and checks its format.
func claim(o Options) (*directory, error) {
	if o.Dir == "" {
		return nil, fault.New(fault.InvalidRequest, "no data directory is given")
	}
	d := &directory{fs: o.FS, root: o.Dir, store: o.FS.PathJoin(o.Dir, storeDir)}
	if err := d.prepare(o.ReadOnly); err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "cannot use the data directory %s: %v", d.root, err)
	}
	lock, err := pdb.LockDirectory(d.store, d.fs)
	if err != nil {
		if lockHeld(err) {
			return nil, fault.Wrap(err, fault.Conflict,
				"the data directory %s is in use by %s", d.root, describe(d.readOwner()))
		}
		return nil, fault.Wrap(err, fault.Unavailable, "cannot lock the data directory %s: %v", d.root, err)
	}
	d.lock = lock
	if err := d.checkFormat(o.ReadOnly); err != nil {
		return nil, errors.Join(err, d.release())
	}
	if !o.ReadOnly {
		if err := d.writeOwner(); err != nil {
			return nil, errors.Join(fault.Wrap(err, fault.Unavailable,
				"cannot write to the data directory %s: %v", d.root, err), d.release())
		}
	}
	return d, nil
}

// prepare makes the directories, durably.
func (d *directory) prepare(readOnly bool) error {
	if _, err := d.fs.Stat(d.store); err == nil || readOnly {
		return err
	}
	var made []string // what is missing, the deepest first
	for p := d.store; ; p = d.fs.PathDir(p) {
		if _, err := d.fs.Stat(p); err == nil || d.fs.PathDir(p) == p {
			break
		}
		made = append(made, p)
	}
	if err := d.fs.MkdirAll(d.store, 0o700); err != nil {
		return err
	}
	for _, p := range made {
		if err := d.syncDir(d.fs.PathDir(p)); err != nil {
			return err
		}
	}
	return nil
}

func (d *directory) syncDir(path string) error {
	f, err := d.fs.OpenDir(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// checkFormat reads FORMAT, or writes it for a directory that holds no store.
func (d *directory) checkFormat(readOnly bool) error {
	files, err := d.fs.List(d.store)
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "cannot list %s: %v", d.store, err)
	}
	d.fresh = !slices.ContainsFunc(files, func(f string) bool { return strings.HasPrefix(f, manifestPrefix) })
	path := d.fs.PathJoin(d.root, formatFile)
	text, err := d.readFile(path)
	switch {
	case err == nil:
		return d.parseFormat(text)
	case !errors.Is(err, fs.ErrNotExist):
		return fault.Wrap(err, fault.Unavailable, "cannot read %s: %v", path, err)
	case !d.fresh:
		return fault.New(fault.Conflict, "%s holds a store but no %s file: it is not a graphroom data directory, or is damaged", d.root, formatFile)
	}
	if readOnly {
		return fault.New(fault.NotFound, "%s is not a graphroom data directory", d.root)
	}
	if err := d.writeFormat(path); err != nil {
		return fault.Wrap(err, fault.Unavailable, "cannot write to the data directory %s: %v", d.root, err)
	}
	return nil
}

func (d *directory) parseFormat(text string) error {
	name, number, _ := strings.Cut(strings.TrimSpace(text), " ")
	version, err := strconv.Atoi(number)
	if name != formatName || err != nil || version < 1 {
		return fault.New(fault.Conflict, "%s is not a graphroom data directory: its %s file says %.80q", d.root, formatFile, text)
	}
	if version > formatVersion {
		return fault.New(fault.Conflict,
			"the data directory %s has format %d, made by a newer graphroom; this one reads up to format %d. Nothing was changed",
			d.root, version, formatVersion)
	}
	return nil
}

// writeFormat writes FORMAT whole or not at all.
func (d *directory) writeFormat(path string) error {
	if err := d.writeFile(path+".tmp", fmt.Sprintf("%s %d\n", formatName, formatVersion)); err != nil {
		return err
	}
	if err := d.fs.Rename(path+".tmp", path); err != nil {
		return err
	}
	return d.syncDir(d.root)
}

// writeOwner names this process for whoever finds the lock taken.
func (d *directory) writeOwner() error {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	d.owner = true
	return d.writeFile(d.fs.PathJoin(d.root, ownerFile),
		fmt.Sprintf("pid %d on %s since %s\n", os.Getpid(), host, time.Now().UTC().Format(time.RFC3339)))
}

// readOwner returns what the holder of the lock wrote, or nothing.
func (d *directory) readOwner() string {
	text, err := d.readFile(d.fs.PathJoin(d.root, ownerFile))
	if err != nil {
		return ""
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return -1
		}
		return r
	}, strings.TrimSpace(text))
}

// release lets the directory go.
func (d *directory) release() error {
	if d.owner {
		_ = d.fs.Remove(d.fs.PathJoin(d.root, ownerFile)) // only a message
	}
	return d.lock.Close()
}

func (d *directory) readFile(path string) (string, error) {
	f, err := d.fs.Open(path)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(io.LimitReader(f, 1024))
	return string(b), errors.Join(err, f.Close())
}

func (d *directory) writeFile(path, text string) error {
	f, err := d.fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(text))
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// lockHeld reports whether a refused lock means that somebody holds it, here
// or in another process, rather than that the file system refused.
func lockHeld(err error) bool {
	return errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) && !errors.Is(err, fs.ErrPermission) ||
		strings.Contains(err.Error(), "lock held by current process")
}

package pebble

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// guard is the file system that Pebble sees. On it, two kinds of errors fail
// the store at once:
//
// A failed sync, whoever asked for it. The kernel may have dropped what it
// could not write, and a second sync would say that all is well; so there is
// no second one.
//
// Any error of the write-ahead log, and a directory that does not sync. Pebble
// panics on these with locks released that its defers release again, which
// ends the process in the middle of other people's requests. So such an error
// never reaches Pebble: the goroutine that met it is parked for good, as in
// logger.Fatalf. While the store opens, errors of the log are passed on instead:
// Pebble hands them to Open.
//
// It also makes a new manifest's name durable with its content. Pebble leaves
// that to the sync after the next step, which points to the manifest: on a file
// system that does not keep the order of names, a crash between the two could
// leave a pointer to nothing.
//
// And it slows Pebble's background work down where that fails, which Pebble
// repeats at once and for ever, and ends it when the store has failed.
type guard struct {
	vfs.FS
	store *Store
}

const (
	walSuffix      = ".log"
	manifestPrefix = "MANIFEST-"
	// failedPause is how long a failing read takes when the store has failed.
	failedPause = 5 * time.Second
)

// Unwrap implements vfs.FS.
func (g guard) Unwrap() vfs.FS { return g.FS }

// Create implements vfs.FS.
func (g guard) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	g.pace()
	f, err := g.FS.Create(name, category)
	return g.wrap(name, f, err)
}

// Open implements vfs.FS.
func (g guard) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := g.FS.Open(name, opts...)
	if err != nil {
		g.slow()
		return nil, err
	}
	return &guardedReader{File: f, guard: g}, nil
}

// guardedReader is a file that Pebble reads.
type guardedReader struct {
	vfs.File
	guard guard
}

// ReadAt implements vfs.File.
func (f *guardedReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		f.guard.slow()
	}
	return n, err
}

// slow holds up a read that failed while background work fails, which repeats
// such reads at once. Callers' reads may be meant too, so it never parks.
func (g guard) slow() {
	switch s := g.store; {
	case !s.opened.Load():
	case s.Err() != nil:
		<-time.After(failedPause)
	case s.watch.running(troubleBackground):
		<-time.After(s.retryPause())
	}
}

// pace parks the goroutine when the store has failed, and holds it up while
// background work fails. No lock of Pebble's is held while a file is made.
func (g guard) pace() {
	s := g.store
	if !s.opened.Load() {
		return
	}
	if s.watch.running(troubleBackground) {
		select {
		case <-time.After(s.retryPause()):
		case <-s.failed:
		}
	}
	if s.Err() != nil {
		select {}
	}
}

// retryPause is how long failing background work waits before it is tried
// again.
func (s *Store) retryPause() time.Duration { return min(200*time.Millisecond, s.opts.StallTimeout/8) }

// ReuseForWrite implements vfs.FS.
func (g guard) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := g.FS.ReuseForWrite(oldname, newname, category)
	return g.wrap(newname, f, err)
}

// OpenReadWrite implements vfs.FS.
func (g guard) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := g.FS.OpenReadWrite(name, category, opts...)
	return g.wrap(name, f, err)
}

// OpenDir implements vfs.FS.
func (g guard) OpenDir(name string) (vfs.File, error) {
	f, err := g.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &guardedFile{File: f, guard: g, name: name, dir: true}, nil
}

func (g guard) wrap(name string, f vfs.File, err error) (vfs.File, error) {
	wal := strings.HasSuffix(name, walSuffix)
	if err != nil {
		if wal {
			g.trouble("create", name, g.store.opened.Load(), err)
		}
		return nil, err
	}
	return &guardedFile{
		File: f, guard: g, name: name, wal: wal,
		unnamed: strings.HasPrefix(g.PathBase(name), manifestPrefix),
	}, nil
}

// syncName makes the names in a file's directory durable.
func (g guard) syncName(name string) error {
	d, err := g.FS.OpenDir(g.PathDir(name))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// trouble fails the store and parks the goroutine if told so.
func (g guard) trouble(what, name string, park bool, err error) {
	g.store.fail(fmt.Errorf("%s %s: %w", what, name, err))
	if park {
		select {}
	}
}

type guardedFile struct {
	vfs.File
	guard guard
	name  string
	wal   bool // the log: every error matters
	dir   bool
	// unnamed: the name is not durable yet, and the next Sync makes it so. Only
	// the file's one writer touches it.
	unnamed bool
}

// Write implements vfs.File.
func (f *guardedFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	if err != nil && f.wal {
		f.guard.trouble("write", f.name, f.guard.store.opened.Load(), err)
	}
	return n, err
}

// Close implements vfs.File.
func (f *guardedFile) Close() error {
	err := f.File.Close()
	if err != nil && f.wal {
		f.guard.trouble("close", f.name, f.guard.store.opened.Load(), err)
	}
	return err
}

// Sync implements vfs.File.
func (f *guardedFile) Sync() error {
	err := f.File.Sync()
	if err == nil && f.unnamed {
		f.unnamed = false
		err = f.guard.syncName(f.name)
	}
	return f.synced(err)
}

// SyncData implements vfs.File.
func (f *guardedFile) SyncData() error { return f.synced(f.File.SyncData()) }

// SyncTo implements vfs.File.
func (f *guardedFile) SyncTo(length int64) (bool, error) {
	full, err := f.File.SyncTo(length)
	return full, f.synced(err)
}

func (f *guardedFile) synced(err error) error {
	if err != nil {
		f.guard.trouble("sync", f.name, f.dir || f.wal && f.guard.store.opened.Load(), err)
	}
	return err
}

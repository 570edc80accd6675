package pebble

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// SyncMode says when a change counts as done. See the package doc for what
// each of them promises.
type SyncMode uint8

// The modes. The zero value is the safe one.
const (
	// SyncAlways answers after the fsync.
	SyncAlways SyncMode = iota
	// SyncInterval answers at once and syncs every Options.Interval.
	SyncInterval
)

// ParseSyncMode reads "always" or "interval".
func ParseSyncMode(s string) (SyncMode, error) {
	switch s {
	case "always":
		return SyncAlways, nil
	case "interval":
		return SyncInterval, nil
	}
	return 0, fmt.Errorf("sync mode %q is neither always nor interval", s)
}

// String gives what ParseSyncMode reads.
func (m SyncMode) String() string {
	if m == SyncInterval {
		return "interval"
	}
	return "always"
}

// Defaults of Options. Small, because most installations are; a busy server
// gains from a larger cache only when cold sessions are read often.
const (
	DefaultInterval      = 100 * time.Millisecond
	DefaultCacheBytes    = 16 << 20
	DefaultMemTableBytes = 16 << 20
	DefaultMaxOpenFiles  = 256
	DefaultSessions      = 8192
	DefaultStallTimeout  = 30 * time.Second
)

// Options configure Open. Zero values mean the defaults.
type Options struct {
	// Dir is the data directory. It is created when it does not exist.
	Dir string
	// FS is the file system; nil is the disk.
	FS vfs.FS
	// Sync is the durability mode.
	Sync SyncMode
	// Interval is the longest a change stays unsynced with SyncInterval: 1 ms
	// to 10 s.
	Interval time.Duration
	// CacheBytes bounds the cache of uncompressed blocks.
	CacheBytes int64
	// MemTableBytes is the size of one write buffer; up to three exist at once.
	// A restart replays at most about twice this.
	MemTableBytes int
	// MaxOpenFiles bounds the table files kept open.
	MaxOpenFiles int
	// Sessions bounds how many idle sessions' heads stay in memory, at about
	// 300 bytes each.
	Sessions int
	// StallTimeout is how long writes may stall, or background work fail,
	// before the store counts as failed.
	StallTimeout time.Duration
	// ReadOnly opens without changing anything: no log is replayed into
	// tables, and every mutation answers ErrUnavailable. For check and replay.
	ReadOnly bool
	// Logger receives Pebble's notices at debug level and trouble at warn and
	// error; nil discards them.
	Logger *slog.Logger

	// chunkBytes and blobBatch are the sizes of a blob's pieces; see blob.go.
	// recordInline is that of a large record's; see record.go.
	chunkBytes, blobBatch, recordInline int
}

// withDefaults returns o with every zero value filled in and every bound kept.
func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Interval <= 0 {
		o.Interval = DefaultInterval
	}
	o.Interval = min(max(o.Interval, time.Millisecond), 10*time.Second)
	if o.CacheBytes <= 0 {
		o.CacheBytes = DefaultCacheBytes
	}
	if o.MemTableBytes <= 0 {
		o.MemTableBytes = DefaultMemTableBytes
	}
	o.MemTableBytes = min(max(o.MemTableBytes, 64<<10), 1<<30)
	if o.MaxOpenFiles <= 0 {
		o.MaxOpenFiles = DefaultMaxOpenFiles
	}
	if o.Sessions <= 0 {
		o.Sessions = DefaultSessions
	}
	if o.StallTimeout <= 0 {
		o.StallTimeout = DefaultStallTimeout
	}
	if o.chunkBytes <= 0 {
		o.chunkBytes, o.blobBatch, o.recordInline = chunkBytes, blobBatch, recordInline
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

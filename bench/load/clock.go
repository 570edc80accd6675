package load

import (
	"time"

	"golang.org/x/sys/unix"
)

// Clock reads the machine's monotonic clock, the one that Node's
// process.hrtime and other processes read too, so that a stamp made in one
// process can be compared in another. It is immutable and safe for concurrent
// use. Make one with NewClock.
type Clock struct {
	base   time.Time
	offset int64
}

// NewClock returns a clock whose readings cost no system call. It fails only
// where the operating system has no CLOCK_MONOTONIC.
func NewClock() (Clock, error) {
	var ts unix.Timespec
	base := time.Now()
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return Clock{}, err
	}
	return Clock{base: base, offset: ts.Nano()}, nil
}

// Now returns nanoseconds of the machine's monotonic clock.
func (c Clock) Now() int64 {
	return c.offset + int64(time.Since(c.base))
}

package load

import (
	"math/bits"
	"time"
)

// subBuckets is how many buckets every power of two is cut into: readings are
// exact to about 1.6 %.
const subBuckets = 64

// Histogram counts durations in buckets of growing width. The zero value is
// empty and ready. It is not safe for concurrent use.
type Histogram struct {
	counts [64 * subBuckets]uint64
	total  uint64
}

// Add counts one duration; a negative one counts as zero.
func (h *Histogram) Add(d time.Duration) {
	h.counts[bucketOf(d)]++
	h.total++
}

// Merge adds all that other has counted.
func (h *Histogram) Merge(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
}

// Count returns how many durations were counted.
func (h *Histogram) Count() uint64 { return h.total }

// Quantile returns the duration that a share q (0 to 1) of all counted
// durations does not exceed, or zero when none was counted.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.total == 0 {
		return 0
	}
	rank := uint64(q * float64(h.total-1))
	var seen uint64
	for i, n := range h.counts {
		seen += n
		if seen > rank {
			return lowerBound(i)
		}
	}
	return 0
}

func bucketOf(d time.Duration) int {
	v := uint64(max(d, 0))
	if v < subBuckets {
		return int(v)
	}
	shift := bits.Len64(v) - 7 // v>>shift is in [64,128)
	return shift*subBuckets + int(v>>shift)
}

func lowerBound(bucket int) time.Duration {
	if bucket < subBuckets {
		return time.Duration(bucket)
	}
	shift := bucket/subBuckets - 1
	return time.Duration(uint64(bucket-shift*subBuckets) << shift)
}

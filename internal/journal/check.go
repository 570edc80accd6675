package journal

import "context"

// CheckSession reports whether id is well formed: 1 to MaxSessionID of
// A-Z a-z 0-9 _ -. Drivers build keys from ids and rely on it.
func CheckSession(id string) bool {
	if len(id) == 0 || len(id) > MaxSessionID {
		return false
	}
	for i := range len(id) {
		c := id[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// CheckAppend returns nil when recs may follow seq after: gapless, in order and
// within MaxAppend. Every driver calls it before it writes anything. The
// errors are ErrInvalid and ErrTooLarge.
func CheckAppend(after uint64, recs []Record) error {
	var size int64
	next := after + 1
	for i, r := range recs {
		if r.First != next {
			return Invalid("record %d begins at seq %d, not at %d", i, r.First, next)
		}
		if r.Last < r.First || r.Last == ^uint64(0) {
			return Invalid("record %d ends at seq %d and begins at %d", i, r.Last, r.First)
		}
		next = r.Last + 1
		size += int64(len(r.Data))
	}
	if size > MaxAppend {
		return TooLarge("append", size, MaxAppend)
	}
	return nil
}

// Started returns ErrUnavailable when ctx has ended. Drivers call it before
// they begin and never after that.
func Started(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return Unavailable(err)
	}
	return nil
}

package graph

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The two-level list against a sorted slice.
func TestSiblings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var list siblings
		var keys []string
		step := rapid.IntRange(0, 99999)
		for range rapid.IntRange(1, 3000).Draw(t, "steps") {
			key := fmt.Sprintf("b%05d1", step.Draw(t, "key"))
			i, found := slices.BinarySearch(keys, key)
			if rank, taken := list.rank(key); rank != i || taken != found {
				t.Fatalf("rank of %s is %d %v, not %d %v", key, rank, taken, i, found)
			}
			if found && step.Draw(t, "remove")%3 > 0 {
				list.remove(key)
				keys = slices.Delete(keys, i, i+1)
			} else if !found {
				list.insert(&slot{key: key})
				keys = slices.Insert(keys, i, key)
			}
		}
		same(t, &list, keys)
	})
}

// Lists large enough to split and join chunks, filled in different orders and
// emptied from different ends.
func TestLargeSiblings(t *testing.T) {
	const n = 5 * chunkMax
	key := func(i int) string { return fmt.Sprintf("b%05d1", i) }
	orders := map[string]func(i int) int{
		"up":        func(i int) int { return i },
		"down":      func(i int) int { return n - 1 - i },
		"scattered": func(i int) int { return i * 7 % n }, // 7 divides no power of two
	}
	for name, fill := range orders {
		for other, drain := range orders {
			var list siblings
			var keys []string
			for i := range n {
				list.insert(&slot{key: key(fill(i))})
				keys = append(keys, key(fill(i)))
			}
			slices.Sort(keys)
			same(t, &list, keys)
			for i := range n {
				list.remove(key(drain(i)))
				at, _ := slices.BinarySearch(keys, key(drain(i)))
				keys = slices.Delete(keys, at, at+1)
				if i%500 == 0 {
					same(t, &list, keys)
				}
			}
			if list.len() != 0 || list.chunks != nil {
				t.Errorf("filled %s and drained %s, %d are left", name, other, list.len())
			}
		}
	}
}

type fataler interface {
	Fatalf(format string, args ...any)
}

func same(t fataler, list *siblings, keys []string) {
	for _, chunk := range list.chunks {
		if len(chunk) == 0 || len(chunk) > chunkMax {
			t.Fatalf("a chunk has %d slots", len(chunk))
		}
	}
	var got []string
	for i, s := range list.all() {
		if i != len(got) || list.at(i) != s {
			t.Fatalf("index %d is wrong", i)
		}
		got = append(got, s.key)
		before, after := list.around(s.key)
		if (before == nil) != (i == 0) || before != nil && before.key != keys[i-1] ||
			(after == nil) != (i == len(keys)-1) || after != nil && after.key != keys[i+1] {
			t.Fatalf("the neighbours of %s are wrong", s.key)
		}
	}
	if !slices.Equal(got, keys) {
		t.Fatalf("the list holds %s, not %s", strings.Join(got, " "), strings.Join(keys, " "))
	}
	if list.at(-1) != nil || list.at(len(keys)) != nil || list.len() != len(keys) {
		t.Fatalf("the ends are wrong")
	}
}

package graph

import (
	"iter"
	"slices"
	"sort"
)

// chunkMax is how many slots one chunk of a siblings list holds. At 100,000
// siblings a list has a few hundred chunks, so that both levels stay small.
const chunkMax = 512

// slot is a place in an ordered list: of a node among its siblings, or of a
// link among the links of its type and parent.
type slot struct {
	key  string // order key; unique in its list
	node *node  // the node that stands here; for a link its child
	link *link  // nil in a list of children or roots
}

// siblings is an ordered list of slots, sorted by key, in two levels: chunks
// of up to chunkMax slots. Finding a key, a rank or an index, and inserting
// and removing, cost about the number of chunks plus the size of one. The
// zero value is an empty list.
type siblings struct {
	chunks [][]*slot
	n      int
}

// len is the number of slots.
func (s *siblings) len() int { return s.n }

// seek finds the first slot whose key is not smaller. c == len(s.chunks) when
// there is none.
func (s *siblings) seek(key string) (c, i int) {
	c = sort.Search(len(s.chunks), func(c int) bool {
		chunk := s.chunks[c]
		return chunk[len(chunk)-1].key >= key
	})
	if c == len(s.chunks) {
		return c, 0
	}
	chunk := s.chunks[c]
	return c, sort.Search(len(chunk), func(i int) bool { return chunk[i].key >= key })
}

// rank is the number of slots with a smaller key, and whether a slot has
// exactly this one.
func (s *siblings) rank(key string) (rank int, taken bool) {
	c, i := s.seek(key)
	for _, chunk := range s.chunks[:c] {
		rank += len(chunk)
	}
	return rank + i, c < len(s.chunks) && s.chunks[c][i].key == key
}

// at returns the slot with that index, or nil past either end.
func (s *siblings) at(index int) *slot {
	if index < 0 || index >= s.n {
		return nil
	}
	for _, chunk := range s.chunks {
		if index < len(chunk) {
			return chunk[index]
		}
		index -= len(chunk)
	}
	return nil
}

// insert adds a slot at the place its key says. The key must be free.
func (s *siblings) insert(x *slot) {
	s.n++
	c, i := len(s.chunks), 0
	if c > 0 && s.chunks[c-1][len(s.chunks[c-1])-1].key > x.key {
		c, i = s.seek(x.key)
	}
	if c == len(s.chunks) {
		if c == 0 || len(s.chunks[c-1]) >= chunkMax {
			s.chunks = append(s.chunks, []*slot{x})
			return
		}
		s.chunks[c-1] = append(s.chunks[c-1], x)
		return
	}
	if len(s.chunks[c]) >= chunkMax {
		half := slices.Clone(s.chunks[c][chunkMax/2:])
		clear(s.chunks[c][chunkMax/2:])
		s.chunks[c] = s.chunks[c][:chunkMax/2]
		s.chunks = slices.Insert(s.chunks, c+1, half)
		if i > chunkMax/2 {
			c, i = c+1, i-chunkMax/2
		}
	}
	s.chunks[c] = slices.Insert(s.chunks[c], i, x)
}

// remove takes the slot with that key out of the list. It must be there.
func (s *siblings) remove(key string) {
	c, i := s.seek(key)
	s.n--
	s.chunks[c] = slices.Delete(s.chunks[c], i, i+1)
	switch {
	case len(s.chunks[c]) == 0:
		s.chunks = slices.Delete(s.chunks, c, c+1)
	case len(s.chunks[c]) < chunkMax/8 && c > 0 && len(s.chunks[c-1]) < chunkMax/2:
		s.chunks[c-1] = append(s.chunks[c-1], s.chunks[c]...)
		s.chunks = slices.Delete(s.chunks, c, c+1)
	}
	if s.n == 0 {
		s.chunks = nil
	}
}

// around returns the slots directly before and after a key, without the slot
// that has the key itself; nil at either end.
func (s *siblings) around(key string) (before, after *slot) {
	c, i := s.seek(key)
	switch {
	case i > 0:
		before = s.chunks[c][i-1]
	case c > 0:
		chunk := s.chunks[c-1]
		before = chunk[len(chunk)-1]
	}
	if c < len(s.chunks) && s.chunks[c][i].key == key {
		i++
		if i == len(s.chunks[c]) {
			c, i = c+1, 0
		}
	}
	if c < len(s.chunks) {
		after = s.chunks[c][i]
	}
	return before, after
}

// all yields the slots in order. The list must not change meanwhile.
func (s *siblings) all() iter.Seq2[int, *slot] {
	return func(yield func(int, *slot) bool) {
		index := 0
		for _, chunk := range s.chunks {
			for _, x := range chunk {
				if !yield(index, x) {
					return
				}
				index++
			}
		}
	}
}

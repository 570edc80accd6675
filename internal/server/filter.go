package server

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/session"
)

// Bounds of a filter, and of how many different ones a session's sockets have.
const (
	maxFilterEntries  = 64
	maxFilterEntry    = 128 // bytes
	maxSessionFilters = 64
)

// filter says which events a socket gets (SPEC X-8). It never changes; nil
// lets everything through. A socket's own hello and the state are not filtered.
type filter struct {
	key      string // equal for filters that let the same through
	names    map[string]bool
	prefixes []string
	projects map[string]bool
}

type filterBody struct {
	Events   []string `json:"events"`
	Projects []string `json:"projects"`
}

// parseFilter reads the filter of a CONNECT: {events?: [name or "graph:*"],
// projects?: [id]}. Without either it is nil.
func parseFilter(raw json.RawMessage) (*filter, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	var b filterBody
	if err := decodeStrict(raw, &b, false); err != nil {
		return nil, err
	}
	if len(b.Events)+len(b.Projects) > maxFilterEntries {
		return nil, fault.New(fault.InvalidRequest, "a filter has at most %d entries", maxFilterEntries)
	}
	for _, s := range append(slices.Clone(b.Events), b.Projects...) {
		if s == "" || !printable(s, maxFilterEntry) {
			return nil, fault.New(fault.InvalidRequest, "an entry of a filter is 1 to %d printable characters", maxFilterEntry)
		}
	}
	if b.Events == nil && b.Projects == nil {
		return nil, nil
	}
	f := &filter{}
	if b.Events != nil {
		f.names = map[string]bool{}
		for _, s := range b.Events {
			if prefix, ok := strings.CutSuffix(s, "*"); ok {
				f.prefixes = append(f.prefixes, prefix)
			} else {
				f.names[s] = true
			}
		}
	}
	if b.Projects != nil {
		f.projects = map[string]bool{}
		for _, s := range b.Projects {
			f.projects[s] = true
		}
	}
	slices.Sort(b.Events)
	slices.Sort(b.Projects)
	key, err := json.Marshal(filterBody{slices.Compact(b.Events), slices.Compact(b.Projects)})
	if err != nil {
		return nil, err
	}
	f.key = string(key)
	return f, nil
}

// wants reports whether a socket with this filter gets the event. Events
// without a project pass any list of projects.
func (f *filter) wants(it *session.Item) bool {
	if f == nil {
		return true
	}
	if f.projects != nil && it.ProjectID != "" && !f.projects[it.ProjectID] {
		return false
	}
	return f.names == nil || f.names[it.Name] ||
		slices.ContainsFunc(f.prefixes, func(p string) bool { return strings.HasPrefix(it.Name, p) })
}

// room is where sockets with this filter are, below the session's room.
func (f *filter) room(base string) string {
	if f == nil {
		return base
	}
	return base + "\x00" + f.key
}

// group is the members of one session that share a filter.
type group struct {
	*filter
	members int
}

// joinGroup counts a member of the filter's group; false: the session has too
// many different filters. Under h.mu.
func (b *broadcaster) joinGroup(f *filter) bool {
	if f == nil {
		return true
	}
	old := b.filtered()
	for i, g := range old {
		if g.key == f.key {
			b.groups.Store(replaceGroup(old, i, group{g.filter, g.members + 1}))
			return true
		}
	}
	if len(old) >= maxSessionFilters {
		return false
	}
	next := append(slices.Clone(old), group{f, 1})
	b.groups.Store(&next)
	return true
}

// leaveGroup takes the count back. Under h.mu.
func (b *broadcaster) leaveGroup(f *filter) {
	if f == nil {
		return
	}
	old := b.filtered()
	for i, g := range old {
		if g.key != f.key {
			continue
		}
		if g.members == 1 {
			next := slices.Delete(slices.Clone(old), i, i+1)
			b.groups.Store(&next)
			return
		}
		b.groups.Store(replaceGroup(old, i, group{g.filter, g.members - 1}))
	}
}

func replaceGroup(old []group, i int, g group) *[]group {
	next := slices.Clone(old)
	next[i] = g
	return &next
}

// filtered lists the groups; the broadcaster reads it without h.mu.
func (b *broadcaster) filtered() []group {
	if p := b.groups.Load(); p != nil {
		return *p
	}
	return nil
}

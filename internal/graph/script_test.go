package graph

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/graphroom/graphroom/internal/fault"
)

// The scripts in testdata/script say the rules of docs/SPEC.md by example. A
// line is a command; lines that begin with a tab are what the command before
// them has to print. Nodes have short names, given at create.
//
//	create TYPE NAME [under NODE] [PLACE] [prop=json]...   PLACE: index N, before NODE, after NODE
//	delete NODE          move NODE under NODE|root [PLACE]     dup NODE [under NODE|root] [PLACE]
//	link TYPE PARENT CHILD [move] [PLACE]                      unlink TYPE PARENT CHILD
//	set NODE prop=json...                                      unset NODE prop
//	batch                the following lines up to "end" as one command
//	by ACTOR COMMAND     someone else than me
//	! CODE COMMAND       the command is refused with that code
//	= COMMAND            the command changes nothing
//	undo|redo [actor|session] [force]    prints what was applied and skipped
//	dump, events, validate, keys         print the graph, the events of the last entry, ...
//
// The names new1, new2 … are nodes whose ids the server chose.
var updateScripts = flag.Bool("update-scripts", false, "write what the scripts of testdata print into them")

func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/script/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			out := runScript(t, file, string(text))
			if *updateScripts && !t.Failed() {
				if err := os.WriteFile(file, []byte(out), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

type script struct {
	t      *testing.T
	d      *desk
	c      *client
	ids    map[string]ID
	names  map[ID]string
	past   []*scriptEntry
	last   []Change
	clock  int
	create int
}

type scriptEntry struct {
	actor         string
	changes, back []Change
	undone        int // clock, 0: done
	undoneBy      string
}

// runScript runs a script, a fresh graph for each section that a line "---"
// ends, and returns it with what it printed.
func runScript(t *testing.T, file, text string) string {
	var out strings.Builder
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	s := newScript(t)
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		at := i + 1
		fmt.Fprintln(&out, line)
		line = strings.TrimSpace(line)
		switch {
		case line == "---":
			s = newScript(t)
			continue
		case line == "" || line[0] == '#':
			continue
		}
		var batch []string
		if strings.HasSuffix(line, "batch") {
			for i++; strings.TrimSpace(lines[i]) != "end"; i++ {
				fmt.Fprintln(&out, lines[i])
				batch = append(batch, strings.TrimSpace(lines[i]))
			}
			fmt.Fprintln(&out, lines[i])
		}
		printed, err := s.line(strings.Fields(line), batch)
		if err != nil {
			t.Fatalf("%s:%d: %s: %v", file, at, line, err)
		}
		var want []string
		for i+1 < len(lines) && strings.HasPrefix(lines[i+1], "\t") {
			i++
			want = append(want, strings.TrimPrefix(lines[i], "\t"))
		}
		for _, p := range printed {
			fmt.Fprintln(&out, "\t"+p)
		}
		if !*updateScripts && !slices.Equal(printed, want) {
			t.Errorf("%s:%d: %s prints\n\t%s\nwant\n\t%s", file, at, line, strings.Join(printed, "\n\t"), strings.Join(want, "\n\t"))
		}
		if err := s.d.g.Check(); err != nil {
			t.Fatalf("%s:%d: %v", file, at, err)
		}
		s.d.seq += 10
	}
	return out.String()
}

func newScript(t *testing.T) *script {
	return &script{t: t, d: newDesk(t), c: newClient(), ids: map[string]ID{}, names: map[ID]string{}}
}

func (s *script) name(id ID) string {
	if id.IsZero() {
		return "root"
	}
	if name := s.names[id]; name != "" {
		return name
	}
	return id.String()
}

// id is the id of a name; a new name gets a new id.
func (s *script) id(name string) ID {
	if name == "root" {
		return ID{}
	}
	if id, ok := s.ids[name]; ok {
		return id
	}
	id := testID(len(s.ids) + 1)
	s.ids[name], s.names[id] = id, name
	return id
}

func (s *script) line(words, batch []string) ([]string, error) {
	actor := "me"
	if words[0] == "by" {
		actor, words = words[1], words[2:]
	}
	switch words[0] {
	case "undo", "redo":
		return s.step(words, actor)
	case "dump":
		return s.dump(), nil
	case "events":
		return s.events(s.last), nil
	case "keys":
		return s.keys(s.id(words[1])), nil
	case "validate":
		var lines []string
		for _, i := range s.d.g.Validate() {
			lines = append(lines, s.name(i.NodeID)+" "+i.PropertyID+" "+i.Code)
		}
		return lines, nil
	}
	want, same := fault.Code(""), false
	switch words[0] {
	case "!":
		want, words = fault.Code(words[1]), words[2:]
	case "=":
		same, words = true, words[1:]
	}
	cmd, err := s.command(words, batch)
	if err != nil {
		return nil, err
	}
	return nil, s.run(actor, cmd, want, same)
}

func (s *script) run(actor string, cmd Command, want fault.Code, same bool) error {
	before := state(s.d.g)
	p, err := s.d.g.Plan(cmd, Env{Writer: s.d.seq + 1, NewID: func() ID {
		s.create++
		return s.id("new" + strconv.Itoa(s.create))
	}})
	if state(s.d.g) != before {
		return fmt.Errorf("planning changed the graph")
	}
	if want != "" {
		if !fault.Is(err, want) {
			return fmt.Errorf("got %v, want %s", err, want)
		}
		return nil
	}
	if err != nil {
		return err
	}
	if same != (len(p.Changes) == 0) {
		return fmt.Errorf("changes: %s", p.Changes)
	}
	if len(p.Changes) == 0 {
		return nil
	}
	s.past = slices.DeleteFunc(s.past, func(e *scriptEntry) bool {
		return e.undone > 0 && (e.undoneBy == actor || e.undoneBy == "")
	})
	s.past = append(s.past, &scriptEntry{actor: actor, changes: p.Changes})
	return s.apply(p.Changes)
}

func (s *script) apply(changes []Change) error {
	s.d.apply(changes)
	s.last = changes
	s.c.watch(s.t, s.d.g, changes)
	return nil
}

// step undoes or redoes the newest entry in scope of which anything can be.
func (s *script) step(words []string, actor string) ([]string, error) {
	undo, force := words[0] == "undo", slices.Contains(words, "force")
	session := !slices.Contains(words, "actor")
	var lines []string
	for {
		e := s.find(undo, session, actor)
		if e == nil {
			return append(lines, "nothing"), nil
		}
		from := e.changes
		if !undo {
			from = e.back
		}
		inv := s.d.g.Invert(from, force)
		for _, o := range inv.Applied.List {
			lines = append(lines, "applied "+s.outcome(o))
		}
		for _, o := range inv.Skipped.List {
			lines = append(lines, "skipped "+s.outcome(o))
		}
		if len(inv.Changes) == 0 {
			s.past = slices.DeleteFunc(s.past, func(x *scriptEntry) bool { return x == e })
			continue
		}
		if undo {
			s.clock++
			e.undone, e.back, e.undoneBy = s.clock, inv.Changes, actor
			if session {
				e.undoneBy = ""
			}
		} else {
			e.undone, e.changes = 0, inv.Changes
		}
		return lines, s.apply(inv.Changes)
	}
}

func (s *script) find(undo, session bool, actor string) *scriptEntry {
	var best *scriptEntry
	for _, e := range s.past {
		switch {
		case undo && e.undone == 0 && (session || e.actor == actor):
			best = e
		case !undo && e.undone > 0 && (session && e.undoneBy == "" || !session && e.undoneBy == actor) &&
			(best == nil || best.undone < e.undone):
			best = e
		}
	}
	return best
}

func (s *script) outcome(o Outcome) string {
	words := []string{strings.TrimPrefix(o.Event, "graph:")}
	if !o.NodeID.IsZero() {
		words = append(words, s.name(o.NodeID))
	}
	if o.PropertyID != "" {
		words = append(words, o.PropertyID)
	}
	if o.LinkType != "" {
		words = append(words, o.LinkType, s.name(o.ParentID), s.name(o.ChildID))
	}
	if o.Reason != "" {
		words = append(words, o.Reason)
	}
	return strings.Join(words, " ")
}

func (s *script) command(words, batch []string) (Command, error) {
	rest := words[1:]
	switch words[0] {
	case "batch":
		var b Batch
		for _, line := range batch {
			cmd, err := s.command(strings.Fields(line), nil)
			if err != nil {
				return nil, err
			}
			b.Commands = append(b.Commands, cmd)
		}
		return b, nil
	case "create":
		c := CreateNode{BlueprintTypeID: rest[0]}
		if rest[1] != "?" {
			c.NodeID = s.id(rest[1])
		}
		o := s.options(rest[2:])
		c.ParentID, c.At, c.Properties = o.parent, o.at, o.values
		c.Name = &rest[1]
		return c, nil
	case "delete":
		return DeleteNode{s.id(rest[0])}, nil
	case "move":
		o := s.options(rest[1:])
		return MoveNode{s.id(rest[0]), o.parent, o.at}, nil
	case "dup":
		o := s.options(rest[1:])
		c := DuplicateNode{NodeID: s.id(rest[0]), At: o.at}
		if o.under {
			c.ParentID = &o.parent
		}
		return c, nil
	case "link":
		o := s.options(rest[3:])
		return LinkNode{rest[0], s.id(rest[1]), s.id(rest[2]), o.move, o.at}, nil
	case "unlink":
		return UnlinkNode{rest[0], s.id(rest[1]), s.id(rest[2])}, nil
	case "set":
		o := s.options(rest[1:])
		if len(o.values) == 1 {
			return UpdateProperty{NodeID: s.id(rest[0]), PropertyID: o.values[0].ID, Value: o.values[0].Value}, nil
		}
		return SetProperties{s.id(rest[0]), o.values}, nil
	case "unset":
		return DeleteProperty{s.id(rest[0]), rest[1]}, nil
	}
	return nil, fmt.Errorf("unknown command %s", words[0])
}

type scriptOptions struct {
	parent      ID
	under, move bool
	at          At
	values      []PropertyValue
}

func (s *script) options(words []string) (o scriptOptions) {
	for i := 0; i < len(words); i++ {
		next := ""
		if i+1 < len(words) {
			next = words[i+1]
		}
		switch words[i] {
		case "under":
			o.parent, o.under = s.id(next), true
			i++
		case "index":
			n, _ := strconv.Atoi(next)
			o.at.Index = &n
			i++
		case "before":
			o.at.Before = s.id(next)
			i++
		case "after":
			o.at.After = s.id(next)
			i++
		case "move":
			o.move = true
		default:
			prop, value, _ := strings.Cut(words[i], "=")
			if node, ok := strings.CutPrefix(value, "@"); ok {
				value = strconv.Quote(s.id(node).String())
			}
			o.values = append(o.values, PropertyValue{prop, raw(value)})
		}
	}
	return o
}

// dump prints one node a line, indented by depth, then the links.
func (s *script) dump() []string {
	var lines []string
	var walk func(list *siblings, indent string)
	walk = func(list *siblings, indent string) {
		for _, x := range list.all() {
			line := indent + s.name(x.node.id)
			if s.name(x.node.id) != x.node.name {
				line += fmt.Sprintf(" %q", x.node.name)
			}
			for _, v := range x.node.values {
				if v.Raw != nil && !(v.Prop == "count" && string(v.Raw) == "1") {
					line += " " + v.Prop + "=" + s.withNames(string(v.Raw))
				}
			}
			lines = append(lines, line)
			walk(&x.node.children, indent+"  ")
		}
	}
	walk(&s.d.g.roots, "")
	for _, l := range s.d.g.sortedLinks() {
		lines = append(lines, strings.Join([]string{l.typ.ID, s.name(l.parent.id), s.name(l.node.id)}, " "))
	}
	if len(lines) == 0 {
		return []string{"nothing"}
	}
	return lines
}

func (s *script) withNames(text string) string {
	for name, id := range s.ids {
		text = strings.ReplaceAll(text, `"`+id.String()+`"`, "@"+name)
	}
	return text
}

func (s *script) events(changes []Change) []string {
	var lines []string
	for _, c := range changes {
		for _, e := range c.Events() {
			body, _ := json.Marshal(e.Body)
			lines = append(lines, strings.TrimPrefix(e.Name, "graph:")+" "+s.withNames(string(body)))
		}
	}
	return lines
}

// keys prints the longest order key among the children of a node, and how
// often they were made anew.
func (s *script) keys(parent ID) []string {
	longest := 0
	for _, x := range s.d.g.list(s.d.g.nodes[parent]).all() {
		longest = max(longest, len(x.key))
	}
	return []string{fmt.Sprintf("longest key %d, made anew %d times", longest, s.d.g.gens[listKey{ChildLink, parent}])}
}

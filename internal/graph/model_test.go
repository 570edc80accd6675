package graph

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/graphroom/graphroom/internal/fault"
)

// soakSteps is the environment variable that says how many steps TestSoak
// runs; soakSeed repeats a run.
const (
	soakSteps = "GRAPHROOM_SOAK_STEPS"
	soakSeed  = "GRAPHROOM_SOAK_SEED"
)

// dice is where the model test takes its choices from: 0 to n-1.
type dice func(n int) int

// tester is what testing.T and rapid.T have in common.
type tester interface {
	Helper()
	Log(args ...any)
	Fatalf(format string, args ...any)
}

// modelActors is the number of actors of the model test.
const modelActors = 8

// deed is an entry of the history that the model test keeps, a small form of
// the one that the session keeps.
type deed struct {
	actor   int
	changes []Change
	twins   []twinChange

	undone    bool
	undoneBy  int
	bySession bool
	undoneAt  int
	back      []Change // the undo's
	backTwins []twinChange
}

// model runs the graph, its twin and a client side by side.
type model struct {
	t      tester
	roll   dice
	g      *Graph
	quick  *Graph // applies what it planned at once, with no look at it in between
	w      *twin
	c      *client
	seq    uint64
	nextID int
	clock  int
	deeds  []*deed
	used   map[ID]int // how often an id was given to a new node, by create
	log    []string
	tally  map[string]int
}

func newModel(t tester, roll dice) *model {
	g := New(testBlueprint())
	m := &model{t: t, roll: roll, g: g, quick: New(g.bp), w: newTwin(g.bp), c: newClient(), used: map[ID]int{}, tally: map[string]int{}}
	if roll(3) == 0 {
		g.longKey, m.quick.longKey = 2, 2 // rebalance all the time
	}
	return m
}

func (m *model) fatalf(format string, args ...any) {
	m.t.Helper()
	from := max(0, len(m.log)-15)
	for _, line := range m.log[from:] {
		m.t.Log(line)
	}
	m.t.Fatalf(format, args...)
}

// step does one random thing and checks everything.
func (m *model) step() {
	switch d := m.roll(20); {
	case d < 13:
		m.command(m.random(true))
	case d < 18:
		m.undo(m.roll(modelActors), m.roll(2) == 0, m.roll(4) == 0)
	default:
		m.redo(m.roll(modelActors), m.roll(2) == 0, m.roll(4) == 0)
	}
	m.check()
}

func (m *model) newID() ID {
	m.nextID++
	return testID(m.nextID)
}

// command plans one command on both sides and applies it.
func (m *model) command(cmd Command) {
	text, _ := json.Marshal(cmd)
	m.log = append(m.log, fmt.Sprintf("%d %s %s", m.seq, cmd.Type(), text))
	before, all := state(m.g), string(m.g.Encode())
	first := m.nextID
	planned, err := m.g.Plan(cmd, Env{Writer: m.seq + 1, NewID: m.newID})
	if string(m.g.Encode()) != all {
		m.fatalf("Plan changed the graph") // SPEC G-2
	}
	m.nextID = first
	twins, code := m.w.run(cmd, m.seq+1, m.newID)
	if err != nil || code != "" {
		m.nextID = first
		if got := fault.From(err); got == nil || got.Code != code {
			m.fatalf("refused with %v, the twin says %q", err, code)
		}
		m.tally[string(code)]++
		return
	}
	last := m.nextID
	m.nextID = first
	same, err := m.quick.Plan(cmd, Env{Writer: m.seq + 1, NewID: m.newID})
	if m.nextID = last; err != nil {
		m.fatalf("planned differently the second time: %v", err)
	}
	m.apply(planned.Changes, same.Changes, before)
	if len(planned.Changes) == 0 {
		return
	}
	actor := m.roll(modelActors)
	m.deeds = slices.DeleteFunc(m.deeds, func(d *deed) bool { return d.undone && (d.undoneBy == actor || d.bySession) })
	m.deeds = append(m.deeds, &deed{actor: actor, changes: planned.Changes, twins: twins})
	if len(m.deeds) > 60 {
		m.deeds = m.deeds[20:]
	}
}

// apply applies changes to the graph through their journal form, after taking
// them back once, and shows the client their events. same is what the quick
// graph has just planned.
func (m *model) apply(changes, same []Change, before string) {
	after := ""
	if m.roll(2) == 0 {
		m.g.Apply(changes, 0)
		after = state(m.g)
		m.g.Revert(changes)
		if state(m.g) != before {
			m.fatalf("Revert is not exact: %s", changes)
		}
	}
	stored, err := json.Marshal(changes)
	if err != nil {
		m.fatalf("changes cannot be written: %v", err)
	}
	var read []Change
	if err := json.Unmarshal(stored, &read); err != nil {
		m.fatalf("changes cannot be read: %v", err)
	}
	if len(read) != len(changes) || !slices.EqualFunc(changes, read, Change.Equal) {
		m.fatalf("changes are others after the journal: %s", stored)
	}
	for _, c := range changes {
		m.plain(c)
	}
	m.seq += uint64(len(changes)) + 1
	m.g.Apply(read, m.seq)
	m.quick.Apply(same, m.seq)
	if !slices.EqualFunc(changes, same, Change.Equal) || string(m.quick.Encode()) != string(m.g.Encode()) {
		m.fatalf("what is applied as it was planned is another graph: %s", same)
	}
	if after != "" && state(m.g) != after {
		m.fatalf("Apply after Revert gives another graph")
	}
	for _, c := range changes {
		m.tally[fmt.Sprintf("%T", c.body)]++
		if b, ok := c.body.(*birth); ok && b.Grave == nil {
			if m.used[b.ID]++; m.used[b.ID] > 1 {
				m.fatalf("id %s was given out twice", b.ID)
			}
		}
		for _, e := range c.Events() {
			if err := m.c.apply(e); err != nil {
				m.fatalf("the client cannot apply %s of %s: %v", e.Name, c, err)
			}
		}
	}
}

// plain holds what is written without reflection, and counted without being
// made, against what it stands for.
func (m *model) plain(c Change) {
	var form changeJSON
	switch b := c.body.(type) {
	case *birth:
		form.Create = b
	case *death:
		form.Delete = b
	case *placing:
		form.Place = b
	case *linking:
		form.Link = b
	case *setting:
		form.Set = b
	case *rekeying:
		form.Keys = b
	}
	want, err := json.Marshal(form)
	if err != nil {
		m.fatalf("a change cannot be written: %v", err)
	}
	if got, err := c.AppendJSON(nil); err != nil || string(got) != string(want) {
		m.fatalf("AppendJSON gives %s (%v)\nencoding/json %s", got, err, want)
	}
	for _, e := range c.Events() {
		if want, err := json.Marshal(e.Body); err != nil || string(e.Body.AppendJSON(nil)) != string(want) {
			m.fatalf("AppendJSON gives %s\nencoding/json %s (%v)", e.Body.AppendJSON(nil), want, err)
		}
	}
	if c.EventCount() != len(c.Events()) {
		m.fatalf("%d events, counted %d: %s", len(c.Events()), c.EventCount(), c)
	}
}

// invert takes changes back on both sides and compares what became of it.
func (m *model) invert(changes []Change, twins []twinChange, force bool) ([]Change, []twinChange) {
	before, all := state(m.g), string(m.g.Encode())
	inv := m.g.Invert(changes, force)
	if string(m.g.Encode()) != all {
		m.fatalf("Invert changed the graph")
	}
	done, applied, skipped := m.w.undo(twins, force, inv.Changes, len(m.g.gens) == 0)
	if m.w.err != nil {
		m.fatalf("the twin says: %v\n%s", m.w.err, inv.Changes)
	}
	if !slices.Equal(inv.Applied.List, applied) || !slices.Equal(inv.Skipped.List, skipped) {
		m.fatalf("applied %+v\nskipped %+v\nthe twin applied %+v\nthe twin skipped %+v", inv.Applied.List, inv.Skipped.List, applied, skipped)
	}
	for _, o := range skipped {
		m.tally[o.Reason]++
	}
	m.apply(inv.Changes, m.quick.Invert(changes, force).Changes, before)
	return inv.Changes, done
}

func (m *model) undo(actor int, session, force bool) bool {
	for i := len(m.deeds) - 1; i >= 0; i-- {
		d := m.deeds[i]
		if d.undone || !session && d.actor != actor {
			continue
		}
		m.log = append(m.log, fmt.Sprintf("%d undo actor %d session %v force %v: %s", m.seq, actor, session, force, d.changes))
		d.back, d.backTwins = m.invert(d.changes, d.twins, force)
		if len(d.back) == 0 {
			m.deeds = slices.Delete(m.deeds, i, i+1)
			continue
		}
		m.clock++
		d.undone, d.undoneBy, d.bySession, d.undoneAt = true, actor, session, m.clock
		return true
	}
	return false
}

func (m *model) redo(actor int, session, force bool) bool {
	for {
		best := -1
		for i, d := range m.deeds {
			fits := d.undone && (session && d.bySession || !session && !d.bySession && d.undoneBy == actor)
			if fits && (best < 0 || d.undoneAt > m.deeds[best].undoneAt) {
				best = i
			}
		}
		if best < 0 {
			return false
		}
		d := m.deeds[best]
		m.log = append(m.log, fmt.Sprintf("%d redo actor %d session %v force %v: %s", m.seq, actor, session, force, d.back))
		d.changes, d.twins = m.invert(d.back, d.backTwins, force)
		m.deeds = slices.Delete(m.deeds, best, best+1)
		if len(d.changes) == 0 {
			continue
		}
		d.undone = false
		m.deeds = append(m.deeds, d)
		return true
	}
}

// check compares everything that can be compared.
func (m *model) check() {
	if err := m.g.Check(); err != nil {
		m.fatalf("%v", err)
	}
	got := string(m.g.AppendJSON(nil, "p"))
	if want := m.w.dump(); got != want {
		m.fatalf("the twin is another graph\ngraph %s\ntwin  %s", got, want)
	}
	if err := m.w.writers(m.g); err != nil {
		m.fatalf("%v", err)
	}
	if want := m.c.dump("p", m.g.bp.ID()); got != want {
		m.fatalf("the client has another graph\ngraph  %s\nclient %s", got, want)
	}
	encoded := m.g.Encode()
	decoded, err := DecodeGraph(m.g.bp, encoded)
	if err != nil {
		m.fatalf("%v", err)
	}
	if string(decoded.Encode()) != string(encoded) {
		m.fatalf("a snapshot is another graph")
	}
	if m.roll(10) == 0 {
		m.search()
	}
	if m.g.index != nil && !sameIndex(m.g.index, buildIndex(m.g)) {
		m.fatalf("the search index is not what it would be if built anew")
	}
	if m.roll(20) == 0 { // go on with the copy, as after a restart
		decoded.longKey = m.g.longKey
		m.g = decoded
	}
	imported, err := Import(m.g.bp, []byte(got))
	if err != nil {
		m.fatalf("%v", err)
	}
	if string(imported.AppendJSON(nil, "p")) != got {
		m.fatalf("an import is another graph") // SPEC G-82
	}
}

// diceOf takes choices from rapid, which can shrink them.
func diceOf(rt *rapid.T) dice {
	return func(n int) int { return rapid.IntRange(0, n-1).Draw(rt, "dice") }
}

// TestModel runs random commands of several actors with undo and redo in both
// scopes, guarded and forced, against the twin and a client. A failure shrinks
// and prints its seed.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newModel(rt, diceOf(rt))
		for range rapid.IntRange(1, 80).Draw(rt, "steps") {
			m.step()
		}
	})
}

// TestSoak is TestModel without shrinking, and so much faster: as many steps
// as GRAPHROOM_SOAK_STEPS says, a few thousand without it.
func TestSoak(t *testing.T) {
	steps, seed := 4000, rand.Uint64()
	if s := os.Getenv(soakSteps); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		steps = n
	}
	if s := os.Getenv(soakSeed); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = n
	}
	t.Logf("%d steps, %s=%d", steps, soakSeed, seed)
	const round = 500
	tally := map[string]int{}
	for i := 0; i*round < steps; i++ {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		m := newModel(t, random.IntN)
		for range min(round, steps-i*round) {
			m.step()
			tally["nodes"] += m.g.Len()
			tally["links"] += len(m.g.links)
		}
		for what, n := range m.tally {
			tally[what] += n
		}
	}
	t.Logf("%v", tally)
}

// TestUndoEverything: undoing all and redoing all in session scope is the
// identity, byte for byte. SPEC G-45
func TestUndoEverything(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newModel(rt, diceOf(rt))
		var shots []string
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			m.command(m.random(true))
			shots = append(shots, string(m.g.AppendJSON(nil, "p")))
		}
		after := string(m.g.AppendJSON(nil, "p"))
		deeds := len(m.deeds)
		for i := range deeds {
			if !m.undo(0, true, false) {
				rt.Fatalf("undo %d of %d found nothing", i, deeds)
			}
			if !slices.Contains(shots, string(m.g.AppendJSON(nil, "p"))) && i < deeds-1 {
				rt.Fatalf("undo %d gives a graph that never was", i)
			}
		}
		if m.g.Len() != 0 || len(m.g.links) != 0 {
			rt.Fatalf("undoing everything leaves %s", m.g.AppendJSON(nil, "p"))
		}
		for range deeds {
			if !m.redo(0, true, false) {
				rt.Fatal("redo found nothing")
			}
		}
		m.check()
		if got := string(m.g.AppendJSON(nil, "p")); got != after {
			rt.Fatalf("redoing everything is another graph\nbefore %s\nafter  %s", after, got)
		}
	})
}

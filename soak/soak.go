package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// options are what a run is made from.
type options struct {
	rounds, sessions, acks, checkEvery int
	seed                               uint64
	binary, data                       string
	log                                io.Writer
}

const (
	verdictPass = "PASS"
	verdictFail = "FAIL"

	roundWait    = 2 * time.Minute // for the acknowledgements of one round
	catchUpWait  = 30 * time.Second
	restWriters  = 2 // of each session
	socketWriter = 2
	watchers     = 2
)

// tally counts what happened. add is safe for concurrent use.
type tally struct {
	mu         sync.Mutex
	Commands   int `json:"commands"` // acknowledged, each counted once
	Refused    int `json:"refused"`
	Retries    int `json:"retries"` // answers that never came
	Repeats    int `json:"repeats"` // acknowledged commands asked for again
	Receipts   int `json:"receipts_compared"`
	Events     int `json:"events_received"`
	Compared   int `json:"events_compared"`
	Reconnects int `json:"reconnects"`
}

func (t *tally) add(n *int, by int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*n += by
}

// tick is a short wait for one who would spin.
func (t *tally) tick() <-chan time.Time { return time.After(retryWait) }

// result is what a run prints.
type result struct {
	Verdict     string `json:"verdict"`
	Seed        uint64 `json:"seed"`
	Rounds      int    `json:"rounds"`
	StartKills  int    `json:"kills_while_starting"`
	Sessions    int    `json:"sessions"`
	Clients     int    `json:"clients"`
	Lost        int    `json:"lost"`
	Twice       int    `json:"twice"`
	Reordered   int    `json:"reordered"`
	JournalHead uint64 `json:"journal_events"` // of all sessions
	*tally
	Restart struct {
		P50 float64 `json:"p50_ms"`
		Max float64 `json:"max_ms"`
	} `json:"restart"`
	Seconds float64   `json:"seconds"`
	Checks  []checked `json:"checks"`
	Faults  []string  `json:"faults"`
}

// runState is one soak under way.
type runState struct {
	options
	rng     *rand.Rand
	address string
	world   *world
	faults  *faults
	tally   *tally
	rest    *http.Client
	ledgers []*ledger
	clients []*client
	writers []*writer
	wg      sync.WaitGroup // clients
	writing sync.WaitGroup
	starts  []time.Duration
	result  *result
}

// soak does the whole run. The error is for what kept it from looking.
func soak(ctx context.Context, o options) (*result, error) {
	began := time.Now()
	s := &runState{
		options: o, rng: rand.New(rand.NewPCG(o.seed, 1)), world: newWorld(), faults: &faults{}, tally: &tally{},
		rest: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
	}
	s.result = &result{Verdict: verdictFail, Seed: o.seed, Sessions: o.sessions, tally: s.tally, Checks: []checked{}, Faults: []string{}}
	defer s.rest.CloseIdleConnections()
	err := s.all(ctx)
	s.world.set(modeEnd)
	s.summarise(began)
	if err == nil && !s.faults.any() && !slices.ContainsFunc(s.result.Checks, func(c checked) bool { return !c.Sound }) {
		s.result.Verdict = verdictPass
	}
	return s.result, err
}

func (s *runState) all(outer context.Context) (err error) {
	ctx, cancel := context.WithCancel(outer) // of the clients
	defer cancel()
	if s.address, err = freeAddress(); err != nil {
		return err
	}
	life, err := s.start(ctx)
	if err != nil {
		return err
	}
	defer func() { life.kill() }() // the last one; it does nothing to one that is gone
	if err := s.populate(ctx); err != nil {
		return err
	}
	for round := 1; round <= s.rounds; round++ {
		if err := s.round(ctx, life); err != nil {
			return fmt.Errorf("round %d: %w\n%s", round, err, life.output)
		}
		s.result.Rounds = round
		if s.checkEvery > 0 && round%s.checkEvery == 0 {
			if err := s.check(ctx, round); err != nil {
				return err
			}
			fmt.Fprintf(s.log, "soak: round %d of %d: %d commands, %d lost, %d twice, %d reordered\n",
				round, s.rounds, s.tally.Commands, s.faults.Lost, s.faults.Twice, s.faults.Reordered)
		}
		if life, err = s.start(ctx); err != nil {
			return fmt.Errorf("after round %d: %w", round, err)
		}
		if err := s.compare(ctx); err != nil {
			return fmt.Errorf("after round %d: %w\n%s", round, err, life.output)
		}
	}
	s.world.set(modeDrain)
	s.writing.Wait()
	if err := s.compare(ctx); err != nil {
		return fmt.Errorf("at the end: %w", err)
	}
	s.world.set(modeEnd)
	if err := life.stop(); err != nil {
		return err
	}
	cancel()
	s.wg.Wait()
	return s.check(outer, s.rounds)
}

// start starts the server, sometimes killing it on the way, and tells the
// clients.
func (s *runState) start(ctx context.Context) (*server, error) {
	for {
		early := s.result.Rounds > 0 && s.rng.IntN(8) == 0
		from := time.Now()
		life, err := launch(s.binary, s.data, s.address)
		if err != nil {
			return nil, err
		}
		if early {
			timer := time.NewTimer(time.Duration(s.rng.IntN(60)) * time.Millisecond)
			select {
			case <-timer.C:
			case <-life.ended:
			}
			timer.Stop()
			life.kill()
			s.result.StartKills++
			continue
		}
		if err := life.await(ctx); err != nil {
			life.kill()
			return nil, err
		}
		s.starts = append(s.starts, time.Since(from))
		s.world.set(modeQuiet)
		return life, nil
	}
}

// round lets the writers work and kills the server in the middle of it.
func (s *runState) round(ctx context.Context, life *server) error {
	reached := s.world.load(1 + s.rng.IntN(s.acks))
	timer := time.NewTimer(roundWait)
	defer timer.Stop()
	select {
	case <-reached:
	case <-life.ended:
		return fmt.Errorf("the server ended by itself: %w", life.err)
	case <-timer.C:
		return errors.New("too few commands were acknowledged")
	case <-ctx.Done():
		return ctx.Err()
	}
	life.kill()
	s.world.set(modeDown)
	return nil
}

func (s *runState) check(ctx context.Context, round int) error {
	c, err := check(ctx, s.binary, s.data, round)
	if err != nil {
		return err
	}
	s.result.Checks = append(s.result.Checks, c)
	return nil
}

// populate makes the sessions with their projects, clients and writers.
func (s *runState) populate(ctx context.Context) error {
	for i := range s.sessions {
		id := "soak-" + strconv.Itoa(i)
		l := newLedger(id, s.faults)
		s.ledgers = append(s.ledgers, l)
		if _, err := s.call(ctx, http.MethodPost, "/sessions", map[string]any{"session_id": id}); err != nil {
			return err
		}
		if _, err := s.call(ctx, http.MethodPost, "/projects", map[string]any{"session_id": id, "template_id": "outline", "project_name": id}); err != nil {
			return err
		}
		for k := range watchers + socketWriter {
			namespace := "/"
			if k%2 == 1 {
				namespace = "/graph"
			}
			c := newClient(fmt.Sprintf("%s-client-%d", id, k), s.address, namespace, s.world, l, s.tally)
			s.clients = append(s.clients, c)
			s.wg.Go(func() { c.run(ctx) })
			if k < socketWriter {
				s.addWriter(ctx, l, c)
			}
		}
		for range restWriters {
			s.addWriter(ctx, l, nil)
		}
	}
	s.result.Clients = len(s.clients)
	for _, c := range s.clients {
		if err := s.caughtUp(ctx, c, 1); err != nil {
			return err
		}
	}
	return nil
}

func (s *runState) addWriter(ctx context.Context, l *ledger, c *client) {
	n := len(s.writers)
	w := &writer{
		name: "writer-" + strconv.Itoa(n), rng: rand.New(rand.NewPCG(s.seed, uint64(n)+2)), world: s.world,
		ledger: l, tally: s.tally, client: c, rest: s.rest, base: "http://" + s.address + "/api/v1",
	}
	s.writers = append(s.writers, w)
	s.writing.Go(func() { w.run(ctx) })
}

// compare reads what the journals have got since the last time and holds every
// receipt and every client's stream against it.
func (s *runState) compare(ctx context.Context) error {
	for _, l := range s.ledgers {
		if err := s.readJournal(ctx, l); err != nil {
			return err
		}
		s.tally.add(&s.tally.Receipts, l.settle())
	}
	for _, c := range s.clients {
		if err := s.caughtUp(ctx, c, c.ledger.head()); err != nil {
			c.ledger.faults.lost(c.ledger.session, "%v", err)
			return err
		}
		first, got := c.take()
		c.ledger.compare(c.name, first, got)
		s.tally.add(&s.tally.Compared, len(got))
	}
	return nil
}

func (s *runState) caughtUp(ctx context.Context, c *client, seq uint64) error {
	ctx, cancel := context.WithTimeout(ctx, catchUpWait)
	defer cancel()
	return c.caughtUp(ctx, seq)
}

// readJournal reads a session's events after those that are known, and looks
// once more at some that are.
func (s *runState) readJournal(ctx context.Context, l *ledger) error {
	if head := l.head(); head > 200 {
		p, err := s.page(ctx, l.session, head-uint64(s.rng.IntN(200)))
		if err != nil {
			return err
		}
		l.again(p)
	}
	for {
		p, err := s.page(ctx, l.session, l.head())
		if err != nil {
			return err
		}
		if p.Head < l.head() {
			l.faults.lost(l.session, "the journal's head went back from %d to %d", l.head(), p.Head)
		}
		if err := l.read(p); err != nil {
			return err
		}
		if len(p.Events) == 0 {
			return nil
		}
	}
}

func (s *runState) page(ctx context.Context, session string, after uint64) (page, error) {
	text, err := s.call(ctx, http.MethodGet, "/sessions/"+session+"/events?limit=1000&after="+strconv.FormatUint(after, 10), nil)
	var p page
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	return p, err
}

// call does one REST request that has to succeed.
func (s *runState) call(ctx context.Context, method, path string, body any) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, replyWait)
	defer cancel()
	var in io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		in = strings.NewReader(string(text))
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+s.address+"/api/v1"+path, in)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := s.rest.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %d %s", method, path, resp.StatusCode, text)
	}
	return text, err
}

func (s *runState) summarise(began time.Time) {
	r := s.result
	r.Lost, r.Twice, r.Reordered = s.faults.Lost, s.faults.Twice, s.faults.Reordered
	r.Faults = append(r.Faults, s.faults.Texts...)
	r.Seconds = time.Since(began).Seconds()
	for _, l := range s.ledgers {
		r.JournalHead += l.head()
	}
	if len(s.starts) > 0 {
		slices.Sort(s.starts)
		ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
		r.Restart.P50, r.Restart.Max = ms(s.starts[len(s.starts)/2]), ms(s.starts[len(s.starts)-1])
	}
}

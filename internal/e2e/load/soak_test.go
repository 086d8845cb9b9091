package load_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"churn/internal/model"
	"churn/internal/registry"
	"churn/internal/testing/programs"
)

// What may grow in a soak, and how often what happens in it.
const (
	moreGoroutines  = 5    // of an idle service, from its beginning to its end
	moreDescriptors = 5    // the same
	moreRSS         = 16.0 // MiB, once the collector has run: the heap has had its largest size then
	slowerP99       = 3.0  // times, of the service that is never killed

	soakClients  = 12
	soakRate     = 300 // requests a second, of all clients
	soakLogBytes = 1_000_000

	killEvery   = 3 * time.Second // a random time around it, the restart not counted
	switchEvery = time.Second
	trainEvery  = 20 // switches
	driftEvery  = 3 * time.Second
	moveEvery   = 5 * time.Second
	clearEvery  = 2 * time.Second
)

// A soak is a folder on which everything happens at once, for long.
type soak struct {
	*programs.Loop
	reg             *registry.Registry
	begun, end      time.Time
	mortal, lasting *programs.Service
	client, fresh   *http.Client // one keeps its connections, the other makes a new one a request
	ledger          ledger
	logs            *logKeeper
	models          sync.Map // from a name to *model.Model

	mu       sync.Mutex
	answers  []programs.Answer
	failed   []programs.Answer // questions that got none
	errs     []error           // why
	down     []span            // when mortal was
	spans    []span            // when models were current
	switches int
	trained  int
	drifts   int
	loudest  resources // of mortal, before a kill

	refused, unexpected, wrong, checked, faults atomic.Int64
}

// TestSoak serves for long under all that may happen to a service, and then holds
// what it has, says and wrote against its beginning. `make soak TIME=20m` runs it.
func TestSoak(t *testing.T) {
	bin := programs.Build(t)
	if os.Getenv("CHURN_SOAK") == "" {
		t.Skip("only as make soak: CHURN_SOAK says for how long")
	}
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		t.Skipf("SKIPPED: what a process has is read from /proc: %v", err)
	}
	long := programs.EnvDuration(t, "CHURN_SOAK", time.Minute)
	l := programs.NewLoop(t, bin)
	l.Run("evaluate", "--gate-f1", "0", "--c", "0.01") // v1 and v2 give the same answers, this gives others
	s := &soak{Loop: l, mortal: l.Service, lasting: l.NewService(), reg: registry.Open(l.Dir, model.Verify, nil)}
	s.client = l.Client
	l.Client.Transport.(*http.Transport).IdleConnTimeout = 5 * time.Second // before the service's own
	s.fresh = &http.Client{Timeout: programs.Patience, Transport: &http.Transport{DisableKeepAlives: true}}
	s.logs = &logKeeper{soak: s, path: l.Path("logs/predictions.log")}
	for _, one := range []*programs.Service{s.mortal, s.lasting} {
		one.Start(soakArgs...)
	}
	s.spans = []span{{model: s.Current()}}

	fresh := map[*programs.Service]resources{}
	for _, one := range []*programs.Service{s.mortal, s.lasting} {
		fresh[one] = idle(one, math.MaxInt, math.MaxInt) // as it is now
	}
	l.WaitFor("the services' collectors run", func() bool {
		s.serveUntil(time.Now().Add(time.Second), 0)
		return s.collected()
	})
	s.answers = nil
	before := map[*programs.Service]resources{}
	for one, v := range fresh {
		before[one] = idle(one, v.goroutines+moreGoroutines, v.descriptors+moreDescriptors)
		s.checkKept("warmed up", v, before[one])
	}

	s.begun = time.Now()
	s.end = s.begun.Add(long)
	var wg sync.WaitGroup
	wg.Go(func() { s.serveUntil(s.end, soakClients*time.Second/soakRate) })
	s.each(&wg, switchEvery, s.change)
	s.each(&wg, driftEvery, s.watch)
	s.each(&wg, killEvery, s.killAndStart)
	var logs sync.Mutex // the keeper's files keep their names while it reads them
	s.each(&wg, moveEvery, func(int) error { logs.Lock(); defer logs.Unlock(); return s.logs.move() })
	s.each(&wg, clearEvery,
		func(int) error { logs.Lock(); defer logs.Unlock(); return s.logs.clear(keptAside, settleTime) })
	wg.Wait()

	after := map[*programs.Service]resources{}
	for one, v := range before {
		after[one] = idle(one, v.goroutines+moreGoroutines, v.descriptors+moreDescriptors)
	}
	for _, one := range []*programs.Service{s.mortal, s.lasting} {
		one.Stop()
		s.checkSaid(one)
	}
	if err := s.logs.clear(0, 0); err != nil {
		t.Error(err)
	}
	if err := s.logs.read(s.logs.path); err != nil {
		t.Error(err)
	}
	s.Run("rollback", "--verify")
	s.report(before, after)
}

var soakArgs = []string{"--log-max-size", fmt.Sprint(soakLogBytes)}

// fault tells of a fault; of very many only the first ones.
func (s *soak) fault(format string, args ...any) {
	if s.faults.Add(1) <= 20 {
		s.Errorf(format, args...)
	}
	s.Fail()
}

// each does something again and again until the end, or until it fails.
func (s *soak) each(wg *sync.WaitGroup, every time.Duration, do func(i int) error) {
	wg.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		end := time.NewTimer(time.Until(s.end))
		defer end.Stop()
		for i := 0; ; i++ {
			select {
			case <-end.C:
				return
			case <-tick.C:
			}
			if err := do(i); err != nil {
				s.fault("%v", err)
				return
			}
		}
	})
}

// collected reports whether the services are warm: their heaps have grown as far as
// the collector lets them, and were collected.
func (s *soak) collected() bool {
	for _, one := range []*programs.Service{s.mortal, s.lasting} {
		v, err := resourcesOf(one)
		if err != nil {
			s.Fatal(err)
		}
		if v.collections < 3 { // some run at the start, for other reasons
			return false
		}
	}
	return true
}

// serveUntil asks both services at a steady rate.
func (s *soak) serveUntil(end time.Time, every time.Duration) {
	var wg sync.WaitGroup
	for k := range soakClients {
		rng := rand.New(rand.NewPCG(uint64(k), uint64(end.UnixNano())))
		wg.Go(func() {
			for time.Now().Before(end) {
				one, client := s.lasting, s.client
				if rng.IntN(2) == 0 {
					one = s.mortal
				}
				if rng.IntN(10) == 0 {
					client = s.fresh
				}
				a, err := s.put(one, client, s.ask(rng))
				s.mu.Lock()
				if err != nil {
					s.failed, s.errs = append(s.failed, a), append(s.errs, err)
				} else {
					s.answers = append(s.answers, a)
				}
				s.mu.Unlock()
				time.Sleep(time.Until(a.Sent.Add(every)))
			}
		})
	}
	wg.Wait()
}

// change makes another model current, back and forth, or now and then a new one.
func (s *soak) change(i int) error {
	entries, err := s.reg.Entries()
	if err != nil {
		return err
	}
	begun := time.Now()
	var name string
	if i%trainEvery == trainEvery-1 {
		var t trainingRun
		status, out, err := s.Exec([]string{"train", "evaluate"}[s.trained%2], "--gate-f1", "0", "--json", "--seed",
			fmt.Sprint(i))
		if status != 0 || json.Unmarshal(out, &t) != nil {
			return fmt.Errorf("training: %s: %w", out, err)
		}
		name = t.Model
		s.trained++
	} else {
		name = entries[len(entries)-1-i%2].ModelFile // the newest and the one before
		if status, _, err := s.Exec("rollback", name); status != 0 {
			return fmt.Errorf("rollback %s: %w", name, err)
		}
	}
	s.switches++
	s.spans[len(s.spans)-1].to = time.Now().Add(lookEvery)
	s.spans = append(s.spans, span{model: name, from: begun})
	return nil
}

// watch looks for drift, and rehearses.
func (s *soak) watch(int) error {
	s.drifts++
	status, out, err := s.Exec("drift", "--json", "--last", "500", "--html", s.Path("drift.html"))
	if status != 0 && status != 1 || !json.Valid(out) {
		return fmt.Errorf("drift: status %d, %s: %w", status, out, err)
	}
	name, err := s.reg.Current()
	if err != nil {
		return err
	}
	if status, out, err := s.Exec("rollback", "--rehearse", "--json", name); status != 0 || !json.Valid(out) {
		return fmt.Errorf("rehearsing %s: %s: %w", name, out, err)
	}
	return nil
}

// killAndStart kills the mortal service, and starts it again.
func (s *soak) killAndStart(int) error {
	v, err := resourcesOf(s.mortal)
	if err != nil {
		return err
	}
	s.loudest.goroutines = max(v.goroutines, s.loudest.goroutines)
	s.loudest.descriptors = max(v.descriptors, s.loudest.descriptors)
	s.loudest.rss = max(v.rss, s.loudest.rss)
	from := time.Now()
	s.mortal.Kill()
	err = s.mortal.TryStart(soakArgs...)
	s.down = append(s.down, span{from: from, to: time.Now()})
	return err
}

// checkSaid wants a service to have met no trouble.
func (s *soak) checkSaid(one *programs.Service) {
	for _, e := range one.Events() {
		if e.Level != "INFO" {
			s.fault("serve said %s", e.Line)
		}
	}
}

// report prints what there was, and fails for what must not have been.
func (s *soak) report(before, after map[*programs.Service]resources) {
	s.spans[len(s.spans)-1].to = time.Now()
	strange := 0
	scored := slices.Clone(s.answers)
	scored = slices.DeleteFunc(scored, func(a programs.Answer) bool { return a.Model == "" })
	for _, a := range notCurrent(scored, s.spans) {
		strange++
		s.fault("an answer came from %s, which was not current from %v to %v", a.Model, a.Sent, a.Received)
	}
	unanswered := 0
	for i, a := range s.failed {
		if a.By == s.mortal &&
			slices.ContainsFunc(s.down, func(d span) bool { return !d.from.After(a.Received) && !d.to.Before(a.Sent) }) {
			unanswered++ // it was killed
			continue
		}
		s.fault("a question got no answer although its service ran: %v", s.errs[i])
	}
	lost, extra := s.ledger.close()
	if lost > 0 || extra > 0 {
		s.fault("%d answered records are not in the log, %d are there that should not be", lost, extra)
	}

	s.Logf("%v\n%s", s.end.Sub(s.begun), s.compare(before, after))
	s.Logf("before its kills the killed one had at most %d goroutines, %d descriptors, %.1f MiB", s.loudest.goroutines,
		s.loudest.descriptors, s.loudest.rss)
	s.Logf("%d requests answered (%d refused as they should be), %d cut off by %d kills; %d switches, %d of them by a "+
		"new model; "+
		"%d rotations by size and %d by mv; %d drift runs and as many rehearsals",
		len(s.answers), s.refused.Load(), unanswered, len(s.down), s.switches, s.trained, s.logs.bySize, s.logs.moved,
		s.drifts)
	s.Logf("%d predictions answered, %d records in the log, %d probabilities computed again; lost %d, torn %d, not as "+
		"answered or of nobody %d, "+
		"twice or refused %d, wrong answers %d, by a model that was not current %d, unexpected statuses %d",
		s.ledger.answered, s.ledger.lines, s.checked.Load(), lost, s.logs.torn, s.logs.bad, extra, s.wrong.Load(), strange,
		s.unexpected.Load())
	if len(s.answers) == 0 || len(s.down) == 0 || s.switches == 0 || s.drifts == 0 || s.logs.moved == 0 {
		s.fault("a soak of %v is too short for something to happen", s.end.Sub(s.begun))
	}
}

// checkKept wants an idle service to have let go of what requests needed.
func (s *soak) checkKept(name string, before, after resources) {
	if after.goroutines > before.goroutines+moreGoroutines || after.descriptors > before.descriptors+moreDescriptors {
		s.fault("%s: the idle service had %d goroutines and %d descriptors, and has %d and %d: more than %d or %d more",
			name, before.goroutines, before.descriptors, after.goroutines, after.descriptors, moreGoroutines, moreDescriptors)
	}
}

// compare returns a table of the services at the beginning and at the end, and
// fails for what has grown.
func (s *soak) compare(before, after map[*programs.Service]resources) string {
	quarter := s.end.Sub(s.begun) / 4
	table := "service            goroutines  descriptors  RSS, MiB  requests  p50, ms  p99, ms  p99.9, ms  typical " +
		"p99, ms\n"
	for _, one := range []*programs.Service{s.lasting, s.mortal} {
		name, b, a := "never killed", before[one], after[one]
		if one == s.mortal {
			name = "killed"
		}
		line := func(when string, v resources, from time.Time) (p99 float64) {
			asked := slices.DeleteFunc(slices.Clone(s.answers), func(a programs.Answer) bool {
				return a.By != one || a.Sent.Before(from) || !a.Sent.Before(from.Add(quarter))
			})
			p := programs.Percentiles(asked)
			p99 = typicalP99(asked)
			table += fmt.Sprintf("%-12s %-6s%10d %12d %9.1f %9d %8.2f %8.2f %10.2f %16.2f\n", name, when, v.goroutines,
				v.descriptors, v.rss, len(asked), p[0], p[1], p[2], p99)
			return p99
		}
		was, is := line("begin", b, s.begun), line("end", a, s.end.Add(-quarter))
		s.checkKept(name, b, a)
		if a.rss > b.rss+moreRSS && !programs.RaceDetector { // whose own memory is most of it then
			s.fault("%s: the service has grown by more than %v MiB", name, moreRSS)
		}
		if one == s.lasting && is > slowerP99*was {
			s.fault("%s: the p99 of the last quarter is over %v times that of the first", name, slowerP99)
		}
	}
	return table
}

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

// Limits of growth, and the intervals of events.
const (
	moreGoroutines  = 5    // of an idle service, from start to end
	moreDescriptors = 5    // the same
	moreRSS         = 16.0 // MiB, after the warm-up, when the heap has had its largest size
	slowerP99       = 3.0  // times the p99 at the start, of the service that is never killed

	soakClients  = 12
	soakRate     = 300 // requests a second, of all clients
	soakLogBytes = 1_000_000

	killEvery   = 3 * time.Second // without the restart
	switchEvery = time.Second
	trainEvery  = 20 // switches
	driftEvery  = 3 * time.Second
	moveEvery   = 5 * time.Second
	clearEvery  = 2 * time.Second
)

// A soak is a long run of services, switches, kills and log rotations on one folder.
type soak struct {
	*programs.Loop
	reg            *registry.Registry
	start, end     time.Time
	killed, steady *programs.Service
	client, fresh  *http.Client // with kept connections, and with a new one for each request
	ledger         ledger
	logs           *logRotator
	models         sync.Map // from a name to *model.Model

	mu       sync.Mutex
	answers  []programs.Answer
	failed   []programs.Answer // unanswered questions
	errs     []error           // why
	down     []span            // when killed was not running
	spans    []span            // when models were current
	switches int
	trained  int
	drifts   int
	peak     resources // highest of killed, before a kill

	refused, unexpected, wrong, checked, faults atomic.Int64
}

// TestSoak runs services under load with model switches, kills, log rotations and drift
// runs, and compares resources, latencies and logs with the start: make soak TIME=20m.
func TestSoak(t *testing.T) {
	bin := programs.Build(t)
	if os.Getenv("CHURN_SOAK") == "" {
		t.Skip("runs as make soak: CHURN_SOAK is its duration")
	}
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		t.Skipf("SKIPPED: resources are read from /proc: %v", err)
	}
	long := programs.EnvDuration(t, "CHURN_SOAK", time.Minute)
	l := programs.NewLoop(t, bin)
	l.Force("evaluate", "--c", "0.01") // v1 and v2 give the same answers, this one others
	s := &soak{Loop: l, killed: l.Service, steady: l.NewService(), reg: registry.Open(l.Dir, model.Verify)}
	s.client = l.Client
	l.Client.Transport.(*http.Transport).IdleConnTimeout = 5 * time.Second // before the service's own
	s.fresh = &http.Client{Timeout: programs.Patience, Transport: &http.Transport{DisableKeepAlives: true}}
	s.logs = &logRotator{soak: s, path: l.Path("logs/predictions.log")}
	for _, one := range []*programs.Service{s.killed, s.steady} {
		one.Start(soakArgs...)
	}
	s.spans = []span{{model: s.Current()}}

	fresh := map[*programs.Service]resources{}
	for _, one := range []*programs.Service{s.killed, s.steady} {
		fresh[one] = idle(one, math.MaxInt, math.MaxInt) // now
	}
	l.WaitFor("the services' collectors run", func() bool {
		s.serveUntil(time.Now().Add(time.Second), 0)
		return s.collected()
	})
	s.answers = nil
	before := map[*programs.Service]resources{}
	for one, v := range fresh {
		before[one] = idle(one, v.goroutines+moreGoroutines, v.descriptors+moreDescriptors)
		s.checkReleased("warmed up", v, before[one])
	}

	s.start = time.Now()
	s.end = s.start.Add(long)
	var wg sync.WaitGroup
	wg.Go(func() { s.serveUntil(s.end, soakClients*time.Second/soakRate) })
	s.each(&wg, switchEvery, s.change)
	s.each(&wg, driftEvery, s.checkDrift)
	s.each(&wg, killEvery, s.killAndStart)
	var logs sync.Mutex // logs are not renamed while they are read
	s.each(&wg, moveEvery, func(int) error { logs.Lock(); defer logs.Unlock(); return s.logs.move() })
	s.each(&wg, clearEvery,
		func(int) error { logs.Lock(); defer logs.Unlock(); return s.logs.clear(keptLogs, settleTime) })
	wg.Wait()

	after := map[*programs.Service]resources{}
	for one, v := range before {
		after[one] = idle(one, v.goroutines+moreGoroutines, v.descriptors+moreDescriptors)
	}
	for _, one := range []*programs.Service{s.killed, s.steady} {
		one.Stop()
		s.checkEvents(one)
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

// fail fails the test and reports the first failures.
func (s *soak) fail(format string, args ...any) {
	if s.faults.Add(1) <= 20 {
		s.Errorf(format, args...)
	}
	s.Fail()
}

// each repeats an action until the end or until it fails.
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
				s.fail("%v", err)
				return
			}
		}
	})
}

// collected reports whether the services are warm: their heaps were collected at full size.
func (s *soak) collected() bool {
	for _, one := range []*programs.Service{s.killed, s.steady} {
		v, err := resourcesOf(one)
		if err != nil {
			s.Fatal(err)
		}
		if v.collections < 3 { // some run at the start for other reasons
			return false
		}
	}
	return true
}

// serveUntil sends requests to both services at a constant rate.
func (s *soak) serveUntil(end time.Time, every time.Duration) {
	var wg sync.WaitGroup
	for k := range soakClients {
		rng := rand.New(rand.NewPCG(uint64(k), uint64(end.UnixNano())))
		wg.Go(func() {
			for time.Now().Before(end) {
				one, client := s.steady, s.client
				if rng.IntN(2) == 0 {
					one = s.killed
				}
				if rng.IntN(10) == 0 {
					client = s.fresh
				}
				a, err := s.send(one, client, s.newQuestion(rng))
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

// change makes the newest or the previous model current, or trains a new one.
func (s *soak) change(i int) error {
	entries, err := s.reg.Entries()
	if err != nil {
		return err
	}
	start := time.Now()
	var name string
	if i%trainEvery == trainEvery-1 {
		var t trainingRun
		status, out, err := s.Exec([]string{"train", "evaluate"}[s.trained%2], "--gate-f1", "0", "--json", "--seed",
			fmt.Sprint(i))
		if status > 1 || json.Unmarshal(out, &t) != nil {
			return fmt.Errorf("training: %s: %w", out, err)
		}
		name = t.Model
		if status, _, err := s.Exec("rollback", "--force", name); status != 0 { // its gate may have rejected it
			return fmt.Errorf("rollback %s: %w", name, err)
		}
		s.trained++
	} else {
		name = entries[len(entries)-1-i%2].ModelFile // the newest and the previous
		if status, _, err := s.Exec("rollback", "--force", name); status != 0 {
			return fmt.Errorf("rollback %s: %w", name, err)
		}
	}
	s.switches++
	s.spans[len(s.spans)-1].to = time.Now().Add(lookEvery)
	s.spans = append(s.spans, span{model: name, from: start})
	return nil
}

// checkDrift runs drift and a replay.
func (s *soak) checkDrift(int) error {
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
		return fmt.Errorf("replay of %s: %s: %w", name, out, err)
	}
	return nil
}

// killAndStart kills a service and starts it again.
func (s *soak) killAndStart(int) error {
	v, err := resourcesOf(s.killed)
	if err != nil {
		return err
	}
	s.peak.goroutines = max(v.goroutines, s.peak.goroutines)
	s.peak.descriptors = max(v.descriptors, s.peak.descriptors)
	s.peak.rss = max(v.rss, s.peak.rss)
	from := time.Now()
	s.killed.Kill()
	err = s.killed.TryStart(soakArgs...)
	s.down = append(s.down, span{from: from, to: time.Now()})
	return err
}

// checkEvents verifies that a service logged no warning or error.
func (s *soak) checkEvents(one *programs.Service) {
	for _, e := range one.Events() {
		if e.Level != "INFO" {
			s.fail("serve logged %s", e.Line)
		}
	}
}

// report prints the counts and fails the test for every violation.
func (s *soak) report(before, after map[*programs.Service]resources) {
	s.spans[len(s.spans)-1].to = time.Now()
	wrong := 0
	scored := slices.Clone(s.answers)
	scored = slices.DeleteFunc(scored, func(a programs.Answer) bool { return a.Model == "" })
	for _, a := range notCurrent(scored, s.spans) {
		wrong++
		s.fail("an answer came from %s, which was not current from %v to %v", a.Model, a.Sent, a.Received)
	}
	unanswered := 0
	for i, a := range s.failed {
		if a.By == s.killed &&
			slices.ContainsFunc(s.down, func(d span) bool { return !d.from.After(a.Received) && !d.to.Before(a.Sent) }) {
			unanswered++ // it was killed
			continue
		}
		s.fail("a question got no answer while its service was running: %v", s.errs[i])
	}
	lost, extra := s.ledger.close()
	if lost > 0 || extra > 0 {
		s.fail("%d answered records are not in the log, %d should not be there", lost, extra)
	}

	s.Logf("%v\n%s", s.end.Sub(s.start), s.compare(before, after))
	s.Logf("before its kills the killed service had at most %d goroutines, %d descriptors, %.1f MiB", s.peak.goroutines,
		s.peak.descriptors, s.peak.rss)
	s.Logf("%d requests answered (%d rejected as expected), %d cut off by %d kills; %d switches, %d of them by a "+
		"new model; "+
		"%d rotations by size and %d by mv; %d drift runs and as many rehearsals",
		len(s.answers), s.refused.Load(), unanswered, len(s.down), s.switches, s.trained, s.logs.bySize, s.logs.moved,
		s.drifts)
	s.Logf("%d predictions answered, %d records in the log, %d probabilities computed again; lost %d, truncated %d, "+
		"unlike the answer or without a request %d, "+
		"twice or refused %d, wrong answers %d, by a model that was not current %d, unexpected statuses %d",
		s.ledger.answered, s.ledger.lines, s.checked.Load(), lost, s.logs.truncated, s.logs.mismatched, extra,
		s.wrong.Load(), wrong,
		s.unexpected.Load())
	if len(s.answers) == 0 || len(s.down) == 0 || s.switches == 0 || s.drifts == 0 || s.logs.moved == 0 {
		s.fail("a soak of %v is too short for an event of each kind", s.end.Sub(s.start))
	}
}

// checkReleased verifies that an idle service has released what requests needed.
func (s *soak) checkReleased(name string, before, after resources) {
	if after.goroutines > before.goroutines+moreGoroutines || after.descriptors > before.descriptors+moreDescriptors {
		s.fail("%s: the idle service had %d goroutines and %d descriptors, and has %d and %d: more than %d or %d more",
			name, before.goroutines, before.descriptors, after.goroutines, after.descriptors, moreGoroutines, moreDescriptors)
	}
}

// compare returns a table of the services at the start and at the end, and fails the test
// for what has grown.
func (s *soak) compare(before, after map[*programs.Service]resources) string {
	quarter := s.end.Sub(s.start) / 4
	table := "service            goroutines  descriptors  RSS, MiB  requests  p50, ms  p99, ms  p99.9, ms  typical " +
		"p99, ms\n"
	for _, one := range []*programs.Service{s.steady, s.killed} {
		name, b, a := "never killed", before[one], after[one]
		if one == s.killed {
			name = "killed"
		}
		line := func(when string, v resources, from time.Time) (p99 float64) {
			scored := slices.DeleteFunc(slices.Clone(s.answers), func(a programs.Answer) bool {
				return a.By != one || a.Sent.Before(from) || !a.Sent.Before(from.Add(quarter))
			})
			p := programs.Percentiles(scored)
			p99 = typicalP99(scored)
			table += fmt.Sprintf("%-12s %-6s%10d %12d %9.1f %9d %8.2f %8.2f %10.2f %16.2f\n", name, when, v.goroutines,
				v.descriptors, v.rss, len(scored), p[0], p[1], p[2], p99)
			return p99
		}
		was, is := line("begin", b, s.start), line("end", a, s.end.Add(-quarter))
		s.checkReleased(name, b, a)
		if a.rss > b.rss+moreRSS && !programs.RaceDetector { // which needs most of the memory
			s.fail("%s: the service has grown by more than %v MiB", name, moreRSS)
		}
		if one == s.steady && is > slowerP99*was {
			s.fail("%s: the p99 of the last quarter is over %v times that of the first", name, slowerP99)
		}
	}
	return table
}

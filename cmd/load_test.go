package cmd_test

import (
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"churn/internal/predlog"
)

// What serve promises, under load from sixteen clients. The figures are small
// enough for every run; CHURN_KILLS=50 CHURN_SWITCHES=1000 is the long one.

const clients = 16

// A load asks services from many clients, each of which asks one service.
type load struct {
	services []*service
	every    time.Duration // between two questions of a client, at least
	mortal   bool          // a service may go away, and its clients then do too
}

// until asks until stop is set, and returns what was answered. An answer other
// than 200 fails the test.
func (o load) until(stop *atomic.Bool) []answer {
	var mu sync.Mutex
	var all []answer
	var wg sync.WaitGroup
	for k := range clients {
		s := o.services[k%len(o.services)]
		wg.Go(func() {
			for !stop.Load() {
				a, gone := s.predict()
				if gone != nil {
					if !o.mortal {
						s.loop.Error(gone)
					}
					return
				}
				mu.Lock()
				all = append(all, a)
				mu.Unlock()
				time.Sleep(time.Until(a.asked.Add(o.every)))
			}
		})
	}
	wg.Wait()
	return all
}

// logged returns how often each request is in the logs, those of all services.
func (l *loop) logged() map[string]int {
	l.Helper()
	times := map[string]int{}
	for name, text := range l.logs() {
		countRequests(l.T, times, name, text)
	}
	return times
}

// logs returns the logs of all services, by name.
func (l *loop) logs() map[string]string {
	l.Helper()
	names, err := filepath.Glob(l.path(predlog.DefaultPattern))
	if err != nil || len(names) == 0 {
		l.Fatal("there are no logs: ", err)
	}
	logs := map[string]string{}
	for _, name := range names {
		logs[filepath.Base(name)] = readFile(l.T, name)
	}
	return logs
}

// countRequests adds how often each request is in a log, of which every line must be
// a record and whole.
func countRequests(t *testing.T, times map[string]int, name, log string) {
	t.Helper()
	for line := range strings.Lines(log) {
		r, err := predlog.Parse([]byte(line))
		if err != nil || !strings.HasSuffix(line, "}\n") {
			t.Errorf("%s has the torn line %.200q: %v", name, line, err)
			continue
		}
		times[r.RequestID]++
	}
}

// span is when a model was current, or may have been.
type span struct {
	model    string
	from, to time.Time
}

// strangers returns the answers from models that were not current at any instant
// between question and answer.
func strangers(answers []answer, spans []span) (strange []answer) {
	type turns struct {
		spans  []span      // of a model, by their beginning
		latest []time.Time // end of this one and those before
	}
	models := map[string]*turns{}
	slices.SortFunc(spans, func(a, b span) int { return a.from.Compare(b.from) })
	for _, s := range spans {
		m := models[s.model]
		if m == nil {
			m = &turns{}
			models[s.model] = m
		}
		latest := s.to
		if n := len(m.latest); n > 0 && m.latest[n-1].After(latest) {
			latest = m.latest[n-1]
		}
		m.spans, m.latest = append(m.spans, s), append(m.latest, latest)
	}
	for _, a := range answers {
		m := models[a.model]
		if m != nil {
			begun := sort.Search(len(m.spans), func(i int) bool { return m.spans[i].from.After(a.gotten) })
			if begun > 0 && !m.latest[begun-1].Before(a.asked) {
				continue
			}
		}
		strange = append(strange, a)
	}
	return strange
}

// testKills kills serve with signal 9 under load again and again: every answered
// prediction is in the log, and after a restart every line is whole.
func testKills(t *testing.T, bin string) {
	l := newLoop(t, bin)
	rounds, answered := times(t, "CHURN_KILLS", 5), 0
	for range rounds {
		l.start()
		var stop atomic.Bool
		process := l.serve.Process
		time.AfterFunc(time.Duration(20+rand.IntN(100))*time.Millisecond, func() { process.Kill() })
		answers := load{services: []*service{l.service}, mortal: true}.until(&stop)
		l.kill()
		l.start() // repairs
		logged := l.logged()
		for _, a := range answers {
			if logged[a.id] != 1 {
				t.Errorf("%s was answered and is %d times in the log", a.id, logged[a.id])
			}
		}
		answered += len(answers)
		l.kill()
	}
	t.Logf("%d kills under load, %d predictions answered, all in the log, no line torn", rounds, answered)
}

const lookEvery = time.Millisecond // serve looks at the pointer at most once in it

// testSwitches makes one model current after the other under load: every answer
// is 200, from a model that was current while it was asked.
func testSwitches(t *testing.T, bin string) {
	l := newLoop(t, bin)
	models := l.models()
	if len(models) != 2 {
		t.Fatalf("the models are %q", models)
	}
	l.start()
	var stop atomic.Bool
	done := make(chan []answer)
	go func() { done <- load{services: []*service{l.service}}.until(&stop) }()

	// A model is current from the start of the change to it, to the end of the change from it.
	spans := []span{{model: models[1]}}
	switches := times(t, "CHURN_SWITCHES", 60)
	for i := range switches {
		name := models[i%2]
		before := time.Now()
		l.run("rollback", name)
		spans[len(spans)-1].to = time.Now().Add(lookEvery)
		spans = append(spans, span{model: name, from: before})
	}
	stop.Store(true)
	answers := <-done
	spans[len(spans)-1].to = time.Now()
	if strange := strangers(answers, spans); len(strange) > 0 || len(answers) < switches {
		t.Errorf("%d of %d answers came from a model that was not current", len(strange), len(answers))
	}
	t.Logf("%d switches under load, %d answers, all 200 and by a model current then", switches, len(answers))
	l.stop()
	if logged := l.logged(); len(logged) != len(answers) {
		t.Errorf("%d records in the log, %d answers", len(logged), len(answers))
	}
}

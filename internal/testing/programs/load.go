package programs

import (
	"churn/internal/predlog"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const Clients = 16

// A load asks services from many clients, each of which asks one service.
type Load struct {
	Services []*Service
	Every    time.Duration // between two questions of a client, at least
	Mortal   bool          // a service may go away, and its clients then do too
}

// until asks until stop is set, and returns what was answered. An answer other
// than 200 fails the test.
func (o Load) Until(stop *atomic.Bool) []Answer {
	var mu sync.Mutex
	var all []Answer
	var wg sync.WaitGroup
	for k := range Clients {
		s := o.Services[k%len(o.Services)]
		wg.Go(func() {
			for !stop.Load() {
				a, gone := s.Predict()
				if gone != nil {
					if !o.Mortal {
						s.Loop.Error(gone)
					}
					return
				}
				mu.Lock()
				all = append(all, a)
				mu.Unlock()
				time.Sleep(time.Until(a.Asked.Add(o.Every)))
			}
		})
	}
	wg.Wait()
	return all
}

// logged returns how often each request is in the logs, those of all services.
func (l *Loop) Logged() map[string]int {
	l.Helper()
	times := map[string]int{}
	for name, text := range l.Logs() {
		CountRequests(l.T, times, name, text)
	}
	return times
}

// logs returns the logs of all services, by name.
func (l *Loop) Logs() map[string]string {
	l.Helper()
	names, err := filepath.Glob(l.Path(predlog.DefaultPattern))
	if err != nil || len(names) == 0 {
		l.Fatal("there are no logs: ", err)
	}
	logs := map[string]string{}
	for _, name := range names {
		logs[filepath.Base(name)] = ReadFile(l.T, name)
	}
	return logs
}

// countRequests adds how often each request is in a log, of which every line must be
// a record and whole.
func CountRequests(t *testing.T, times map[string]int, name, log string) {
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
type Span struct {
	Model    string
	From, To time.Time
}

// strangers returns the answers from models that were not current at any instant
// between question and answer.
func Strangers(answers []Answer, spans []Span) (strange []Answer) {
	type turns struct {
		spans  []Span      // of a model, by their beginning
		latest []time.Time // end of this one and those before
	}
	models := map[string]*turns{}
	slices.SortFunc(spans, func(a, b Span) int { return a.From.Compare(b.From) })
	for _, s := range spans {
		m := models[s.Model]
		if m == nil {
			m = &turns{}
			models[s.Model] = m
		}
		latest := s.To
		if n := len(m.latest); n > 0 && m.latest[n-1].After(latest) {
			latest = m.latest[n-1]
		}
		m.spans, m.latest = append(m.spans, s), append(m.latest, latest)
	}
	for _, a := range answers {
		m := models[a.Model]
		if m != nil {
			begun := sort.Search(len(m.spans), func(i int) bool { return m.spans[i].From.After(a.Gotten) })
			if begun > 0 && !m.latest[begun-1].Before(a.Asked) {
				continue
			}
		}
		strange = append(strange, a)
	}
	return strange
}

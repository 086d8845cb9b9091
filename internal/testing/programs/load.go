package programs

import (
	"churn/internal/predlog"
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

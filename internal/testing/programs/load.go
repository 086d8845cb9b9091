package programs

import (
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"churn/internal/predlog"
)

// Clients is the number of concurrent clients of a Load.
const Clients = 16

// A Load sends predictions from Clients clients, each to one of the services.
type Load struct {
	Services []*Service
	Interval time.Duration // least time between two requests of a client
	MayEnd   bool          // a service may be killed, which ends its clients
}

// Run sends requests until stop is set and returns the answers. A status other than
// 200 fails the test.
func (load Load) Run(stop *atomic.Bool) []Answer {
	var mu sync.Mutex
	var all []Answer
	var wg sync.WaitGroup
	for k := range Clients {
		s := load.Services[k%len(load.Services)]
		wg.Go(func() {
			for !stop.Load() {
				a, err := s.Predict()
				if err != nil {
					if !load.MayEnd {
						s.Loop.Error(err)
					}
					return
				}
				mu.Lock()
				all = append(all, a)
				mu.Unlock()
				time.Sleep(time.Until(a.Sent.Add(load.Interval)))
			}
		})
	}
	wg.Wait()
	return all
}

// CountRequests adds the number of records of each request in a log to counts. Each line
// of the log must be a complete record.
func CountRequests(t *testing.T, counts map[string]int, name, log string) {
	t.Helper()
	for line := range strings.Lines(log) {
		r, err := predlog.Parse([]byte(line))
		if err != nil || !strings.HasSuffix(line, "}\n") {
			t.Errorf("%s has the truncated line %.200q: %v", name, line, err)
			continue
		}
		counts[r.RequestID]++
	}
}

// Percentiles returns p50, p99 and p99.9 of the latencies of answers, in ms.
func Percentiles(answers []Answer) (ms [3]float64) {
	latencies := make([]time.Duration, len(answers))
	for i, a := range answers {
		latencies[i] = a.Received.Sub(a.Sent)
	}
	slices.Sort(latencies)
	for i, p := range []float64{0.5, 0.99, 0.999} {
		if len(latencies) > 0 {
			ms[i] = float64(latencies[int(math.Ceil(p*float64(len(latencies))))-1]) / float64(time.Millisecond)
		}
	}
	return ms
}

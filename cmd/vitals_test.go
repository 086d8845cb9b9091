package cmd_test

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// vitals is what a service holds while nobody asks it anything.
type vitals struct {
	goroutines  int     // as /metrics says
	descriptors int     // as /proc says
	rss         float64 // MiB, as /proc says
	collections int     // of the heap, since the start
}

var (
	goroutinesLine  = regexp.MustCompile(`(?m)^go_goroutines (\d+)$`)
	collectionsLine = regexp.MustCompile(`(?m)^go_gc_duration_seconds_count (\d+)$`)
	rssLine         = regexp.MustCompile(`(?m)^VmRSS:\s+(\d+) kB$`)
)

func (s *service) vitals() (v vitals, err error) {
	_, metrics, err := s.send("/metrics", "")
	if err != nil {
		return v, err
	}
	proc := fmt.Sprintf("/proc/%d/", s.serve.Process.Pid)
	status, err := os.ReadFile(proc + "status")
	if err != nil {
		return v, err
	}
	open, err := os.ReadDir(proc + "fd")
	if err != nil {
		return v, err
	}
	kib := 0
	for _, figure := range []struct {
		line *regexp.Regexp
		text string
		into *int
	}{{goroutinesLine, metrics, &v.goroutines}, {collectionsLine, metrics, &v.collections}, {rssLine, string(status), &kib}} {
		found := figure.line.FindStringSubmatch(figure.text)
		if found == nil {
			return v, fmt.Errorf("no %v in %q", figure.line, figure.text)
		}
		if *figure.into, err = strconv.Atoi(found[1]); err != nil {
			return v, err
		}
	}
	v.rss, v.descriptors = float64(kib)/1024, len(open)
	return v, nil
}

// idle waits until the service has let go of what requests needed, and has no more
// than that many goroutines and descriptors; or tells what it has after a while.
func (s *service) idle(goroutines, descriptors int) (v vitals) {
	s.loop.Helper()
	wait(patience, func() bool {
		s.loop.client.CloseIdleConnections()
		var err error
		if v, err = s.vitals(); err != nil {
			s.loop.Fatal(err)
		}
		return v.goroutines <= goroutines && v.descriptors <= descriptors
	})
	return v
}

// percentiles returns p50, p99 and p99.9 of the latencies of answers.
func percentiles(answers []answer) (ms [3]float64) {
	took := make([]time.Duration, len(answers))
	for i, a := range answers {
		took[i] = a.gotten.Sub(a.asked)
	}
	slices.Sort(took)
	for i, p := range []float64{0.5, 0.99, 0.999} {
		if len(took) > 0 {
			ms[i] = float64(took[int(math.Ceil(p*float64(len(took))))-1]) / float64(time.Millisecond)
		}
	}
	return ms
}

// typicalP99 returns the median of the p99 of ten parts, one after the other: what
// slows the machine for a moment is in one or two of them, what slows the service
// is in all.
func typicalP99(answers []answer) float64 {
	const parts = 10
	slices.SortFunc(answers, func(a, b answer) int { return a.asked.Compare(b.asked) })
	var p99 [parts]float64
	for i := range parts {
		p99[i] = percentiles(answers[i*len(answers)/parts : (i+1)*len(answers)/parts])[1]
	}
	slices.Sort(p99[:])
	return (p99[parts/2-1] + p99[parts/2]) / 2
}

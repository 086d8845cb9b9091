package load_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"churn/internal/testing/programs"
)

// resources are what a service uses.
type resources struct {
	goroutines  int     // from /metrics
	descriptors int     // from /proc
	rss         float64 // MiB, from /proc
	collections int     // garbage collections since the start
}

var (
	goroutinesLine  = regexp.MustCompile(`(?m)^go_goroutines (\d+)$`)
	collectionsLine = regexp.MustCompile(`(?m)^go_gc_duration_seconds_count (\d+)$`)
)

func resourcesOf(s *programs.Service) (v resources, err error) {
	_, metrics, err := s.Send("/metrics", "")
	if err != nil {
		return v, err
	}
	for line, into := range map[*regexp.Regexp]*int{goroutinesLine: &v.goroutines, collectionsLine: &v.collections} {
		found := line.FindStringSubmatch(metrics)
		if found == nil {
			return v, fmt.Errorf("no %v in %q", line, metrics)
		}
		if *into, err = strconv.Atoi(found[1]); err != nil {
			return v, err
		}
	}
	rss, err := s.Memory("VmRSS")
	v.rss, v.descriptors = float64(rss)/(1<<20), s.Descriptors()
	if err == nil && v.descriptors < 0 {
		err = errors.New("/proc has no descriptors")
	}
	return v, err
}

// idle waits until the service has at most some goroutines and descriptors, and returns its
// resources then or after programs.Patience.
func idle(s *programs.Service, goroutines, descriptors int) (v resources) {
	s.Loop.Helper()
	programs.Poll(programs.Patience, func() bool {
		s.Loop.Client.CloseIdleConnections()
		var err error
		if v, err = resourcesOf(s); err != nil {
			s.Loop.Fatal(err)
		}
		return v.goroutines <= goroutines && v.descriptors <= descriptors
	})
	return v
}

// typicalP99 returns the median of the p99 of ten consecutive parts: a
// disturbance of the machine affects one or two of them, a slow service all.
func typicalP99(answers []programs.Answer) float64 {
	const parts = 10
	slices.SortFunc(answers, func(a, b programs.Answer) int { return a.Sent.Compare(b.Sent) })
	var p99 [parts]float64
	for i := range parts {
		p99[i] = programs.Percentiles(answers[i*len(answers)/parts : (i+1)*len(answers)/parts])[1]
	}
	slices.Sort(p99[:])
	return (p99[parts/2-1] + p99[parts/2]) / 2
}

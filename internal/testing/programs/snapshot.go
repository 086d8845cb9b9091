package programs

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// vitals is what a service holds while nobody asks it anything.
type Vitals struct {
	Goroutines  int     // as /metrics says
	Descriptors int     // as /proc says
	Rss         float64 // MiB, as /proc says
	Collections int     // of the heap, since the start
}

var (
	goroutinesLine  = regexp.MustCompile(`(?m)^go_goroutines (\d+)$`)
	collectionsLine = regexp.MustCompile(`(?m)^go_gc_duration_seconds_count (\d+)$`)
)

func (s *Service) Vitals() (v Vitals, err error) {
	_, metrics, err := s.Send("/metrics", "")
	if err != nil {
		return v, err
	}
	for line, into := range map[*regexp.Regexp]*int{goroutinesLine: &v.Goroutines, collectionsLine: &v.Collections} {
		found := line.FindStringSubmatch(metrics)
		if found == nil {
			return v, fmt.Errorf("no %v in %q", line, metrics)
		}
		if *into, err = strconv.Atoi(found[1]); err != nil {
			return v, err
		}
	}
	rss, err := s.memory("VmRSS")
	v.Rss, v.Descriptors = float64(rss)/(1<<20), s.Descriptors()
	if err == nil && v.Descriptors < 0 {
		err = errors.New("/proc does not tell the descriptors")
	}
	return v, err
}

// memory returns what /proc says of a kind of memory, in bytes.
func (s *Service) memory(kind string) (bytes int, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.Serve.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), kind+":")
	_, err = fmt.Sscan(rest, &bytes)
	return bytes << 10, err
}

// peak returns the most memory that serve has had, in bytes; 0 where the system does
// not tell, and with the race detector, which takes several times as much.
func (s *Service) Peak() int {
	s.Loop.Helper()
	bytes, err := s.memory("VmHWM")
	if RaceDetector || errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	if err != nil {
		s.Loop.Fatal(err)
	}
	return bytes
}

// descriptors counts what serve has open; -1 where the system does not tell.
func (s *Service) Descriptors() int {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.Serve.Process.Pid))
	if err != nil {
		return -1
	}
	return len(entries)
}

// idle waits until the service has let go of what requests needed, and has no more
// than that many goroutines and descriptors; or tells what it has after a while.
func (s *Service) Idle(goroutines, descriptors int) (v Vitals) {
	s.Loop.Helper()
	Wait(Patience, func() bool {
		s.Loop.Client.CloseIdleConnections()
		var err error
		if v, err = s.Vitals(); err != nil {
			s.Loop.Fatal(err)
		}
		return v.Goroutines <= goroutines && v.Descriptors <= descriptors
	})
	return v
}

// percentiles returns p50, p99 and p99.9 of the latencies of answers.
func Percentiles(answers []Answer) (ms [3]float64) {
	took := make([]time.Duration, len(answers))
	for i, a := range answers {
		took[i] = a.Gotten.Sub(a.Asked)
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
func TypicalP99(answers []Answer) float64 {
	const parts = 10
	slices.SortFunc(answers, func(a, b Answer) int { return a.Asked.Compare(b.Asked) })
	var p99 [parts]float64
	for i := range parts {
		p99[i] = Percentiles(answers[i*len(answers)/parts : (i+1)*len(answers)/parts])[1]
	}
	slices.Sort(p99[:])
	return (p99[parts/2-1] + p99[parts/2]) / 2
}

package programs

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"time"
)

// memory returns what /proc says of a kind of memory, in bytes.
func (s *Service) Memory(kind string) (bytes int, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.Serve.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), kind+":")
	_, err = fmt.Sscan(rest, &bytes)
	return bytes << 10, err
}

// descriptors counts what serve has open; -1 where the system does not tell.
func (s *Service) Descriptors() int {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.Serve.Process.Pid))
	if err != nil {
		return -1
	}
	return len(entries)
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

package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A command is a process to measure.
type command struct {
	path      string
	args      []string
	env       []string // in addition to ours
	mayReject bool     // status 1 is no failure
}

// A sample is the resources that a process used, or a sequence of processes.
type sample struct {
	wall time.Duration
	peak int64 // largest resident set in bytes; 0 if unknown
}

// run runs the command to its end and returns its resources and standard output.
func (c command) run(ctx context.Context) (sample, []byte, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, c.path, c.args...)
	cmd.Stdout, cmd.Stderr, cmd.Env = &stdout, &stderr, append(os.Environ(), c.env...)
	begin := time.Now()
	err := cmd.Run()
	wall := time.Since(begin)
	var exit *exec.ExitError
	if c.mayReject && errors.As(err, &exit) && exit.ExitCode() == 1 {
		err = nil
	}
	if err != nil {
		return sample{}, nil, fmt.Errorf("%s %s: %w: %s",
			filepath.Base(c.path), strings.Join(c.args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return sample{wall, peakBytes(cmd.ProcessState)}, stdout.Bytes(), nil
}

// chainOf returns a chain of one command, or an empty one if c is nil.
func chainOf(c *command) []command {
	if c == nil {
		return nil
	}
	return []command{*c}
}

// A series has a sample for each round; it is nil for a peer that is not installed.
type series []sample

// inTurn runs each chain of commands once per round.
func inTurn(ctx context.Context, rounds int, chains ...[]command) ([]series, error) {
	all := make([]series, len(chains))
	for range rounds {
		for i, chain := range chains {
			if len(chain) == 0 {
				continue
			}
			var total sample
			settle()
			for _, c := range chain {
				s, _, err := c.run(ctx)
				if err != nil {
					return nil, err
				}
				total = sample{total.wall + s.wall, max(total.peak, s.peak)}
			}
			all[i] = append(all[i], total)
		}
	}
	return all, nil
}

// wall returns the median of the times.
func (s series) wall() time.Duration {
	var d []time.Duration
	for _, one := range s {
		d = append(d, one.wall)
	}
	slices.Sort(d)
	return (d[(len(d)-1)/2] + d[len(d)/2]) / 2
}

// peak returns the highest peak in bytes, 0 if unknown.
func (s series) peak() (most int64) {
	for _, one := range s {
		most = max(most, one.peak)
	}
	return most
}

// over returns the ratio of the median times of s and ours, and the least and the largest ratio of
// a round.
func (s series) over(ours series) (ratio, least, most float64) {
	least = math.Inf(1)
	for i := range s {
		r := float64(s[i].wall) / float64(ours[i].wall)
		least, most = min(least, r), max(most, r)
	}
	return float64(s.wall()) / float64(ours.wall()), least, most
}

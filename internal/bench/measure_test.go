package bench

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
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
	wall, user time.Duration
	peak       int64 // largest resident set in bytes; 0 if unknown
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
	return sample{wall, cmd.ProcessState.UserTime(), peakBytes(cmd.ProcessState)}, stdout.Bytes(), nil
}

// chainOf returns a chain of one command, or an empty one if c is nil.
func chainOf(c *command) []command {
	if c == nil {
		return nil
	}
	return []command{*c}
}

// inTurn runs each chain of commands once per round and returns, for each, the medians
// of its times and its highest peak, or nil if it is empty.
func inTurn(ctx context.Context, rounds int, chains ...[]command) ([]*sample, error) {
	samples := make([][]sample, len(chains))
	for range rounds {
		for i, chain := range chains {
			var total sample
			settle()
			for _, c := range chain {
				s, _, err := c.run(ctx)
				if err != nil {
					return nil, err
				}
				total = sample{total.wall + s.wall, total.user + s.user, max(total.peak, s.peak)}
			}
			if len(chain) > 0 {
				samples[i] = append(samples[i], total)
			}
		}
	}
	medians := make([]*sample, len(chains))
	for i, s := range samples {
		if len(s) > 0 {
			medians[i] = &sample{
				wall: median(s, func(s sample) time.Duration { return s.wall }),
				user: median(s, func(s sample) time.Duration { return s.user }),
				peak: slices.MaxFunc(s, func(a, b sample) int { return cmp.Compare(a.peak, b.peak) }).peak,
			}
		}
	}
	return medians, nil
}

func median(samples []sample, of func(sample) time.Duration) time.Duration {
	var d []time.Duration
	for _, s := range samples {
		d = append(d, of(s))
	}
	slices.Sort(d)
	return (d[(len(d)-1)/2] + d[len(d)/2]) / 2
}

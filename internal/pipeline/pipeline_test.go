package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// number is a job that squares a number.
type number struct{ n, square int }

// upTo reads the numbers from 0 to n-1, then err.
func upTo(n int, err error) func(*number) error {
	next := 0
	return func(j *number) error {
		if next == n {
			return err
		}
		*j = number{n: next}
		next++
		return nil
	}
}

func square(_ int, j *number) {
	time.Sleep(time.Duration(rand.IntN(50)) * time.Microsecond)
	j.square = j.n * j.n
}

// collect appends the squares to list.
func collect(list *[]int) func(*number) error {
	return func(j *number) error {
		*list = append(*list, j.square)
		return nil
	}
}

func squares(n int) (list []int) {
	for i := range n {
		list = append(list, i*i)
	}
	return list
}

func TestRunKeepsTheOrder(t *testing.T) {
	for _, workers := range []int{1, 2, 3, 16} {
		for _, n := range []int{0, 1, 2, 1000} {
			var got []int
			err := Run(t.Context(), workers, upTo(n, io.EOF), square, collect(&got))
			if want := squares(n); err != nil || !slices.Equal(got, want) {
				t.Errorf("%d jobs on %d workers: %v, error %v, want %v", n, workers, got, err, want)
			}
		}
	}
}

func TestRunRecyclesJobs(t *testing.T) {
	const workers = 3
	made := 0
	used := map[*number]bool{}
	next := upTo(1000, io.EOF)
	err := Run(t.Context(), workers,
		func(j *number) error {
			if *j == (number{}) {
				made++
			}
			return next(j)
		},
		func(worker int, j *number) {
			if worker < 0 || worker >= workers {
				t.Errorf("worker %d of %d", worker, workers)
			}
			j.square = 1
		},
		func(j *number) error {
			used[j] = true
			return nil
		})
	if most := 2*workers + 1; err != nil || made > most || len(used) > most {
		t.Errorf("%d new jobs, %d consumed, error %v, want at most %d", made, len(used), err, most)
	}
}

func TestReadErrorFollowsTheJobsBeforeIt(t *testing.T) {
	broken := errors.New("broken")
	var got []int
	err := Run(t.Context(), 4, upTo(100, broken), square, collect(&got))
	if err != broken || !slices.Equal(got, squares(100)) {
		t.Errorf("%d jobs, error %v, want 100 and %v", len(got), err, broken)
	}
}

func TestConsumeErrorEndsRun(t *testing.T) {
	enough := errors.New("enough")
	consumed := 0
	err := Run(t.Context(), 4, upTo(1<<60, io.EOF), square, func(*number) error {
		if consumed++; consumed == 3 {
			return enough
		}
		return nil
	})
	if err != enough || consumed != 3 {
		t.Errorf("error %v after %d jobs, want %v after 3", err, consumed, enough)
	}
}

func TestCancelEndsRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	consumed := 0
	err := Run(ctx, 4, upTo(1<<60, io.EOF), square, func(*number) error {
		if consumed++; consumed == 3 {
			cancel()
		}
		return nil
	})
	if err != context.Canceled || consumed != 3 {
		t.Errorf("error %v after %d jobs, want %v after 3", err, consumed, context.Canceled)
	}
	err = Run(ctx, 4, upTo(1<<60, io.EOF), square, func(*number) error {
		t.Error("a job was consumed after the end of the context")
		return nil
	})
	if err != context.Canceled {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}

// A file is read in chunks whose buffers are recycled; each worker has its own state.
func ExampleRun() {
	type chunk struct {
		text  []byte
		lines int
	}
	const workers = 2
	file := strings.NewReader("a\nb\nc\nd\ne\n")
	counts := make([]int, workers) // by worker
	read := func(c *chunk) error {
		c.text = slices.Grow(c.text[:0], 4)[:4]
		n, err := file.Read(c.text)
		c.text = c.text[:n]
		return err // io.EOF after the last
	}
	work := func(worker int, c *chunk) {
		c.lines = bytes.Count(c.text, []byte("\n"))
		counts[worker] += c.lines
	}
	consume := func(c *chunk) error {
		fmt.Println(c.lines, "lines")
		return nil
	}
	err := Run(context.Background(), workers, read, work, consume)
	fmt.Println(counts[0]+counts[1], "in all, error", err)
	// Output:
	// 2 lines
	// 2 lines
	// 1 lines
	// 5 in all, error <nil>
}

func TestEachDoesAllAndReturnsTheFirstError(t *testing.T) {
	for _, workers := range []int{1, 3, 50} {
		times := make([]int, 20)
		err := Each(len(times), workers, func(worker, k int) error {
			if worker < 0 || worker >= workers {
				t.Errorf("worker %d of %d", worker, workers)
			}
			if times[k]++; k%7 == 5 {
				return fmt.Errorf("error %d", k)
			}
			return nil
		})
		if err == nil || err.Error() != "error 5" {
			t.Errorf("%d workers: %v, want error 5", workers, err)
		}
		if slices.Max(times) != 1 || slices.Min(times) != 1 {
			t.Errorf("%d workers: done %v times, want once each", workers, times)
		}
	}
}

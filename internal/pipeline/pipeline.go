// Package pipeline works on a stream in parallel and keeps its order: a reader cuts
// the stream into jobs, workers process them in any order, and the caller consumes
// them in the order in which they were cut.
//
// The result does not depend on the number of workers as long as the work on a job
// depends on that job alone. Jobs are recycled, so memory is bounded by their number
// and a job can keep its buffers. What a worker needs of its own is indexed by its
// number.
package pipeline

import (
	"cmp"
	"context"
	"io"
	"sync"
	"sync/atomic"
)

// job is a J on its way.
type job[J any] struct {
	value  J
	worked chan struct{} // receives once the work is done
}

// Each calls do for 0 to n−1 on a number of goroutines, which are numbered from 0, and returns the
// first error.
func Each(n, workers int, do func(worker, k int) error) error {
	errs := make([]error, n)
	var next atomic.Int64
	var wg sync.WaitGroup
	for worker := range min(n, workers) {
		wg.Go(func() {
			for k := int(next.Add(1)) - 1; k < n; k = int(next.Add(1)) - 1 {
				errs[k] = do(worker, k)
			}
		})
	}
	wg.Wait()
	return cmp.Or(errs...)
}

// Run fills jobs with read until it returns io.EOF, works on them on a number of
// goroutines, and hands them to consume in order.
//
// A job is the zero J, or one that was consumed, with the buffers that it has. read
// runs on a goroutine of its own, work on the workers', which are numbered from 0,
// and consume on the caller's. There are at most 2·workers+1 jobs.
//
// Run returns the error of consume as it is, or that of the context, without waiting
// for jobs not yet consumed; an error of read it returns after all jobs before it were
// consumed. When Run returns all calls have returned.
func Run[J any](
	ctx context.Context, workers int, read func(*J) error, work func(worker int, j *J), consume func(*J) error,
) error {
	ctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()

	jobs := 2*workers + 1 // for each worker one at hand and one waiting or consumed, and one to be read
	free, waiting, ordered := make(chan *job[J], jobs), make(chan *job[J], jobs), make(chan *job[J], jobs)
	for range jobs {
		free <- &job[J]{worked: make(chan struct{}, 1)}
	}
	var readErr error // set before ordered is closed
	wg.Go(func() {
		defer close(ordered)
		defer close(waiting)
		readErr = cut(ctx, read, free, waiting, ordered)
	})
	for k := range workers {
		wg.Go(func() {
			for j := range waiting {
				if ctx.Err() == nil {
					work(k, &j.value)
				}
				j.worked <- struct{}{}
			}
		})
	}
	for j := range ordered {
		<-j.worked
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := consume(&j.value); err != nil {
			return err
		}
		free <- j
	}
	if readErr != io.EOF {
		return readErr
	}
	return nil
}

// cut fills free jobs and sends them to both others, which have room for all.
func cut[J any](ctx context.Context, read func(*J) error, free <-chan *job[J], waiting, ordered chan<- *job[J]) error {
	for {
		select {
		case j := <-free:
			if err := read(&j.value); err != nil {
				return err
			}
			waiting <- j
			ordered <- j
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

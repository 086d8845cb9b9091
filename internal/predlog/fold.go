package predlog

import (
	"bytes"
	"cmp"
	"context"
	"runtime"
	"sync"
)

// A Fold adds up the records of logs on all processors. It finds what Read finds.
//
// The logs, read as one, are cut into blocks of about a megabyte. The records of each are added to
// a value of its own, and the values are merged in the log's order. What is in
// a block follows from the logs and n, so that the result is the same to the last
// bit on any number of processors.
type Fold[T any] struct {
	New      func() T          // the value of no records
	Add      func(T, *Record)  // on many goroutines; the record is good until Add returns, its features too
	Merge    func(T) error     // on the caller's goroutine; its error ends Read
	Progress func(bytes int64) // on the caller's goroutine: how much of the logs' Size is done; may be nil
	IDs      bool              // records have their request id, which costs an allocation each

	block int // bytes read at once; 0: foldBytes
}

const (
	foldBytes  = 1 << 20 // read at once: a millisecond's work
	maxWorkers = 8       // the one that reads the file has no time for more, and each has blocks in flight
)

// job is a block on its way.
type job[T any] struct {
	block
	value T
	found Found
	done  chan struct{} // closed when value and found are complete
}

// Read adds up the last n records of logs; n = 0 means all.
func (f Fold[T]) Read(ctx context.Context, logs Logs, n int) (found Found, err error) {
	open, err := logs.open()
	if err != nil {
		return found, err
	}
	defer closeAll(open)
	strange, err := seek(ctx, open, n)
	if err != nil {
		return found, err
	}

	workers := min(runtime.GOMAXPROCS(0), maxWorkers)
	inFlight := 2 * workers
	waiting := make(chan *job[T], inFlight) // for a worker
	ordered := make(chan *job[T], inFlight) // for the merge
	cut := newCutter(f.block, inFlight+2)
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()

	var cutErr error
	var cutFound Found
	wg.Go(func() {
		defer close(ordered)
		defer close(waiting)
		cutFound, cutErr = cut.logs(ctx, open, func(b block) error {
			j := &job[T]{block: b, done: make(chan struct{})}
			for _, queue := range []chan *job[T]{waiting, ordered} {
				select {
				case queue <- j:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		})
	})
	for range workers {
		wg.Go(func() {
			p := parser{ids: f.IDs}
			for j := range waiting {
				j.value = f.New()
				j.found = p.lines(j.lines, j.last, func(r *Record) { f.Add(j.value, r) })
				cut.free(j.lines)
				close(j.done)
			}
		})
	}
	for j := range ordered {
		<-j.done
		if err := ctx.Err(); err != nil {
			return found, err
		}
		found.then(j.found)
		if err := f.Merge(j.value); err != nil {
			return found, err
		}
		if f.Progress != nil {
			f.Progress(j.end)
		}
	}
	found.Bad += cutFound.Bad
	found.Torn = found.Torn || cutFound.Torn
	found.Strange = cmp.Or(strange, cutFound.Strange)
	return found, cutErr
}

// lines hands the records of a block to each. last says that its last line may be torn.
func (p *parser) lines(b []byte, last bool, each func(*Record)) (found Found) {
	for len(b) > 0 {
		line := b
		end := bytes.IndexByte(b, '\n') + 1
		if end > 0 {
			line = b[:end]
		}
		b = b[len(line):]
		if r, err := p.parse(line); err == nil {
			found.Records++
			each(r)
		} else if len(bytes.TrimSpace(line)) > 0 {
			if end == 0 && last {
				found.Torn = true
			} else {
				found.Bad++
			}
		}
	}
	return found
}

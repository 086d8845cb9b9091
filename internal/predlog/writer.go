package predlog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// A Writer appends records to a log. Records that arrive during a write are written
// together in the next one (group commit). Several processes may append to one file: each
// batch is written, and a truncated last line repaired, under a lock.
//
// A goroutine, the leader, writes batches until none is left. So a write that hangs, as on a
// frozen disk, holds no caller: its batch is given up at a deadline, and undone if the write
// returns after all.
//
// The lock is on a file of its own beside the log, .predictions.log.lock, which only who may
// write the log can open: who may read a file can lock it. Versions that lock the log itself
// do not wait for it. A service of theirs on the same log tears no line, since each batch is
// one write at the end, but a repair of either could remove what the other is writing.
type Writer struct {
	// Observe, if not nil, is called after each write with its number of records, before
	// Append returns. Set it before the first Append.
	Observe func(records int)

	path    string
	options Options

	tidier *time.Timer // calls tidy; nil if all parts are kept
	aged   atomic.Bool // the log is to be rotated for its age

	mu     sync.Mutex
	next   *batch // collects records
	spare  []byte // memory for the batch after it
	busy   bool   // there is a leader
	led    *batch // that the leader writes, or nil
	stuck  bool   // led was given up
	ticks  bool   // tick will be called
	closed bool
	idle   chan struct{} // closed when there is no leader any more, after Close
	failed error         // of the last batch

	waiting atomic.Bool // the leader waits for the lock

	// Of the leader.
	file    *os.File
	opened  os.FileInfo // of file
	lock    *os.File    // whose lock makes file this writer's
	size    int64       // of file after the last write; if it differs, another process wrote
	checked time.Time   // when path was last checked to be file
}

const (
	// checkEvery is how often the path is checked: a log that was moved away gets no record
	// later than that. One that was removed gets none.
	checkEvery = time.Millisecond

	// A batch is given up after 2 s: clients and proxies wait longer. One timer for all costs
	// less than one for each.
	tickEvery = 100 * time.Millisecond
	maxAge    = 20
	openAge   = 300 // to open a log whose end is gigabytes without a line end

	testWait = 100 * time.Millisecond // for Err: probes of balancers wait for a second

	maxSpare = 1 << 20 // bytes: thousands of records; those of a larger batch would never be given back

	// CloseTimeout is the longest that Close waits.
	CloseTimeout = time.Second
)

// Options of a log. The zero value never syncs, never rotates, and removes nothing.
type Options struct {
	Sync    bool        // fsync before Append returns, so that records survive a power cut
	MaxSize int64       // bytes; a log that would become larger is rotated first. 0: never
	Keep    Keep        // how long the parts that were rotated here are kept
	Mode    os.FileMode // of new files, less the umask. 0: 0660

	// Removed, if not nil, is called with the parts that are no longer kept after they are
	// removed, and with the error if one could not be.
	Removed func(parts []string, err error)
}

// batch is the records of one write.
type batch struct {
	lines   []byte // none: test whether a write succeeds
	records int    // in lines

	done chan struct{} // closed when err is final; nil if nobody waits
	err  error
	over bool // done is closed
	age  int  // calls of tick since somebody waits
	open bool // it opens the log for the first time
}

// ErrClosed is returned by Append after Close.
var ErrClosed = errors.New("the log of predictions is closed")

// A Problem is why nothing can be logged, in words without the names of files.
type Problem string

func (p Problem) Error() string { return string(p) }

const (
	problemLocked    = Problem("another process has held the log's lock for 2 s: fuser -v names it")
	problemHung      = Problem("a write to the log has not returned for 2 s: see whether its disk hangs")
	problemIrregular = Problem("the log is not a regular file: remove what is in its place")
)

// NewWriter opens the log at path, creates its folder, and repairs a truncated last line.
func NewWriter(path string, options Options) (*Writer, error) {
	if options.Mode == 0 {
		options.Mode = 0o660
	}
	if most := options.Keep.Bytes / partsKept; most > 0 && (options.MaxSize == 0 || options.MaxSize > most) {
		options.MaxSize = most
	}
	w := &Writer{path: path, options: options, next: new(batch), idle: make(chan struct{})}
	w.mu.Lock()
	b := w.flush()
	b.open = true
	w.mu.Unlock()
	if <-b.done; b.err != nil {
		return nil, errors.Join(b.err, w.Close())
	}
	if options.Keep != (Keep{}) {
		w.tidier = time.AfterFunc(tidyEvery, w.tidy)
		w.tidier.Reset(0)
	}
	return w, nil
}

// Append writes a record, as Record.Append made it, and returns when it is in the
// file. If it returns an error the record is not there, and will not be.
func (w *Writer) Append(record []byte) error {
	records := 1 + bytes.Count(record, []byte("\n"))
	w.mu.Lock()
	if w.closed || w.stuck {
		defer w.mu.Unlock()
		if w.closed {
			return ErrClosed
		}
		return w.failed
	}
	w.next.lines = append(append(w.next.lines, record...), '\n')
	w.next.records += records
	b := w.flush()
	w.mu.Unlock()
	<-b.done
	return b.err
}

// flush has the next batch written, and returns it. w.mu is held.
func (w *Writer) flush() *batch {
	b := w.next
	if b.done == nil {
		b.done = make(chan struct{})
	}
	if !w.busy {
		w.busy = true
		go w.lead()
	}
	if !w.ticks {
		w.ticks = true
		time.AfterFunc(tickEvery, w.tick)
	}
	return b
}

// lead writes batches until nobody waits for the next one.
func (w *Writer) lead() {
	for {
		runtime.Gosched() // requests that are ready to run join this batch
		w.mu.Lock()
		b := w.next
		if b.done == nil {
			break
		}
		w.led, w.next, w.spare = b, &batch{lines: w.spare}, nil
		w.mu.Unlock()
		err := w.write(b)
		w.mu.Lock()
		w.finish(b, err)
		if w.led, w.stuck = nil, false; cap(b.lines) <= maxSpare {
			w.spare = b.lines[:0]
		}
		w.mu.Unlock()
	}
	if w.busy = false; w.closed {
		close(w.idle)
	}
	w.mu.Unlock()
}

// finish ends a batch, and reports whether it was not given up before. w.mu is held.
func (w *Writer) finish(b *batch, err error) bool {
	if b.over {
		return false
	}
	if err == nil && b.records > 0 && w.Observe != nil {
		w.Observe(b.records)
	}
	b.over, b.err, w.failed = true, err, err
	close(b.done)
	return true
}

// tick gives up batches that were not written in time, and so will not be in the log.
func (w *Writer) tick() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ticks = w.busy; !w.busy {
		return
	}
	time.AfterFunc(tickEvery, w.tick)
	if w.led != nil && w.overdue(w.led) {
		w.stuck = true
	}
	if w.next.done != nil && w.overdue(w.next) {
		w.next = new(batch)
	}
}

// overdue ends a batch that is too old, and reports whether it did. w.mu is held.
func (w *Writer) overdue(b *batch) bool {
	problem := problemHung
	if w.waiting.Load() {
		problem = problemLocked
	}
	if b.age++; b.age <= maxAge || b.open && problem == problemHung && b.age <= openAge {
		return false
	}
	return w.finish(b, fmt.Errorf("logging a prediction: %s: %w", w.path, problem))
}

// Err returns nil unless the last write failed. Then it tests whether a write succeeds
// again, so that no record is needed to find out. It does not wait for one that hangs.
func (w *Writer) Err() error {
	w.mu.Lock()
	failed := w.failed
	if failed == nil || w.stuck || w.closed {
		w.mu.Unlock()
		return failed
	}
	b := w.flush()
	w.mu.Unlock()
	select {
	case <-b.done:
		return b.err
	case <-time.After(testWait):
		return failed
	}
}

// Close writes what is waiting and closes the file. If a write hangs, or the lock cannot be
// had, it returns an error after CloseTimeout.
func (w *Writer) Close() error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return nil
	}
	w.closed = true
	if w.tidier != nil {
		w.tidier.Stop()
	}
	busy := w.busy
	w.mu.Unlock()
	if busy {
		select {
		case <-w.idle:
		case <-time.After(CloseTimeout):
			return fmt.Errorf("closing %s: what waits was not written within %v", w.path, CloseTimeout)
		}
	}
	return w.release()
}

// write appends a batch with one write(2) and ends it; one without lines tests whether that
// would succeed. A batch that failed or was given up leaves nothing behind. After an error
// the next one opens the file again.
func (w *Writer) write(b *batch) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("logging a prediction: %w", err), w.release())
		}
	}()
	if err := w.acquire(b); err != nil {
		return err
	}
	if b.open && w.size > 0 && w.options.Keep.Time > 0 && w.options.tidy(w.path, time.Now()) {
		w.aged.Store(true) // after a pause; what is written now would keep old records as long as itself
	}
	lines := b.lines
	if len(lines) == 0 {
		lines = blank
	}
	full := w.options.MaxSize > 0 && w.size+int64(len(lines)) > w.options.MaxSize && !b.open
	if aged := w.aged.Swap(false); (full || aged) && w.size > 0 {
		if err := w.rotate(); err != nil {
			return err // the file is closed, and so unlocked
		}
		if err := w.acquire(b); err != nil {
			return err
		}
	}
	if yes, _ := w.givenUp(b); yes {
		return unlockFile(w.lock)
	}
	_, err = w.file.Write(lines)
	if err == nil && w.options.Sync {
		err = w.file.Sync()
	}
	if err == nil && len(b.lines) > 0 && w.commit(b) {
		w.size += int64(len(b.lines))
		return unlockFile(w.lock)
	}
	undone := w.file.Truncate(w.size)
	if undone == nil { // if somebody has emptied the log meanwhile, it has zeros now
		w.size, undone = repair(w.file, w.size)
	}
	return errors.Join(err, undone, unlockFile(w.lock))
}

// commit ends a batch that is in the file, and reports whether it was not given up.
func (w *Writer) commit(b *batch) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.finish(b, nil)
}

// givenUp reports whether a batch was given up, and whether the writer was closed as well.
func (w *Writer) givenUp(b *batch) (yes, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return b.over, b.over && w.closed
}

// blank is what a test writes: as long as a record, and not a record if a kill leaves it.
var blank = append(bytes.Repeat([]byte{' '}, 4095), '\n')

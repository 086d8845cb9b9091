package predlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"churn/internal/atomicfile"
)

// A Writer appends records to a log. Records that arrive during a write are written
// together in the next one (group commit). Several processes may append to one file: each
// batch is written, and a truncated last line repaired, under a lock on it.
//
// There is no goroutine of the writer's own: one of the callers that wait for a batch is its
// leader, and writes it for all.
type Writer struct {
	// Observe, if not nil, is called after each write with its number of records, before
	// Append returns. Set it before the first Append.
	Observe func(records int)

	path    string
	options Options

	mu     sync.Mutex
	next   *batch // collects records
	spare  []byte // memory for the batch after it
	busy   bool   // there is a leader
	closed bool
	idle   chan struct{} // closed when there is no leader any more, after Close
	failed error         // of the last write

	// Of the leader.
	file    *os.File
	opened  os.FileInfo // of file
	size    int64       // of file after the last write; if it differs, another process wrote
	checked time.Time   // when path was last checked to be file
}

// checkEvery is how often the path is checked: a log that was moved away gets no record
// later than that. One that was removed gets none.
const checkEvery = time.Millisecond

// Options of a log. The zero value never syncs and never rotates.
type Options struct {
	Sync    bool  // fsync before Append returns, so that records survive a power cut
	MaxSize int64 // bytes; a log that would become larger is rotated first. 0: never
}

// batch is the records of one write.
type batch struct {
	lines []byte // none: test whether a write succeeds

	// Callers that are not the leader wait for this; nil if there are none. The one that
	// receives a value becomes the leader; it is closed when err is final.
	handoff chan struct{}
	err     error
}

// ErrClosed is returned by Append after Close.
var ErrClosed = errors.New("the log of predictions is closed")

// NewWriter opens the log at path, creates its folder, and repairs a truncated last line.
func NewWriter(path string, options Options) (*Writer, error) {
	w := &Writer{path: path, options: options, next: new(batch), idle: make(chan struct{})}
	if err := w.write(nil); err != nil {
		return nil, err
	}
	return w, nil
}

// Append writes a record, as Record.Append made it, and returns when it is in the
// file. If it returns an error the record is not there.
func (w *Writer) Append(record []byte) error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return ErrClosed
	}
	w.next.lines = append(append(w.next.lines, record...), '\n')
	return w.flush()
}

// flush returns when the next batch has been written. It unlocks w.mu.
func (w *Writer) flush() error {
	b := w.next
	if !w.busy {
		w.busy = true
		w.mu.Unlock()
		return w.lead(b)
	}
	if b.handoff == nil {
		b.handoff = make(chan struct{}, 1)
	}
	w.mu.Unlock()
	if _, lead := <-b.handoff; lead {
		return w.lead(b)
	}
	return b.err
}

// lead writes a batch as its leader, and makes a caller of the next one its leader.
func (w *Writer) lead(b *batch) error {
	runtime.Gosched() // requests that are ready to run join this batch
	w.mu.Lock()
	w.next, w.spare = &batch{lines: w.spare}, nil
	w.mu.Unlock()
	err := w.write(b.lines)
	if err == nil && len(b.lines) > 0 && w.Observe != nil {
		w.Observe(bytes.Count(b.lines, []byte("\n")))
	}
	w.mu.Lock()
	w.failed = err
	if w.next.handoff != nil {
		w.next.handoff <- struct{}{}
	} else if w.busy = false; w.closed {
		close(w.idle)
	}
	w.spare = b.lines[:0] // written
	w.mu.Unlock()
	if b.handoff != nil {
		b.err = err
		close(b.handoff)
	}
	return err
}

// Err returns nil unless the last write failed. Then it tests whether a write succeeds
// again, so that no record is needed to find out.
func (w *Writer) Err() error {
	w.mu.Lock()
	if w.failed == nil || w.closed {
		defer w.mu.Unlock()
		return w.failed
	}
	return w.flush()
}

// Close writes what is waiting and closes the file.
func (w *Writer) Close() error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return nil
	}
	w.closed = true
	busy := w.busy
	w.mu.Unlock()
	if busy {
		<-w.idle
	}
	return w.release()
}

// write appends lines with one write(2); without lines it tests whether that would succeed.
// A failed write leaves nothing behind, and the next one opens the file again.
func (w *Writer) write(lines []byte) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("logging a prediction: %w", err), w.release())
		}
	}()
	if err := w.acquire(); err != nil {
		return err
	}
	if w.options.MaxSize > 0 && w.size > 0 && w.size+int64(len(lines)) > w.options.MaxSize {
		if err := w.rotate(); err != nil {
			return err // the file is closed, and so unlocked
		}
		if err := w.acquire(); err != nil {
			return err
		}
	}
	kept := lines
	if len(lines) == 0 {
		lines = blank // truncated below
	}
	_, err = w.file.Write(lines)
	if err == nil && w.options.Sync {
		err = w.file.Sync()
	}
	if err != nil {
		return errors.Join(err, w.file.Truncate(w.size), unlockFile(w.file))
	}
	w.size += int64(len(kept))
	if len(kept) == 0 {
		err = w.file.Truncate(w.size)
	}
	return errors.Join(err, unlockFile(w.file))
}

// blank is what a test writes: as long as a record, and not a record if a kill leaves it.
var blank = append(bytes.Repeat([]byte{' '}, 4095), '\n')

// acquire locks the file at the path. It opens it if that is not the open one: at the start,
// after an error, and when the log was rotated, moved or removed. Afterwards the file ends
// with a complete line, and w.size is its size.
func (w *Writer) acquire() error {
	const tries = 100 // more than a log is moved during one append
	for range tries {
		if w.file == nil {
			if err := w.open(); err != nil {
				return err
			}
		}
		if err := lockFile(w.file); err != nil {
			return err
		}
		length, current, err := size(w.file)
		if err == nil && current {
			current, err = w.check()
		}
		if err == nil && current && length != w.size { // another process wrote
			length, err = repair(w.file, length)
		}
		if err != nil {
			return errors.Join(err, unlockFile(w.file))
		}
		if current {
			w.size = length
			return nil
		}
		if err := w.release(); err != nil { // which unlocks it
			return err
		}
	}
	return fmt.Errorf("%s was moved away %d times", w.path, tries)
}

// check reports whether the path is the open file, or was a moment ago.
func (w *Writer) check() (bool, error) {
	now := time.Now()
	if now.Sub(w.checked) < checkEvery {
		return true, nil
	}
	at, err := os.Stat(w.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	}
	w.checked = now
	return os.SameFile(at, w.opened), nil
}

func (w *Writer) open() error {
	dir := filepath.Dir(w.path)
	if err := atomicfile.MkdirAll(dir); err != nil {
		return err
	}
	f, err := os.OpenFile(w.path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	if w.opened, err = f.Stat(); err == nil && w.options.Sync && w.opened.Size() == 0 {
		err = atomicfile.SyncDir(dir) // its name, and that of a rotated file
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	w.file, w.size, w.checked = f, -1, time.Time{}
	return nil
}

// rotate renames the log, under its lock, unless another process just did, and closes it.
func (w *Writer) rotate() error {
	w.checked = time.Time{}
	if current, err := w.check(); err != nil || !current {
		return errors.Join(err, w.release())
	}
	to, err := rotatedName(w.path, time.Now())
	if err != nil {
		return err
	}
	if err := os.Rename(w.path, to); err != nil {
		return err
	}
	return w.release()
}

func (w *Writer) release() error {
	if w.file == nil {
		return nil
	}
	err := w.file.Close()
	w.file = nil
	return err
}

// repair makes the file end with a complete line, and returns its size. A truncated record
// at the end was never answered: it is removed. A complete one without its line end gets it.
func repair(f *os.File, size int64) (int64, error) {
	if size == 0 {
		return 0, nil
	}
	last := reverseReader{file: f, end: size}
	line, start, err := last.previousLine(context.Background())
	if err != nil || start == size {
		return size, err
	}
	if _, err := new(parser).parse(line); err == nil {
		_, err := f.Write([]byte("\n"))
		return size + 1, err
	}
	return start, f.Truncate(start)
}

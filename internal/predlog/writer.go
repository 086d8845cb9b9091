package predlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/gofrs/flock"
)

// A Writer appends records to a log. Records that arrive while a write is under
// way go together in the next one. Several processes may append to one file:
// each batch is written, and a torn last line repaired, under a lock on it.
type Writer struct {
	path string

	mu     sync.Mutex
	next   *batch
	closed bool
	wake   chan struct{}
	done   chan struct{} // closed when the last batch has been written

	// Of the goroutine that writes.
	file *os.File
	lock *flock.Flock
	size int64 // of the file after our last write; another size means another writer
}

// batch is the records of one write.
type batch struct {
	lines   []byte
	written chan struct{}
	err     error
}

// ErrClosed tells that the writer was closed.
var ErrClosed = errors.New("the log of predictions is closed")

// NewWriter opens the log at path, makes its folder, and repairs a torn last line.
func NewWriter(path string) (*Writer, error) {
	w := &Writer{path: path, next: newBatch(), wake: make(chan struct{}, 1), done: make(chan struct{})}
	if err := w.write(nil); err != nil {
		return nil, err
	}
	go w.run()
	return w, nil
}

func newBatch() *batch { return &batch{written: make(chan struct{})} }

// Append writes a record, as Record.Append made it, and returns when it is in the
// file. If it returns an error the record is not there.
func (w *Writer) Append(record []byte) error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return ErrClosed
	}
	b := w.next
	b.lines = append(append(b.lines, record...), '\n')
	select {
	case w.wake <- struct{}{}:
	default: // it is awake already
	}
	w.mu.Unlock()
	<-b.written
	return b.err
}

// Close writes what is waiting and closes the file.
func (w *Writer) Close() error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return nil
	}
	w.closed = true
	close(w.wake)
	w.mu.Unlock()
	<-w.done
	return w.release()
}

// run writes batches until the writer is closed.
func (w *Writer) run() {
	defer close(w.done)
	spare := newBatch()
	for open := true; open; {
		_, open = <-w.wake
		w.mu.Lock()
		b := w.next
		w.next = spare
		w.mu.Unlock()
		if len(b.lines) > 0 {
			b.err = w.write(b.lines)
		}
		close(b.written)
		spare = newBatch()
		spare.lines = b.lines[:0] // nobody reads them again
	}
}

// write appends lines with one write(2). A write that fails leaves no part
// behind, and the file is opened anew for the next one.
func (w *Writer) write(lines []byte) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("logging a prediction: %w", err), w.release())
		}
	}()
	if err := w.acquire(); err != nil {
		return err
	}
	defer w.lock.Unlock()
	info, err := w.file.Stat()
	if err != nil {
		return err
	}
	if w.size != info.Size() {
		if w.size, err = repair(w.file, info.Size()); err != nil {
			return err
		}
	}
	n, err := w.file.Write(lines)
	if err != nil {
		return errors.Join(err, w.file.Truncate(w.size))
	}
	w.size += int64(n)
	return nil
}

// acquire locks the file at the path, opening it first if it is not the open one:
// at the start, after an error, and when the log was moved or removed.
func (w *Writer) acquire() error {
	const tries = 10 // against somebody who moves the log again and again
	for range tries {
		if w.file == nil {
			if err := w.open(); err != nil {
				return err
			}
		}
		err := w.lock.Lock() // opens the file at the path
		if err == nil {
			locked, lockErr := w.lock.Stat()
			open, openErr := w.file.Stat()
			if lockErr == nil && openErr == nil && os.SameFile(locked, open) {
				return nil
			}
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := w.release(); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s is moved away again and again", w.path)
}

func (w *Writer) open() error {
	if err := os.MkdirAll(filepath.Dir(w.path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(w.path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	w.file, w.lock, w.size = f, flock.New(w.path, flock.SetFlag(os.O_RDWR)), -1
	return nil
}

func (w *Writer) release() error {
	if w.file == nil {
		return nil
	}
	err := errors.Join(w.lock.Close(), w.file.Close())
	w.file = nil
	return err
}

// repair makes the file end with a whole line, and returns its size then. Half a
// record at the end was never answered: it is cut off. A whole one without its
// line end gets it.
func repair(f *os.File, size int64) (int64, error) {
	if size == 0 {
		return 0, nil
	}
	start, line, err := lastLine(f, size)
	if err != nil || start == size {
		return size, err
	}
	if isRecord(line) {
		_, err := f.Write([]byte("\n"))
		return size + 1, err
	}
	return start, f.Truncate(start)
}

// lastLine returns the text after the last line end, and where it begins. A text
// too long for a record is returned empty, with its beginning.
func lastLine(f *os.File, size int64) (start int64, line []byte, err error) {
	var tail backwards
	for start = size; start > 0; {
		n := min(start, blockBytes)
		block := make([]byte, n)
		if _, err := f.ReadAt(block, start-n); err != nil && err != io.EOF {
			return 0, nil, err
		}
		start -= n
		if cut := bytes.LastIndexByte(block, '\n'); cut >= 0 {
			tail.prepend(block[cut+1:])
			return start + int64(cut) + 1, tail.line(), nil
		}
		tail.prepend(block)
	}
	return 0, tail.line(), nil
}

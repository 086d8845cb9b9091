package predlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"churn/internal/atomicfile"
)

// A Writer appends records to a log. Records that arrive while a write is under
// way go together in the next one. Several processes may append to one file:
// each batch is written, and a torn last line repaired, under a lock on it.
//
// There is no goroutine of the writer's own: of those that wait for a batch, one
// leads, and writes it for all.
type Writer struct {
	// Observe, if it is set, is called after each write with the number of records
	// in it, before Append returns. Set it before the first Append.
	Observe func(records int)

	path    string
	options Options

	mu     sync.Mutex
	next   *batch // collects records
	spare  []byte // memory for the batch after it
	busy   bool   // somebody leads
	closed bool
	idle   chan struct{} // closed when nobody leads any more, after Close
	failed error         // of the last write

	// Of whoever leads.
	file   *os.File
	opened os.FileInfo // of file
	size   int64       // of file after our last write; another size means another writer
	looked time.Time   // when path was last seen to lead to file
}

// lookEvery is how often the path is looked at: a log that was moved away gets
// no record later than that. One that was removed gets none.
const lookEvery = time.Millisecond

// Options say how a log is kept. The zero value never syncs and never rotates.
type Options struct {
	Sync    bool  // fsync before the records count as written: they survive a power cut too
	MaxSize int64 // bytes; a log that would grow beyond is moved aside first. 0: never
}

// batch is the records of one write.
type batch struct {
	lines []byte // none: try whether a write succeeds

	// For those who wait while another leads; nil if nobody does. One of them may
	// receive a value, and then leads; it is closed when err is final.
	turn chan struct{}
	err  error
}

// ErrClosed tells that the writer was closed.
var ErrClosed = errors.New("the log of predictions is closed")

// NewWriter opens the log at path, makes its folder, and repairs a torn last line.
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
	if b.turn == nil {
		b.turn = make(chan struct{}, 1)
	}
	w.mu.Unlock()
	if _, lead := <-b.turn; lead {
		return w.lead(b)
	}
	return b.err
}

// lead writes a batch, and passes the lead on to somebody of the next.
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
	if w.next.turn != nil {
		w.next.turn <- struct{}{}
	} else if w.busy = false; w.closed {
		close(w.idle)
	}
	w.spare = b.lines[:0] // written, so nobody needs them
	w.mu.Unlock()
	if b.turn != nil {
		b.err = err
		close(b.turn)
	}
	return err
}

// Err returns nil unless the last write failed. Then it tries whether a write
// succeeds again, so that somebody who waits for that need not risk a record.
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

// write appends lines with one write(2); without lines it tries whether that
// would succeed. A write that fails leaves no part behind, and the file is opened
// anew for the next one.
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
			return err // the file is closed then, and so unlocked
		}
		if err := w.acquire(); err != nil {
			return err
		}
	}
	kept := lines
	if len(lines) == 0 {
		lines = blank // taken back below
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

// blank is what a trial writes: as much as a record, and no record if a kill leaves it.
var blank = append(bytes.Repeat([]byte{' '}, 4095), '\n')

// acquire locks the file at the path, opening it first if it is not the open one:
// at the start, after an error, and when the log was rotated, moved or removed.
// Then it ends with a whole line, and w.size is its size.
func (w *Writer) acquire() error {
	const tries = 100 // more than anybody moves the log during one append
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
			current, err = w.look()
		}
		if err == nil && current && length != w.size { // somebody else wrote
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
	return fmt.Errorf("%s is moved away again and again", w.path)
}

// look tells whether the path leads to the open file, or did a moment ago.
func (w *Writer) look() (bool, error) {
	now := time.Now()
	if now.Sub(w.looked) < lookEvery {
		return true, nil
	}
	at, err := os.Stat(w.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	}
	w.looked = now
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
		err = atomicfile.SyncDir(dir) // its name, and that of one that was moved aside
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	w.file, w.size, w.looked = f, -1, time.Time{}
	return nil
}

// rotate moves the log aside, under its lock, unless somebody else just did, and
// closes it.
func (w *Writer) rotate() error {
	w.looked = time.Time{}
	if current, err := w.look(); err != nil || !current {
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

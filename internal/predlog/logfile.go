package predlog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"churn/internal/atomicfile"
)

// acquire locks the file at the path. Afterwards the file ends with a complete line, and
// w.size is its size.
//
// It asks for the lock again and again, and does not wait in the system, which would go on
// waiting for a lock that has lost its name. It goes on after b was given up, so that the
// writer is stuck until the lock is free.
func (w *Writer) acquire(b *batch) error {
	const (
		tries    = 100                   // more than a log is moved during one append
		minPause = 20 * time.Microsecond // a batch of another process takes longer
		maxPause = 20 * time.Millisecond
	)
	defer w.waiting.Store(false)
	for moved, pause := 0, minPause; ; {
		locked, err := w.try()
		if errors.Is(err, fs.ErrNotExist) && moved < tries {
			moved++
			continue
		}
		if locked || err != nil {
			return err
		}
		if _, closed := w.givenUp(b); closed {
			return ErrClosed
		}
		w.waiting.Store(true)
		time.Sleep(pause)
		pause = min(2*pause, maxPause)
	}
}

// errMoved is for a log or a lock that lost its name between two calls.
var errMoved = fmt.Errorf("the log is moved away again and again: %w", fs.ErrNotExist)

// try locks the file at the path, unless another process has locked it. It opens it if that
// is not the open one: at the start, after an error, and when the log was rotated, moved or
// removed.
func (w *Writer) try() (locked bool, err error) {
	if w.file == nil {
		if err := w.open(); err != nil {
			return false, err
		}
	}
	locked, err = lockFile(w.lock)
	if err != nil {
		return false, err
	}
	length, current, err := w.look()
	if err == nil && !current {
		err = errors.Join(errMoved, w.release()) // which unlocks it
	}
	if err == nil && locked {
		if length != w.size { // another process wrote
			length, err = repair(w.file, length)
		}
		w.size = length
	}
	return locked, err
}

// look returns the size of the open file, and whether it and its lock still are what others use.
func (w *Writer) look() (length int64, current bool, err error) {
	if _, current, err = size(w.lock); err != nil || !current {
		return 0, false, err
	}
	length, current, err = size(w.file)
	if err == nil && current {
		current, err = w.check()
	}
	return length, current, err
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
	f, err := os.OpenFile(w.path, os.O_RDWR|os.O_APPEND|os.O_CREATE, w.options.Mode)
	if err != nil {
		return err
	}
	if w.opened, err = f.Stat(); err == nil && !w.opened.Mode().IsRegular() {
		err = fmt.Errorf("%s: %w", w.path, problemIrregular)
	}
	if err == nil && w.options.Sync && w.opened.Size() == 0 {
		err = atomicfile.SyncDir(dir) // its name, and that of a rotated file
	}
	var lock *os.File
	if err == nil {
		lock, err = openLock(w.path, w.opened)
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	w.file, w.lock, w.size, w.checked = f, lock, -1, time.Time{}
	return nil
}

// Writable returns why no record could be written to the log at path. It leaves nothing behind.
func Writable(path string) error {
	path = target(path)
	made := false // the log and its lock are there
	for _, name := range []string{path, lockName(path)} {
		info, err := os.Stat(name)
		if made = err == nil; errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err == nil && !info.Mode().IsRegular() {
			return fmt.Errorf("%s: %w", name, problemIrregular)
		}
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		f.Close()
	}
	f, err := atomicfile.Create(path, 0o600)
	if err != nil {
		if made && errors.Is(err, fs.ErrPermission) {
			return nil
		}
		return err
	}
	defer f.Abort()
	if _, err := f.Write(make([]byte, 1<<12)); err != nil {
		return err
	}
	return f.Sync()
}

// target returns the path of the file that a link leads to, or of what is no link.
func target(path string) string {
	if file, err := filepath.EvalSymlinks(path); err == nil {
		return file
	}
	return path
}

func lockName(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".lock")
}

// openLock opens the file whose lock the writers of a log take. It is beside the file that
// a link leads to, so that all names of a log have one lock, and who may not write the log
// cannot open it: it has the log's owner and group, and who may write the log may read it too,
// as copying needs.
func openLock(path string, log os.FileInfo) (*os.File, error) {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(lockName(path), os.O_WRONLY|os.O_CREATE, lockPerm(log))
	if err != nil {
		return nil, fmt.Errorf("%w: who writes the log needs this file, or the right to create it", err)
	}
	own(f, log, lockPerm(log)) // others need not
	return f, nil
}

func lockPerm(log os.FileInfo) os.FileMode {
	write := log.Mode().Perm() & 0o222
	return write | write<<1
}

// rotate renames the log, under its lock, unless another process just did, and closes it.
func (w *Writer) rotate() error {
	w.checked = time.Time{}
	if current, err := w.check(); err != nil || !current {
		return errors.Join(err, w.release())
	}
	path := target(w.path) // a link stays
	to, err := rotatedName(path, time.Now())
	if err != nil {
		return err
	}
	if err := os.Rename(path, to); err != nil && !errors.Is(err, fs.ErrNotExist) { // its folder is moved
		return err
	}
	if w.tidier != nil {
		w.tidier.Reset(0)
	}
	return w.release()
}

// release closes the files, which unlocks them.
func (w *Writer) release() error {
	if w.file == nil {
		return nil
	}
	err := errors.Join(w.file.Close(), w.lock.Close())
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

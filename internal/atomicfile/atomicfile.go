// Package atomicfile replaces files atomically: a reader, or the next run after a crash,
// finds either the old content or the new one. It also reads small files, without being blocked by
// pipes and devices.
//
// A new file is written beside its place, synced, and renamed over it; then the folder is
// synced, without which a power cut may undo the rename. Temporary files that a killed process
// leaves behind, called leftovers here, are removed by the next writer of the same file.
package atomicfile

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// A File is a replacement being written. Only Commit makes it visible.
type File struct {
	*os.File
	path     string
	lock     *flock.Flock // held until Commit or Abort; a leftover is not locked
	made     []string     // folders that Create made, innermost first
	finished bool         // synced and closed
}

// Create starts to replace the file at path, and creates its folder if it is missing. perm is
// the new file's mode before the umask. Anything but a regular file at path is an error.
func Create(path string, perm fs.FileMode) (*File, error) {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	dir := filepath.Dir(path)
	prefix := "." + filepath.Base(path) + ".tmp-"
	leftovers(dir, prefix, remove)
	const tries = 100 // while other writers remove the folder or the file
	var made []string
	for try := 0; ; try++ {
		more, err := mkdirAll(dir)
		made = append(more, made...)
		var f *File
		if err == nil {
			f, err = create(filepath.Join(dir, prefix+rand.Text()[:12]), perm)
			// fs.ErrNotExist: another writer created the folder too, and removed it when it
			// failed, or removed the file as a leftover before it was locked.
			if errors.Is(err, fs.ErrNotExist) && try < tries {
				continue
			}
		}
		if err != nil {
			removeEmpty(made)
			return nil, err
		}
		f.path, f.made = path, made
		return f, nil
	}
}

// create creates and locks a file. If another process removed it before it was locked the
// error is fs.ErrNotExist.
func create(name string, perm fs.FileMode) (*File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, perm)
	if err != nil {
		return nil, err
	}
	lock, locked := flock.New(name, flock.SetFlag(os.O_RDONLY)), true
	if canLock {
		locked, err = lock.TryLock()
	}
	if err == nil && locked {
		_, err = os.Stat(name)
	}
	if err == nil && !locked {
		err = fmt.Errorf("another writer removes %s: %w", name, fs.ErrNotExist)
	}
	if err != nil {
		lock.Close()
		f.Close()
		os.Remove(name)
		return nil, err
	}
	return &File{File: f, lock: lock}, nil
}

// Finish makes the new content durable, and checks that it can still be put in place. Write
// must not follow. To replace several files, call it for all of them before the first Commit:
// after an error all old files are still in place.
func (f *File) Finish() error {
	if f.File == nil {
		return errors.New("atomicfile: Finish or Commit after Commit or Abort")
	}
	if !f.finished {
		if err := f.Sync(); err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	f.finished = true
	if _, err := os.Lstat(f.Name()); err != nil {
		return fmt.Errorf("%s: its new content was removed while it was written: %w", f.path, err)
	}
	return nil
}

// Commit makes the new content durable and puts it in place of the old. After an error the file
// has the old content, or all of the new one if only the folder could not be synced.
func (f *File) Commit() error {
	defer f.Abort()
	if err := f.Finish(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), f.path); err != nil {
		return err
	}
	f.release()
	return SyncDir(filepath.Dir(f.path))
}

// Abort drops the new content, and the folders that Create created for it. After Commit or
// Abort it does nothing.
func (f *File) Abort() {
	if f.File == nil {
		return
	}
	f.Close() // its error does not matter: the file is removed
	os.Remove(f.Name())
	f.release()
	removeEmpty(f.made)
}

// MkdirAll creates a folder and its parents, durably.
func MkdirAll(dir string) error {
	_, err := mkdirAll(dir)
	return err
}

// mkdirAll returns the folders that were missing, innermost first, also with an error.
func mkdirAll(dir string) (made []string, err error) {
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Lstat(at); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		made = append(made, at)
		if filepath.Dir(at) == at {
			break // a drive that does not exist
		}
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return made, err
	}
	for _, folder := range made {
		// Another writer may have removed it.
		if err := SyncDir(filepath.Dir(folder)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return made, err
		}
	}
	return made, nil
}

// removeEmpty removes those of the folders that are empty.
func removeEmpty(dirs []string) {
	for _, dir := range dirs {
		os.Remove(dir)
	}
}

func (f *File) release() {
	f.lock.Close()
	f.File = nil
}

// Write replaces the file at path with data.
func Write(path string, data []byte, perm fs.FileMode) error {
	f, err := Create(path, perm)
	if err != nil {
		return err
	}
	defer f.Abort()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Commit()
}

// Remove removes a file, durably.
func Remove(path string) error {
	if err := os.Remove(path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// CreateLock creates the file of a lock, if it is missing, with a mode of the umask: whoever may
// change the folder can lock it, also as another user.
func CreateLock(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o666)
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: its owner lets a group lock it by chmod g+rw", err)
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// ErrHeld is returned if another process keeps a lock until the timeout.
var ErrHeld = errors.New("held by another process")

// Lock waits for the exclusive lock of a file, which it creates if it is missing.
func Lock(ctx context.Context, path string, timeout time.Duration) (*flock.Flock, error) {
	if err := MkdirAll(filepath.Dir(path)); err != nil {
		return nil, err
	}
	if err := CreateLock(path); err != nil {
		return nil, err
	}
	return lock(ctx, path, timeout, (*flock.Flock).TryLockContext)
}

// RLock waits for the shared lock of a file. A missing file is fs.ErrNotExist.
func RLock(ctx context.Context, path string, timeout time.Duration) (*flock.Flock, error) {
	return lock(ctx, path, timeout, (*flock.Flock).TryRLockContext)
}

func lock(
	ctx context.Context, path string, timeout time.Duration,
	try func(*flock.Flock, context.Context, time.Duration) (bool, error),
) (*flock.Flock, error) {
	wait, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	l := flock.New(path, flock.SetFlag(os.O_RDONLY))
	if _, err := try(l, wait, 5*time.Millisecond); err != nil {
		l.Close()
		if ctx.Err() == nil && wait.Err() != nil {
			return nil, fmt.Errorf("%s has been %w for %v", path, ErrHeld, timeout)
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return l, nil
}

// SyncDir syncs a folder, so that files created and renamed in it survive a power cut.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // a folder cannot be synced there
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// RemoveLeftovers removes the temporary files that killed processes left in dir.
func RemoveLeftovers(dir string) { leftovers(dir, ".", remove) }

// Leftovers returns the temporary files that killed processes left in dir.
func Leftovers(dir string) (names []string) {
	leftovers(dir, ".", func(name string) { names = append(names, name) })
	return names
}

// remove ignores errors: a leftover does no harm, and the next writer tries again.
func remove(name string) { os.Remove(name) }

// canLock reports whether a file can be locked while it is written. On Windows locked bytes
// cannot be written, and a file that is open twice cannot be renamed: there leftovers cannot be
// distinguished from files being written, and stay.
const canLock = runtime.GOOS != "windows"

// leftovers calls found for each leftover in dir whose name has the prefix, while it holds
// the leftover's lock.
func leftovers(dir, prefix string, found func(name string)) {
	if !canLock {
		return
	}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), prefix) || !strings.Contains(e.Name(), ".tmp-") || !e.Type().IsRegular() {
			continue // opening a pipe would block
		}
		name := filepath.Join(dir, e.Name())
		lock := flock.New(name, flock.SetFlag(os.O_RDONLY))
		if locked, err := lock.TryLock(); err == nil && locked {
			found(name)
		}
		lock.Close()
	}
}

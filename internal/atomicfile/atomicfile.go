// Package atomicfile replaces files whole: a reader, or the next run after a
// crash, finds either the old content or the new one and nothing between. It also
// reads small ones, without being held up by what is no file.
//
// A new file is written beside its place, synced, renamed over it, and then the
// folder is synced, without which a power cut may forget the rename. What a
// killed process leaves behind is removed by the next writer of the same file.
//
// Libraries that do this exist; none of them syncs the folder, and the best one
// does not build on Windows.
package atomicfile

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/gofrs/flock"
)

// A File is a replacement being written. Only Commit makes it visible.
type File struct {
	*os.File
	path  string
	lock  *flock.Flock // held while the writer lives: tells its file from a dead writer's
	made  []string     // folders that Create made, the innermost first
	ready bool         // written, and closed
}

// Create starts to replace the file at path, and makes its folder where it is
// missing. perm is the new file's mode before the umask. A path that holds
// anything but a regular file is refused.
func Create(path string, perm fs.FileMode) (*File, error) {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	dir := filepath.Dir(path)
	prefix := "." + filepath.Base(path) + ".tmp-"
	removeLeftovers(dir, prefix)
	const tries = 100 // against writers that come and go at the same moment
	var made []string
	for try := 0; ; try++ {
		more, err := mkdirAll(dir)
		made = append(more, made...)
		if err != nil {
			removeEmpty(made)
			return nil, err
		}
		name := filepath.Join(dir, prefix+rand.Text()[:12])
		f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, perm)
		if errors.Is(err, fs.ErrNotExist) && try < tries {
			continue // another writer made the folder too, and removed it when it gave up
		}
		if err != nil {
			removeEmpty(made)
			return nil, err
		}
		lock := flock.New(name, flock.SetFlag(os.O_RDONLY))
		locked := true
		if canLock {
			locked, err = lock.TryLock()
		}
		if err == nil {
			_, err = os.Stat(name)
		}
		if locked && err == nil {
			return &File{File: f, path: path, lock: lock, made: made}, nil
		}
		lock.Close()
		f.Close()
		os.Remove(name)
		if try == tries {
			removeEmpty(made)
			return nil, fmt.Errorf("%s: other writers take its temporary files away again and again", path)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			removeEmpty(made)
			return nil, err
		}
		// Another writer took the file for a leftover before it was locked: once more.
	}
}

// Ready makes the new content durable, and sees that it can still be put in place.
// Write must not follow. Who replaces several files calls it for all of them before
// the first Commit, so that what stops one stops them all.
func (f *File) Ready() error {
	if f.File == nil {
		return errors.New("atomicfile: Ready or Commit after Commit or Abort")
	}
	if !f.ready {
		if err := f.Sync(); err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	f.ready = true
	if _, err := os.Lstat(f.Name()); err != nil {
		return fmt.Errorf("%s: its folder went away while it was written: %w", f.path, err)
	}
	return nil
}

// Commit makes the new content durable and puts it in place of the old.
// If it returns an error before the rename, the old file is as it was.
func (f *File) Commit() error {
	if err := f.Ready(); err != nil {
		f.Abort()
		return err
	}
	defer f.Abort()
	if err := os.Rename(f.Name(), f.path); err != nil {
		return err
	}
	f.release()
	return SyncDir(filepath.Dir(f.path))
}

// Abort drops the new content, and the folders that Create made for it. After
// Commit or Abort it does nothing.
func (f *File) Abort() {
	if f.File == nil {
		return
	}
	f.Close() // an error changes nothing here: the file goes
	os.Remove(f.Name())
	f.release()
	removeEmpty(f.made)
}

// MkdirAll makes a folder and those on the way to it, durably.
func MkdirAll(dir string) error {
	_, err := mkdirAll(dir)
	return err
}

// mkdirAll returns the folders that it made, the innermost first, with an error too.
func mkdirAll(dir string) (made []string, err error) {
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Lstat(at); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		made = append(made, at)
		if filepath.Dir(at) == at {
			break // a drive that is not there
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return made, err
	}
	for _, folder := range made {
		if err := SyncDir(filepath.Dir(folder)); err != nil && !errors.Is(err, fs.ErrNotExist) { // another writer took it away
			return made, err
		}
	}
	return made, nil
}

// removeEmpty removes folders, but for those that somebody has put something into.
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

// SyncDir makes the names in a folder durable.
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

// RemoveLeftovers removes the temporary files that dead writers left in dir.
func RemoveLeftovers(dir string) { removeLeftovers(dir, ".") }

// Leftovers returns the temporary files that dead writers left in dir.
func Leftovers(dir string) (names []string) {
	leftovers(dir, ".", func(name string) { names = append(names, name) })
	return names
}

// removeLeftovers removes those of the names with a prefix. It reports no error: a
// leftover that stays does no harm, and the next writer tries again.
func removeLeftovers(dir, prefix string) {
	leftovers(dir, prefix, func(name string) { os.Remove(name) })
}

// canLock tells whether a file may be locked while it is written. Locks of Windows
// are on the bytes, which the writer could not write then, and a file that is open
// twice cannot be renamed: there what a dead writer leaves cannot be told from what a
// living one writes, and stays.
const canLock = runtime.GOOS != "windows"

// leftovers calls found for each, while it is locked.
func leftovers(dir, prefix string, found func(name string)) {
	if !canLock {
		return
	}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), prefix) || !strings.Contains(e.Name(), ".tmp-") {
			continue
		}
		name := filepath.Join(dir, e.Name())
		lock := flock.New(name, flock.SetFlag(os.O_RDONLY))
		if locked, err := lock.TryLock(); err == nil && locked {
			found(name)
		}
		lock.Close()
	}
}

//go:build !windows

package predlog

import (
	"cmp"
	"fmt"
	"os"
	"syscall"
)

// lockFile locks an open file unless another process has locked it. The lock belongs to the
// file, not to the path, and ends with the process. It is acquired for every batch on the
// file that is already open: package flock would open it each time.
func lockFile(f *os.File) (bool, error) {
	for {
		switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err {
		case syscall.EINTR:
		case syscall.EWOULDBLOCK:
			return false, nil
		default:
			return err == nil, err
		}
	}
}

// lockLog is lockFile for a log that is only read, which not every network file system can lock.
func lockLog(f *os.File) bool {
	yes, err := lockFile(f)
	return yes || err != nil
}

// TakeAfter gives a file the mode, the owner and the group of another.
func TakeAfter(f *os.File, other os.FileInfo) error {
	return own(f, other, other.Mode().Perm())
}

// own gives a file the owner and the group of another, and a mode, as far as this user may.
func own(f *os.File, other os.FileInfo, mode os.FileMode) error {
	mine, err := f.Stat()
	if err != nil {
		return err
	}
	is, _ := mine.Sys().(*syscall.Stat_t)
	if want, ok := other.Sys().(*syscall.Stat_t); ok && (is.Uid != want.Uid || is.Gid != want.Gid) {
		err = f.Chown(int(want.Uid), int(want.Gid))
	}
	if err = cmp.Or(err, f.Chmod(mode)); err != nil {
		return fmt.Errorf("%w: run this as the owner of the file", err)
	}
	return nil
}

func unlockFile(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }

// size returns the size of an open file, and whether it still has a name.
func size(f *os.File) (bytes int64, named bool, err error) {
	var stat syscall.Stat_t
	err = syscall.Fstat(int(f.Fd()), &stat)
	return stat.Size, stat.Nlink > 0, err
}

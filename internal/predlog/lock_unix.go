//go:build !windows

package predlog

import (
	"os"
	"syscall"
)

// lockFile waits for the lock on an open file. The lock is the file's, not the
// path's, and goes with the process. It is taken for every batch, on the file
// that is open already: package flock would open it anew each time.
func lockFile(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if err != syscall.EINTR {
			return err
		}
	}
}

func unlockFile(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }

// size returns the size of an open file, and whether it has a name still.
func size(f *os.File) (bytes int64, named bool, err error) {
	var stat syscall.Stat_t
	err = syscall.Fstat(int(f.Fd()), &stat)
	return stat.Size, stat.Nlink > 0, err
}

//go:build !windows

package predlog

import (
	"os"
	"syscall"
)

// lockFile waits for the lock on an open file. The lock belongs to the file, not to the path,
// and ends with the process. It is acquired for every batch on the file that is already open:
// package flock would open it each time.
func lockFile(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if err != syscall.EINTR {
			return err
		}
	}
}

func unlockFile(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }

// size returns the size of an open file, and whether it still has a name.
func size(f *os.File) (bytes int64, named bool, err error) {
	var stat syscall.Stat_t
	err = syscall.Fstat(int(f.Fd()), &stat)
	return stat.Size, stat.Nlink > 0, err
}

package predlog

import (
	"io"
	"os"

	"golang.org/x/sys/windows"
)

// lockFile waits for the lock on an open file. It is on one byte far behind the end, since
// locked content cannot be read by others.
func lockFile(f *os.File) error {
	return windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK, 0, 1, 0,
		&windows.Overlapped{OffsetHigh: 1 << 30})
}

func unlockFile(f *os.File) error {
	return windows.UnlockFileEx(windows.Handle(f.Fd()), 0, 1, 0, &windows.Overlapped{OffsetHigh: 1 << 30})
}

// size returns the size of an open file, which cannot lose its name here.
func size(f *os.File) (bytes int64, named bool, err error) {
	bytes, err = f.Seek(0, io.SeekEnd)
	return bytes, true, err
}

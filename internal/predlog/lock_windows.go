package predlog

import (
	"io"
	"os"

	"golang.org/x/sys/windows"
)

// lockFile locks an open file unless another process has locked it.
func lockFile(f *os.File) (bool, error) {
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY,
		0, 1, 0, new(windows.Overlapped))
	if err == windows.ERROR_LOCK_VIOLATION {
		return false, nil
	}
	return err == nil, err
}

// lockLog does nothing: a log that a service writes cannot be replaced here.
func lockLog(*os.File) bool { return true }

func unlockFile(f *os.File) error {
	return windows.UnlockFileEx(windows.Handle(f.Fd()), 0, 1, 0, new(windows.Overlapped))
}

// TakeAfter does nothing: a file has the permissions of its folder here.
func TakeAfter(*os.File, os.FileInfo) error { return nil }

// own does nothing, for the same reason.
func own(*os.File, os.FileInfo, os.FileMode) error { return nil }

// size returns the size of an open file, which cannot lose its name here.
func size(f *os.File) (bytes int64, named bool, err error) {
	bytes, err = f.Seek(0, io.SeekEnd)
	return bytes, true, err
}

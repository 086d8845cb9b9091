package atomicfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"syscall"
)

// Open opens a regular file to read it; links are followed. Anything else at the path is an
// error at once: opening a pipe without a writer would block, and a device may be endless.
func Open(path string) (*os.File, error) { return openRegular(path, os.Stat, os.OpenFile) }

func openRegular(
	name string, stat func(string) (fs.FileInfo, error), open func(string, int, fs.FileMode) (*os.File, error),
) (*os.File, error) {
	irregular := fmt.Errorf("%s is not a regular file", name)
	// Before it is opened, which may have an effect on a device. If stat fails, so does open.
	if info, err := stat(name); err == nil && !info.Mode().IsRegular() {
		return nil, irregular
	}
	f, err := open(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // it may be a pipe by now
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = irregular
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Read returns the bytes of a regular file. More than limit bytes are an error, and are not
// read.
func Read(path string, limit int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, limit)
}

// ReadIn is Read for a name in a folder, without following links.
func ReadIn(root *os.Root, name string, limit int64) ([]byte, error) {
	f, err := openRegular(name, root.Lstat, root.OpenFile)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, limit)
}

func readAll(f *os.File, limit int64) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%s has %d bytes, at most %d are read", f.Name(), info.Size(), limit)
	}
	text := bytes.NewBuffer(make([]byte, 0, info.Size()+bytes.MinRead)) // room to reach the end
	more := min(limit, math.MaxInt64-1) + 1                             // shows that it grew
	if _, err := text.ReadFrom(io.LimitReader(f, more)); err != nil {
		return nil, err
	}
	if int64(text.Len()) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes, at most that many are read", f.Name(), limit)
	}
	return text.Bytes(), nil
}

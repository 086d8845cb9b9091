// Package input opens the files that a command reads: regular files, and pipes, devices and standard
// input, which can be read once and may keep a reader waiting. A wait for them ends with the context.
package input

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"time"

	"churn/internal/progress"
)

// IsStdin reports whether a path means standard input.
func IsStdin(path string) bool {
	return slices.Contains([]string{"-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"}, path)
}

// SameFile reports whether two paths name the same file.
func SameFile(a, b string) bool {
	first, _ := os.Stat(a)
	second, _ := os.Stat(b)
	return os.SameFile(first, second) // false without one
}

// A File is a file to read. Close must be called at the end.
type File struct {
	io.Reader
	Name  string // for messages
	Size  int64  // 0 if it is not known
	file  *os.File
	close func() // ends the reading of a pipe; nil for a regular file
}

// Open opens a file; "-" is standard input. What is no regular file is opened and read in the
// background, and if it is to be read twice is copied to a temporary file meanwhile. If nothing comes
// from it for a second, w is told so.
func Open(ctx context.Context, path string, twice bool, w io.Writer) (*File, error) {
	f := &File{Name: path}
	if path == "-" {
		f.Name = "standard input"
	} else if info, err := os.Stat(path); err != nil || info.Mode().IsRegular() {
		if f.file, err = os.Open(path); err != nil {
			return nil, err
		}
		f.Reader = f.file
		if info != nil {
			f.Size = info.Size()
		}
		return f, nil
	}
	if twice {
		var err error
		if f.file, err = os.CreateTemp("", "churn-*"); err != nil {
			return nil, err
		}
		os.Remove(f.file.Name()) // Windows removes no open file; Close does
	}
	r, pw := io.Pipe()
	stop := context.AfterFunc(ctx, func() { pw.CloseWithError(ctx.Err()) })
	f.close = func() { stop(); r.Close() }
	f.Reader = &first{r, progress.Waiting(w, f.Name)}
	if twice {
		f.Reader = io.TeeReader(f.Reader, f.file)
	}
	go func() {
		pipe, err := os.Stdin, error(nil)
		if path != "-" {
			if pipe, err = os.Open(path); err == nil {
				defer pipe.Close()
			}
		}
		if err == nil {
			_, err = io.Copy(pw, pipe)
		}
		pw.CloseWithError(err)
	}()
	return f, nil
}

// first stops a timer once something was read.
type first struct {
	io.Reader
	timer *time.Timer
}

func (r *first) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.timer.Stop()
	return n, err
}

// Rewind goes back to the beginning of a file, once the rest of a pipe has been copied.
func (f *File) Rewind() error {
	file, _, err := f.Whole()
	if err != nil {
		return err
	}
	f.Reader = file
	_, err = file.Seek(0, io.SeekStart)
	return err
}

// Whole returns the file and its size, for reading in any order, once the rest of a pipe has been
// copied. It must have been opened to be read twice.
func (f *File) Whole() (*os.File, int64, error) {
	if f.close != nil {
		if _, err := io.Copy(io.Discard, f.Reader); err != nil {
			return nil, 0, err
		}
	}
	info, err := f.file.Stat()
	if err != nil {
		return nil, 0, err
	}
	return f.file, info.Size(), nil
}

// Close closes the file. What reads a pipe in the background ends with the pipe or the program.
func (f *File) Close() error {
	if f.close != nil {
		f.close()
	}
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	if f.close != nil {
		if remove := os.Remove(f.file.Name()); !errors.Is(remove, os.ErrNotExist) {
			err = errors.Join(err, remove)
		}
	}
	return err
}

package predlog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A log that has grown large is moved aside, by serve to a name with the time,
// or by another program to a name with a number:
//
//	predictions.log.2
//	predictions.log.1
//	predictions-20261122T193000.000000000Z.log
//	predictions-20261122T204500.000000000Z.log
//	predictions.log
//
// That is the order in which they are read: the oldest first.
const rotatedLayout = "20060102T150405.000000000Z"

// rotatedName returns a name for the log at path that no file has.
func rotatedName(path string, now time.Time) (string, error) {
	ext := filepath.Ext(path)
	for range 1000 {
		name := strings.TrimSuffix(path, ext) + "-" + now.UTC().Format(rotatedLayout) + ext
		if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			return name, nil
		}
		now = now.Add(1)
	}
	return "", fmt.Errorf("no free name to move %s to", path)
}

// A part is the bytes from start to end of a file of a log.
type part struct {
	*os.File
	start, end int64
}

// openAll opens the log at path and those that were moved aside, the oldest
// first, each as long as it is now. Without the log itself, but with others,
// those are enough.
func openAll(path string) (parts []part, err error) {
	defer func() {
		if err != nil {
			closeAll(parts)
			parts = nil
		}
	}()
	var infos []os.FileInfo
	add := func(name string) error {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		info, err := f.Stat()
		if err != nil || slices.ContainsFunc(infos, func(other os.FileInfo) bool { return os.SameFile(info, other) }) {
			return errors.Join(err, f.Close()) // it was moved since it was opened by its other name
		}
		if info.IsDir() {
			return errors.Join(&fs.PathError{Op: "read", Path: name, Err: syscall.EISDIR}, f.Close())
		}
		parts, infos = append(parts, part{File: f, end: info.Size()}), append(infos, info)
		return nil
	}
	// The log before the list: what is moved aside in between is found in both, not in neither.
	missing := add(path)
	if missing != nil && !errors.Is(missing, fs.ErrNotExist) {
		return parts, missing
	}
	older, err := Rotated(path)
	if err != nil {
		return parts, err
	}
	for _, name := range slices.Backward(older) {
		if err := add(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return parts, err
		}
	}
	if len(parts) == 0 {
		return nil, missing
	}
	slices.Reverse(parts)
	return parts, nil
}

func closeAll(parts []part) {
	for _, p := range parts {
		p.Close() // they were only read
	}
}

// Rotated returns the names of the logs that were moved aside from the one at
// path, the oldest first. Whoever reads that one reads them too.
func Rotated(path string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	base := filepath.Base(path)
	ext := filepath.Ext(base)
	stem := strings.TrimSuffix(base, ext)
	var numbers []int
	var times []string
	for _, e := range entries {
		if n, ok := strings.CutPrefix(e.Name(), base+"."); ok {
			if n, err := strconv.Atoi(n); err == nil && n > 0 {
				numbers = append(numbers, n)
			}
		} else if text, ok := strings.CutPrefix(e.Name(), stem+"-"); ok {
			text, ok = strings.CutSuffix(text, ext)
			if _, err := time.Parse(rotatedLayout, text); ok && err == nil {
				times = append(times, e.Name())
			}
		}
	}
	slices.Sort(numbers)
	slices.Sort(times)
	var names []string
	for _, n := range slices.Backward(numbers) {
		names = append(names, path+"."+strconv.Itoa(n))
	}
	for _, name := range times {
		names = append(names, filepath.Join(filepath.Dir(path), name))
	}
	return names, nil
}

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
	"time"
)

// A log that has become large is rotated: by serve to a name with the time, or by another
// program to a name with a number:
//
//	predictions.log.2
//	predictions.log.1
//	predictions-20261122T193000.000000000Z.log
//	predictions-20261122T204500.000000000Z.log
//	predictions.log
//
// They are read in this order, the oldest first.
const rotatedLayout = "20060102T150405.000000000Z"

// rotatedName returns a name for the rotated log that no file has.
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

// Rotated returns the names of the rotated files of the log at path, the oldest first.
func Rotated(path string) ([]string, error) {
	return make(folders).rotated(path)
}

// folders are the names in some folders, each read once.
type folders map[string][]os.DirEntry

// read returns the entries of a folder; a missing one has none.
func (f folders) read(folder string) ([]os.DirEntry, error) {
	entries, known := f[folder]
	if known {
		return entries, nil
	}
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f[folder] = entries
	return entries, nil
}

func (f folders) rotated(path string) ([]string, error) {
	entries, err := f.read(filepath.Dir(path))
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

package predlog

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A log that has become large is rotated: by serve to a name with the time, by logrotate to
// one with a number or a date, or by hand to any name that begins with the log's:
//
//	predictions.log.2.gz
//	predictions.log.1
//	predictions.log-20261121
//	predictions-20261122.log.zst
//	predictions.log.old
//	predictions-20261122T193000.000000000Z.log
//	predictions.log
//
// They are read in order of what is in them, see arrange.
const rotatedLayout = "20060102T150405.000000000Z"

// rotatedName returns a name for the rotated log that no file has. It comes after those of
// the files rotated before, although the clock may have been set back.
func rotatedName(path string, now time.Time) (string, error) {
	files, err := make(folders).rotated(path)
	if err != nil {
		return "", err
	}
	for _, f := range files {
		if !now.After(f.at) {
			now = f.at.Add(1)
		}
	}
	ext := filepath.Ext(path)
	return strings.TrimSuffix(path, ext) + "-" + now.UTC().Format(rotatedLayout) + ext, nil
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

// A rotatedFile is a file whose name says that it may be of a log.
type rotatedFile struct {
	name    string
	current bool      // it is the log itself
	known   bool      // the name is the log's, serve's or logrotate's: it is read, whatever is in it
	number  int       // of predictions.log.2; -1 without one
	at      time.Time // of predictions-20261122T193000.000000000Z.log; zero without one
}

// logrotate's dateext, with the dateformats of its manual.
var dated = regexp.MustCompile(`^[-._](\d{10}|(19|20)\d\d[-._]?[01]\d[-._]?[0-3]\d([-._T]|$))`)

// uncompressed returns the name that a file had before it was compressed.
func uncompressed(name string) string {
	return strings.TrimSuffix(strings.TrimSuffix(name, ".gz"), ".zst")
}

// rotated returns the files that may be rotated from the log at path: in the directions of
// numbers, of times and of names.
func (f folders) rotated(path string) (files []rotatedFile, err error) {
	entries, err := f.read(filepath.Dir(path))
	base := filepath.Base(path)
	ext := filepath.Ext(base)
	for _, e := range entries {
		plain := uncompressed(e.Name())
		mark, after := strings.CutPrefix(plain, base)
		if !after { // before the extension?
			inside, its := strings.CutPrefix(plain, strings.TrimSuffix(base, ext))
			if mark, after = strings.CutSuffix(inside, ext); !its || !after || mark == "" {
				continue
			}
			after = false
		}
		file := rotatedFile{name: filepath.Join(filepath.Dir(path), e.Name()), number: -1}
		if n, err := strconv.Atoi(strings.TrimPrefix(mark, ".")); err == nil && n >= 0 && mark[0] == '.' {
			file.number = n
		}
		if at, err := time.Parse("-"+rotatedLayout, mark); err == nil {
			file.at = at
		}
		file.known = file.number >= 0 || dated.MatchString(mark)
		own := ext == "" && strings.Trim(mark[:min(1, len(mark))], ".~") != "" // churn-2 is no part of churn
		if e.Name() != base && (file.known || after && !own) {
			files = append(files, file)
		}
	}
	slices.SortFunc(files, compareNames)
	return files, err
}

func compareNames(a, b rotatedFile) int {
	return cmp.Or(b.number-a.number, a.at.Compare(b.at), strings.Compare(a.name, b.name))
}

// arrange sorts the parts of a log but for the log itself, the oldest first: by the time of
// the first record in each, as their names may say anything.
//
// Parts that were rotated one after the other keep their order although a clock was set back:
// those with numbers, and those that serve rotated. To keep it serve gives a name that is a
// nanosecond after the last. Other such names whose times contradict the records were renamed.
func arrange(parts []*part) {
	slices.SortFunc(parts, func(a, b *part) int { return compareNames(a.rotatedFile, b.rotatedFile) })
	place := make(map[*part]float64, len(parts))
	for i, p := range parts {
		place[p] = p.time
		if i == 0 {
			continue
		}
		last := parts[i-1]
		if p.number >= 0 || !last.at.IsZero() && (p.time >= last.time || p.at.Sub(last.at) == 1) {
			place[p] = max(p.time, place[last])
		}
	}
	slices.SortStableFunc(parts, func(a, b *part) int { return cmp.Compare(place[a], place[b]) })
}

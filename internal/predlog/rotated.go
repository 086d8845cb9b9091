package predlog

import (
	"cmp"
	"errors"
	"fmt"
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

// Keep says how long the parts of a log that serve rotated are kept; the zero value keeps all.
// Other parts, such as logrotate's, are never removed.
type Keep struct {
	Time  time.Duration // from a record's time until its part is removed; at least a day
	Bytes int64         // of the log and the parts, at most
}

const (
	partsKept = 10        // by its age or size a log is rotated so often that there are about so many
	tidyEvery = time.Hour // and after each rotation
)

var keepForm = regexp.MustCompile(`^(\d{1,6})(d|MB|GB)$`)

// Set reads a number of days or bytes, such as 90d or 50GB. With [Keep.String] and [Keep.Type]
// a Keep is the value of a flag.
func (k *Keep) Set(text string) error {
	form := keepForm.FindStringSubmatch(text)
	if form == nil {
		return errors.New("write days or bytes, such as 90d, 500MB or 50GB")
	}
	n, _ := strconv.ParseInt(form[1], 10, 64) // it is a number
	switch form[2] {
	case "d":
		*k = Keep{Time: time.Duration(min(n, 100*366)) * 24 * time.Hour}
	case "MB":
		*k = Keep{Bytes: n * 1e6}
	case "GB":
		*k = Keep{Bytes: n * 1e9}
	}
	if n == 0 {
		return errors.New("at least 1d or 1MB; to keep all, leave it out")
	}
	return nil
}

func (k *Keep) String() string {
	switch {
	case k.Time > 0:
		return fmt.Sprintf("%dd", k.Time/(24*time.Hour))
	case k.Bytes > 0:
		return fmt.Sprintf("%dMB", k.Bytes/1e6)
	}
	return ""
}

// Type is of a flag's value.
func (k *Keep) Type() string { return "string" }

// tidy removes the parts that are no longer kept, and has the log rotated if it is old.
func (w *Writer) tidy() {
	aged := w.options.tidy(w.path, time.Now())
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.tidier.Reset(tidyEvery)
	if aged {
		w.aged.Store(true)
		w.flush()
	}
}

// tidy removes the parts of a log that are no longer kept, and reports whether the log itself is
// old enough to be rotated.
func (o *Options) tidy(path string, now time.Time) (aged bool) {
	open, err := Logs{target(path)}.open()
	if errors.Is(err, fs.ErrNotExist) { // it is being moved
		return false
	}
	var removed []string
	defer func() {
		if (len(removed) > 0 || err != nil) && o.Removed != nil {
			o.Removed(removed, err)
		}
	}()
	if err != nil {
		return false
	}
	defer open.close()
	oldest := func(age time.Duration) float64 { return float64(now.Add(-age).UnixNano()) / 1e9 }
	room := o.Keep.Bytes - o.MaxSize // the log itself may grow to this
	for _, s := range slices.Backward(slices.Concat(open.logs...)) {
		last := float64(s.info.ModTime().UnixNano()) / 1e9
		if !s.record { // it is empty or damaged, or being packed
			s.time = last
		}
		if s.current {
			aged = o.Keep.Time > 0 && s.time < oldest(o.Keep.Time/partsKept)
			continue
		}
		room -= s.info.Size()
		packing := !s.record && now.Sub(s.info.ModTime()) < tidyEvery // perhaps
		if s.at.IsZero() || packing {                                 // or not rotated here
			continue
		}
		// A part that spans more than a tenth was not rotated by this rule: it stays until its last
		// record, which is from before both times, is old.
		last = min(last, float64(s.at.UnixNano())/1e9)
		old := o.Keep.Time > 0 && s.time < oldest(o.Keep.Time-tidyEvery) &&
			last < oldest(o.Keep.Time*(partsKept-1)/partsKept-2*tidyEvery)
		if !old && (o.Keep.Bytes == 0 || room >= 0) {
			continue
		}
		if failed := os.Remove(s.name); failed == nil {
			removed = append(removed, s.name)
		} else if !errors.Is(failed, fs.ErrNotExist) { // another service was faster
			err = errors.Join(err, failed)
		}
	}
	return aged
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
		const most = 100_000 // larger numbers are dates, such as 20261121
		if n, err := strconv.Atoi(strings.TrimPrefix(mark, ".")); err == nil && 0 <= n && n < most && mark[0] == '.' {
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

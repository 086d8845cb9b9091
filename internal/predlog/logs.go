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

	"churn/internal/atomicfile"
)

// DefaultPattern is what the logs of the services on a folder are called, below
// that folder: predictions.log of a single one, predictions-1.log and so on of
// several.
const DefaultPattern = "logs/predictions*.log"

// Logs are the paths of logs, those of several services for instance. What was
// moved aside from one is part of it.
//
// They are read as one log, in order of time: each keeps its own order, and of
// the next record of each the one with the least time comes first, of equal ones
// that of the earlier log. A record without a time stays behind the one before it.
type Logs []string

// Find returns the logs that the patterns name, or without patterns those of the
// services below dir. Each is there once, whatever it is called, and what was
// moved aside from another is left out. Without patterns there is always a log,
// predictions.log if there is none yet.
func Find(dir string, patterns []string) (Logs, error) {
	if len(patterns) == 0 {
		folder, pattern := filepath.Split(filepath.FromSlash(DefaultPattern))
		folder = filepath.Join(dir, folder)
		found, err := matches(folder, pattern)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return Logs{filepath.Join(folder, strings.Replace(pattern, "*", "", 1))}, nil
		}
		return distinct(found)
	}
	var all []string
	for _, pattern := range patterns {
		found, err := named(pattern)
		if err != nil {
			return nil, fmt.Errorf("--log %q: %w", pattern, err)
		}
		all = append(all, found...)
	}
	return distinct(all)
}

// named returns the logs that a pattern names, one at least.
func named(pattern string) ([]string, error) {
	folder, file := filepath.Split(pattern)
	folder = filepath.Clean(folder)
	folders, err := filepath.Glob(folder)
	if err != nil {
		return nil, err
	}
	if _, err := filepath.Match(file, ""); err != nil {
		return nil, err
	}
	var all []string
	for _, f := range folders {
		found, err := matches(f, file)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	if len(all) == 0 {
		return nil, errors.New("there is no such file")
	}
	return all, nil
}

// matches returns the logs in a folder whose names match a pattern. A log that is
// away for a moment is there if another program moved it to a name with a number.
func matches(folder, pattern string) (paths []string, err error) {
	entries, err := make(folders).read(folder)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		name := e.Name()
		matched, err := filepath.Match(pattern, name)
		if err != nil {
			return nil, err
		}
		if dot := strings.LastIndexByte(name, '.'); !matched && dot > 0 {
			if n, err := strconv.Atoi(name[dot+1:]); err == nil && n > 0 {
				name = name[:dot]
				matched, _ = filepath.Match(pattern, name)
			}
		}
		if matched {
			paths = append(paths, filepath.Join(folder, name))
		}
	}
	return paths, nil
}

// distinct returns each log once, in the order of names, and none that was moved
// aside from another. A link stands for where it leads.
func distinct(paths []string) (Logs, error) {
	real := map[string]string{} // to the path that it was found by
	for _, path := range paths {
		at := path
		if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			if at, err = filepath.EvalSymlinks(path); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			path = at
		}
		at, err := filepath.Abs(at)
		if err != nil {
			return nil, err
		}
		real[at] = path
	}
	older, listed := map[string]bool{}, folders{}
	for at := range real {
		names, err := listed.rotated(at)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			older[name] = true
		}
	}
	var logs Logs
	for at, path := range real {
		if !older[at] {
			logs = append(logs, path)
		}
	}
	slices.Sort(logs)
	return logs, nil
}

// String names the logs, or some of them.
func (l Logs) String() string {
	const most = 3
	if len(l) <= most {
		return strings.Join(l, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(l[:most], ", "), len(l)-most)
}

// Size returns the bytes of the logs, those that were moved aside included.
func (l Logs) Size() (int64, error) {
	logs, err := l.open()
	if err != nil {
		return 0, err
	}
	defer closeAll(logs)
	var size int64
	for _, parts := range logs {
		for _, p := range parts {
			size += p.end
		}
	}
	return size, nil
}

// A part is the bytes from start to end of a file of a log.
type part struct {
	*os.File
	start, end int64
}

// open opens the logs, each of one part at least, the oldest first and as long as
// it is now. A file that has two names is part of one log alone. A log that is
// gone is left out as long as there is another, or what was moved aside from it.
func (l Logs) open() (logs [][]part, err error) {
	var o opener
	defer func() {
		if err != nil {
			closeAll([][]part{o.all})
		}
	}()
	// The logs before the lists: what is moved aside in between is found in both, not in neither.
	current := make([][]part, len(l)) // none where the log itself is gone
	var missing error
	for i, path := range l {
		if current[i], err = o.open(nil, path); errors.Is(err, fs.ErrNotExist) {
			missing = errors.Join(missing, err)
		} else if err != nil {
			return nil, err
		}
	}
	listed := folders{}
	for i, path := range l {
		older, err := listed.rotated(path)
		if err != nil {
			return nil, err
		}
		parts := current[i]
		for _, name := range slices.Backward(older) { // which is how they move
			if parts, err = o.open(parts, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
		if slices.Reverse(parts); len(parts) > 0 {
			logs = append(logs, parts)
		}
	}
	if len(logs) == 0 {
		return nil, missing
	}
	return logs, nil
}

// An opener opens files, each once.
type opener struct {
	all   []part
	infos []os.FileInfo
}

// open adds a file to parts, unless it was opened by another name.
func (o *opener) open(parts []part, name string) ([]part, error) {
	f, err := atomicfile.Open(name)
	if err != nil {
		return parts, err
	}
	info, err := f.Stat()
	if err != nil || slices.ContainsFunc(o.infos, func(other os.FileInfo) bool { return os.SameFile(info, other) }) {
		return parts, errors.Join(err, f.Close())
	}
	p := part{File: f, end: info.Size()}
	o.all, o.infos = append(o.all, p), append(o.infos, info)
	return append(parts, p), nil
}

func closeAll(logs [][]part) {
	for _, parts := range logs {
		for _, p := range parts {
			p.Close() // they were only read
		}
	}
}

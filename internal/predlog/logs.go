package predlog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"churn/internal/atomicfile"
)

// DefaultPattern matches the logs of the services on a folder: predictions.log of a single
// one, predictions-1.log and so on of several.
const DefaultPattern = "logs/predictions*.log"

// Logs are the paths of logs, such as those of several services. Rotated files of a log
// belong to it.
//
// They are read as one log in order of time: each keeps its own order, and of the next
// records of all the one with the earliest time comes first, or that of the earlier log if
// times are equal. A record without a time stays behind the one before it.
type Logs []string

// Find returns the logs that match the patterns, or without patterns those of the services
// below dir. Each is there once, whatever its names, and rotated files of another are left
// out. Without patterns and logs it is predictions.log, which need not exist.
func Find(dir string, patterns []string) (Logs, error) {
	var all []string
	if len(patterns) == 0 {
		folder, pattern := filepath.Split(filepath.Join(dir, filepath.FromSlash(DefaultPattern)))
		found, err := matches(filepath.Clean(folder), pattern)
		if err != nil {
			return nil, err
		}
		if all = found; len(all) == 0 {
			all = []string{filepath.Join(folder, strings.Replace(pattern, "*", "", 1))}
		}
	}
	for _, pattern := range patterns {
		found, err := named(pattern)
		if err != nil {
			return nil, fmt.Errorf("--log %q: %w", pattern, err)
		}
		all = append(all, found...)
	}
	return distinct(all)
}

// named returns the logs that match a pattern, at least one.
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

// matches returns the logs in a folder whose names match a pattern. A log that another
// program has just moved to a name with a number counts as there.
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

// distinct returns each log once, sorted by name, without rotated files of another. Links
// are followed.
func distinct(paths []string) (Logs, error) {
	real := map[string]string{} // absolute path to the path that was found
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

// String returns the paths of the logs, or of some of them.
func (l Logs) String() string {
	const most = 3
	if len(l) <= most {
		return strings.Join(l, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(l[:most], ", "), len(l)-most)
}

// Size returns the bytes of the logs with their rotated files.
func (l Logs) Size() (int64, error) {
	logs, err := l.open()
	if err != nil {
		return 0, err
	}
	defer closeAll(logs)
	var size int64
	for _, s := range slices.Concat(logs...) {
		size += s.end
	}
	return size, nil
}

// A segment is the bytes from start to end of a file of a log.
type segment struct {
	*os.File
	start, end int64
}

func (s segment) reader() io.Reader { return io.NewSectionReader(s.File, s.start, s.end-s.start) }

// open opens the logs, each of at least one segment, the oldest first, up to its present
// size. A file with two names belongs to one log. A missing log is left out if there is
// another one, or a rotated file of it.
func (l Logs) open() (logs [][]segment, err error) {
	var o opener
	defer func() {
		if err != nil {
			closeAll([][]segment{o.all})
		}
	}()
	// Logs are opened before folders are listed: a file that is rotated in between is found
	// twice, and not missed.
	current := make([][]segment, len(l)) // nil if the log itself is missing
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
		segments := current[i]
		for _, name := range slices.Backward(older) { // in the direction of rotation
			if segments, err = o.open(segments, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
		if slices.Reverse(segments); len(segments) > 0 {
			logs = append(logs, segments)
		}
	}
	if len(logs) == 0 {
		return nil, missing
	}
	return logs, nil
}

// An opener opens files, each once.
type opener struct {
	all   []segment
	infos []os.FileInfo
}

// open adds a file to segments, unless it was opened under another name.
func (o *opener) open(segments []segment, name string) ([]segment, error) {
	f, err := atomicfile.Open(name)
	if err != nil {
		return segments, err
	}
	info, err := f.Stat()
	if err != nil || slices.ContainsFunc(o.infos, func(other os.FileInfo) bool { return os.SameFile(info, other) }) {
		return segments, errors.Join(err, f.Close())
	}
	p := segment{File: f, end: info.Size()}
	o.all, o.infos = append(o.all, p), append(o.infos, info)
	return append(segments, p), nil
}

func closeAll(logs [][]segment) {
	for _, s := range slices.Concat(logs...) {
		s.Close() // it was only read
	}
}

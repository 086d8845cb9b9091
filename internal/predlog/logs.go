package predlog

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
			pattern = pattern[strings.LastIndexByte(pattern, '@')+1:] // of a URL, whose password is before it
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

// matches returns the logs in a folder whose names match a valid pattern. A log of which there are
// only moved parts counts as there: the part's name begins with its own.
func matches(folder, pattern string) (paths []string, err error) {
	entries, err := make(folders).read(folder)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, ".") && strings.HasSuffix(name, ".lock") {
			continue // of a log
		}
		matched, _ := filepath.Match(pattern, name)
		for end := len(name) - 1; !matched && end > 0; end-- {
			if name = name[:end]; strings.ContainsRune(".-_~", rune(e.Name()[end])) {
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
		if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			file, err := filepath.EvalSymlinks(path)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			path = file
		}
		at, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		real[at] = path
	}
	older, listed := map[string]bool{}, folders{}
	for at := range real {
		files, err := listed.rotated(at)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			older[f.name] = true
			if name := uncompressed(f.name); name != at {
				older[name] = true
			}
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
func (l Logs) Size() (size int64, err error) {
	o, err := l.open()
	if err != nil {
		return 0, err
	}
	defer o.close()
	for _, p := range slices.Concat(o.logs...) {
		size += p.info.Size()
	}
	return size, nil
}

// open finds the parts of the logs, each up to its present size. A file with two names
// belongs to one log. A missing log is left out if there is another one, or a part of it.
func (l Logs) open() (_ *opener, err error) {
	o := new(opener)
	defer func() {
		if err != nil {
			o.close()
		}
	}()
	// Logs are opened before folders are listed, and listed until there is nothing new: a file
	// that is rotated in between is found twice, and not missed.
	current, older := make([]*part, len(l)), make([][]*part, len(l)) // current: nil if it is missing
	var missing error
	for i, path := range l {
		current[i], err = o.add(rotatedFile{name: path, current: true, known: true})
		if errors.Is(err, fs.ErrNotExist) {
			missing = errors.Join(missing, err)
		} else if err != nil {
			return nil, err
		}
	}
	const most = 10 // listings: a broken link is missing in each
	for pass, changed := 0, true; changed && pass < most; pass++ {
		changed = false
		listed := folders{}
		for i, path := range l {
			files, err := listed.rotated(path)
			if err != nil {
				return nil, err
			}
			for _, f := range slices.Backward(files) { // in the direction of rotation
				p, err := o.add(f)
				if err != nil && !errors.Is(err, fs.ErrNotExist) {
					return nil, err
				}
				if changed = changed || err != nil || p != nil; p != nil {
					older[i] = append(older[i], p)
				}
			}
		}
	}
	for i, parts := range older {
		arrange(parts)
		if current[i] != nil {
			parts = append(parts, current[i])
		}
		record := func(p *part) bool { return p.record }
		other := func(p *part) bool { return p.other }
		if len(l) > 1 && slices.ContainsFunc(parts, other) && !slices.ContainsFunc(parts, record) {
			o.skip("%s: none of its first lines is a record: if it is not a log of predictions, rename it", l[i])
		}
		if parts = o.withoutCopies(parts); len(parts) > 0 {
			o.logs = append(o.logs, parts)
		}
	}
	if len(o.logs) == 0 {
		return nil, missing
	}
	return o, nil
}

// withoutCopies returns the parts of a log, but for copies, which begin with the same record:
// logrotate's copytruncate and compress leave them for a while.
func (o *opener) withoutCopies(parts []*part) (kept []*part) {
	for _, p := range parts {
		at := -1
		if p.first != nil {
			at = slices.IndexFunc(kept, func(k *part) bool { return bytes.Equal(k.first, p.first) })
		}
		if at < 0 {
			kept = append(kept, p)
			continue
		}
		copied := kept[at]
		if copied.known && !p.known || copied.text == nil && p.text != nil { // p is a backup, or is being compressed
			copied, p = p, copied
		} else {
			kept = append(slices.Delete(kept, at, at+1), p)
		}
		o.skip("%s is a copy of %s and was not read twice: keep copies in another folder", copied.name, p.name)
	}
	return kept
}

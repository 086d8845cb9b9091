package registry

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"

	"churn/internal/atomicfile"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// An archive, registry/history-YEAR.jsonl, has the old lines of the journal and the entries of
// models that were removed, of the year in which pruning moved them, or of a later one if that is
// full. The journal then begins with a line that names it, with its hash; an archive may begin
// with such a line too. It is written before the journal: what no line refers to was left by a
// killed process, and is written again by the next pruning.
const archiveFile = "history-%d.jsonl"

const maxArchive = 1 << 30 // bytes

var archiveName = regexp.MustCompile(`^history-\d{4}\.jsonl$`)

// moved says where the lines before a line of the journal are.
type moved struct {
	File   string   `json:"file"`   // in registry/
	Bytes  int64    `json:"bytes"`  // of the file that come before the line
	SHA256 string   `json:"sha256"` // of these
	Undo   []string `json:"undo"`   // the undo stack after them, or its last models
}

// compact moves the oldest lines of a journal that is long, and the entries of removed models if
// there are many, to an archive. It returns the number of lines and the archive's name.
func (r *Registry) compact(dryRun bool) (lines int, file string, err error) {
	h, err := r.history()
	if err != nil || len(h.changes) == 0 {
		return 0, "", err
	}
	m, err := r.metadata()
	if err != nil {
		return 0, "", err
	}
	stay, gone, err := m.pruned()
	if err != nil {
		return 0, "", err
	}
	b, err := encode(m.raw)
	if err != nil {
		return 0, "", err
	}
	entries := len(m.raw) - len(stay)
	if !r.limits.long(entries, len(b)) {
		gone, entries = nil, 0
	}
	if entries == 0 && !r.limits.long(len(h.changes), len(h.text)) {
		return 0, "", nil
	}
	cut, lines := h.cut(r.limits)
	file, before, err := r.archive(h)
	if err != nil {
		return 0, "", err
	}
	if dryRun {
		return lines, file, nil
	}
	text := slices.Concat(before, h.text[:cut], gone)
	undo := undoStack(h.changes[:lines])
	first := Change{TS: r.timestamp(), From: h.changes[lines].From, To: h.changes[lines].From, By: prune,
		Reason: fmt.Sprintf("moved %d lines and %d entries to %s", lines, entries, file),
		Moved:  &moved{file, int64(len(text)), SHA256(text), append([]string{}, undo[max(0, len(undo)-r.limits.lines):]...)}}
	line, err := first.line()
	if err == nil {
		err = atomicfile.Write(r.archivePath(file), text, 0o666)
	}
	if err == nil {
		err = r.writeHistory(append(line, h.text[cut:]...))
	}
	if err == nil && entries > 0 {
		err = r.writeMetadata(stay)
	}
	if err != nil {
		return 0, "", err
	}
	return lines, file, nil
}

// pruned returns the entries that stay, and those of removed models as lines.
func (m metadata) pruned() (stay []jsontext.Value, gone []byte, err error) {
	for i, e := range m.entries {
		line := m.raw[i].Clone()
		if e.PrunedAtUTC == "" {
			stay = append(stay, line)
			continue
		}
		if err := line.Compact(); err != nil {
			return nil, nil, err
		}
		gone = append(append(gone, line...), '\n')
	}
	return stay, gone, nil
}

// long reports whether a file with so many lines or bytes is to be shortened.
func (l limits) long(lines, bytes int) bool { return lines > 2*l.lines || bytes > 2*l.bytes }

// cut returns how many bytes, and lines, come before the newest ones that stay: at least one.
func (h journal) cut(l limits) (at, lines int) {
	at, lines = len(h.text), len(h.changes)
	for n := 0; at > 0 && n < l.lines; n++ {
		start := bytes.LastIndexByte(h.text[:at-1], '\n') + 1
		if n > 0 && len(h.text)-start > l.bytes {
			break
		}
		at, lines = start, lines-1
	}
	return at, lines
}

// archive returns the file for old lines of the journal, and what is in it already.
func (r *Registry) archive(h journal) (file string, before []byte, err error) {
	year, last := r.now().UTC().Year(), h.changes[0].Moved
	first, _, _ := bytes.Cut(h.text, []byte("\n"))
	for ; ; year++ {
		file = fmt.Sprintf(archiveFile, year)
		switch {
		case last != nil && (file == last.File || !archiveName.MatchString(last.File)): // archived rejects others
			if before, err = r.archived(*last); err == nil && len(before)+len(h.text) > maxArchive/2 {
				continue // the next file begins with a reference to this one
			}
			return file, before, err
		case last != nil && file < last.File: // the clock was set back
			continue
		}
		b, err := atomicfile.Read(r.archivePath(file), maxArchive)
		switch {
		case errors.Is(err, fs.ErrNotExist), err == nil && bytes.HasPrefix(b, first): // or left by a killed process
			return file, nil, nil
		case err != nil:
			return "", nil, err
		}
	}
}

func (r *Registry) archivePath(file string) string {
	return filepath.Join(filepath.Dir(r.path(HistoryFile)), file)
}

// archived returns the lines of an archive that a line of the journal refers to.
func (r *Registry) archived(at moved) ([]byte, error) {
	if !archiveName.MatchString(at.File) {
		return nil, fmt.Errorf("%s: %q is not the name of a file such as history-2026.jsonl: the line was changed",
			r.path(HistoryFile), at.File)
	}
	path := r.archivePath(at.File)
	b, err := atomicfile.Read(path, maxArchive)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: it has the lines before those of the journal: restore it from a copy", err)
	case at.Bytes < 0 || at.Bytes > int64(len(b)) || SHA256(b[:at.Bytes]) != at.SHA256:
		return nil, fmt.Errorf("%s: its first %d bytes do not have the sha256 that the journal says: restore it from a copy",
			path, at.Bytes)
	}
	return b[:at.Bytes], nil
}

// verifyArchives checks the chain of the archives that the journal continues, and returns the
// model of their last line. ok is false if they cannot be read.
func (r *Registry) verifyArchives(a *Audit, at *moved) (last string, ok bool) {
	if at == nil {
		return "", true
	}
	text, err := r.archived(*at)
	if err != nil {
		a.problem("%v", err)
		return "", false
	}
	var changes []Change
	for line := range bytes.Lines(text) {
		var l struct {
			Change
			ModelFile string `json:"model_file"` // of an entry
		}
		if err := json.Unmarshal(line, &l); err != nil {
			a.problem("%s: not a change, nor an entry (%s): restore it from a copy", r.archivePath(at.File), reason(err))
			return "", false
		}
		if l.ModelFile == "" {
			changes = append(changes, l.Change)
		} else if _, registered := a.models[l.ModelFile]; !registered && a.models != nil {
			a.models[l.ModelFile] = false // pruned
		}
	}
	if len(changes) > 0 {
		if last, ok = r.verifyArchives(a, changes[0].Moved); !ok {
			return "", false
		}
	}
	a.Changes += len(changes)
	return r.verifyChain(a, r.archivePath(at.File), changes, last), true
}

package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"churn/internal/atomicfile"
)

// An Audit is what Verify found.
type Audit struct {
	Models   int      `json:"models"`   // registered, and not pruned
	Changes  int      `json:"changes"`  // in the journal
	Current  string   `json:"current"`  // the pointer's contents, "" without one
	Problems []string `json:"problems"` // each names its file
	Notes    []string `json:"notes"`    // unusual but valid

	models map[string]bool // registered, false for those that were pruned; nil if unknown
	passed map[string]bool // their gate
}

// Verify checks the invariants of the registry: every registered model has the registered
// hash, is valid, and matches its entry; the journal is a chain; the pointer is where its
// last line left it; and models/ contains nothing else. matches compares an entry with its
// model's document.
//
// It changes nothing, needs no right to, and waits for a change in progress. The error is for a
// registry that cannot be read, or that does not exist.
func (r *Registry) Verify(ctx context.Context, matches func(e Entry, model []byte) error) (*Audit, error) {
	lock, err := atomicfile.RLock(ctx, r.path(lockFile), lockTimeout)
	if err == nil {
		defer lock.Close()
		return r.audit(ctx, matches)
	}
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
		return nil, err
	}
	// A copy that was never changed, or another's registry: what changes meanwhile is read again.
	before, since := r.stamp(), time.Now()
	for start := since; ; {
		a, err := r.audit(ctx, matches)
		now := r.stamp()
		_, pending := os.Lstat(r.path(intentFile))
		switch {
		case now != before:
			before, since = now, time.Now()
		case pending != nil, time.Since(since) > editTimeout: // or nobody finishes it
			return a, err
		}
		if time.Since(start) > lockTimeout {
			return nil, fmt.Errorf("%s has been changed for %v: try again", filepath.Dir(r.path(lockFile)), lockTimeout)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(retryEvery):
		}
	}
}

// stamp returns a text that differs after a change.
func (r *Registry) stamp() (text string) {
	for _, name := range []string{Models, MetadataFile, HistoryFile, CurrentFile, intentFile} {
		if info, err := os.Stat(r.path(name)); err == nil {
			text += fmt.Sprintln(name, info.Size(), info.ModTime())
		}
	}
	return text
}

// audit is Verify of files that do not change meanwhile.
func (r *Registry) audit(ctx context.Context, matches func(e Entry, model []byte) error) (*Audit, error) {
	a := &Audit{Problems: []string{}, Notes: []string{}}
	if err := r.regular(); err != nil {
		a.problem("%v", err)
		return a, nil // the other files cannot be read
	}
	p := r.verifyIntent(a)
	r.verifyEntries(a, p, matches)
	if err := r.verifyFolders(a, p); err != nil {
		return nil, err
	}
	pointer, err := r.readState(ctx)
	if err != nil {
		return nil, err
	}
	r.verifyJournal(a, p, pointer)
	if a.Models == 0 && a.Changes == 0 && len(a.Problems) == 0 && errors.Is(pointer.pointerErr, ErrNoCurrent) {
		return nil, pointer.pointerErr
	}
	return a, nil
}

func (a *Audit) problem(format string, args ...any) {
	a.Problems = append(a.Problems, fmt.Sprintf(format, args...))
}

func (a *Audit) note(format string, args ...any) {
	a.Notes = append(a.Notes, fmt.Sprintf(format, args...))
}

// verifyIntent returns the interrupted change that the next one will finish, if there is one.
func (r *Registry) verifyIntent(a *Audit) intent {
	p, applied, err := r.readIntent()
	switch {
	case err != nil:
		a.problem("%v", err)
	case p != nil:
		a.problem("%s: a change was interrupted: the next train, evaluate or rollback finishes it", r.path(intentFile))
	}
	if p == nil || err == nil && !applied {
		return intent{}
	}
	return *p
}

// verifyEntries checks each entry with its model.
func (r *Registry) verifyEntries(a *Audit, p intent, matches func(Entry, []byte) error) {
	m, err := r.metadata()
	if err != nil {
		a.problem("%v", err)
		return
	}
	if h, err := r.history(); len(m.entries) == 0 && err == nil && len(h.changes) > 0 {
		a.problem("%s is missing or has no models, and %s has changes: restore it from a copy",
			r.path(MetadataFile), r.path(HistoryFile))
		return // which models are registered is unknown
	}
	a.models, a.passed = map[string]bool{}, map[string]bool{}
	for i, e := range m.entries {
		if e.PrunedAtUTC != "" {
			a.models[e.ModelFile] = false
			continue
		}
		a.Models++
		if a.models[e.ModelFile] {
			a.problem("%s: entry %d: %q is registered twice: remove one of the entries",
				r.path(MetadataFile), i+1, e.ModelFile)
		}
		a.models[e.ModelFile], a.passed[e.ModelFile] = true, e.PassedGate
		b, err := r.check(e)
		if err == nil {
			err = matches(e, b)
		}
		if pending := slices.Contains(p.Prune, e.ModelFile) && errors.Is(err, fs.ErrNotExist); err != nil && !pending {
			a.problem("%v", err)
		}
	}
}

// verifyFolders finds files that belong to no registered model, and leftovers of killed
// processes. Without metadata.json each model is verified by itself.
func (r *Registry) verifyFolders(a *Audit, p intent) error {
	files, err := os.ReadDir(r.path(Models))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, file := range files {
		name := file.Name()
		card := strings.HasSuffix(name, ".html") && a.models[strings.TrimSuffix(name, ".html")+".json"]
		switch {
		case strings.HasPrefix(name, "."), name == "README.md", a.models[name], card, name == p.entry.ModelFile:
		case a.models != nil:
			a.problem("%s belongs to no registered model: move it away", r.model(name))
		case strings.HasSuffix(name, ".json"):
			b, err := r.ReadModel(name)
			if err == nil {
				err = r.verify(b)
			}
			if err != nil {
				a.problem("%s: %v", name, err)
			}
		}
	}
	for _, dir := range []string{Models, filepath.Dir(MetadataFile)} {
		for _, name := range atomicfile.Leftovers(r.path(dir)) {
			a.note("%s was left by a killed process: the next change removes it", name)
		}
	}
	return nil
}

// verifyJournal checks that the journal is a chain that ends at the pointer.
func (r *Registry) verifyJournal(a *Audit, p intent, s *state) {
	h, err := r.history()
	switch {
	case err != nil:
		a.problem("%v", err)
	case h.truncated != "" && p.Prune == nil && (p.Change == nil || !p.Change.beginsWith(h.truncated)):
		a.problem("%v", r.truncatedError(len(h.changes)))
	}
	var at *moved
	if len(h.changes) > 0 {
		at = h.changes[0].Moved
	}
	last, ok := r.verifyArchives(a, at)
	if !ok { // which models they had is unknown too
		a.models, last = nil, h.changes[0].From
	}
	a.Changes += len(h.changes)
	last = r.verifyChain(a, r.path(HistoryFile), h.changes, last)
	if s.pointerErr == nil {
		a.Current = s.current
	}
	pointer, known := r.path(CurrentFile), err == nil && p.Change == nil // where the journal ends
	switch {
	case errors.Is(s.pointerErr, ErrNoCurrent):
		if last != "" && p.Change == nil {
			a.problem("%s is missing, the journal ends with %q: run rollback with a model's name", pointer, last)
		}
	case s.pointerErr != nil:
		a.problem("%v: run rollback with a model's name", s.pointerErr)
	case a.models != nil && !a.models[s.current] && s.current != p.entry.ModelFile:
		a.problem("%s: %s is not in %s: run rollback with a model's name", pointer, s.current, r.path(MetadataFile))
	case known && len(h.changes) == 0 && a.passed[s.current]:
		a.problem("%s has no line, and %s passed its gate: restore it from a copy, or let the next change start "+
			"a new one", r.path(HistoryFile), s.current)
	case known && s.current != last:
		a.note("%s was edited manually, from %q to %q: the next change records that in the journal",
			pointer, last, s.current)
	}
}

// verifyChain checks lines of the journal, the first of which is from last, and returns the model
// of the last one.
func (r *Registry) verifyChain(a *Audit, path string, changes []Change, last string) string {
	for i, c := range changes {
		if c.From != last {
			a.problem("%s:%d: from %q, but the line before is to %q: a line is missing or was changed",
				path, i+1, c.From, last)
		}
		if c.To == c.From && c.By != prune {
			a.problem("%s:%d: from %q to the same: the line was changed", path, i+1, c.To)
		}
		if _, err := time.Parse(time.RFC3339, c.TS); err != nil {
			a.problem("%s:%d: ts %q is not a time such as 2026-01-31T12:00:00Z: the line was changed", path, i+1, c.TS)
		}
		if !slices.Contains([]string{"train", "evaluate", "rollback", manual, prune}, c.By) {
			a.problem("%s:%d: by %q, which is no program of this project: the line was changed", path, i+1, c.By)
		}
		if _, known := a.models[c.To]; c.By != manual && c.By != prune && a.models != nil && !known {
			a.problem("%s:%d: to %q, which is not in %s", path, i+1, c.To, r.path(MetadataFile))
		}
		last = c.To
	}
	return last
}

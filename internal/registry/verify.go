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

	"github.com/go-json-experiment/json"
)

// An Audit is what Verify found.
type Audit struct {
	Models   int      `json:"models"`   // registered
	Changes  int      `json:"changes"`  // in the journal
	Current  string   `json:"current"`  // what the pointer says, "" for nothing
	Problems []string `json:"problems"` // what is off; each names its file
	Notes    []string `json:"notes"`    // what is well, and may surprise

	models map[string]bool // registered; nil if that is not known
	passed map[string]bool // and passed their gate
}

// Verify checks all that the registry promises: every registered model has the
// bytes that were registered, is sound, and is what its entry says; the journal is
// a chain; the pointer is where its last line left it; and models/ holds nothing
// else. matches tells whether an entry says of a model what the model says of itself.
//
// It changes nothing, and waits for a change that is under way. The error tells
// that the registry could not be looked at, or that there is none.
func (r *Registry) Verify(ctx context.Context, matches func(e Entry, model []byte) error) (*Audit, error) {
	lock, err := r.lock(ctx, os.O_RDONLY)
	switch {
	case errors.Is(err, fs.ErrNotExist): // nobody has changed this copy, and nobody who could is kept away
	case err != nil:
		return nil, err
	default:
		defer lock.Close()
	}
	a := &Audit{Problems: []string{}, Notes: []string{}}
	if err := r.regular(); err != nil {
		a.problem("%v", err)
		return a, nil // the others cannot be read beside it
	}
	p := r.verifyPending(a)
	r.verifyEntries(a, matches)
	if err := r.verifyFolders(a, p); err != nil {
		return nil, err
	}
	pointer, err := r.look(ctx)
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

// verifyPending returns the change that was stopped half-way, if there is one that
// the next process will make whole.
func (r *Registry) verifyPending(a *Audit) (p pending) {
	path := r.path(pendingFile)
	b, err := atomicfile.Read(path, maxPending)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return p
	case err != nil:
		a.problem("%v", err)
		return p
	}
	if err := json.Unmarshal(b, &p); err != nil {
		a.problem("%s is not a change under way (%s): remove it", path, reason(err))
		return pending{}
	}
	begun, err := r.begun(p)
	if err != nil {
		a.problem("%v", err)
		return p
	}
	if err := r.checkPending(p); begun && err != nil {
		a.problem("%v", err)
		return pending{}
	}
	a.problem("%s: a change was stopped half-way: the next train, evaluate or rollback finishes it", path)
	if !begun {
		return pending{}
	}
	return p
}

// announced returns the name of the model that a change was to register, "" for none.
func (p pending) announced() string {
	var e Entry
	if p.Entry == nil || json.Unmarshal(*p.Entry, &e) != nil {
		return ""
	}
	return e.ModelFile
}

// verifyEntries checks each entry with its model.
func (r *Registry) verifyEntries(a *Audit, matches func(Entry, []byte) error) {
	m, err := r.metadata()
	if err != nil {
		a.problem("%v", err)
		return
	}
	if changes, _, err := r.history(); len(m.entries) == 0 && err == nil && len(changes) > 0 {
		a.problem("%s is missing or has no models, and %s has changes: restore it from a copy", r.path(MetadataFile), r.path(HistoryFile))
		return // which models are registered is not known
	}
	a.Models, a.models, a.passed = len(m.entries), map[string]bool{}, map[string]bool{}
	for i, e := range m.entries {
		if a.models[e.ModelFile] {
			a.problem("%s: entry %d: %q is registered twice: remove one of the entries", r.path(MetadataFile), i+1, e.ModelFile)
		}
		a.models[e.ModelFile], a.passed[e.ModelFile] = true, e.PassedGate
		b, err := r.check(e)
		if err == nil {
			err = matches(e, b)
		}
		if err != nil {
			a.problem("%v", err)
		}
	}
}

// verifyFolders looks for what belongs to no registered model, and for what a kill
// left. Of models without a list each is checked for itself.
func (r *Registry) verifyFolders(a *Audit, p pending) error {
	files, err := os.ReadDir(r.path(Models))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, file := range files {
		name := file.Name()
		card := strings.HasSuffix(name, ".html") && a.models[strings.TrimSuffix(name, ".html")+".json"]
		switch {
		case strings.HasPrefix(name, "."), name == "README.md", a.models[name], card, name == p.announced():
		case a.models != nil:
			a.problem("%s belongs to no registered model: move it away", r.path(Models+"/"+name))
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
			a.note("%s was left by a process that was killed: the next change removes it", name)
		}
	}
	return nil
}

// verifyJournal checks that the journal is a chain that ends at the pointer.
func (r *Registry) verifyJournal(a *Audit, p pending, s *state) {
	changes, torn, err := r.history()
	switch {
	case err != nil:
		a.problem("%v", err)
	case torn != "" && (p.Change == nil || !p.Change.beginsWith(torn)):
		a.problem("%v", r.tornError(len(changes)))
	}
	a.Changes = len(changes)
	path, last := r.path(HistoryFile), ""
	for i, c := range changes {
		if c.From != last {
			a.problem("%s:%d: from %q, the line before is to %q: a line is missing or was changed", path, i+1, c.From, last)
		}
		if c.To == c.From {
			a.problem("%s:%d: from %q to the same: no change is recorded so", path, i+1, c.To)
		}
		if _, err := time.Parse(time.RFC3339, c.TS); err != nil {
			a.problem("%s:%d: ts %q is no time such as 2026-01-31T12:00:00Z: the line was changed", path, i+1, c.TS)
		}
		if !slices.Contains([]string{"train", "evaluate", "rollback", byHand}, c.By) {
			a.problem("%s:%d: by %q, which is none of our programs: the line was changed", path, i+1, c.By)
		}
		if c.By != byHand && a.models != nil && !a.models[c.To] {
			a.problem("%s:%d: to %q, which is not in %s", path, i+1, c.To, r.path(MetadataFile))
		}
		last = c.To
	}
	current, pointerErr := s.current, s.pointerErr
	if pointerErr == nil {
		a.Current = current
	}
	if errors.Is(pointerErr, ErrNoCurrent) && (last == "" || p.Change != nil) {
		return
	}
	pointer := r.path(CurrentFile)
	switch {
	case errors.Is(pointerErr, ErrNoCurrent):
		a.problem("%s is missing, the journal ends with %q: run rollback with a model's name", pointer, last)
	case pointerErr != nil:
		a.problem("%v: run rollback with a model's name", pointerErr)
	case a.models != nil && !a.models[current] && current != p.announced():
		a.problem("%s: %s is not in %s: run rollback with a model's name", pointer, current, r.path(MetadataFile))
	case err == nil && p.Change == nil && len(changes) == 0 && a.passed[current]:
		a.problem("%s has no line, and %s passed its gate: restore it from a copy, or let the next change begin a new one", path, current)
	case err == nil && p.Change == nil && current != last:
		a.note("%s was edited by hand, from %q to %q: the next change writes that to the journal", pointer, last, current)
	}
}

package registry

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What readers would refuse is not written: the change is refused, with the way out, and nothing
// changes. What was written before stays readable, and a manual edit is recorded all the same.
func TestLimitsAreMetBeforeTheWrite(t *testing.T) {
	dir, names := threeModels(t)
	size := func(file string) int64 {
		info, err := os.Stat(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	r := open(dir)
	refused := func(what, want string, change func() error) {
		t.Helper()
		before := tree(t, dir)
		if err := change(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
		wantSame(t, what, dir, before)
	}
	addOne := func() error {
		_, err := r.Add(t.Context(), []byte("valid v4"), "churn_model", newEntry("v4", true), "passed")
		return err
	}
	rollback := func() error {
		_, _, err := r.Rollback(t.Context(), Rollback{})
		return err
	}
	unlimited := r.limits
	r.limits.model = int64(len("valid v4")) - 1
	refused("a large model", "the new model has 8 bytes, a model has at most 7", addOne)

	r.limits = unlimited
	r.limits.metadata = size(MetadataFile)
	refused("a full metadata.json", "metadata.json would have", addOne)
	r.limits.metadata-- // a version before could write it
	refused("metadata.json beyond its limit", "rollback --prune --keep", addOne)
	if err := rollback(); err != nil {
		t.Errorf("a rollback, which does not write metadata.json: %v", err)
	}

	r.limits = unlimited
	r.limits.history = size(HistoryFile)
	refused("a full journal", "history.jsonl would have", addOne)
	refused("a full journal", "rollback --prune --keep", rollback)
	r.limits.history--
	refused("a journal beyond its limit", "rollback --prune --keep", rollback)
	write(t, r.path(CurrentFile), names[0])
	if err := rollback(); err == nil {
		t.Error("a rollback with a full journal succeeded")
	}
	wantValid(t, dir) // the manual edit is recorded
}

// The journal is never written in place, so a copy by hard links keeps its own.
func TestCopiesByHardLinksStay(t *testing.T) {
	dir, names := threeModels(t)
	snap := filepath.Join(t.TempDir(), "snap")
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		to := snap + strings.TrimPrefix(path, dir)
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return os.Mkdir(to, 0o755)
		}
		return os.Link(path, to)
	})
	if err != nil {
		t.Fatal(err)
	}
	before := tree(t, snap)
	r := open(dir)
	add(t, r, "v4", true)
	back(t, r, Rollback{}, names[2], 0)
	write(t, r.path(CurrentFile), names[0])
	add(t, r, "v5", false)
	if _, err := r.Prune(t.Context(), Prune{}); err != nil {
		t.Fatal(err)
	}
	wantSame(t, "changes of the original", snap, before)
	if a := audit(t, snap); len(a.Problems)+len(a.Notes) > 0 {
		t.Errorf("Verify of the copy = %+v, want no problem", a)
	}
}

// Without the lock's file Verify reads again what changes meanwhile.
func TestVerifyWithoutTheLockWaitsForAChange(t *testing.T) {
	dir, _ := threeModels(t)
	after := open(copyOf(t, dir))
	add(t, after, "v4", true)
	if err := os.Remove(filepath.Join(dir, lockFile)); err != nil {
		t.Fatal(err)
	}
	steps := stepsOf(t, open(dir), after)
	for _, s := range steps[:len(steps)-1] {
		write(t, filepath.Join(dir, s.file), s.content)
	}
	last := steps[len(steps)-1]
	finish := func(Entry, []byte) error { // once a model is read, the change goes on
		if _, err := os.Lstat(filepath.Join(dir, intentFile)); err == nil {
			write(t, filepath.Join(dir, last.file), last.content)
			os.Remove(filepath.Join(dir, intentFile))
		}
		return nil
	}
	a, err := open(dir).Verify(t.Context(), finish)
	if err != nil || len(a.Problems)+len(a.Notes) > 0 || a.Models != 4 {
		t.Errorf("Verify = %+v, %v, want four models and no problem", a, err)
	}
	write(t, filepath.Join(dir, intentFile), steps[0].content) // of a process that was killed
	start := time.Now()
	if a := audit(t, dir); len(a.Problems) != 1 || !strings.Contains(a.Problems[0], "was interrupted") {
		t.Errorf("Verify = %+v, want an interrupted change", a)
	}
	if waited := time.Since(start); waited < editTimeout {
		t.Errorf("Verify waited %v for the change, want %v", waited, editTimeout)
	}
}

// Reasons and names of files in another encoding than UTF-8 are taken.
func TestReasonsInAnyBytes(t *testing.T) {
	dir, names := threeModels(t)
	r := open(dir)
	if c, _, err := r.Rollback(t.Context(), Rollback{Reason: "retour \xe0 v1"}); err != nil || c.To != names[1] {
		t.Fatalf("Rollback = %+v, %v, want to %s", c, err, names[1])
	}
	e := newEntry("v4", true)
	e.DataFile = "donn\xe9es.csv"
	if _, err := r.Add(t.Context(), []byte("valid v4"), "churn_model", e, "pass\xe9"); err != nil {
		t.Error(err)
	}
	changes, err := r.History()
	if err != nil || changes[3].Reason != "retour \uFFFD v1" {
		t.Errorf("History() = %+v, %v, want the reason with a replacement character", changes, err)
	}
	wantValid(t, dir)
}

// A copy that was made while a change was in flight verifies, or says so.
func TestCopiesMadeDuringAChange(t *testing.T) {
	dir, _ := threeModels(t)
	after := open(copyOf(t, dir))
	add(t, after, "v4", true)
	steps := stepsOf(t, open(dir), after)
	for n := range len(steps) {
		copied := copyOf(t, dir)
		for _, s := range steps[:n+1] {
			write(t, filepath.Join(copied, s.file), s.content)
		}
		a := audit(t, copied)
		if len(a.Problems) != 1 || !strings.Contains(a.Problems[0], "pending.json: a change was interrupted") {
			t.Errorf("a copy after step %d: %q, want only the change in flight", n+1, a.Problems)
		}
		add(t, open(copied), "next", false)
		wantValid(t, copied)
	}
}

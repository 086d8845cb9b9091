package registry

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// long returns a registry whose journal is long for its limits, with 8 models.
func long(t *testing.T) *Registry {
	t.Helper()
	r := open(t.TempDir())
	for i := range 8 {
		add(t, r, fmt.Sprint("v", i), true)
	}
	r.limits.lines = 3
	return r
}

func moves(t *testing.T, r *Registry, lines int, file string) {
	t.Helper()
	dry, err := r.Prune(t.Context(), Prune{Keep: 5, DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	p, err := r.Prune(t.Context(), Prune{Keep: 5})
	if err != nil || p.Moved != lines || p.Archive != file || dry.Archive != p.Archive {
		t.Fatalf("Prune = %+v, %v, dry run %+v, want %d lines moved to %s", p, err, dry, lines, file)
	}
	if a := audit(t, r.dir); len(a.Problems)+len(a.Notes) > 0 {
		t.Fatalf("Verify = %+v, want no problem", a)
	}
	wantNoTemps(t, r)
}

func wantNoTemps(t *testing.T, r *Registry) {
	t.Helper()
	if files := tree(t, r.dir); strings.Contains(files, ".tmp-") || strings.Contains(files, intentFile) {
		t.Errorf("leftovers: %s", files)
	}
}

// undone returns the models that rollbacks without a name go back to, in order.
func undone(t *testing.T, r *Registry) (names []string) {
	t.Helper()
	copied := open(copyOf(t, r.dir))
	for {
		c, _, err := copied.Rollback(t.Context(), Rollback{})
		if err != nil {
			return names
		}
		names = append(names, c.To)
	}
}

// Pruning moves old lines to an archive a year: the chain goes on across the files, Verify checks
// them all, and rollbacks go where they would have gone.
func TestPruneMovesOldLinesOfALongJournal(t *testing.T) {
	r := long(t)
	before := undone(t, r)[:4]
	lines := strings.SplitAfter(read(t, r.path(HistoryFile)), "\n")
	moves(t, r, 6, "history-2026.jsonl") // 8 lines and that of the prune, but for the last 3
	if got := read(t, r.archivePath("history-2026.jsonl")); got != strings.Join(lines[:6], "") {
		t.Errorf("the archive has %s", got)
	}
	if changes, err := r.History(); err != nil || len(changes) != 4 || changes[0].Moved == nil {
		t.Errorf("History() = %+v, %v, want a reference and three lines", changes, err)
	}
	if got := undone(t, r); !reflect.DeepEqual(got, before) {
		t.Errorf("rollbacks go to %q, before to %q", got, before)
	}
	if a := audit(t, r.dir); a.Changes != 10 || a.Models != 5 {
		t.Errorf("Verify = %+v, want 10 changes and 5 models", a)
	}
	r.now = func() time.Time { return evening.AddDate(1, 0, 0) }
	for _, name := range []string{"v0", "v1", "v2", "v3"} {
		add(t, r, name, true)
	}
	moves(t, r, 6, "history-2027.jsonl")
	r.now = func() time.Time { return evening } // set back
	for _, name := range []string{"w0", "w1", "w2", "w3"} {
		add(t, r, name, true)
	}
	moves(t, r, 6, "history-2027.jsonl")
	whole := copyOf(t, r.dir)

	problem := func(what, want string, damage func(r *Registry)) {
		t.Helper()
		r := open(copyOf(t, whole))
		damage(r)
		if a := audit(t, r.dir); len(a.Problems) != 1 || !strings.Contains(a.Problems[0], want) {
			t.Errorf("%s: Verify = %q, want only %q", what, a.Problems, want)
		}
	}
	for _, name := range []string{"history-2026.jsonl", "history-2027.jsonl"} {
		problem("missing", name, func(r *Registry) { os.Remove(r.archivePath(name)) })
		problem("changed", name+": its first", func(r *Registry) {
			text := read(t, r.archivePath(name))
			write(t, r.archivePath(name), strings.Replace(text, "passed its gate", "passed its gatf", 1))
		})
		problem("shorter", name+": its first", func(r *Registry) {
			write(t, r.archivePath(name), read(t, r.archivePath(name))[:100])
		})
	}
	problem("another file", "is not the name of a file such as", func(r *Registry) {
		text := read(t, r.path(HistoryFile))
		write(t, r.path(HistoryFile), strings.Replace(text, `"file":"`, `"file":"../`, 1))
	})
}

// The entries of removed models move too, and their lines are valid all the same.
func TestPruneMovesEntriesOfRemovedModels(t *testing.T) {
	r := long(t)
	r.limits.bytes = len(read(t, r.path(MetadataFile)))/2 - 10
	moves(t, r, 6, "history-2026.jsonl")
	if entries, err := r.Entries(); err != nil || len(entries) != 5 {
		t.Errorf("%d entries, %v, want 5", len(entries), err)
	}
	if text := read(t, r.archivePath("history-2026.jsonl")); strings.Count(text, `"pruned_at_utc"`) != 3 {
		t.Errorf("the archive is %s, want three entries", text)
	}
	os.Remove(r.archivePath("history-2026.jsonl"))
	if a := audit(t, r.dir); len(a.Problems) != 1 {
		t.Errorf("Verify without the archive = %q, want one problem", a.Problems)
	}
}

// After a kill between the writes the registry is valid, and the next pruning moves what is left.
func TestPruneAfterAKillWhileLinesMoved(t *testing.T) {
	start := open(t.TempDir())
	for i := range 8 {
		add(t, start, fmt.Sprint("v", i), true)
	}
	if p, err := start.Prune(t.Context(), Prune{Keep: 5}); err != nil || len(p.Removed) != 3 || p.Archive != "" {
		t.Fatalf("Prune = %+v, %v, want three models removed, and no line moved", p, err)
	}
	short := start.limits
	short.lines, short.bytes = 3, len(read(t, start.path(MetadataFile)))/2-10
	before := undone(t, start)
	after := open(copyOf(t, start.dir))
	after.limits = short
	moves(t, after, 6, "history-2026.jsonl")
	archive := filepath.Dir(HistoryFile) + "/history-2026.jsonl"
	for n, written := range [][]string{{archive}, {archive, HistoryFile}} {
		r := open(copyOf(t, start.dir))
		for _, name := range written {
			write(t, r.path(name), read(t, after.path(name)))
		}
		if a := audit(t, r.dir); len(a.Problems)+len(a.Notes) > 0 {
			t.Errorf("Verify after write %d = %+v, want no problem", n+1, a)
		}
		add(t, r, "next", false)
		r.limits = short
		if p, err := r.Prune(t.Context(), Prune{Keep: 6}); err != nil || p.Archive != "history-2026.jsonl" {
			t.Errorf("Prune after write %d = %+v, %v", n+1, p, err)
		}
		wantLeft(t, r, append(modelsOf(t, after), "churn_model_next_20261122_193000.json")...)
		if got := undone(t, r); !reflect.DeepEqual(got, before) {
			t.Errorf("after write %d rollbacks go to %q, want %q", n+1, got, before)
		}
		wantNoTemps(t, r)
	}
}

func modelsOf(t *testing.T, r *Registry) (names []string) {
	t.Helper()
	entries, err := r.Entries()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.ModelFile)
	}
	return names
}

// A journal that is full, or was filled by hand, is shortened, and changes go on.
func TestPruneOpensAFullJournal(t *testing.T) {
	r := open(t.TempDir())
	for i := range 4 {
		add(t, r, fmt.Sprint("v", i), true)
	}
	text := read(t, r.path(HistoryFile))
	write(t, r.path(HistoryFile), strings.Replace(text, "passed its gate", strings.Repeat("x", 1000), 1))
	r.limits.history, r.limits.bytes = 1500, 500
	if _, _, err := r.Rollback(t.Context(), Rollback{}); err == nil || !strings.Contains(err.Error(), "rollback --prune") {
		t.Fatalf("Rollback with a full journal: %v, want the way out", err)
	}
	moves(t, r, 1, "history-2026.jsonl")
	add(t, r, "v4", true)
	if _, _, err := r.Rollback(t.Context(), Rollback{}); err != nil {
		t.Error(err)
	}
	wantLeft(t, r, modelsOf(t, r)...)
}

// A journal that was changed by hand is no reason to search for an archive without end, and what did
// not move is not reported as moved.
func TestPruneRejectsAChangedReference(t *testing.T) {
	r := long(t)
	moves(t, r, 6, "history-2026.jsonl")
	for _, name := range []string{"v8", "v9", "w0", "w1"} {
		add(t, r, name, true)
	}
	write(t, r.path(HistoryFile), strings.Replace(read(t, r.path(HistoryFile)), `"file":"`, `"file":"the `, 1))
	pruned := make(chan Pruned, 1)
	go func() {
		p, err := r.Prune(t.Context(), Prune{Keep: 5})
		if err == nil || !strings.Contains(err.Error(), "is not the name of a file such as") {
			t.Errorf("Prune: %v", err)
		}
		pruned <- p
	}()
	select {
	case p := <-pruned:
		if p.Moved != 0 || p.Archive != "" || len(p.Removed) == 0 {
			t.Errorf("Prune = %+v, want models removed, and no line moved", p)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Prune searches without end")
	}
}

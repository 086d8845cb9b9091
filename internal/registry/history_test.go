package registry

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// History returns the changes of the current model, the oldest first.
func (r *Registry) History() ([]Change, error) {
	changes, torn, err := r.history()
	if err == nil && torn != "" {
		err = r.truncatedError(len(changes))
	}
	return changes, err
}

func TestHistoryReadsWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	r := open(dir)
	os.Mkdir(filepath.Join(dir, "registry"), 0o755)
	const first = `{"ts":"2026-01-01T00:00:00Z","from":"","to":"a.json","by":"train","reason":"x"}` + "\n"
	const second = `{"ts":"2026-01-02T00:00:00Z","from":"a.json","to":"b.json","by":"hand","reason":"y","more":1}` + "\n"
	check := func(text string, want int, fault string) {
		t.Helper()
		write(t, r.path(HistoryFile), text)
		got, err := r.History()
		if fault == "" && (err != nil || len(got) != want) {
			t.Errorf("History() of %q = %+v, %v, want %d lines", text, got, err, want)
		}
		if fault != "" && (err == nil || !strings.Contains(err.Error(), fault)) {
			t.Errorf("History() of %q = %+v, %v, want %q", text, got, err, fault)
		}
	}
	check("", 0, "")
	check(first, 1, "")
	check(first+second, 2, "")
	check(first+"\n"+second, 0, "history.jsonl:2: not a change")
	check(first+"../../etc/passwd\n", 0, "history.jsonl:2: not a change")
	check("{}\n", 0, "history.jsonl:1: not a change")
	check("null\n"+first, 0, "history.jsonl:1: not a change")
	check(first+second+"\x00\x00\n", 0, "history.jsonl:3: not a change")
	check(first+second[:30], 0, "history.jsonl:2: the last line is truncated")
	check(first+strings.TrimSuffix(second, "\n"), 0, "history.jsonl:2: the last line is truncated")
}

// The reason is free text: whatever it holds, a change is a line.
func TestAChangeIsOneLine(t *testing.T) {
	dir := t.TempDir()
	r := open(dir)
	const reason = "two\nlines, \"quotes\" and \u2028"
	if _, err := r.Add(t.Context(), []byte("sound"), "churn_model", newEntry("v1", true), reason); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(read(t, r.path(HistoryFile)), "\n"); n != 1 {
		t.Errorf("%d lines, want 1", n)
	}
	if c, err := r.History(); err != nil || len(c) != 1 || c[0].Reason != reason {
		t.Errorf("History() = %+v, %v, want the reason %q", c, err, reason)
	}
}

// Some editors leave no line end; a torn line must not join the next one.
func TestTornLineWithoutAPendingChangeIsAnError(t *testing.T) {
	dir := t.TempDir()
	r := open(dir)
	add(t, r, "v1", true)
	write(t, r.path(HistoryFile), strings.TrimSuffix(read(t, r.path(HistoryFile)), "\n"))
	before := tree(t, dir)
	if _, err := r.Add(t.Context(), []byte("sound"), "churn_model", newEntry("v2", true), "x"); err == nil {
		t.Error("Add wrote after a torn line")
	}
	wantSame(t, "Add", dir, before)
}

// Whoever edits the pointer by hand takes no lock. An edit in the middle of a
// change is found by the next one, and the journal remains a chain.
func TestAnEditInTheMiddleOfAChangeKeepsTheChain(t *testing.T) {
	three, names := threeModels(t)
	for name, ask := range map[string]Rollback{"named": {Target: names[1]}, "the one before": {}} {
		t.Run(name, func(t *testing.T) {
			dir := copyOf(t, three)
			edited := false
			r := Open(dir, func(b []byte) error { // called between the look at the pointer and the change of it
				write(t, filepath.Join(dir, CurrentFile), names[0])
				edited = true
				return verify(b)
			}, nil)
			if _, _, err := r.Rollback(t.Context(), ask); err != nil || !edited {
				t.Fatal(err)
			}
			if got, err := r.Current(); got != names[0] || err != nil {
				t.Errorf("Current() = %q, %v, want the edit %q", got, err, names[0])
			}
			add(t, open(dir), "next", true)
			wantSound(t, dir)
			changes, err := r.History()
			if last := changes[len(changes)-2]; err != nil || last.By != manual || last.To != names[0] {
				t.Errorf("the change before the last one is %+v, %v, want the edit", last, err)
			}
		})
	}
}

// A pointer that is written in place, as by echo, is empty for a moment. A training
// that ends just then is registered all the same.
func TestAChangeWaitsForAnEditInPlace(t *testing.T) {
	three, names := threeModels(t)
	pointer := filepath.Join(three, CurrentFile)
	f, err := os.Create(pointer)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := Open(three, func(b []byte) error { // called before the change begins
		time.AfterFunc(20*time.Millisecond, func() { f.WriteString(names[0]) })
		return verify(b)
	}, nil)
	v4 := add(t, r, "v4", true)
	changes, err := r.History()
	if err != nil || len(changes) != 5 || changes[3].To != names[0] || changes[4].To != v4 {
		t.Errorf("the journal is %+v, %v, want the edit and then the new model", changes, err)
	}
	wantSound(t, three)
}

// A name that is written in place over a shorter one is read as it was, as it is,
// or not at all: never the one with the end of the other.
func TestAnEditInPlaceIsReadWhole(t *testing.T) {
	dir := t.TempDir()
	r := open(dir)
	short, long := add(t, r, "v1", true), add(t, r, "v1", true)
	var stop atomic.Bool
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop.Store(true)
	wg.Go(func() {
		for i := 0; !stop.Load(); i++ {
			if err := os.WriteFile(r.path(CurrentFile), []byte([]string{short, long}[i%2]+"\n"), 0o644); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 50_000 {
		name, err := r.Current()
		if err == nil && name != short && name != long || err != nil && !strings.Contains(err.Error(), "it is empty") {
			t.Fatalf("Current() = %q, %v", name, err)
		}
	}
}

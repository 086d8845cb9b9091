package registry

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestHistoryReadsCompleteLines(t *testing.T) {
	dir := t.TempDir()
	r := open(dir)
	os.Mkdir(filepath.Join(dir, "registry"), 0o755)
	const first = `{"ts":"2026-01-01T00:00:00Z","from":"","to":"a.json","by":"train","reason":"x"}` + "\n"
	const second = `{"ts":"2026-01-02T00:00:00Z","from":"a.json","to":"b.json","by":"hand","reason":"y","more":1}` +
		"\n"
	check := func(text string, want int, wantErr string) {
		t.Helper()
		write(t, r.path(HistoryFile), text)
		got, err := r.History()
		if wantErr == "" && (err != nil || len(got) != want) {
			t.Errorf("History() of %q = %+v, %v, want %d lines", text, got, err, want)
		}
		if wantErr != "" && (err == nil || !strings.Contains(err.Error(), wantErr)) {
			t.Errorf("History() of %q = %+v, %v, want %q", text, got, err, wantErr)
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

// The reason is free text: whatever it contains, a change is one line.
func TestAChangeIsOneLine(t *testing.T) {
	dir := t.TempDir()
	r := open(dir)
	const reason = "two\nlines, \"quotes\" and \u2028"
	if _, err := r.Add(t.Context(), []byte("valid"), "churn_model", newEntry("v1", true), reason); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(read(t, r.path(HistoryFile)), "\n"); n != 1 {
		t.Errorf("%d lines, want 1", n)
	}
	if c, err := r.History(); err != nil || len(c) != 1 || c[0].Reason != reason {
		t.Errorf("History() = %+v, %v, want the reason %q", c, err, reason)
	}
}

// Some editors write no final newline: a truncated line must not join the next one.
func TestTruncatedLineWithoutAnIntentIsAnError(t *testing.T) {
	dir := t.TempDir()
	r := open(dir)
	add(t, r, "v1", true)
	write(t, r.path(HistoryFile), strings.TrimSuffix(read(t, r.path(HistoryFile)), "\n"))
	before := tree(t, dir)
	if _, err := r.Add(t.Context(), []byte("valid"), "churn_model", newEntry("v2", true), "x"); err == nil {
		t.Error("Add wrote after a truncated line")
	}
	wantSame(t, "Add", dir, before)
}

// A manual edit takes no lock. One during a change is recorded by the next change, and the
// journal stays a chain.
func TestManualEditDuringAChangeKeepsTheChain(t *testing.T) {
	three, names := threeModels(t)
	for name, request := range map[string]Rollback{"named": {Target: names[1]}, "the one before": {}} {
		t.Run(name, func(t *testing.T) {
			dir := copyOf(t, three)
			edited := false
			r := Open(dir, func(b []byte) error { // called after the pointer is read, before it is changed
				write(t, filepath.Join(dir, CurrentFile), names[0])
				edited = true
				return verify(b)
			})
			if _, _, err := r.Rollback(t.Context(), request); err != nil || !edited {
				t.Fatal(err)
			}
			if got, err := r.Current(); got != names[0] || err != nil {
				t.Errorf("Current() = %q, %v, want the edit %q", got, err, names[0])
			}
			add(t, open(dir), "next", true)
			wantValid(t, dir)
			changes, err := r.History()
			if last := changes[len(changes)-2]; err != nil || last.By != manual || last.To != names[0] {
				t.Errorf("the change before the last one is %+v, %v, want the edit", last, err)
			}
		})
	}
}

// A pointer that is written in place, as by echo, is empty for a moment: a change waits for
// it.
func TestChangeWaitsForAnEditInPlace(t *testing.T) {
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
	})
	v4 := add(t, r, "v4", true)
	changes, err := r.History()
	if err != nil || len(changes) != 5 || changes[3].To != names[0] || changes[4].To != v4 {
		t.Errorf("the journal is %+v, %v, want the edit and then the new model", changes, err)
	}
	wantValid(t, three)
}

// A name that is written in place over another is read as the old one, the new one, or not at
// all: never as a mixture.
func TestEditInPlaceIsReadWhole(t *testing.T) {
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

func TestSpans(t *testing.T) {
	r := open(t.TempDir())
	line := func(ts, from, to, by, more string) string {
		return fmt.Sprintf(`{"ts":"2026-01-0%sT00:00:00Z","from":%q,"to":%q,"by":%q,"reason":"x"%s}`+"\n",
			ts, from, to, by, more)
	}
	check := func(text, want string) {
		t.Helper()
		write(t, r.path(HistoryFile), text)
		spans, err := r.Spans()
		var got strings.Builder
		for _, s := range spans {
			day := func(ts string) string { return ts[min(9, len(ts)):min(10, len(ts))] }
			fmt.Fprintf(&got, "%s %s-%s %s;", s.ModelFile, day(s.From), day(s.To), s.By)
		}
		if err != nil || got.String() != want {
			t.Errorf("Spans() of %q: %q, %v, want %q", text, got.String(), err, want)
		}
	}
	os.Mkdir(filepath.Dir(r.path(HistoryFile)), 0o755)
	check("", "")
	first := line("1", "", "a.json", "train", "")
	check(first, "a.json 1- train;")
	check(first+line("2", "a.json", "b.json", "evaluate", "")+line("3", "b.json", "b.json", "prune", "")+
		line("4", "b.json", "a.json", "rollback", ""), "a.json 1-2 train;b.json 2-4 evaluate;a.json 4- rollback;")
	check(first+line("2", "a.json", "", "hand", "")+line("3", "", "a.json", "hand", ""),
		"a.json 1-2 train;a.json 3- hand;")
	moved := line("5", "a.json", "a.json", "prune", `,"moved":{"file":"x","undo":["a.json"]}`)
	check(moved+line("6", "a.json", "b.json", "train", ""), "a.json 5-6 prune;b.json 6- train;")
}

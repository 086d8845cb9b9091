package registry

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A change writes these in this order, then removes pending.json.
type step struct{ file, content string }

// stepsOf returns what the change between two copies of a registry wrote.
func stepsOf(t *testing.T, before, after *Registry) []step {
	t.Helper()
	was, err := before.Entries()
	if err != nil {
		t.Fatal(err)
	}
	entries, _ := after.Entries()
	var p intent
	var models []step
	for _, e := range entries[len(was):] {
		raw, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		p.Entry = (*jsontext.Value)(&raw)
		name := Models + "/" + e.ModelFile
		models = append(models, step{name, read(t, after.path(name))})
	}
	changes, _ := after.History()
	if old, _ := before.History(); len(changes) > len(old) {
		p.Change = &changes[len(changes)-1]
	}
	written, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	steps := append([]step{{intentFile, string(written)}}, models...)
	if models != nil {
		steps = append(steps, step{MetadataFile, read(t, after.path(MetadataFile))})
	}
	if p.Change != nil {
		line := read(t, after.path(HistoryFile))
		old, _ := os.ReadFile(before.path(HistoryFile))
		for _, n := range []int{1, (len(line) - len(old)) / 2, len(line) - len(old) - 1} { // truncated
			steps = append(steps, step{HistoryFile, line[:len(old)+n]})
		}
		steps = append(steps, step{HistoryFile, line}, step{CurrentFile, p.Change.To})
	}
	return steps
}

// After a kill between any two steps of a change, or within one, the next change finishes it
// or drops it.
func TestTheNextChangeFinishesWhatAKillLeft(t *testing.T) {
	three, names := threeModels(t)
	none, manual := t.TempDir(), copyOf(t, three)
	write(t, filepath.Join(manual, CurrentFile), names[0])
	recorded := copyOf(t, manual)
	if err := open(recorded).recordManualEdit(names[0]); err != nil {
		t.Fatal(err)
	}
	register := func(r *Registry) { add(t, r, "v4", true) }
	rejected := func(r *Registry) { add(t, r, "v4", false) }
	rollback := func(r *Registry) { r.Rollback(t.Context(), Rollback{Target: names[1], Reason: "worse"}) }
	recordEdit := func(r *Registry) { r.recordManualEdit(names[0]) }

	killed(t, "Add to nothing", none, register)
	killed(t, "Add of a rejected model to nothing", none, rejected)
	killed(t, "Add", three, register)
	killed(t, "Add of a rejected model", three, rejected)
	killed(t, "Rollback", three, rollback)
	killed(t, "record of a manual edit", manual, recordEdit)
	killed(t, "Add after a manual edit", recorded, register)
	killed(t, "Rollback after a manual edit", recorded, rollback)
}

// killed builds each state in which a kill can leave a change, and makes another change.
func killed(t *testing.T, what, before string, change func(*Registry)) {
	t.Helper()
	next := map[string]func(*Registry){
		"Add":                     func(r *Registry) { add(t, r, "v5", true) },
		"Add of a rejected model": func(r *Registry) { add(t, r, "v5", false) },
		"Rollback": func(r *Registry) {
			if entries, _ := r.Entries(); len(entries) == 0 { // there is nothing to roll back to
				add(t, r, "v5", true)
			}
			r.Rollback(t.Context(), Rollback{})
		},
	}
	after := copyOf(t, before)
	change(open(after))
	steps := stepsOf(t, open(before), open(after))
	for n := range len(steps) + 1 {
		for then, more := range next {
			dir := copyOf(t, before)
			r := open(dir)
			for _, s := range steps[:n] {
				write(t, mkdir(t, r.path(s.file)), s.content)
			}
			if n < len(steps) { // half of the next file
				folder, name := filepath.Split(mkdir(t, r.path(steps[n].file)))
				write(t, folder+"."+name+".tmp-ABC", steps[n].content[:len(steps[n].content)/2])
			}
			if name, err := r.Current(); err == nil {
				if _, err := r.ReadModel(name); err != nil {
					t.Errorf("a reader gets %v", err)
				}
			}
			more(r)
			wantValid(t, dir)
			wantFinished(t, r, open(before), open(after), n)
			if t.Failed() {
				t.Fatalf("that was %s, killed after step %d of %d, then %s", what, n, len(steps), then)
			}
		}
	}
}

func mkdir(t *testing.T, path string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// wantFinished checks that the change between before and after was finished in r if n of its
// steps had been made, and dropped otherwise.
func wantFinished(t *testing.T, r, before, after *Registry, n int) {
	t.Helper()
	was, _ := before.Entries()
	registered, _ := after.Entries()
	entries, _ := r.Entries()
	applied := n > 0
	if len(registered) > len(was) {
		applied = n > 1 // its model was stored
		got := len(entries) > len(was) && entries[len(was)].Version == "v4"
		if got != applied {
			t.Errorf("the model is registered: %v, want %v", got, applied)
		}
	}
	line, _ := before.History()
	changes, _ := after.History()
	if k := len(line); len(changes) > k && changes[k].By != "hand" { // which the next change records anyway
		now, _ := r.History()
		if got := len(now) > k && now[k] == changes[k]; got != applied {
			t.Errorf("the change is in the journal: %v, want %v", got, applied)
		}
	}
}

// The pointer was edited, the change that was to record it was killed, and the edit was
// reverted: the pointer stays as it is.
func TestRecordOfAManualEditDoesNotChangeThePointer(t *testing.T) {
	dir, names := threeModels(t)
	r := open(dir)
	edit := intent{Change: &Change{TS: r.timestamp(), From: names[2], To: names[0], By: "hand", Reason: "found"}}
	b, err := json.Marshal(edit)
	if err != nil {
		t.Fatal(err)
	}
	write(t, r.path(intentFile), string(b))
	add(t, r, "v4", false)
	if got, err := r.Current(); got != names[2] || err != nil {
		t.Errorf("Current() = %q, %v, want the manual edit %q", got, err, names[2])
	}
	wantValid(t, dir)
}

// Between a kill and the next change the pointer was edited, or the model of the intent was
// overwritten: neither is undone.
func TestEditsAfterAKillAreKept(t *testing.T) {
	before, names := threeModels(t)
	after := copyOf(t, before)
	v4 := add(t, open(after), "v4", true)
	steps := stepsOf(t, open(before), open(after))
	state := func(n int) *Registry {
		r := open(copyOf(t, before))
		for _, s := range steps[:n] {
			write(t, r.path(s.file), s.content)
		}
		return r
	}
	r := state(len(steps) - 1) // all but the pointer
	write(t, r.path(CurrentFile), names[0])
	add(t, r, "v5", false)
	if got, err := r.Current(); got != names[0] || err != nil {
		t.Errorf("Current() = %q, %v, want the manual edit %q", got, err, names[0])
	}
	if c, _ := r.History(); len(c) != 5 || c[3].To != v4 || c[4].By != "hand" || c[4].To != names[0] {
		t.Errorf("History() = %+v, want %s, then a manual edit to %s", c, v4, names[0])
	}
	wantValid(t, r.dir)

	r = state(2) // the intent and the model
	write(t, r.path(Models+"/"+v4), "valid, but another one")
	add(t, r, "v5", true)
	if entries, err := r.Entries(); err != nil || len(entries) != 4 || entries[3].Version != "v5" {
		t.Errorf("Entries() = %+v, %v, want v5 after the first three and no v4", entries, err)
	}
	if c, _ := r.History(); len(c) != 4 || c[3].From != names[2] {
		t.Errorf("History() = %+v, want v5 after the first three", c)
	}
}

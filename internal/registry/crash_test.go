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
	announced, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	steps := append([]step{{intentFile, string(announced)}}, models...)
	if models != nil {
		steps = append(steps, step{MetadataFile, read(t, after.path(MetadataFile))})
	}
	if p.Change != nil {
		line := read(t, after.path(HistoryFile))
		old, _ := os.ReadFile(before.path(HistoryFile))
		for _, n := range []int{1, (len(line) - len(old)) / 2, len(line) - len(old) - 1} { // torn
			steps = append(steps, step{HistoryFile, line[:len(old)+n]})
		}
		steps = append(steps, step{HistoryFile, line}, step{CurrentFile, p.Change.To})
	}
	return steps
}

// A kill between any two steps of a change, or in one, leaves a state from
// which the next change goes on: the first one is made whole, or was never begun.
func TestTheNextChangeFinishesWhatAKillLeft(t *testing.T) {
	three, names := threeModels(t)
	none, manual := t.TempDir(), copyOf(t, three)
	write(t, filepath.Join(manual, CurrentFile), names[0])
	noted := copyOf(t, manual)
	if err := open(noted).recordManualEdit(names[0]); err != nil {
		t.Fatal(err)
	}
	register := func(r *Registry) { add(t, r, "v4", true) }
	refused := func(r *Registry) { add(t, r, "v4", false) }
	rollback := func(r *Registry) { r.Rollback(t.Context(), Rollback{Target: names[1], Reason: "worse"}) }
	note := func(r *Registry) { r.recordManualEdit(names[0]) }

	killed(t, "Add to nothing", none, register)
	killed(t, "refused Add to nothing", none, refused)
	killed(t, "Add", three, register)
	killed(t, "refused Add", three, refused)
	killed(t, "Rollback", three, rollback)
	killed(t, "note on the hand", manual, note)
	killed(t, "Add after the hand", noted, register)
	killed(t, "Rollback after the hand", noted, rollback)
}

// killed makes each state that a kill can leave of a change, and then another change.
func killed(t *testing.T, what, before string, change func(*Registry)) {
	t.Helper()
	next := map[string]func(*Registry){
		"Add":         func(r *Registry) { add(t, r, "v5", true) },
		"refused Add": func(r *Registry) { add(t, r, "v5", false) },
		"Rollback": func(r *Registry) {
			if entries, _ := r.Entries(); len(entries) == 0 { // a rollback is no change then
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
					t.Errorf("a reader finds %v", err)
				}
			}
			more(r)
			wantSound(t, dir)
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

// wantFinished checks that what lies between before and after has been done in
// r if n steps of it had, and had not been begun otherwise.
func wantFinished(t *testing.T, r, before, after *Registry, n int) {
	t.Helper()
	was, _ := before.Entries()
	whole, _ := after.Entries()
	entries, _ := r.Entries()
	begun := n > 0
	if len(whole) > len(was) {
		begun = n > 1 // with its model
		got := len(entries) > len(was) && entries[len(was)].Version == "v4"
		if got != begun {
			t.Errorf("the model is registered: %v, want %v", got, begun)
		}
	}
	line, _ := before.History()
	changes, _ := after.History()
	if k := len(line); len(changes) > k && changes[k].By != "hand" { // which the next change notes anyhow
		now, _ := r.History()
		if got := len(now) > k && now[k] == changes[k]; got != begun {
			t.Errorf("the change is in the journal: %v, want %v", got, begun)
		}
	}
}

// The pointer was edited by hand; a change that was to note it was killed, and
// the hand put the pointer back. The hand has the last word.
func TestHandIsNotOverruledByItsOwnNote(t *testing.T) {
	dir, names := threeModels(t)
	r := open(dir)
	note := intent{Change: &Change{TS: r.timestamp(), From: names[2], To: names[0], By: "hand", Reason: "found"}}
	if err := r.writeIntent(note); err != nil {
		t.Fatal(err)
	}
	add(t, r, "v4", false)
	if got, err := r.Current(); got != names[2] || err != nil {
		t.Errorf("Current() = %q, %v, want %q as the hand left it", got, err, names[2])
	}
	wantSound(t, dir)
}

// Between a kill and the next change the pointer was edited by hand, and the
// announced model was overwritten: neither is undone.
func TestWhatCameAfterAKillStays(t *testing.T) {
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
		t.Errorf("Current() = %q, %v, want %q as the hand left it", got, err, names[0])
	}
	if c, _ := r.History(); len(c) != 5 || c[3].To != v4 || c[4].By != "hand" || c[4].To != names[0] {
		t.Errorf("History() = %+v, want %s, then by hand %s", c, v4, names[0])
	}
	wantSound(t, r.dir)

	r = state(2) // the announcement and the model
	write(t, r.path(Models+"/"+v4), "sound, but another one")
	add(t, r, "v5", true)
	if entries, err := r.Entries(); err != nil || len(entries) != 4 || entries[3].Version != "v5" {
		t.Errorf("Entries() = %+v, %v, want v5 after the first three and no v4", entries, err)
	}
	if c, _ := r.History(); len(c) != 4 || c[3].From != names[2] {
		t.Errorf("History() = %+v, want v5 after the first three", c)
	}
}

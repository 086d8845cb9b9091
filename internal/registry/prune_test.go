package registry

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

// prunedTo prunes and checks which models are registered then, and that Verify finds nothing.
func prunedTo(t *testing.T, r *Registry, want Prune, left ...string) {
	t.Helper()
	before := tree(t, r.dir)
	want.DryRun = true
	dry, err := r.Prune(t.Context(), want)
	wantSame(t, "a dry run", r.dir, before)
	want.DryRun = false
	removed, err2 := r.Prune(t.Context(), want)
	if err != nil || err2 != nil || !reflect.DeepEqual(dry, removed) {
		t.Fatalf("Prune(%+v) = %+v, %v, dry run %+v, %v", want, removed, err2, dry, err)
	}
	wantLeft(t, r, left...)
}

func wantLeft(t *testing.T, r *Registry, left ...string) {
	t.Helper()
	entries, err := r.Entries()
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, e := range entries {
		_, err := os.Stat(r.path(Models + "/" + e.ModelFile))
		if (err == nil) != (e.PrunedAtUTC == "") {
			t.Errorf("%s: pruned at %q, its file: %v", e.ModelFile, e.PrunedAtUTC, err)
		}
		if err == nil {
			have = append(have, e.ModelFile)
		}
	}
	if !slices.Equal(have, left) {
		t.Errorf("left are %q, want %q", have, left)
	}
	if a := audit(t, r.dir); len(a.Problems)+len(a.Notes) > 0 || a.Models != len(left) {
		t.Errorf("Verify = %+v, want %d models and no problem", a, len(left))
	}
}

func TestPruneKeepsWhatARollbackNeeds(t *testing.T) {
	r := open(t.TempDir())
	var v []string
	for _, name := range strings.Fields("v0 v1 v2 v3 v4 v5 v6 v7") {
		v = append(v, add(t, r, name, name != "v6"))
		write(t, r.path(Models+"/"+CardName(v[len(v)-1])), "<html>")
	}
	write(t, r.path(MetadataFile), strings.Replace(read(t, r.path(MetadataFile)), `"seed"`, `"note": [1, {}], "seed"`, 1))
	back(t, r, Rollback{Target: v[1]}, v[1], 0)
	prunedTo(t, r, Prune{Keep: 8}, v...)
	prunedTo(t, r, Prune{OlderThan: time.Hour}, v...)
	os.Remove(r.path(Models + "/" + v[5])) // no rollback goes there, nor to v6
	prunedTo(t, r, Prune{Keep: 2, Reason: "space"}, v[1], v[3], v[4], v[6], v[7])
	prunedTo(t, r, Prune{}, v[1], v[3], v[4], v[7])
	changes, err := r.History()
	want := Change{From: v[1], To: v[1], By: "prune", Reason: "space; removed " + v[0] + ", " + v[2] + ", " + v[5]}
	want.TS = changes[len(changes)-2].TS
	if err != nil || changes[len(changes)-2] != want {
		t.Errorf("History() = %+v, %v, want %+v before the last line", changes, err, want)
	}
	if text := read(t, r.path(MetadataFile)); strings.Count(text, `"note"`) != 1 ||
		strings.Count(text, `"pruned_at_utc": "`+want.TS) != 3 {
		t.Errorf("metadata.json is %s, want its note and three models pruned at %s", text, want.TS)
	}
	stays(t, r, Rollback{Target: v[0]}, false, "was removed by rollback --prune at "+want.TS)
	stays(t, r, Rollback{Target: "v0"}, false, "no model is registered with the name or version")
	back(t, r, Rollback{}, v[7], 0)
	back(t, r, Rollback{}, v[4], 1) // past v5, which was removed
	back(t, r, Rollback{}, v[3], 0)
	back(t, r, Rollback{}, v[1], 1)
	stays(t, r, Rollback{}, true, "was current before "+v[1])
	if again := add(t, r, "v0", true); again == v[0] {
		t.Errorf("a new model has the name of a pruned one, %s", again)
	}
	if _, err := open(t.TempDir()).Prune(t.Context(), Prune{}); err == nil {
		t.Error("an empty folder was pruned")
	}
}

// A kill at any point of pruning is finished by the next change; a model that was made
// current by hand meanwhile stays.
func TestTheNextChangeFinishesPruning(t *testing.T) {
	start := t.TempDir()
	r := open(start)
	var v []string
	for _, name := range strings.Fields("v0 v1 v2 v3 v4 v5 v6") {
		v = append(v, add(t, r, name, true))
	}
	write(t, r.path(Models+"/"+CardName(v[0])), "<html>")
	left := v[3:]
	after := open(copyOf(t, start))
	if _, err := after.Prune(t.Context(), Prune{}); err != nil {
		t.Fatal(err)
	}
	changes, _ := after.History()
	c := changes[len(changes)-1]
	line := read(t, after.path(HistoryFile))
	c.Reason = ""
	text, err := json.Marshal(intent{Change: &c, Prune: v[:3]})
	if err != nil {
		t.Fatal(err)
	}
	gone := func(name string) func(*Registry) {
		return func(r *Registry) { os.Remove(r.path(Models + "/" + name)) }
	}
	steps := []func(*Registry){
		func(r *Registry) { write(t, r.path(intentFile), string(text)) },
		gone(CardName(v[0])), gone(v[0]), gone(v[1]), gone(v[2]),
		func(r *Registry) { write(t, r.path(MetadataFile), read(t, after.path(MetadataFile))) },
		func(r *Registry) { write(t, r.path(HistoryFile), line[:len(line)-20]) },
		func(r *Registry) { write(t, r.path(HistoryFile), line) },
	}
	for n := 1; n <= len(steps); n++ {
		r := open(copyOf(t, start))
		for _, step := range steps[:n] {
			step(r)
		}
		if a := audit(t, r.dir); len(a.Problems) != 1 || !strings.Contains(a.Problems[0], "rollback finishes it") {
			t.Errorf("after step %d: %q, want only the interrupted change", n, a.Problems)
		}
		edited, again := copyOf(t, r.dir), open(copyOf(t, r.dir))
		if _, err := again.Prune(t.Context(), Prune{}); err != nil {
			t.Errorf("after step %d: %v", n, err)
		}
		wantLeft(t, again, left...)
		add(t, r, "next", false)
		wantLeft(t, r, append(slices.Clone(left), "churn_model_next_20261122_193000.json")...)

		r = open(edited)
		if _, err := os.Stat(r.path(Models + "/" + v[2])); err != nil {
			continue
		}
		write(t, r.path(CurrentFile), v[2])
		back(t, r, Rollback{}, v[6], 0)
		wantLeft(t, r, append([]string{v[2]}, left...)...)
	}
}

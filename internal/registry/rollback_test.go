package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"churn/internal/status"
)

// back checks that a rollback goes to want.
func back(t *testing.T, r *Registry, request Rollback, want string, warnings int) {
	t.Helper()
	from, _ := r.Current()
	c, warned, err := r.Rollback(t.Context(), request)
	if err != nil || c.To != want || c.From != from || c.By != "rollback" || c.Reason != request.Reason ||
		c.Promoted != (request.Target != "") || len(warned) != warnings {
		t.Fatalf("Rollback(%+v) = %+v, %q, %v, want to %s with %d warnings", request, c, warned, err, want, warnings)
	}
	if got := read(t, r.path(CurrentFile)); got != want {
		t.Fatalf("after Rollback(%+v) the pointer is %q, want %q", request, got, want)
	}
	changes, err := r.History()
	if err != nil || changes[len(changes)-1] != c {
		t.Fatalf("after Rollback(%+v) the journal ends with %+v, %v, want %+v", request, changes[len(changes)-1], err,
			c)
	}
}

// stays checks that a rollback fails, and whether the request was rejected.
func stays(t *testing.T, r *Registry, request Rollback, rejected bool, want string) {
	t.Helper()
	before := tree(t, r.dir)
	c, _, err := r.Rollback(t.Context(), request)
	if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, status.ErrRejected) != rejected {
		t.Errorf("Rollback(%+v) = %+v, %v, want %q, rejected %v", request, c, err, want, rejected)
	}
	wantSame(t, fmt.Sprintf("Rollback(%+v)", request), r.dir, before)
}

func TestRollbackGoesToTheModelThatWasCurrentBefore(t *testing.T) {
	dir := t.TempDir()
	r := open(dir)
	v1, v2, v3 := add(t, r, "v1", true), add(t, r, "v2", true), add(t, r, "v3", true)
	back(t, r, Rollback{Reason: "worse"}, v2, 0)
	back(t, r, Rollback{}, v1, 0) // twice goes back twice
	stays(t, r, Rollback{}, true, "was current before "+v1)
	back(t, r, Rollback{Target: v3}, v3, 0) // forward, by name
	wantValid(t, dir)
	v4 := add(t, r, "v4", true)
	back(t, r, Rollback{}, v3, 0)
	if c, _ := r.History(); len(c) != 8 || c[6].To != v4 {
		t.Errorf("History() = %+v, want eight lines, with %s in the second to last", c, v4)
	}
	wantValid(t, dir)
}

// A manual edit is a change like any other: a rollback undoes it.
func TestRollbackFromAManuallySetModel(t *testing.T) {
	dir := t.TempDir()
	r := open(dir)
	_, v2, v3 := add(t, r, "v1", true), add(t, r, "v2", true), add(t, r, "v3", true)
	write(t, r.path(CurrentFile), v2)
	back(t, r, Rollback{}, v3, 0)
	if c, _ := r.History(); len(c) != 5 || c[3].By != "hand" || c[3].To != v2 || c[4].From != v2 {
		t.Errorf("History() = %+v, want a manual edit to %s before the rollback", c, v2)
	}
	wantValid(t, dir)
}

func TestRollbackSkipsModelsThatCannotBecomeCurrent(t *testing.T) {
	dir := t.TempDir()
	r := open(dir)
	good := add(t, r, "v1", true)
	rejected := add(t, r, "v2", false)
	tampered, missing := add(t, r, "v3", true), add(t, r, "v4", true)
	write(t, r.path(Models+"/"+tampered), "valid, but another one")
	os.Remove(r.path(Models + "/" + missing))
	anything := Open(dir, func([]byte) error { return nil })
	broken, err := anything.Add(t.Context(), []byte("broken"), "churn_model", newEntry("v5", true), "x")
	if err != nil {
		t.Fatal(err)
	}
	unhashed := add(t, r, "v6", true)
	hash := `"model_sha256": "` + SHA256([]byte("valid v6")) + `"`
	text := read(t, r.path(MetadataFile))
	if !strings.Contains(text, hash) {
		t.Fatalf("no %s in %s", hash, text)
	}
	write(t, r.path(MetadataFile), strings.Replace(text, hash, `"model_sha256": ""`, 1))
	back(t, r, Rollback{Target: rejected, Force: true}, rejected, 0)
	add(t, r, "v7", true)

	stays(t, r, Rollback{Target: rejected}, true, "did not pass its gate (F1 0.7000)")
	stays(t, r, Rollback{Target: tampered}, false, "was changed after it was registered")
	stays(t, r, Rollback{Target: missing}, false, "is missing")
	stays(t, r, Rollback{Target: broken.ModelFile}, false, "it is not valid")
	stays(t, r, Rollback{Target: unhashed}, false, "cannot be checked")
	stays(t, r, Rollback{Target: missing, Force: true}, false, "is missing") // force concerns the gate only
	stays(t, r, Rollback{Target: "churn_model_v9.json"}, false, "is not in ")
	stays(t, r, Rollback{Target: "churn_model_v9.json", Force: true}, false, "is not in ")
	stays(t, r, Rollback{Target: "../../etc/passwd"}, false, "is not the file name of a model")

	_, warnings, err := r.Rollback(t.Context(), Rollback{DryRun: true})
	all := strings.Join(warnings, "\n")
	for _, name := range []string{rejected, tampered, missing, broken.ModelFile, unhashed} {
		if strings.Count(all, name) == 0 {
			t.Errorf("%q, %v does not name %s", warnings, err, name)
		}
	}
	back(t, r, Rollback{}, good, 5)
	back(t, r, Rollback{Target: rejected, Force: true}, rejected, 0)
	back(t, r, Rollback{}, good, 0)
}

func TestRollbackWithoutACurrentModel(t *testing.T) {
	dir := t.TempDir()
	r := open(dir)
	stays2 := func(want string) { t.Helper(); stays(t, r, Rollback{}, false, want) }
	if err := os.MkdirAll(filepath.Join(dir, "registry"), 0o755); err != nil {
		t.Fatal(err)
	}
	stays2(ErrNoCurrent.Error())
	rejected := add(t, r, "v1", false)
	stays(t, r, Rollback{}, true, "no model is current, so none is before it")
	stays(t, r, Rollback{Target: rejected}, true, "--force")
	v2 := add(t, r, "v2", true)
	stays(t, r, Rollback{}, true, "no valid model that passed its gate was current before "+v2)
	const lost = "churn_model_lost.json"
	write(t, r.path(CurrentFile), lost)
	back(t, r, Rollback{}, v2, 0)
}

// A training, a promotion and a manual edit are undone in turn; going back is not.
func TestRollbackIsAnUndoStack(t *testing.T) {
	r := open(t.TempDir())
	v1, v2, v3 := add(t, r, "v1", true), add(t, r, "v2", true), add(t, r, "v3", true)
	back(t, r, Rollback{Target: v1}, v1, 0)
	write(t, r.path(CurrentFile), v3)
	back(t, r, Rollback{}, v1, 0)
	back(t, r, Rollback{}, v3, 0)
	back(t, r, Rollback{}, v2, 0)
	v4 := add(t, r, "v4", true)
	back(t, r, Rollback{Target: v3}, v3, 0)
	for _, want := range []string{v4, v2, v1} {
		back(t, r, Rollback{}, want, 0)
	}
	stays(t, r, Rollback{}, true, "was current before "+v1)

	// Lines from before there were promotions: a rollback by then went back, wherever that is.
	const old = "v1 by train, v2 by train, v3 by train, v1 by rollback, v3 by hand, v2 by rollback, v4 by train"
	var changes []Change
	for line := range strings.SplitSeq(old, ", ") {
		to, by, _ := strings.Cut(line, " by ")
		changes = append(changes, Change{To: to, By: by})
	}
	for n, want := range []string{"", "v1", "v1 v2", "v1 v2 v3", "v1", "v1 v3", "v1 v3 v2", "v1 v3 v2 v4"} {
		if got := strings.Join(undoStack(changes[:n]), " "); got != want {
			t.Errorf("after %d of %s: %q, want %q", n, old, got, want)
		}
	}
}

func TestPromotionByVersion(t *testing.T) {
	r := open(t.TempDir())
	trained := func(prefix, version string, hour int) string {
		e := newEntry(version, true)
		e.TrainedAtUTC = evening.Add(time.Duration(hour) * time.Hour).Format(time.RFC3339)
		e, err := r.Add(t.Context(), []byte("valid "+version), prefix, e, "x")
		if err != nil {
			t.Fatal(err)
		}
		return e.ModelFile
	}
	trained("churn_model", "v1", 1)
	late := trained("churn_model", "v1", 3)
	trained("churn_model", "v1", 2)
	one, two := trained("churn_model", "v2", 1), trained("churn_model", "v2", 1)
	other, mine := trained("left_model", "v3", 1), trained("churn_model", "v3", 2)
	back(t, r, Rollback{Target: "v1"}, late, 0)
	if c, err := r.History(); err != nil || !c[len(c)-1].Promoted {
		t.Errorf("History() = %+v, %v, want a promotion at the end", c, err)
	}
	stays(t, r, Rollback{Target: "v2"}, false, one+", "+two)
	stays(t, r, Rollback{Target: "v3"}, false, mine+", "+other)
	stays(t, r, Rollback{Target: "v"}, false, `no model is registered with the name or version "v"`)
	refused := errors.New("no")
	stays(t, r, Rollback{Check: func(from, to string) ([]string, error) {
		if from != late || to != mine {
			t.Errorf("Check(%s, %s), want %s and %s", from, to, late, mine)
		}
		return nil, refused
	}}, false, "no")
}

func TestDryRunChangesNothingAtAll(t *testing.T) {
	dir := t.TempDir()
	r := open(dir)
	v1, v2 := add(t, r, "v1", true), add(t, r, "v2", true)
	write(t, r.path(CurrentFile), v2+"\n") // a manual edit, which a change would record
	os.Remove(r.path(lockFile))
	before := tree(t, dir)
	check := func(request Rollback, want string) {
		t.Helper()
		request.DryRun = true
		c, _, err := r.Rollback(t.Context(), request)
		if want != "" && (err != nil || c.To != want || c.From != v2) || want == "" && err == nil {
			t.Errorf("Rollback(%+v) = %+v, %v, want to %q", request, c, err, want)
		}
	}
	check(Rollback{}, v1)
	check(Rollback{Target: v1, Reason: "x"}, v1)
	check(Rollback{Target: v2}, v2)
	check(Rollback{Target: "churn_model_v9.json"}, "")
	wantSame(t, "Rollback", dir, before)
	if _, err := os.Stat(r.path(lockFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it created %s: %v", lockFile, err)
	}
}

func TestRollbackToTheCurrentModelIsNoChange(t *testing.T) {
	dir := t.TempDir()
	r := open(dir)
	add(t, r, "v1", true)
	v2 := add(t, r, "v2", true)
	before := tree(t, dir)
	if c, _, err := r.Rollback(t.Context(), Rollback{Target: v2}); err != nil || c.From != v2 || c.To != v2 {
		t.Errorf("Rollback to the current model = %+v, %v", c, err)
	}
	wantSame(t, "Rollback", dir, before)
}

// A rollback stays with the column that the current model predicts, and pruning keeps what it goes
// to; the name of a model goes anywhere.
func TestRollbackKeepsTheTarget(t *testing.T) {
	r := open(t.TempDir())
	entry := func(version, prefix string) string {
		e, err := r.Add(t.Context(), []byte("valid "+version), prefix, newEntry(version, true), "x")
		if err != nil {
			t.Fatal(err)
		}
		return e.ModelFile
	}
	old, first := entry("v0", "churn_model"), entry("model", "churn_model")
	other, another, left := entry("v2", "churn_2_model"), entry("v3", "left_model"), entry("v4", "left_model")
	last := entry("v5", "churn_model")

	_, warnings, err := r.Rollback(t.Context(), Rollback{DryRun: true})
	if want := "skipped: " + other + " predicts churn_2, and " + last + ", which is current, churn: rollback " + other +
		" goes there on purpose"; err != nil || len(warnings) != 3 || warnings[2] != want {
		t.Errorf("%q, %v, want %q at the end", warnings, err, want)
	}
	prunedTo(t, r, Prune{}, old, first, other, another, left, last)
	back(t, r, Rollback{}, first, 3)
	back(t, r, Rollback{}, old, 0)
	back(t, r, Rollback{Target: left}, left, 0)
	stays(t, r, Rollback{}, true, "was current before "+left)
	back(t, r, Rollback{Target: another}, another, 0)
	back(t, r, Rollback{}, left, 0)

	write(t, r.path(CurrentFile), "by-hand.json") // what that predicts is unknown
	back(t, r, Rollback{}, left, 0)
}

// A target may have a version in its name, and a version may be changed in metadata.json.
func TestRollbackWithAVersionInTheTarget(t *testing.T) {
	r := open(t.TempDir())
	var names []string
	for _, version := range []string{"1", "model_1", "20261122", "2"} {
		e, err := r.Add(t.Context(), []byte("valid "+version), "left_1_model_1_year_model", newEntry(version, true), "x")
		if err != nil || e.target() != "left_1_model_1_year" {
			t.Fatalf("%s predicts %q, %v", e.ModelFile, e.target(), err)
		}
		names = append(names, e.ModelFile)
	}
	text := read(t, r.path(MetadataFile))
	write(t, r.path(MetadataFile), strings.Replace(text, `"version": "20261122"`, `"version": "prod"`, 1))
	for _, want := range []string{names[2], names[1], names[0]} {
		back(t, r, Rollback{}, want, 0)
	}
}

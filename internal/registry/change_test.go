package registry

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

func TestAddStoresRegistersAndPoints(t *testing.T) {
	dir := t.TempDir()
	r := open(dir)
	e := newEntry("v1", true)
	got, err := r.Add(t.Context(), []byte("valid 1"), "churn_model", e, "F1 0.7000")
	if err != nil {
		t.Fatal(err)
	}
	e.ModelFile, e.ModelSHA256 = "churn_model_v1_20261122_193000.json", SHA256([]byte("valid 1"))
	if !reflect.DeepEqual(got, e) {
		t.Errorf("Add = %+v, want %+v", got, e)
	}
	entries, err := r.Entries()
	if err != nil || !reflect.DeepEqual(entries, []Entry{e}) {
		t.Errorf("Entries() = %+v, %v, want %+v", entries, err, e)
	}
	if got := read(t, r.path(Models+"/"+e.ModelFile)); got != "valid 1" {
		t.Errorf("the model is %q", got)
	}
	if info, err := os.Stat(r.path(Models + "/" + e.ModelFile)); err != nil || info.Mode() != 0o444 {
		t.Errorf("the model's mode is %v, %v, want 0444", info.Mode(), err)
	}
	if got := read(t, r.path(CurrentFile)); got != e.ModelFile {
		t.Errorf("current_model.txt contains %q, want only the name", got)
	}
	want := Change{TS: "2026-11-22T19:30:01Z", To: e.ModelFile, By: "train", Reason: "F1 0.7000"}
	if changes, err := r.History(); err != nil || len(changes) != 1 || changes[0] != want {
		t.Errorf("History() = %+v, %v, want %+v", changes, err, want)
	}
	wantValid(t, dir)
}

func TestModelThatFailsItsGateIsRegisteredButNotCurrent(t *testing.T) {
	dir := t.TempDir()
	r := open(dir)
	add(t, r, "v1", false)
	if name, err := r.Current(); !errors.Is(err, ErrNoCurrent) {
		t.Errorf("Current() = %q, %v, want ErrNoCurrent", name, err)
	}
	v2 := add(t, r, "v2", true)
	add(t, r, "v3", false)
	if name, err := r.Current(); name != v2 || err != nil {
		t.Errorf("Current() = %q, %v, want %q", name, err, v2)
	}
	if entries, _ := r.Entries(); len(entries) != 3 || entries[0].Version != "v1" || entries[2].Version != "v3" {
		t.Errorf("Entries() = %+v, want v1, v2, v3 in this order", entries)
	}
	wantValid(t, dir)
}

func TestNamesAreUnique(t *testing.T) {
	dir := t.TempDir()
	r := open(dir)
	check := func(want string) {
		t.Helper()
		if got := add(t, r, "v1", true); got != want {
			t.Errorf("Add: %q, want %q", got, want)
		}
	}
	check("churn_model_v1_20261122_193000.json")
	check("churn_model_v1_20261122_193000-2.json")
	// The name of an unregistered file, or of a registered one that was removed, is taken too.
	write(t, r.path(Models+"/churn_model_v1_20261122_193000-3.json"), "stray")
	check("churn_model_v1_20261122_193000-4.json")
	os.Remove(r.path(Models + "/churn_model_v1_20261122_193000-4.json"))
	check("churn_model_v1_20261122_193000-5.json")
	if got := read(t, r.path(Models+"/churn_model_v1_20261122_193000-3.json")); got != "stray" {
		t.Errorf("the stray file is now %q", got)
	}
}

func TestNameHasPrefixVersionAndUTCTime(t *testing.T) {
	check := func(prefix, version, at, want string) {
		t.Helper()
		dir := t.TempDir()
		e := newEntry(version, true)
		e.TrainedAtUTC = at
		got, err := open(dir).Add(t.Context(), []byte("valid"), prefix, e, "first")
		if want == "" && err == nil || want != "" && (err != nil || got.ModelFile != want) {
			t.Errorf("Add(%q, %q, %q) = %q, %v, want %q", prefix, version, at, got.ModelFile, err, want)
		}
		if want == "" && strings.Count(tree(t, dir), "\n") > 2 {
			t.Errorf("a rejected name left\n%s", tree(t, dir))
		}
	}
	check("left_model", "v1.2-rc_1", "2026-01-02T03:04:05Z", "left_model_v1.2-rc_1_20260102_030405.json")
	check("left_model", "v2", "2026-01-02T01:00:00+02:00", "left_model_v2_20260101_230000.json")
	check("left_model", "../../x", "2026-01-02T03:04:05Z", "")
	check("../x", "v2", "2026-01-02T03:04:05Z", "")
	check(".x", "v2", "2026-01-02T03:04:05Z", "")
	check("x", strings.Repeat("v", 250), "2026-01-02T03:04:05Z", "")
	check("x", "v2", "yesterday", "")
}

func TestInvalidModelIsNotStored(t *testing.T) {
	dir := t.TempDir()
	if _, err := open(dir).Add(t.Context(), []byte("broken"), "churn_model", newEntry("v1", true),
		"first"); err == nil {
		t.Error("an invalid model was accepted")
	}
	if got := strings.Count(tree(t, dir), "\n"); got != 1 {
		t.Errorf("it left\n%s", tree(t, dir))
	}
}

// Entries of the reference lab, and fields of a later version, are kept.
func TestForeignEntriesKeepEveryField(t *testing.T) {
	const foreign = `{"model_file":"churn_model_v0_20250101_000000.joblib","version":"v0",` +
		`"trained_at_utc":"2025-01-01T00:00:00+00:00",` +
		`"data_file":"data/processed.csv","seed":42,"metrics":{"accuracy":0.70,"f1":0.6620,"auc_pr":1e-3},` +
		`"gate_f1":0.65,"passed_gate":true,` +
		`"note":"été <b> & \"x\"","big":12345678901234567890,"more":{"z":[1.0,null],"a":{}}}`
	dir := t.TempDir()
	r := open(dir)
	os.Mkdir(filepath.Join(dir, "registry"), 0o755)
	write(t, r.path(MetadataFile), "[\n    "+foreign+"\n]\n")
	add(t, r, "v1", true)
	add(t, r, "v2", true)
	var raw []jsontext.Value
	if err := json.Unmarshal([]byte(read(t, r.path(MetadataFile))), &raw); err != nil || len(raw) != 3 {
		t.Fatalf("metadata.json has %d entries, %v, want 3", len(raw), err)
	}
	if err := raw[0].Compact(); err != nil || string(raw[0]) != foreign {
		t.Errorf("the reference lab's entry is now\n%s\nwant\n%s", raw[0], foreign)
	}
	if e, err := r.Entries(); err != nil || e[0].Version != "v0" || e[0].Metrics.F1 != 0.662 || !e[0].PassedGate {
		t.Errorf("Entries() = %+v, %v, want the reference lab's first", e, err)
	}
}

func TestNextChangeRecordsAManualEdit(t *testing.T) {
	dir := t.TempDir()
	r := open(dir)
	v1, v2 := add(t, r, "v1", true), add(t, r, "v2", true)
	write(t, r.path(CurrentFile), v1+"\n")
	if changes, _ := r.History(); len(changes) != 2 {
		t.Errorf("reading the journal changed it: %+v", changes)
	}
	v3 := add(t, r, "v3", true)
	changes, err := r.History()
	if err != nil || len(changes) != 4 {
		t.Fatalf("History() = %+v, %v, want four lines", changes, err)
	}
	if c := changes[2]; c.From != v2 || c.To != v1 || c.By != "hand" {
		t.Errorf("third line %+v, want a manual edit from %s to %s", c, v2, v1)
	}
	if c := changes[3]; c.From != v1 || c.To != v3 || c.By != "train" {
		t.Errorf("fourth line %+v, want train from %s to %s", c, v1, v3)
	}
	wantValid(t, dir)

	write(t, r.path(CurrentFile), v1)
	add(t, r, "v4", false) // registers a model and changes no pointer
	if c, _ := r.History(); len(c) != 5 || c[4].To != v1 || c[4].By != "hand" {
		t.Errorf("History() = %+v, want a fifth line, a manual edit to %s", c, v1)
	}
	os.Remove(r.path(CurrentFile))
	v5 := add(t, r, "v5", true)
	if c, _ := r.History(); len(c) != 7 || c[5].To != "" || c[5].By != "hand" || c[6].To != v5 {
		t.Errorf("History() = %+v, want the removed pointer, then %s", c, v5)
	}
	wantValid(t, dir)
}

func TestJournalBeginsWithAnExistingPointer(t *testing.T) {
	dir := t.TempDir()
	r := open(dir)
	v1 := add(t, r, "v1", true)
	os.Remove(r.path(HistoryFile))
	v2 := add(t, r, "v2", true)
	if c, err := r.History(); err != nil || len(c) != 2 || c[0].To != v1 || c[0].By != "hand" || c[1].To != v2 {
		t.Errorf("History() = %+v, %v, want a manual edit to %s, then %s", c, err, v1, v2)
	}
	wantValid(t, dir)
}

func TestWaitForTheLockEndsWithTheContext(t *testing.T) {
	dir := t.TempDir()
	r := open(dir)
	add(t, r, "v1", true)
	before := tree(t, dir)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := r.locked(t.Context(), func(*state) error { // this process holds the lock
		_, err := open(dir).Add(ctx, []byte("valid v2"), "churn_model", newEntry("v2", true), "x")
		return err
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Add while the lock is held: %v, want DeadlineExceeded", err)
	}
	wantSame(t, "Add", dir, before)
	add(t, r, "v2", true) // the lock was released
}

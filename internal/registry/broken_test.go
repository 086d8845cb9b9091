package registry

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// threeModels returns a registry of v1, v2 and v3, the last one current.
func threeModels(t testing.TB) (dir string, names [3]string) {
	dir = t.TempDir()
	r := open(dir)
	return dir, [3]string{add(t, r, "v1", true), add(t, r, "v2", true), add(t, r, "v3", true)}
}

// fails checks that a change is an error and changes no byte.
func fails(t *testing.T, what, dir string, change func(*Registry) error) {
	t.Helper()
	before := tree(t, dir)
	if err := change(open(dir)); err == nil {
		t.Errorf("%s: no error", what)
	}
	wantSame(t, what, dir, before)
}

const everyChange = "Add,Rollback,named Rollback"

// breaker returns a function that breaks a file of a valid registry and tries the named
// operations, each on its own copy.
func breaker(t *testing.T) func(file string, breakIt func(path string), failing string) {
	intact, names := threeModels(t)
	rollback := func(request Rollback) func(*Registry) error {
		return func(r *Registry) error { _, _, err := r.Rollback(t.Context(), request); return err }
	}
	ops := map[string]func(*Registry) error{
		"Add": func(r *Registry) error {
			_, err := r.Add(t.Context(), []byte("valid v4"), "churn_model", newEntry("v4", true), "x")
			return err
		},
		"Rollback":       rollback(Rollback{}),
		"named Rollback": rollback(Rollback{Target: names[0]}),
		"dry Rollback":   rollback(Rollback{Target: names[0], DryRun: true}),
	}
	return func(file string, breakIt func(path string), failing string) {
		t.Helper()
		for op := range strings.SplitSeq(failing, ",") {
			dir := copyOf(t, intact)
			path := filepath.Join(dir, file)
			breakIt(path)
			fails(t, op+" with a broken "+file, dir, ops[op])
		}
	}
}

func half(path string) {
	b, _ := os.ReadFile(path)
	os.WriteFile(path, b[:len(b)/2], 0o644)
}

func folder(path string) {
	os.Remove(path)
	os.Mkdir(path, 0o755)
}

func link(path string) {
	os.Rename(path, filepath.Dir(path)+"/moved")
	os.Symlink("moved", path)
}

func TestBrokenListOrJournalIsAnErrorAndNothingIsWritten(t *testing.T) {
	check := breaker(t)
	text := func(file, text string) {
		t.Helper()
		check(file, func(path string) { write(t, path, text) }, everyChange)
	}
	text(MetadataFile, "")
	text(MetadataFile, "null")
	text(MetadataFile, "{}")
	text(MetadataFile, "[{}]")
	text(MetadataFile, "[1]")
	text(MetadataFile, `[{"model_file":7}]`)
	text(MetadataFile, "[]]")
	text(MetadataFile, "\x00\xff garbage")
	text(MetadataFile, "../../etc/passwd")
	check(MetadataFile, half, everyChange+",dry Rollback")
	check(MetadataFile, folder, everyChange+",dry Rollback")

	text(HistoryFile, "../../etc/passwd\n")
	text(HistoryFile, "../../etc/passwd")
	text(HistoryFile, "\x00\xff\n")
	text(HistoryFile, "[]\n")
	check(HistoryFile, half, everyChange)
	check(HistoryFile, folder, everyChange)

	text(intentFile, "")
	text(intentFile, "../../etc/passwd")
	text(intentFile, `{"entry":{"model_file":7}}`)
	check(intentFile, folder, everyChange)
}

func TestBrokenPointerIsAnErrorAndNothingIsWritten(t *testing.T) {
	check := breaker(t)
	for _, text := range []string{"", "garbage", "\x00\xff", "../../etc/passwd",
		"../models/churn_model_v1_20261122_193000.json"} {
		check(CurrentFile, func(path string) { write(t, path, text) }, "Add,Rollback")
	}
	check(CurrentFile, folder, everyChange)
}

func TestBrokenModelIsAnErrorAndThePointerStays(t *testing.T) {
	check := breaker(t)
	breakIt := func(how func(path string)) {
		t.Helper()
		check(Models+"/churn_model_v1_20261122_193000.json", how, "named Rollback,dry Rollback")
	}
	breakIt(half)
	breakIt(folder)
	breakIt(link)
	breakIt(func(path string) { os.Remove(path) })
	breakIt(func(path string) { write(t, path, "") })
	breakIt(func(path string) { write(t, path, "valid v1 ") })
	breakIt(func(path string) { os.Remove(path); os.Symlink("../../../etc/passwd", path) })
	breakIt(func(path string) { sparse(t, path, MaxModelBytes+1) })
}

// A file cannot be replaced through a link: that is detected before the change begins.
func TestLinksInPlaceOfTheFilesAreAnErrorAndNothingIsWritten(t *testing.T) {
	check := breaker(t)
	check(MetadataFile, link, "Add")
	check(CurrentFile, link, everyChange)
}

// A rollback to a named model replaces an invalid pointer.
func TestNamedRollbackRepairsThePointer(t *testing.T) {
	intact, names := threeModels(t)
	for _, text := range []string{"", "garbage", "../../etc/passwd", "\xff\xfe", strings.Repeat("long ", 1000),
		strings.Repeat("é", 999)} {
		dir := copyOf(t, intact)
		r := open(dir)
		write(t, r.path(CurrentFile), text)
		if c, _, err := r.Rollback(t.Context(), Rollback{Target: names[0]}); err != nil || c.To != names[0] {
			t.Errorf("Rollback to %s with the pointer %.20q: %+v, %v", names[0], text, c, err)
			continue
		}
		if got, err := r.Current(); got != names[0] || err != nil {
			t.Errorf("Current() = %q, %v, want %q", got, err, names[0])
		}
		wantValid(t, dir)
		c, _ := r.History()
		if edit, last := c[len(c)-2], c[len(c)-1]; edit.By != "hand" || edit.TS > last.TS {
			t.Errorf("the journal ends with %+v, %+v, want the manual edit first, with no later time", edit, last)
		}
	}
}

// An interrupted change is finished only if all files are valid.
func TestBrokenFileStopsTheRecovery(t *testing.T) {
	dir, names := threeModels(t)
	r := open(dir)
	steps := stepsOf(t, open(copyOf(t, dir)), func() *Registry {
		after := open(copyOf(t, dir))
		add(t, after, "v4", true)
		return after
	}())
	for _, s := range steps[:2] { // pending.json and the model
		write(t, r.path(s.file), s.content)
	}
	write(t, filepath.Join(dir, Models, ".x.json.tmp-ABC"), "half")
	for _, file := range []string{MetadataFile, HistoryFile} {
		broken := copyOf(t, dir)
		write(t, filepath.Join(broken, file), read(t, filepath.Join(broken, file))+"garbage\n")
		fails(t, "Rollback with a broken "+file, broken, func(r *Registry) error {
			_, _, err := r.Rollback(t.Context(), Rollback{Target: names[0]})
			return err
		})
	}
	add(t, r, "v5", true) // the valid copy continues
	wantValid(t, dir)
}

// Names in the registry's files are looked up in models/ only.
func TestPathsInTheFilesAreNotFollowed(t *testing.T) {
	outside := t.TempDir()
	dir := filepath.Join(outside, "in")
	r := open(dir)
	write(t, filepath.Join(outside, "secret.json"), "valid secret")
	v1, v2 := add(t, r, "v1", true), add(t, r, "v2", true)
	const path = "../../secret.json"
	// An entry of that name is skipped, and cannot be read by name.
	foreign := strings.Replace(read(t, r.path(MetadataFile)), v1, path, 1)
	foreign = strings.Replace(foreign, SHA256([]byte("valid v1")), SHA256([]byte("valid secret")), 1)
	write(t, r.path(MetadataFile), foreign)
	fails(t, "Rollback", dir, func(r *Registry) error { _, _, err := r.Rollback(t.Context(), Rollback{}); return err })
	fails(t, "Rollback by path", dir, func(r *Registry) error {
		_, _, err := r.Rollback(t.Context(), Rollback{Target: path, Force: true})
		return err
	})
	// An intent with that name is dropped.
	write(t, r.path(intentFile), `{"entry":{"model_file":"`+path+`","model_sha256":"`+
		SHA256([]byte("valid secret"))+`"},`+
		`"change":{"ts":"2026-01-01T00:00:00Z","from":"`+v2+`","to":"`+path+`","by":"train","reason":"x"}}`)
	add(t, r, "v3", false)
	if got, err := r.Current(); got != v2 || err != nil {
		t.Errorf("Current() = %q, %v, want %q", got, err, v2)
	}
	if got := read(t, filepath.Join(outside, "secret.json")); got != "valid secret" {
		t.Errorf("the file outside the registry is now %q", got)
	}
}

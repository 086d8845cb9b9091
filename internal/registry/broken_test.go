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

// fails tries a change, which must be an error and leave every byte as it was.
func fails(t *testing.T, what, dir string, change func(*Registry) error) {
	t.Helper()
	before := tree(t, dir)
	if err := change(open(dir)); err == nil {
		t.Errorf("%s: no error", what)
	}
	wantSame(t, what, dir, before)
}

const everyChange = "Add,Rollback,named Rollback"

// breaker returns a function that breaks a file of a good registry and tries
// the named operations, each on a copy of its own.
func breaker(t *testing.T) func(file string, breakIt func(path string), failing string) {
	whole, names := threeModels(t)
	ask := func(ask Rollback) func(*Registry) error {
		return func(r *Registry) error { _, _, err := r.Rollback(t.Context(), ask); return err }
	}
	ops := map[string]func(*Registry) error{
		"Add": func(r *Registry) error {
			_, err := r.Add(t.Context(), []byte("sound v4"), "churn_model", newEntry("v4", true), "x")
			return err
		},
		"Rollback":       ask(Rollback{}),
		"named Rollback": ask(Rollback{Target: names[0]}),
		"dry Rollback":   ask(Rollback{Target: names[0], DryRun: true}),
	}
	return func(file string, breakIt func(path string), failing string) {
		t.Helper()
		for op := range strings.SplitSeq(failing, ",") {
			dir := copyOf(t, whole)
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
	for _, text := range []string{"", "garbage", "\x00\xff", "../../etc/passwd", "../models/churn_model_v1_20261122_193000.json"} {
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
	breakIt(func(path string) { write(t, path, "sound v1 ") })
	breakIt(func(path string) { os.Remove(path); os.Symlink("../../../etc/passwd", path) })
	breakIt(func(path string) { sparse(t, path, MaxModelBytes+1) })
}

// A file cannot be replaced through a link, which has to be seen before half of the change is made.
func TestLinksInPlaceOfTheFilesAreAnErrorAndNothingIsWritten(t *testing.T) {
	check := breaker(t)
	check(MetadataFile, link, "Add")
	check(CurrentFile, link, everyChange)
}

// A broken pointer can be put right by name.
func TestNamedRollbackRepairsThePointer(t *testing.T) {
	whole, names := threeModels(t)
	for _, text := range []string{"", "garbage", "../../etc/passwd", "\xff\xfe", strings.Repeat("long ", 1000), strings.Repeat("é", 999)} {
		dir := copyOf(t, whole)
		r := open(dir)
		write(t, r.path(CurrentFile), text)
		if c, _, err := r.Rollback(t.Context(), Rollback{Target: names[0]}); err != nil || c.To != names[0] {
			t.Errorf("Rollback to %s with the pointer %.20q: %+v, %v", names[0], text, c, err)
			continue
		}
		if got, err := r.Current(); got != names[0] || err != nil {
			t.Errorf("Current() = %q, %v, want %q", got, err, names[0])
		}
		wantSound(t, dir)
		c, _ := r.History()
		if note, last := c[len(c)-2], c[len(c)-1]; note.By != "hand" || note.TS > last.TS {
			t.Errorf("the journal ends with %+v, %+v, want the hand's line first, and not later", note, last)
		}
	}
}

// What a kill left is finished only if all files are whole: half a repair is none.
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
	add(t, r, "v5", true) // the whole one goes on
	wantSound(t, dir)
}

// What the registry's files name is only ever looked for in models/.
func TestPathsInTheFilesLeadNowhere(t *testing.T) {
	outside := t.TempDir()
	dir := filepath.Join(outside, "in")
	r := open(dir)
	write(t, filepath.Join(outside, "secret.json"), "sound secret")
	v1, v2 := add(t, r, "v1", true), add(t, r, "v2", true)
	const path = "../../secret.json"
	// An entry of that name is passed over, and not to be had by name.
	foreign := strings.Replace(read(t, r.path(MetadataFile)), v1, path, 1)
	foreign = strings.Replace(foreign, SHA256([]byte("sound v1")), SHA256([]byte("sound secret")), 1)
	write(t, r.path(MetadataFile), foreign)
	fails(t, "Rollback", dir, func(r *Registry) error { _, _, err := r.Rollback(t.Context(), Rollback{}); return err })
	fails(t, "Rollback by path", dir, func(r *Registry) error {
		_, _, err := r.Rollback(t.Context(), Rollback{Target: path, Force: true})
		return err
	})
	// A change that was announced with that name is dropped.
	write(t, r.path(intentFile), `{"entry":{"model_file":"`+path+`","model_sha256":"`+SHA256([]byte("sound secret"))+`"},`+
		`"change":{"ts":"2026-01-01T00:00:00Z","from":"`+v2+`","to":"`+path+`","by":"train","reason":"x"}}`)
	add(t, r, "v3", false)
	if got, err := r.Current(); got != v2 || err != nil {
		t.Errorf("Current() = %q, %v, want %q", got, err, v2)
	}
	if got := read(t, filepath.Join(outside, "secret.json")); got != "sound secret" {
		t.Errorf("the file outside is now %q", got)
	}
}

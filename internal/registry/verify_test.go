package registry

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
)

func matches(e Entry, model []byte) error {
	if !bytes.Equal(model, []byte("valid "+e.Version)) {
		return errors.New(e.ModelFile + " is another version")
	}
	return nil
}

// audit verifies a registry, and checks that no byte of it changes.
func audit(t *testing.T, dir string) *Audit {
	t.Helper()
	before := tree(t, dir)
	a, err := open(dir).Verify(t.Context(), matches)
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, "Verify", dir, before)
	return a
}

func TestVerifyFindsNoProblemInAValidRegistry(t *testing.T) {
	dir, names := threeModels(t)
	r := open(dir)
	add(t, r, "rejected", false)
	if _, _, err := r.Rollback(t.Context(), Rollback{}); err != nil {
		t.Fatal(err)
	}
	write(t, r.path(Models+"/"+CardName(names[0])), "<html>")
	write(t, r.path(Models+"/README.md"), "models")
	a := audit(t, dir)
	if len(a.Problems) > 0 || len(a.Notes) > 0 || a.Models != 4 || a.Changes != 4 || a.Current != names[1] {
		t.Errorf("%+v, want 4 models, 4 changes, %s and no problem", a, names[1])
	}
	// A read-only copy without the lock can be verified too.
	os.Remove(r.path(lockFile))
	if a := audit(t, dir); len(a.Problems) > 0 {
		t.Errorf("without a lock: %q", a.Problems)
	}
	if _, err := os.Stat(r.path(lockFile)); err == nil {
		t.Error("Verify created a lock")
	}
}

func TestVerifyOfAnEmptyFolderIsAnError(t *testing.T) {
	if a, err := open(t.TempDir()).Verify(t.Context(), matches); !errors.Is(err, ErrNoCurrent) {
		t.Errorf("Verify of an empty folder: %+v, %v, want ErrNoCurrent", a, err)
	}
}

// Each problem is named, and nothing else.
func TestVerifyNamesEachProblem(t *testing.T) {
	intact, names := threeModels(t)
	check := func(want string, breakIt func(r *Registry)) {
		t.Helper()
		r := open(copyOf(t, intact))
		breakIt(r)
		a := audit(t, r.dir)
		if len(a.Problems) != 1 || !strings.Contains(strings.ReplaceAll(a.Problems[0], r.dir+"/", ""), want) {
			t.Errorf("problems %q, want one with %q", a.Problems, want)
		}
	}
	// change replaces a text in a file; "" appends.
	change := func(file, old, text string) func(*Registry) {
		return func(r *Registry) {
			t.Helper()
			was := read(t, r.path(file))
			if !strings.Contains(was, old) {
				t.Fatalf("%s has no %q", file, old)
			}
			if old == "" {
				write(t, r.path(file), was+text)
			} else {
				write(t, r.path(file), strings.Replace(was, old, text, 1))
			}
		}
	}
	model := Models + "/" + names[1]
	sum := SHA256([]byte("valid v2"))
	check(names[1]+" was changed after it was registered", change(model, "v2", "v9"))
	check(names[1]+" was changed after it was registered", change(model, "", "\n"))
	check(names[1]+" is missing", func(r *Registry) { os.Remove(r.path(model)) })
	check(names[1]+" is not a regular file", func(r *Registry) {
		link(r.path(model))
		os.Rename(r.path(Models+"/moved"), r.dir+"/moved")
	})
	check(names[1]+": it is not valid", func(r *Registry) {
		change(model, "valid", "weird")(r)
		change(MetadataFile, sum, SHA256([]byte("weird v2")))(r)
	})
	check(names[1]+" is another version", change(MetadataFile, `"version": "v2"`, `"version": "v7"`))
	check(names[1]+" was changed after it was registered", change(MetadataFile, sum, strings.Repeat("0", 64)))
	check("has no model_sha256", change(MetadataFile, sum, ""))
	check("metadata.json is not a list of models", change(MetadataFile, "", "x"))
	check("metadata.json is not a regular file", func(r *Registry) { link(r.path(MetadataFile)) })
	check("entry 4: \""+names[2]+"\" is registered twice", func(r *Registry) {
		text := read(t, r.path(MetadataFile))
		last := text[strings.LastIndex(text, "  {"):]
		change(MetadataFile, "\n]", ",\n"+last[:strings.LastIndex(last, "\n]")]+"\n]")(r)
	})

	// Files that belong to no model. The journal's line of a model without an entry is a problem too.
	check("stray.json belongs to no registered model", func(r *Registry) {
		write(t, r.path(Models+"/stray.json"), "valid")
	})
	check("stray.html belongs to no registered model", func(r *Registry) {
		write(t, r.path(Models+"/stray.html"), "<html>")
	})
	check("stray belongs to no registered model", func(r *Registry) { os.Mkdir(r.path(Models+"/stray"), 0o755) })

	check("history.jsonl:2: from", change(HistoryFile, `"from":"`+names[0], `"from":"unknown.json`))
	check("history.jsonl:2: not a change", change(HistoryFile, "}\n{", "}\n"))
	check("history.jsonl:4: the last line is truncated", change(HistoryFile, "", `{"ts":"2026`))
	check(`history.jsonl:4: to "unknown.json", which is not in`, func(r *Registry) {
		change(HistoryFile, "", `{"ts":"2026-11-22T20:00:00Z","from":"`+names[2]+`","to":"unknown.json",`+
			`"by":"train","reason":""}`+"\n")(r)
	})
	check("history.jsonl:1: from", func(r *Registry) { // the first line was removed
		text := read(t, r.path(HistoryFile))
		write(t, r.path(HistoryFile), text[strings.Index(text, "\n")+1:])
	})
	check(`history.jsonl:2: ts "x026`, change(HistoryFile, "}\n{\"ts\":\"2", "}\n{\"ts\":\"x"))
	check(`history.jsonl:2: by "mallory"`, func(r *Registry) {
		lines := strings.SplitAfter(read(t, r.path(HistoryFile)), "\n")
		lines[1] = strings.Replace(lines[1], `"by":"train"`, `"by":"mallory"`, 1)
		write(t, r.path(HistoryFile), strings.Join(lines, ""))
	})
	check("metadata.json is missing or has no models", func(r *Registry) { os.Remove(r.path(MetadataFile)) })
	check("metadata.json is missing or has no models", func(r *Registry) { write(t, r.path(MetadataFile), "[]\n") })
	check("history.jsonl has no line", func(r *Registry) { os.Remove(r.path(HistoryFile)) })
	check("history.jsonl has no line", func(r *Registry) { write(t, r.path(HistoryFile), "") })
	check("history.jsonl:4: from", change(HistoryFile, "",
		`{"ts":"2026-11-22T20:00:00Z","from":"`+names[2]+`","to":"`+names[2]+`","by":"hand","reason":""}`+"\n"))

	check("current_model.txt is missing", func(r *Registry) { os.Remove(r.path(CurrentFile)) })
	check("current_model.txt: it is empty", change(CurrentFile, names[2], ""))
	check(`is not the file name of a model in models/`, change(CurrentFile, "", "/../x"))
	check("current_model.txt: it has several lines or", change(CurrentFile, names[2], "\ufeff"+names[2]))
	check("unknown.json is not in registry/metadata.json", change(CurrentFile, names[2], "unknown.json"))
	check("current_model.txt is not a regular file", func(r *Registry) { link(r.path(CurrentFile)) })
	check("pending.json is not a pending change", func(r *Registry) { write(t, r.path(intentFile), "x") })
}

// After a kill between two steps of a change, or within one, Verify reports an interrupted
// change and no other problem.
func TestVerifyAfterAKill(t *testing.T) {
	before, names := threeModels(t)
	after := copyOf(t, before)
	add(t, open(after), "v4", true)
	steps := stepsOf(t, open(before), open(after))
	for n := 1; n <= len(steps); n++ {
		r := open(copyOf(t, before))
		for _, s := range steps[:n] {
			write(t, r.path(s.file), s.content)
		}
		write(t, r.path(Models+"/.x.json.tmp-ABC"), "half")
		a := audit(t, r.dir)
		if len(a.Problems) != 1 || !strings.Contains(a.Problems[0],
			"the next train, evaluate or rollback finishes it") {
			t.Errorf("after step %d: %q, want only the interrupted change", n, a.Problems)
		}
		if len(a.Notes) != 1 || !strings.Contains(a.Notes[0], ".tmp-ABC was left") {
			t.Errorf("after step %d: notes %q, want the temporary file", n, a.Notes)
		}
		if _, _, err := r.Rollback(t.Context(), Rollback{Target: names[0]}); err != nil {
			t.Fatal(err)
		}
		if a := audit(t, r.dir); len(a.Problems)+len(a.Notes) > 0 {
			t.Errorf("after step %d and a rollback: %+v", n, a)
		}
	}
}

// A truncated line that is not the beginning of the intended change, or whose change is
// dropped, stops the next change: Verify names both.
func TestVerifyNamesATruncatedLine(t *testing.T) {
	before, names := threeModels(t)
	after := copyOf(t, before)
	add(t, open(after), "v4", true)
	steps := stepsOf(t, open(before), open(after))
	check := func(what string, breakIt func(r *Registry)) {
		t.Helper()
		r := open(copyOf(t, before))
		for _, s := range steps {
			write(t, r.path(s.file), s.content)
			if s.file == HistoryFile { // half a line
				break
			}
		}
		breakIt(r)
		const truncated = "history.jsonl:4: the last line is truncated"
		if a := audit(t, r.dir); len(a.Problems) != 2 || !strings.Contains(a.Problems[1], truncated) {
			t.Errorf("%s: problems %q, want one with %q", what, a.Problems, truncated)
		}
		if _, _, err := r.Rollback(t.Context(), Rollback{Target: names[0]}); err == nil ||
			!strings.Contains(err.Error(), truncated) {
			t.Errorf("%s: a rollback returns %v, want %q", what, err, truncated)
		}
	}
	check("another's line", func(r *Registry) { write(t, r.path(HistoryFile), read(t, r.path(HistoryFile))+"another") })
	check("a model that is gone", func(r *Registry) {
		os.Remove(r.path(steps[1].file))
		write(t, r.path(MetadataFile), read(t, open(before).path(MetadataFile)))
	})
}

func TestVerifyNotesAManualEdit(t *testing.T) {
	dir, names := threeModels(t)
	r := open(dir)
	write(t, r.path(CurrentFile), names[0]+"\n")
	if a := audit(t, dir); len(a.Problems) > 0 || len(a.Notes) != 1 ||
		!strings.Contains(a.Notes[0], "was edited manually") {
		t.Errorf("%+v, want only a note on the edit", a)
	}
	add(t, r, "v4", false) // records the edit
	if a := audit(t, dir); len(a.Problems)+len(a.Notes) > 0 {
		t.Errorf("%+v, want no problem and no note", a)
	}
}

// If any byte of a model is changed, Verify names the model and it cannot become current.
func TestEveryByteOfAModelCounts(t *testing.T) {
	dir, names := threeModels(t)
	r := open(dir)
	path := r.path(Models + "/" + names[0])
	intact := read(t, path)
	for i := range len(intact) {
		flipped := []byte(intact)
		flipped[i] ^= 1 << (i % 8)
		write(t, path, string(flipped))
		if a := audit(t, dir); len(a.Problems) != 1 || !strings.Contains(a.Problems[0], names[0]) {
			t.Errorf("byte %d of %s: problems %q, want the model", i, names[0], a.Problems)
		}
		if _, _, err := r.Rollback(t.Context(), Rollback{Target: names[0]}); err == nil {
			t.Errorf("byte %d of %s: it became current", i, names[0])
		}
	}
}

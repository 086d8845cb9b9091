package registry

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"churn/internal/testing/fuzzing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// canonical returns JSON in a form that is the same for the same content.
func canonical(t *testing.T, v jsontext.Value) string {
	t.Helper()
	v = v.Clone()
	if err := v.Canonicalize(jsontext.CanonicalizeRawFloats(false), jsontext.CanonicalizeRawInts(false)); err != nil {
		t.Fatalf("%s: %v", v, err)
	}
	return string(v)
}

// FuzzMetadata: adding an entry to a valid list keeps everything in it, unknown fields
// included.
func FuzzMetadata(f *testing.F) {
	f.Add([]byte(`[{"model_file":"a.json","note":{"by":"é","n":[1e400,-0,12345678901234567890]},` +
		`"metrics":{"f1":0.5,"more":null}}]`))
	f.Add([]byte(`[{"model_file":"new.json"}]`))
	f.Add([]byte("\n [ ] \n"))
	f.Add([]byte(`[{"model_file":"a","model_file":"b"}]`))
	f.Add([]byte(`[{"model_file":"\ud83d\ude00\u2028"},{"model_file":"b","seed":1.0}]`))
	f.Add([]byte(`[null]`))
	f.Add([]byte("null"))
	entry, err := json.Marshal(Entry{ModelFile: "new.json", Seed: 1 << 63, Metrics: Metrics{F1: 0.1}})
	if err != nil {
		f.Fatal(err)
	}
	added := intent{Entry: (*jsontext.Value)(&entry), entry: Entry{ModelFile: "new.json"}}
	r := open(f.TempDir())
	if err := os.Mkdir(filepath.Join(r.dir, "registry"), 0o755); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		defer fuzzing.Watch()()
		write(t, r.path(MetadataFile), string(text))
		before, err := r.metadata()
		if err != nil {
			if registerErr := r.register(added); registerErr == nil || read(t, r.path(MetadataFile)) != string(text) {
				t.Fatalf("%q cannot be read (%v), but is changed: %v", text, err, registerErr)
			}
			return
		}
		if err := r.register(added); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		after, err := r.metadata()
		if err != nil {
			t.Fatalf("%q with one more entry is %q: %v", text, read(t, r.path(MetadataFile)), err)
		}
		want := append([]jsontext.Value{}, before.raw...)
		if before.index("new.json") < 0 {
			want = append(want, entry)
		}
		if len(after.raw) != len(want) {
			t.Fatalf("%q: %d entries, want %d", text, len(after.raw), len(want))
		}
		for i := range want {
			if a, b := canonical(t, after.raw[i]), canonical(t, want[i]); a != b {
				t.Fatalf("%q: entry %d is %s, was %s", text, i+1, a, b)
			}
		}
		if n := len(before.entries); n > 0 && !reflect.DeepEqual(after.entries[:n], before.entries) {
			t.Fatalf("%q: entries %+v, were %+v", text, after.entries, before.entries)
		}
	})
}

// FuzzHistory: a valid journal is the same after it was written again, and another line can
// be appended.
func FuzzHistory(f *testing.F) {
	const first = `{"ts":"2026-01-01T00:00:00Z","from":"","to":"a.json","by":"train","reason":"x"}` + "\n"
	const second = `{"ts":"2026-01-02T00:00:00Z","from":"a.json","to":"b.json","by":"hand",` +
		`"reason":"\u2028\"é\n","more":[1]}` + "\n"
	f.Add([]byte(first + second))
	f.Add([]byte(first + second[:30]))
	f.Add([]byte(first + "\n" + second))
	f.Add([]byte(" " + strings.TrimSuffix(first, "\n") + "\r\n"))
	f.Add([]byte(`{"ts":"` + "\xff" + `"}` + "\n"))
	r := open(f.TempDir())
	if err := os.Mkdir(filepath.Join(r.dir, "registry"), 0o755); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		defer fuzzing.Watch()()
		write(t, r.path(HistoryFile), string(text))
		h, err := r.history()
		changes, truncated := h.changes, h.truncated
		if all, publicErr := r.History(); (publicErr == nil) != (err == nil && truncated == "") ||
			publicErr == nil && !slices.Equal(all, changes) {
			t.Fatalf("%q: History() = %+v, %v, history() = %+v, %q, %v", text, all, publicErr, changes, truncated, err)
		}
		if err != nil {
			if strings.Count(err.Error(), "\n") > 0 {
				t.Fatalf("%q: the error has several lines: %q", text, err)
			}
			return
		}
		if !bytes.HasSuffix(text, []byte(truncated)) || len(changes) != bytes.Count(text, []byte("\n")) {
			t.Fatalf("%q: %d lines and %q", text, len(changes), truncated)
		}
		if truncated != "" {
			write(t, r.path(HistoryFile), string(h.text))
		}
		more := Change{TS: "2026-01-03T00:00:00Z", To: "c\n.json", By: "hand", Reason: "\u2028"}
		if err := r.record(more); err != nil {
			t.Fatal(err)
		}
		want := changes
		if h.last() != more { // otherwise it was recorded already
			want = append(slices.Clone(changes), more)
		}
		if got, err := r.History(); err != nil || !slices.Equal(got, want) {
			t.Fatalf("%q with one more line: %+v, %v", text, got, err)
		}
		var again []byte
		for _, c := range changes {
			line, err := c.line()
			if err != nil {
				t.Fatal(err)
			}
			again = append(again, line...)
		}
		write(t, r.path(HistoryFile), string(again))
		if got, err := r.History(); err != nil || !slices.Equal(got, changes) {
			t.Fatalf("%q written again: %+v, %v, want %+v", text, got, err, changes)
		}
	})
}

// FuzzRecover: whatever pending.json, the journal and the pointer contain, a change either
// succeeds and leaves a chain, or leaves every valid file valid.
func FuzzRecover(f *testing.F) {
	intact, names := threeModels(f)
	r := open(intact)
	journal := read(f, r.path(HistoryFile))
	line, err := json.Marshal(Change{TS: "2026-11-22T19:31:00Z", From: names[2], To: names[0], By: "rollback",
		Reason: "x"})
	if err != nil {
		f.Fatal(err)
	}
	entry := `{"model_file":"` + names[0] + `","model_sha256":"` + SHA256([]byte("valid v1")) + `","note":1}`
	f.Add([]byte(`{"change":`+string(line)+`}`), []byte(journal), []byte(names[2]))
	f.Add([]byte(`{"change":`+string(line)+`}`), []byte(journal+string(line[:40])), []byte(names[2]))
	f.Add([]byte(`{"change":`+string(line)+`}`), []byte(journal+string(line)+"\n"), []byte(names[2]))
	f.Add([]byte(`{"entry":`+entry+`}`), []byte(journal), []byte(names[1]+"\n"))
	f.Add([]byte(`{"entry":`+entry+`,"change":`+string(line)+`}`), []byte(journal), []byte(names[0]))
	f.Add([]byte(`{"change":{"ts":"","from":"`+names[2]+`","to":"x.json"}}`), []byte(journal), []byte(names[2]))
	f.Add([]byte(`{"change":{"ts":"now","from":"`+names[2]+`","to":"../../x","by":"train"}}`), []byte(journal),
		[]byte(names[2]))
	f.Add([]byte(`{"change":{"ts":"now","from":"","to":"","by":"hand"}}`), []byte(nil), []byte("../../etc/passwd"))
	f.Add([]byte("{}"), []byte(journal), []byte("\xff\x00"))
	f.Add([]byte("null"), []byte("truncated"), []byte(" \n"))
	f.Add([]byte(`{"entry":null,"change":null}`), []byte(journal), []byte(strings.Repeat("x", 1200)))
	files := []string{HistoryFile, MetadataFile, CurrentFile}
	original := map[string]string{}
	for _, name := range files {
		original[name] = read(f, r.path(name))
	}
	f.Fuzz(func(t *testing.T, pending, history, pointer []byte) {
		defer fuzzing.Watch()()
		for _, name := range files {
			write(t, r.path(name), original[name])
		}
		write(t, r.path(HistoryFile), string(history))
		write(t, r.path(CurrentFile), string(pointer))
		write(t, r.path(intentFile), string(pending))
		_, brokenJournal := r.history()
		_, brokenPointer := r.Current()
		state := func() string {
			return read(t, r.path(HistoryFile)) + "\npointer " + read(t, r.path(CurrentFile)) + "\nmetadata " +
				read(t, r.path(MetadataFile))
		}
		for _, target := range []string{names[0], names[1]} {
			_, _, err := r.Rollback(t.Context(), Rollback{Target: target, Reason: "fuzz"})
			entries, entriesErr := r.Entries()
			if entriesErr != nil || len(entries) < 3 {
				t.Fatalf("pending %q: %d entries, %v\n%s", pending, len(entries), entriesErr, state())
			}
			if err != nil {
				if _, now := r.history(); now != nil && brokenJournal == nil {
					t.Fatalf("pending %q: the journal was valid and is not now: %v\n%s", pending, now, state())
				}
				if _, now := r.Current(); now != nil && brokenPointer == nil {
					t.Fatalf("pending %q: the pointer was valid, now %v\n%s", pending, now, state())
				}
				return
			}
			changes, err := r.History()
			current, pointerErr := r.Current()
			if err != nil || pointerErr != nil || current != target || len(changes) == 0 && current != "" ||
				changes[len(changes)-1].To != target {
				t.Fatalf("pending %q, rollback to %s: current is %q, %v, the journal %+v, %v", pending, target,
					current, pointerErr, changes, err)
			}
			old, _, _ := strings.Cut(string(history), "\n")
			for i := max(1, bytes.Count(history, []byte("\n"))); i < len(changes) && old != ""; i++ {
				if changes[i].From != changes[i-1].To && !bytes.Contains(pending, []byte(`"change"`)) {
					t.Fatalf("journal %q, pointer %q: no chain: %+v", history, pointer, changes)
				}
			}
			if _, err := os.Lstat(r.path(intentFile)); err == nil {
				t.Fatalf("pending %q is still there", pending)
			}
		}
	})
}

// FuzzNames: no name reads a file outside models/, or the card of a model that is not
// registered.
func FuzzNames(f *testing.F) {
	dir, names := threeModels(f)
	r := open(dir)
	const secret = "valid SECRET"
	for _, name := range []string{"registry/secret.json", "registry/secret.html", "secret.json", "secret.html",
		"models/unregistered.html"} {
		write(f, filepath.Join(dir, name), secret)
	}
	write(f, filepath.Join(dir, "models", CardName(names[0])), "a card")
	for link, to := range map[string]string{"link.json": "../secret.json", "link.html": "../secret.html",
		"folder": "../registry", CardName(names[1]): "../secret.html"} {
		if err := os.Symlink(to, filepath.Join(dir, "models", link)); err != nil {
			f.Fatal(err)
		}
	}
	for _, name := range []string{names[0], CardName(names[0]), CardName(names[1]), "link.json", "link.html",
		"../secret.json", "../secret.html", "folder/secret.json",
		"..\\secret.json", "/etc/passwd", "C:secret.json", ".json", "..json", "models/" + names[0], "./" + names[0],
		names[0] + "\x00", "unregistered.html", "..%2fsecret.html", "secret.json/", ""} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		defer fuzzing.Watch()()
		for what, read := range map[string]func(string) ([]byte, error){"ReadModel": r.ReadModel,
			"ReadRegistered": r.ReadRegistered, "ReadCard": r.ReadCard} {
			b, err := read(name)
			if err == nil && (bytes.Contains(b, []byte("SECRET")) || len(b) == 0 || filepath.Base(name) != name) {
				t.Fatalf("%s(%q) = %q", what, name, b)
			}
			if err != nil && strings.ContainsAny(err.Error(), "\n\x00\x1b") {
				t.Fatalf("%s(%q): the error is not one line: %q", what, name, err)
			}
		}
	})
}

//go:build linux && amd64

package crash_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"churn/internal/model"
	"churn/internal/testing/programs"
)

// A checker judges what a fault left.
type checker struct {
	*testing.T
	*crashes
	crash
	before, clean fileTree // the files without the run, and after an undisturbed one
	what          string   // the fault
}

// check judges the files, then lets the program run once more.
func (k *checker) check(r result) {
	k.left(r)
	k.again(r)
}

// left judges what a run left, and how it ended if it was not killed.
func (k *checker) left(r result) {
	got := snapshot(k.T, r.dir)
	k.files(r, got)
	k.registry(r.dir, true)
	if r.mode == failed || r.mode == full {
		k.ended(r, got)
	}
}

// again lets the program run once more, with nothing in its way.
func (k *checker) again(r result) {
	again, err := k.run(&traced{dir: r.dir, plain: true}, k.command, k.asked)
	if err != nil || again.status != k.status {
		k.Errorf("the next run: status %d, %v, want %d: %s", again.status, err, k.status, again.stderr)
		return
	}
	got := snapshot(k.T, r.dir)
	if len(k.command) == 1 && k.command[0] == "rollback" {
		k.wentBack(r, got)
	}
	for name := range got {
		if isTemp(name) || name == "registry/pending.json" {
			k.Errorf("after the next run %s is left", name)
		}
	}
	for name, content := range k.exact(k.clean) {
		if !bytes.Equal(got[name], content) {
			k.Errorf("after the next run %s is not what an undisturbed run writes", name)
		}
	}
	k.registry(r.dir, false)
	k.log(got, append(r.answered, again.answered...))
}

// wentBack judges where two rollbacks without a model's name have led. One that failed
// has not gone back, unless it says so: then asking again does, once. One that was
// killed may have gone back or not, and its caller does not know.
func (k *checker) wentBack(r result, got fileTree) {
	models := programs.ModelNames(k.T, string(k.before["registry/metadata.json"]))
	slices.Reverse(models) // the current one, the one before, and the one before that
	once, twice := models[1], models[2]
	want := []string{twice}
	switch {
	case r.mode != failed && r.mode != full:
		want = []string{once, twice}
	case r.status == 2 && !strings.Contains(r.stderr, once+" is current now"):
		want = []string{once}
	}
	if current := string(got["registry/current_model.txt"]); !slices.Contains(want, current) {
		k.Errorf("after the next run %s is current, want %q: the models are %q", current, want, models)
	}
}

// ended judges how a program that was not killed ended.
func (k *checker) ended(r result, got fileTree) {
	for name := range got {
		if isTemp(name) {
			k.Errorf("%s is left by a program that was not killed", name)
		}
	}
	now := string(got["registry/current_model.txt"])
	// which any run finishes
	moved := now != string(k.before["registry/current_model.txt"]) && k.before["registry/pending.json"] == nil
	if r.status == 2 && moved && !strings.Contains(r.stdout+r.stderr, now+" is current") {
		k.Errorf("it says that it failed, and does not say that %s is current now", now)
	}
	switch r.status {
	case k.status: // the fault did not matter: all is done
		if _, ok := got["registry/pending.json"]; ok {
			k.Errorf("it says that all went well, and registry/pending.json is there")
		}
		for name, content := range k.exact(k.clean) {
			if !bytes.Equal(got[name], content) {
				k.Errorf("it says that all went well, and %s is not what an undisturbed run writes", name)
			}
		}
		if n, want := entries(got), entries(k.clean); n != want {
			k.Errorf("it says that all went well, and %d models are registered, want %d", n, want)
		}
	case 2:
		errors := 0
		for line := range strings.Lines(r.stderr) {
			if !strings.HasPrefix(line, k.command[0]+": ") {
				k.Errorf("standard error has the line %q", line)
			}
			if !strings.HasPrefix(line, k.command[0]+": warning: ") && k.asked == 0 {
				errors++
			}
		}
		if errors != 1 && k.asked == 0 {
			k.Errorf("%d lines tell what is wrong, want 1", errors)
		}
	default:
		k.Errorf("status %d, want %d or 2", r.status, k.status)
	}
}

// files wants each file as before or as after.
func (k *checker) files(r result, got fileTree) {
	for name := range k.before {
		if _, ok := got[name]; !ok && name != "registry/pending.json" && name != "logs/predictions.log" && !isTemp(name) {
			k.Errorf("%s is gone", name)
		}
	}
	for name, content := range got {
		before, was := k.before[name]
		after, is := k.clean[name]
		if was && bytes.Equal(content, before) || is && bytes.Equal(content, after) {
			continue
		}
		ok := false
		switch {
		case isTemp(name), strings.HasPrefix(name, "logs/predictions"): // judged elsewhere
			ok = true
		case name == "registry/pending.json":
			ok = json.Valid(content)
		case strings.HasPrefix(name, "models/") && strings.HasSuffix(name, ".json"):
			ok = !was && model.Verify(content) == nil
		case strings.HasSuffix(name, ".html"):
			ok = bytes.HasSuffix(bytes.TrimSpace(content), []byte("</html>"))
		case name == "registry/metadata.json":
			n := entries(got)
			ok = n >= entries(k.before) && n <= entries(k.clean)
		case name == "registry/history.jsonl":
			ok = bytes.HasPrefix(content, bytes.TrimRight(before, "\n")) || k.before["registry/pending.json"] != nil
		case name == "registry/current_model.txt":
			_, ok = got["models/"+string(content)]
		case name == "logs/alerts.jsonl":
			ok = len(content) == 0 || content[len(content)-1] == '\n'
			for line := range bytes.Lines(content) {
				ok = ok && json.Valid(line)
			}
		}
		if !ok {
			k.Errorf("%s is neither as before nor as after: %.300q", name, content)
		}
	}
}

// registry wants rollback --verify to find nothing, or if a kill may be behind it
// only what the next change finishes.
func (k *checker) registry(dir string, unfinished bool) {
	r, err := k.run(&traced{dir: dir, plain: true}, []string{"rollback", "--verify", "--json"}, 0)
	var a struct{ Problems, Notes []string }
	if err != nil || r.status != 2 && json.Unmarshal([]byte(r.stdout), &a) != nil {
		k.Errorf("rollback --verify: status %d, %v: %s%s", r.status, err, r.stdout, r.stderr)
	}
	if r.status == 2 && (entries(k.clean) > 0 || !strings.Contains(r.stderr, "there is no current model yet")) &&
		!unfinished {
		k.Errorf("rollback --verify: %s", r.stderr)
	}
	for _, p := range a.Problems {
		if !unfinished || !strings.HasSuffix(p, "the next train, evaluate or rollback finishes it") {
			k.Errorf("rollback --verify: %s", p)
		}
	}
	for _, n := range a.Notes {
		if !unfinished {
			k.Errorf("rollback --verify: note: %s", n)
		}
	}
}

var blankLine = regexp.MustCompile(`(?m)^[ \t]*(\n|\z)`) // a trial whether the disk has room, cut short by a kill

// log wants every answered prediction in the log once, and each line whole.
func (k *checker) log(got fileTree, answered []string) {
	seen := map[string]int{}
	for name, content := range got {
		if strings.HasPrefix(name, "logs/predictions") {
			programs.CountRequests(k.T, seen, name, blankLine.ReplaceAllString(string(content), ""))
		}
	}
	for _, id := range answered {
		if seen[id] != 1 {
			k.Errorf("%s was answered, and is %d times in the log", id, seen[id])
		}
	}
}

// exact returns the files whose bytes do not hang on the time.
func (k *checker) exact(w fileTree) fileTree {
	fixed := fileTree{}
	for _, name := range slices.Sorted(maps.Keys(w)) {
		if strings.HasPrefix(name, "data/") || strings.HasPrefix(name, "registry/") && filepath.Ext(name) == ".json" &&
			name != "registry/metadata.json" {
			fixed[name] = w[name]
		}
	}
	return fixed
}

func isTemp(name string) bool { return strings.Contains(filepath.Base(name), ".tmp-") }

// entries returns the number of registered models.
func entries(w fileTree) int {
	var models []json.RawMessage
	json.Unmarshal(w["registry/metadata.json"], &models) // which rollback --verify judges
	return len(models)
}

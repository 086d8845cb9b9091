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

// A checker verifies what a fault left.
type checker struct {
	*testing.T
	*crashes
	crash
	before, clean fileTree // the files before the run, and after one without faults
	what          string   // the fault
	tried         []tried
}

// A tried is what a fault left, from which the program was run once more.
type tried struct {
	left     fileTree // with the names of temporary files, which are random, in short
	answered []string
}

// check verifies the files, then runs the program once more.
func (k *checker) check(r result) {
	if k.checkLeft(r) {
		k.checkRerun(r)
	}
}

// checkLeft verifies the files that a run left and, if it was not killed, its exit. It reports whether
// no earlier fault left the same.
func (k *checker) checkLeft(r result) bool {
	got := snapshot(k.T, r.dir)
	k.checkFiles(r, got)
	if r.mode == failed || r.mode == full {
		k.checkExit(r, got)
	}
	now := tried{fileTree{}, r.answered}
	for name, content := range got {
		if before, _, temp := strings.Cut(name, ".tmp-"); temp {
			name = before + ".tmp-"
		}
		now.left[name] = content
	}
	same := func(t tried) bool { return t.left.equal(now.left) && slices.Equal(t.answered, now.answered) }
	if len(now.left) == len(got) && slices.ContainsFunc(k.tried, same) {
		return false
	}
	k.tried = append(k.tried, now)
	k.checkRegistry(r.dir, true)
	return true
}

// checkRerun runs the program once more without faults and verifies the result.
func (k *checker) checkRerun(r result) {
	again, err := k.run(&traced{dir: r.dir, plain: true}, k.command, k.requests)
	forgotten := again.status == 1 && strings.Contains(again.stderr, "no record") // by the run with the fault
	if err != nil || again.status != k.status && !(forgotten && k.forgets()) {
		k.Errorf("the next run: status %d, %v, want %d: %s", again.status, err, k.status, again.stderr)
		return
	}
	got := snapshot(k.T, r.dir)
	if len(k.command) == 1 && k.command[0] == "rollback" {
		k.checkRollback(r, got)
	}
	for name := range got {
		if isTemp(name) || name == "registry/pending.json" {
			k.Errorf("the next run left %s", name)
		}
	}
	for name, content := range reproducible(k.clean) {
		if !bytes.Equal(got[name], content) {
			k.Errorf("after the next run %s is not what a run without faults writes", name)
		}
	}
	for name, content := range k.clean {
		if strings.HasPrefix(name, "logs/predictions") && k.forgets() && !bytes.Equal(got[name], content) {
			k.Errorf("after the next run %s is not what a run without faults writes", name)
		}
	}
	k.checkRegistry(r.dir, false)
	k.checkLog(got, append(r.answered, again.answered...))
}

// forgets reports whether the program erases records.
func (k *checker) forgets() bool {
	return slices.Contains(k.command, "--forget") || slices.Contains(k.command, "--match")
}

// checkRollback verifies the current model after two rollbacks to the previous model. A
// failed one has changed it only if it says so; a killed one may have changed it or not.
func (k *checker) checkRollback(r result, got fileTree) {
	models := programs.ModelNames(k.T, string(k.before["registry/metadata.json"]))
	slices.Reverse(models) // the current one first
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

// checkExit verifies status and messages of a program that was not killed.
func (k *checker) checkExit(r result, got fileTree) {
	for name := range got {
		if isTemp(name) && k.before[name] == nil {
			k.Errorf("a program that was not killed left %s", name)
		}
	}
	now := string(got["registry/current_model.txt"])
	// otherwise any run finishes the change
	moved := now != string(k.before["registry/current_model.txt"]) && k.before["registry/pending.json"] == nil
	if r.status == 2 && moved && !strings.Contains(r.stdout+r.stderr, now+" is current") {
		k.Errorf("it reports an error, but not that %s is current now", now)
	}
	switch r.status {
	case k.status: // the fault had no effect
		if _, ok := got["registry/pending.json"]; ok {
			k.Errorf("it reports success, but registry/pending.json exists")
		}
		for name, content := range reproducible(k.clean) {
			if !bytes.Equal(got[name], content) {
				k.Errorf("it reports success, but %s is not what a run without faults writes", name)
			}
		}
		if n, want := entries(got), entries(k.clean); n != want {
			k.Errorf("it reports success, but %d models are registered, want %d", n, want)
		}
	case 2:
		errors := 0
		for line := range strings.Lines(r.stderr) {
			if !strings.HasPrefix(line, k.command[0]+": ") {
				k.Errorf("standard error has the line %q", line)
			}
			note := strings.HasSuffix(line, "which each pass reads\n") // beyond memory
			if !note && !strings.HasPrefix(line, k.command[0]+": warning: ") && k.requests == 0 {
				errors++
			}
		}
		if errors != 1 && k.requests == 0 {
			k.Errorf("%d lines of errors, want 1", errors)
		}
		said := strings.Contains(r.stderr, "finishes it") || strings.Contains(r.stderr, "is current now")
		if got["registry/pending.json"] != nil && k.before["registry/pending.json"] == nil && r.mode == failed && !said {
			k.Errorf("it reports an error, but registry/pending.json exists, and the next change makes this one")
		}
	default:
		k.Errorf("status %d, want %d or 2", r.status, k.status)
	}
}

// checkFiles verifies that each file is as before the run or as after it.
func (k *checker) checkFiles(r result, got fileTree) {
	for name := range k.before {
		pruned := strings.HasPrefix(name, "models/") && k.clean[name] == nil
		if _, ok := got[name]; !ok && name != "registry/pending.json" && name != "logs/predictions.log" && !isTemp(name) &&
			!pruned {
			k.Errorf("%s was deleted", name)
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
		case isTemp(name), strings.HasPrefix(name, "logs/predictions"): // verified elsewhere
			ok = isTemp(name) || !k.forgets()
		case name == "registry/pending.json":
			ok = json.Valid(content)
		case strings.HasPrefix(name, "logs/erased-"): // the name has the time
			ok = json.Valid(content)
		case strings.HasPrefix(name, "models/") && strings.HasSuffix(name, ".json"):
			ok = !was && model.Verify(content) == nil
		case strings.HasSuffix(name, ".html"):
			ok = bytes.HasSuffix(bytes.TrimSpace(content), []byte("</html>"))
		case name == "registry/metadata.json":
			n := entries(got)
			ok = n >= entries(k.before) && n <= entries(k.clean)
		case name == "registry/history.jsonl":
			ok = bytes.HasPrefix(content, bytes.TrimRight(before, "\n")) || k.before["registry/pending.json"] != nil ||
				bytes.Contains(content, []byte(`"moved":{`)) && (bytes.HasSuffix(before, inner(content)) ||
					bytes.HasSuffix(before, content[bytes.IndexByte(content, '\n')+1:])) // no model could be removed
		case strings.HasPrefix(name, "registry/history-"):
			ok = !was && bytes.HasPrefix(k.before["registry/history.jsonl"], content)
		case name == "registry/current_model.txt":
			_, ok = got["models/"+string(content)]
		case name == "logs/alerts.jsonl":
			ok = len(content) == 0 || content[len(content)-1] == '\n'
			for line := range bytes.Lines(content) {
				ok = ok && json.Valid(line)
			}
		}
		if !ok {
			k.Errorf("%s is neither as before nor as after the run: %.300q", name, content)
		}
	}
}

// checkRegistry verifies that rollback --verify finds no problem. If unfinished is set, it
// may report a change that the next run finishes.
func (k *checker) checkRegistry(dir string, unfinished bool) {
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

var blankLine = regexp.MustCompile(`(?m)^[ \t]*(\n|\z)`) // a test write for free space, cut short by a kill

// checkLog verifies that each answered prediction is logged once and each line is complete.
func (k *checker) checkLog(got fileTree, answered []string) {
	seen := map[string]int{}
	for name, content := range got {
		if strings.HasPrefix(name, "logs/predictions") {
			programs.CountRequests(k.T, seen, name, blankLine.ReplaceAllString(string(content), ""))
		}
	}
	for _, id := range answered {
		if seen[id] != 1 {
			k.Errorf("%s was answered and logged %d times", id, seen[id])
		}
	}
}

// reproducible returns the files whose bytes do not depend on the time.
func reproducible(w fileTree) fileTree {
	fixed := fileTree{}
	for _, name := range slices.Sorted(maps.Keys(w)) {
		if strings.HasPrefix(name, "data/") || strings.HasPrefix(name, "registry/") && filepath.Ext(name) == ".json" &&
			name != "registry/metadata.json" {
			fixed[name] = w[name]
		}
	}
	return fixed
}

// inner returns the lines of a journal without the first, a reference, and the last, of a prune.
func inner(journal []byte) []byte {
	first, last := bytes.IndexByte(journal, '\n')+1, bytes.LastIndexByte(bytes.TrimSuffix(journal, []byte("\n")), '\n')+1
	return journal[min(first, last):last]
}

func isTemp(name string) bool { return strings.Contains(filepath.Base(name), ".tmp-") }

// entries returns the number of registered models.
func entries(w fileTree) int {
	var models []json.RawMessage
	json.Unmarshal(w["registry/metadata.json"], &models) // rollback --verify reports an error
	return len(models)
}

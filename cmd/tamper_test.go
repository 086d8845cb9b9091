package cmd_test

import (
	"encoding/json"
	"strings"
	"testing"

	"churn/internal/model"
	"churn/internal/modelstore"
	"churn/internal/registry"
)

// testTampering flips bits in the registry's files. A model with one is never
// loaded, and rollback --verify names it; an entry with one is named too.
func testTampering(t *testing.T, bin string) {
	l := newLoop(t, bin)
	models := l.models()
	if len(models) != 2 {
		t.Fatalf("the models are %q", models)
	}
	v1, v2 := models[0], models[1]
	flips := 0
	flip := func(name string, step int, try func(at int)) {
		t.Helper()
		whole := readFile(t, l.path(name))
		for at := 0; at < len(whole); at += step {
			b := []byte(whole)
			b[at] ^= 1 << (at % 7) // and not the eighth: that would always be bad UTF-8
			writeFile(t, l.path(name), string(b))
			try(at)
			flips++
		}
		writeFile(t, l.path(name), whole)
	}

	// By the programs, with a sample of the bytes: the pointer leads to the model with the flip.
	l.start()
	writeFile(t, l.path(registry.CurrentFile), v1)
	flip("models/"+v1, len(readFile(t, l.path("models/"+v1)))/40, func(at int) {
		if a, gone := l.predict(); gone != nil || a.model != v2 {
			t.Errorf("byte %d of %s: serve answers with %q, %v", at, v1, a.model, gone)
		}
		status, out, err := l.ends("rollback", "--verify")
		if status != 1 || !strings.Contains(string(out), "problem: "+v1) {
			t.Errorf("byte %d of %s: rollback --verify ends with %v: %s", at, v1, err, out)
		}
	})
	l.kill()
	writeFile(t, l.path(registry.CurrentFile), v2)

	// More of them, in this process.
	reg := registry.Open(l.dir, model.Verify, nil)
	problems := func() []string {
		a, err := reg.Verify(t.Context(), modelstore.MatchEntry)
		if err != nil {
			return []string{err.Error()}
		}
		return a.Problems
	}
	if p := problems(); len(p) > 0 {
		t.Fatalf("before the flips: %q", p)
	}
	flip("models/"+v1, 7, func(at int) { // each byte is the test of package model
		if p := problems(); len(p) != 1 || !strings.Contains(p[0], v1) {
			t.Errorf("byte %d of %s: problems %q, want the model", at, v1, p)
		}
	})
	meaning := func() string {
		entries, _ := reg.Entries()
		b, _ := json.Marshal(entries)
		return string(b)
	}
	means := meaning()
	flip(registry.MetadataFile, 1, func(at int) {
		if len(problems()) == 0 && meaning() != means {
			t.Errorf("byte %d of metadata.json: nobody sees it", at)
		}
	})
	t.Logf("%d bits flipped one by one: no such model was loaded, whatever says something else was named", flips)
}

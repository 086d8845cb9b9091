package crash_test

import (
	"encoding/json"
	"strings"
	"testing"

	"churn/internal/model"
	"churn/internal/modelstore"
	"churn/internal/registry"
	"churn/internal/testing/programs"
)

// TestTampering flips bits in the registry's files. A model with a flipped bit is never
// loaded, and rollback --verify reports it, or the entry.
func TestTampering(t *testing.T) {
	bin := programs.Build(t)
	l := programs.NewLoop(t, bin)
	models := l.Models()
	if len(models) != 2 {
		t.Fatalf("the models are %q", models)
	}
	v1, v2 := models[0], models[1]
	flips := 0
	flip := func(name string, step int, try func(at int)) {
		t.Helper()
		whole := programs.ReadFile(t, l.Path(name))
		for at := 0; at < len(whole); at += step {
			b := []byte(whole)
			b[at] ^= 1 << (at % 7) // not the eighth, which would always be invalid UTF-8
			programs.WriteFile(t, l.Path(name), string(b))
			try(at)
			flips++
		}
		programs.WriteFile(t, l.Path(name), whole)
	}

	// A sample of the bytes, through the programs: the pointer names the model with the flipped bit.
	l.Start()
	programs.WriteFile(t, l.Path(registry.CurrentFile), v1)
	flip("models/"+v1, len(programs.ReadFile(t, l.Path("models/"+v1)))/40, func(at int) {
		if a, err := l.Predict(); err != nil || a.Model != v2 {
			t.Errorf("byte %d of %s: serve answers with %q, %v", at, v1, a.Model, err)
		}
		status, out, err := l.Exec("rollback", "--verify")
		if status != 1 || !strings.Contains(string(out), "problem: "+v1) {
			t.Errorf("byte %d of %s: rollback --verify ends with %v: %s", at, v1, err, out)
		}
	})
	l.Kill()
	programs.WriteFile(t, l.Path(registry.CurrentFile), v2)

	// More bytes, in this process.
	reg := registry.Open(l.Dir, model.Verify)
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
	flip("models/"+v1, 7, func(at int) { // the tests of package model flip each byte
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
			t.Errorf("byte %d of metadata.json: the change is not detected", at)
		}
	})
	t.Logf("%d bits flipped one by one: no changed model was loaded, every changed meaning was reported", flips)
}

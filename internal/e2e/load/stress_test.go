package load_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"churn/internal/model"
	"churn/internal/registry"
	"churn/internal/testing/programs"
)

const (
	trainers   = 8 // trainings at a time
	rollers    = 8 // rollbacks at a time
	services   = 4
	editEvery  = 50 * time.Millisecond // how often the pointer is edited by hand
	watchEvery = time.Millisecond      // how often the pointer is looked at
)

// A storm is all that happened on one folder while many were at it at once.
type storm struct {
	*programs.Loop
	reg *registry.Registry
	end time.Time

	mu       sync.Mutex
	trained  []trainingRun
	rolled   []rollback
	edits    []edit
	looks    int
	blanks   []span   // when the pointer was seen empty
	models   []string // that may be named
	blocked  int      // runs that met a pointer that somebody was just writing
	declined int      // rollbacks that had nowhere to go
}

type trainingRun struct {
	Model  string `json:"model_file"`
	Passed bool   `json:"passed_gate"`
	begun  time.Time
	ended  time.Time
}

type rollback struct {
	To      string `json:"to"`
	Changed bool   `json:"changed"`
	reason  string
	begun   time.Time
	ended   time.Time
}

type edit struct {
	to      string
	inPlace bool // else by rename
	begun   time.Time
	ended   time.Time
}

// TestConcurrencyStress has trainings, rollbacks, edits by hand and services on one folder at
// once, and then holds all they left against all they said. CHURN_STORM=60s is
// the long one; with the race detector the programs have it too.
func TestConcurrencyStress(t *testing.T) {
	bin := programs.Build(t)
	s := &storm{Loop: programs.NewLoop(t, bin)}
	s.reg = registry.Open(s.Dir, model.Verify, nil)
	before, err := s.reg.Entries()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range before {
		s.models = append(s.models, e.ModelFile)
	}
	long := programs.EnvDuration(t, "CHURN_STORM", 10*time.Second)
	load := programs.Load{Interval: 5 * time.Millisecond}
	for range services {
		one := s.NewService()
		one.Start()
		load.Services = append(load.Services, one)
	}

	begun := time.Now()
	s.end = begun.Add(long)
	var stop atomic.Bool
	done := make(chan []programs.Answer)
	go func() { done <- load.Run(&stop) }()
	var wg sync.WaitGroup
	for k := range trainers {
		wg.Go(func() { s.train(k) })
	}
	for k := range rollers {
		wg.Go(func() { s.roll(k) })
	}
	wg.Go(s.edit)
	wg.Go(s.watch)
	wg.Wait()
	stop.Store(true)
	answers := <-done
	for _, one := range load.Services {
		one.Stop()
		s.checkEvents(one)
	}

	s.Run("rollback", before[0].ModelFile) // notes the last edit
	s.checkModels(len(before))
	changes := s.checkJournal(begun)
	s.checkBlanks()
	s.checkAnswers(answers, begun, changes)
	s.checkLeftovers()
	s.Run("rollback", "--verify")
	inPlace := 0
	for _, e := range s.edits {
		if e.inPlace {
			inPlace++
		}
	}
	t.Logf("%v: %d trainings, %d rollbacks (%d had nowhere to go), %d edits by hand (%d in place; %d runs met one "+
		"half done), %d changes in a chain, "+
		"the pointer looked at %d times (%d times while being edited), %d answers from %d services, all 200, logged once "+
		"and by a model current then; race detector: %v",
		long, len(s.trained), len(s.rolled), s.declined, len(s.edits), inPlace, s.blocked, len(changes),
		s.looks, len(s.blanks), len(answers), services, programs.RaceDetector)
}

// half tells whether a run ended since the pointer was empty: an edit in place
// makes it so for a moment. Nothing was changed then, and the error says what is.
func (s *storm) half(status int, err error) bool {
	if status != 2 || !strings.Contains(err.Error(), "current_model.txt: it is empty, and not the file name of a model") {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blocked++
	return true
}

// pick returns a registered model.
func (s *storm) pick(rng *rand.Rand) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.models[rng.IntN(len(s.models))]
}

// train trains one model after the other. Some use the same names as others, and
// every fourth is refused by its gate.
func (s *storm) train(k int) {
	for i := 0; time.Now().Before(s.end); i++ {
		program := []string{"train", "evaluate"}[i%2]
		args := []string{"--json", "--version", fmt.Sprintf("s%d", k%3), "--seed", fmt.Sprint(100*k + i%100), "--gate-f1"}
		want := 0
		if i%4 == 3 {
			want = 1
			args = append(args, "1")
		} else {
			args = append(args, "0")
		}
		t := trainingRun{begun: time.Now()}
		status, stdout, err := s.Exec(program, args...)
		t.ended = time.Now()
		if s.half(status, err) {
			continue
		}
		if json.Unmarshal(stdout, &t) != nil || status != want || t.Model == "" || t.Passed != (want == 0) {
			s.Errorf("%s: status %d, %v", program, status, err)
			continue
		}
		s.mu.Lock()
		s.trained = append(s.trained, t)
		s.models = append(s.models, t.Model)
		s.mu.Unlock()
	}
}

// roll rolls back again and again, one time in two to a named model.
func (s *storm) roll(k int) {
	rng := rand.New(rand.NewPCG(1, uint64(k)))
	for i := 0; time.Now().Before(s.end); i++ {
		r := rollback{reason: fmt.Sprintf("storm %d %d", k, i), begun: time.Now()}
		args := []string{"--json", "--reason", r.reason}
		no := "no valid model that passed its gate was registered before"
		if i%2 == 0 {
			args = append(args, s.pick(rng))
			no = "did not pass its gate"
		}
		status, stdout, err := s.Exec("rollback", args...)
		r.ended = time.Now()
		switch {
		case s.half(status, err):
		case status == 1 && strings.Contains(err.Error(), no):
			s.mu.Lock()
			s.declined++
			s.mu.Unlock()
		default:
			if json.Unmarshal(stdout, &r) != nil || status != 0 || r.To == "" {
				s.Errorf("rollback %q: status %d, %v", args, status, err)
			}
			s.mu.Lock()
			s.rolled = append(s.rolled, r)
			s.mu.Unlock()
		}
	}
}

// edit edits the pointer as a person does: as echo writes it, in place, and as an
// editor does, by rename.
func (s *storm) edit() {
	rng := rand.New(rand.NewPCG(2, 1))
	path := s.Path(registry.CurrentFile)
	aside := filepath.Join(s.TempDir(), "edited")
	for tick := time.Tick(editEvery); time.Now().Before(s.end); <-tick {
		e := edit{to: s.pick(rng), inPlace: rng.IntN(2) == 0, begun: time.Now()}
		var err error
		if e.inPlace {
			err = os.WriteFile(path, []byte(e.to+"\n"), 0o644)
		} else {
			err = errors.Join(os.WriteFile(aside, []byte(e.to+"\n"), 0o644), os.Rename(aside, path))
		}
		e.ended = time.Now()
		if err != nil {
			s.Error(err)
			return
		}
		s.mu.Lock()
		s.edits = append(s.edits, e)
		s.mu.Unlock()
	}
}

// watch reads the pointer and the model that it names, again and again: the model
// is registered, and its bytes are those that were, and sound.
func (s *storm) watch() {
	hashes := map[string]string{}
	for tick := time.Tick(watchEvery); time.Now().Before(s.end); <-tick {
		from := time.Now()
		name, err := s.pointer()
		s.looks++
		if err == nil && name == "" {
			s.blanks = append(s.blanks, span{from: from, to: time.Now()})
			continue
		}
		if err == nil && hashes[name] == "" {
			_, err = s.reg.ReadRegistered(name)
			entries, listErr := s.reg.Entries()
			err = errors.Join(err, listErr)
			for _, e := range entries {
				hashes[e.ModelFile] = e.ModelSHA256
			}
		}
		var b []byte
		if err == nil {
			b, err = s.reg.ReadModel(name)
		}
		if err != nil || registry.SHA256(b) != hashes[name] {
			s.Errorf("the pointer named %q: %v", name, err)
			return
		}
	}
}

// pointer returns what is in current_model.txt, "" while a hand writes in it. It
// reads once: before a second read another hand may have been there.
func (s *storm) pointer() (string, error) {
	f, err := os.Open(s.Path(registry.CurrentFile))
	if err != nil {
		return "", err
	}
	defer f.Close()
	b := make([]byte, 1000)
	n, err := f.Read(b)
	if err == io.EOF {
		err = nil
	}
	return strings.TrimSpace(string(b[:n])), err
}

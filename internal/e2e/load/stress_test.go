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
	trainers    = 8 // trainings at a time
	rollbackers = 8 // rollbacks at a time
	services    = 4
	editEvery   = 50 * time.Millisecond // interval of manual edits of the pointer
	pollEvery   = time.Millisecond      // interval of reads of the pointer
)

// A stress has all events of a test in which many processes work on one folder.
type stress struct {
	*programs.Loop
	reg *registry.Registry
	end time.Time

	mu         sync.Mutex
	trained    []trainingRun
	rolled     []rollback
	edits      []edit
	looks      int
	emptyReads []span   // when the pointer was read empty
	models     []string // registered so far
	blocked    int      // runs that read an empty pointer during an edit
	declined   int      // rollbacks without a valid target
}

type trainingRun struct {
	Model  string `json:"model_file"`
	Passed bool   `json:"passed_gate"`
	start  time.Time
	end    time.Time
}

type rollback struct {
	To      string `json:"to"`
	Changed bool   `json:"changed"`
	reason  string
	start   time.Time
	end     time.Time
}

type edit struct {
	to      string
	inPlace bool // otherwise by rename
	start   time.Time
	end     time.Time
}

// TestConcurrencyStress runs trainings, rollbacks, manual edits and services on one folder
// at once, and compares what they left with what they reported. CHURN_STORM=60s is the
// long run; with the race detector the programs are built with it too.
func TestConcurrencyStress(t *testing.T) {
	bin := programs.Build(t)
	s := &stress{Loop: programs.NewLoop(t, bin)}
	s.reg = registry.Open(s.Dir, model.Verify)
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

	start := time.Now()
	s.end = start.Add(long)
	var stop atomic.Bool
	done := make(chan []programs.Answer)
	go func() { done <- load.Run(&stop) }()
	var wg sync.WaitGroup
	for k := range trainers {
		wg.Go(func() { s.train(k) })
	}
	for k := range rollbackers {
		wg.Go(func() { s.roll(k) })
	}
	wg.Go(s.edit)
	wg.Go(s.pollPointer)
	wg.Wait()
	stop.Store(true)
	answers := <-done
	for _, one := range load.Services {
		one.Stop()
		s.checkEvents(one)
	}

	s.Run("rollback", before[0].ModelFile) // records the last edit
	s.checkModels(len(before))
	changes := s.checkJournal(start)
	s.checkEmptyReads()
	s.checkAnswers(answers, start, changes)
	s.checkLeftovers()
	s.Run("rollback", "--verify")
	inPlace := 0
	for _, e := range s.edits {
		if e.inPlace {
			inPlace++
		}
	}
	t.Logf("%v: %d trainings, %d rollbacks (%d without a valid target), %d manual edits "+
		"(%d in place; %d runs read an empty pointer), %d changes in a chain, "+
		"the pointer read %d times (%d times while being edited), %d answers from %d services, all 200, logged once "+
		"and by a model current then; race detector: %v",
		long, len(s.trained), len(s.rolled), s.declined, len(s.edits), inPlace, s.blocked, len(changes),
		s.looks, len(s.emptyReads), len(answers), services, programs.RaceDetector)
}

// metEmptyPointer reports whether a run failed because the pointer was empty, as it is for a
// moment during an edit in place.
func (s *stress) metEmptyPointer(status int, err error) bool {
	if status != 2 || !strings.Contains(err.Error(), "current_model.txt: it is empty, and not the file name of a model") {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blocked++
	return true
}

// pick returns a random registered model.
func (s *stress) pick(rng *rand.Rand) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.models[rng.IntN(len(s.models))]
}

// train trains one model after the other. Some versions are used more than once, and at
// least every fourth model fails its gate.
func (s *stress) train(k int) {
	for i := 0; time.Now().Before(s.end); i++ {
		program := []string{"train", "evaluate"}[i%2]
		args := []string{"--json", "--version", fmt.Sprintf("s%d", k%3), "--seed", fmt.Sprint(100*k + i%100), "--gate-f1"}
		rejected := i%4 == 3
		if rejected {
			args = append(args, "1")
		} else {
			args = append(args, "0")
		}
		t := trainingRun{start: time.Now()}
		status, stdout, err := s.Exec(program, args...)
		t.end = time.Now()
		if s.metEmptyPointer(status, err) {
			continue
		}
		if json.Unmarshal(stdout, &t) != nil || t.Passed != (status == 0) || t.Model == "" || rejected && t.Passed {
			s.Errorf("%s: status %d, %v", program, status, err)
			continue
		}
		s.mu.Lock()
		s.trained = append(s.trained, t)
		s.models = append(s.models, t.Model)
		s.mu.Unlock()
	}
}

// roll rolls back repeatedly, every other time to a named model.
func (s *stress) roll(k int) {
	rng := rand.New(rand.NewPCG(1, uint64(k)))
	for i := 0; time.Now().Before(s.end); i++ {
		r := rollback{reason: fmt.Sprintf("stress %d %d", k, i), start: time.Now()}
		args := []string{"--json", "--reason", r.reason}
		want := "no valid model that passed its gate was current before"
		if i%2 == 0 {
			args = append(args, s.pick(rng))
			want = "did not pass its gate"
		}
		status, stdout, err := s.Exec("rollback", args...)
		r.end = time.Now()
		switch {
		case s.metEmptyPointer(status, err):
		case status == 1 && strings.Contains(err.Error(), want):
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

// edit edits the pointer repeatedly, in place as echo does, or by rename as an editor does.
func (s *stress) edit() {
	rng := rand.New(rand.NewPCG(2, 1))
	path := s.Path(registry.CurrentFile)
	aside := filepath.Join(s.TempDir(), "edited")
	for tick := time.Tick(editEvery); time.Now().Before(s.end); <-tick {
		e := edit{to: s.pick(rng), inPlace: rng.IntN(2) == 0, start: time.Now()}
		var err error
		if e.inPlace {
			err = os.WriteFile(path, []byte(e.to+"\n"), 0o644)
		} else {
			err = errors.Join(os.WriteFile(aside, []byte(e.to+"\n"), 0o644), os.Rename(aside, path))
		}
		e.end = time.Now()
		if err != nil {
			s.Error(err)
			return
		}
		s.mu.Lock()
		s.edits = append(s.edits, e)
		s.mu.Unlock()
	}
}

// pollPointer reads the pointer and the model that it names repeatedly: the model is
// registered and its bytes are unchanged.
func (s *stress) pollPointer() {
	hashes := map[string]string{}
	for tick := time.Tick(pollEvery); time.Now().Before(s.end); <-tick {
		from := time.Now()
		name, err := s.pointer()
		s.looks++
		if err == nil && name == "" {
			s.emptyReads = append(s.emptyReads, span{from: from, to: time.Now()})
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

// pointer returns the text of current_model.txt, "" during an edit in place. It reads once,
// since a second read may see another edit.
func (s *stress) pointer() (string, error) {
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

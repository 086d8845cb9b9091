package cmd_test

import (
	"bytes"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// What serve promises, under load from sixteen clients. The figures are small
// enough for every run; CHURN_KILLS=50 CHURN_SWITCHES=1000 is the long one.

const clients = 16

// times returns how often to do something: the default, or what the environment says.
func times(t *testing.T, variable string, usual int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%s: want a number of times", variable, text)
	}
	return n
}

// loop is a folder with data and two models, and the programs to go on with.
type loop struct {
	*testing.T
	bin, dir, addr string
	client         *http.Client
	serve          *exec.Cmd
}

func newLoop(t *testing.T, bin string) *loop {
	t.Helper()
	l := emptyLoop(t, bin)
	l.run("generate")
	l.run("prepare")
	l.run("train", "--gate-f1", "0", "--version", "v1")
	l.run("train", "--gate-f1", "0", "--version", "v2")
	return l
}

// emptyLoop is a loop without data.
func emptyLoop(t *testing.T, bin string) *loop {
	t.Helper()
	addr, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	l := &loop{T: t, bin: bin, dir: t.TempDir(), addr: addr}
	l.client = &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	t.Cleanup(func() {
		if l.serve != nil {
			l.kill()
		}
	})
	return l
}

// run runs a program on the folder.
func (l *loop) run(program string, args ...string) string {
	l.Helper()
	cmd := exec.Command(filepath.Join(l.bin, program), append([]string{"--dir", l.dir}, args...)...)
	out, err := cmd.Output()
	if err != nil {
		l.Fatalf("%v: %v", cmd, err)
	}
	return string(out)
}

// start starts serve and waits for its answer.
func (l *loop) start(args ...string) {
	l.Helper()
	l.serve = exec.Command(filepath.Join(l.bin, "serve"), append([]string{"--dir", l.dir, "--addr", l.addr}, args...)...)
	var stderr bytes.Buffer
	l.serve.Stderr = &stderr
	if err := l.serve.Start(); err != nil {
		l.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if resp, err := l.client.Get("http://" + l.addr + "/health"); err == nil {
			resp.Body.Close()
			return
		}
		if time.Now().After(deadline) {
			l.Fatalf("serve does not answer: %s", stderr.String())
		}
	}
}

func (l *loop) kill() {
	l.serve.Process.Kill() // an error means that it is gone already
	l.serve.Wait()         // which tells that it was killed
	l.serve = nil
}

// answer is what a client remembers of an answer.
type answer struct {
	id, model     string
	asked, gotten time.Time
}

// load asks from many clients until stop is set or the service goes away, and
// returns what was answered. An answer other than 200 fails the test.
func (l *loop) load(stop *atomic.Bool) []answer {
	var mu sync.Mutex
	var all []answer
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for !stop.Load() {
				asked := time.Now()
				resp, err := l.client.Post("http://"+l.addr+"/predict", "application/json",
					strings.NewReader(`{"tenure_months":6,"num_complaints":3,"avg_session_minutes":21.5,"plan_type":"basic","region":"NA"}`))
				if err != nil {
					return // killed
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil {
					return
				}
				var r struct {
					ID    string `json:"request_id"`
					Model string `json:"model_version"`
				}
				if resp.StatusCode != http.StatusOK || json.Unmarshal(body, &r) != nil {
					l.Errorf("answer %d: %s", resp.StatusCode, body)
					return
				}
				mu.Lock()
				all = append(all, answer{r.ID, r.Model, asked, time.Now()})
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return all
}

// testKills kills serve with signal 9 under load again and again: every answered
// prediction is in the log, and after a restart every line is whole.
func testKills(t *testing.T, bin string) {
	l := newLoop(t, bin)
	rounds, answered := times(t, "CHURN_KILLS", 5), 0
	for round := range rounds {
		l.start()
		var stop atomic.Bool
		time.AfterFunc(time.Duration(20+rand.IntN(100))*time.Millisecond, func() { l.serve.Process.Kill() })
		answers := l.load(&stop)
		l.kill()
		l.start() // repairs
		log, err := os.ReadFile(filepath.Join(l.dir, "logs", "predictions.log"))
		if err != nil {
			t.Fatal(err)
		}
		logged := map[string]bool{}
		for line := range strings.Lines(string(log)) {
			var r struct {
				ID string `json:"request_id"`
			}
			if err := json.Unmarshal([]byte(line), &r); err != nil || !strings.HasSuffix(line, "}\n") {
				t.Fatalf("round %d: the line %q is torn", round, line)
			}
			logged[r.ID] = true
		}
		for _, a := range answers {
			if !logged[a.id] {
				t.Errorf("round %d: %s was answered and is not in the log", round, a.id)
			}
		}
		answered += len(answers)
		l.kill()
	}
	t.Logf("%d kills under load, %d predictions answered, all in the log, no line torn", rounds, answered)
}

// testSwitches makes one model current after the other under load: every answer
// is 200, from a model that was current while it was asked.
func testSwitches(t *testing.T, bin string) {
	l := newLoop(t, bin)
	var models []struct {
		Name string `json:"model_file"`
	}
	if err := json.Unmarshal([]byte(l.run("rollback", "--list", "--json")), &models); err != nil || len(models) != 2 {
		t.Fatalf("%v: %v", models, err)
	}
	l.start()
	var stop atomic.Bool
	done := make(chan []answer)
	go func() { done <- l.load(&stop) }()

	// span is when a model was current: from the start of the change to it, to the end of the change from it.
	type span struct {
		model    string
		from, to time.Time
	}
	spans := []span{{model: models[1].Name}}
	switches := times(t, "CHURN_SWITCHES", 60)
	for i := range switches {
		name := models[i%2].Name
		before := time.Now()
		l.run("rollback", name)
		spans[len(spans)-1].to = time.Now().Add(time.Millisecond) // serve looks at most once a millisecond
		spans = append(spans, span{model: name, from: before})
	}
	stop.Store(true)
	answers := <-done
	spans[len(spans)-1].to = time.Now().Add(time.Hour)
	wrong := 0
	k := 0
	for _, a := range answers {
		for k > 0 && spans[k].from.After(a.asked) {
			k--
		}
		for k < len(spans)-1 && spans[k].to.Before(a.asked) {
			k++
		}
		current := false
		for _, s := range spans[k:] {
			if s.from.After(a.gotten) {
				break
			}
			current = current || s.model == a.model
		}
		if !current {
			wrong++
		}
	}
	if wrong > 0 || len(answers) < switches {
		t.Errorf("%d of %d answers came from a model that was not current", wrong, len(answers))
	}
	t.Logf("%d switches under load, %d answers, all 200 and by a model current then", switches, len(answers))
	if err := l.serve.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := l.serve.Wait(); err != nil {
		t.Errorf("serve ended with %v", err)
	}
	l.serve = nil
	log, err := os.ReadFile(filepath.Join(l.dir, "logs", "predictions.log"))
	if err != nil {
		t.Fatal(err)
	}
	if lines := bytes.Count(log, []byte("\n")); lines != len(answers) {
		t.Errorf("%d records in the log, %d answers", lines, len(answers))
	}
}

package cmd_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"churn/internal/registry"
)

// testReplicas has three services behind nginx, as README says, and asks them
// through it all the time, while models are switched and the services are
// restarted, one after the other. CHURN_SWITCHES=200 CHURN_RESTARTS=3 is the long one.
func testReplicas(t *testing.T, bin string) {
	findNginx(t)
	l := newLoop(t, bin)
	models := l.models()
	if len(models) != 2 {
		t.Fatal(models)
	}
	var replicas []*service
	for i := range 3 {
		s := l.another()
		s.start(replicaArgs(t, l, i+1)...)
		replicas = append(replicas, s)
	}
	front := l.another() // it is never started: nginx has its address
	proxy := startNginx(t, front.addr, replicas)

	var stop atomic.Bool
	answered := make(chan []answer)
	go func() { answered <- load{services: []*service{front}, every: 5 * time.Millisecond}.until(&stop) }()

	// While models are switched. A model is current from the start of the change to it, to the end of the change from it.
	switches, restarts := times(t, "CHURN_SWITCHES", 30), times(t, "CHURN_RESTARTS", 1)
	restarted := make(chan struct{})
	go func() {
		defer close(restarted)
		for i := range restarts {
			if err := replicas[i%3].restart(replicaArgs(t, l, i%3+1)...); err != nil {
				t.Errorf("restart %d: %v", i+1, err)
				return
			}
		}
	}()
	spans := []span{{model: models[1]}}
	change := func(name string, how func(name string)) {
		before := time.Now()
		how(name)
		spans[len(spans)-1].to = time.Now().Add(lookEvery)
		spans = append(spans, span{model: name, from: before})
	}
	byHand, done := 0, false
	for i := 0; i < switches || !done; i++ { // and on, as long as services restart
		if i%3 == 2 {
			change(models[i%2], l.edit)
			byHand++
		} else {
			change(models[i%2], func(name string) { l.run("rollback", name) })
		}
		select {
		case <-restarted:
			done = true
		default:
		}
		if i >= switches {
			time.Sleep(50 * time.Millisecond) // enough were made
		}
	}
	// Each service has come back, and answers through nginx.
	counts := l.recordsOf()
	l.until("all services answer again", func() bool {
		for name, n := range l.recordsOf() {
			if n <= counts[name] {
				return false
			}
		}
		return true
	})
	stop.Store(true)
	answers := <-answered
	spans[len(spans)-1].to = time.Now()
	var wg sync.WaitGroup
	for _, s := range replicas {
		wg.Go(s.stop)
	}
	wg.Wait()

	if strange := strangers(answers, spans); len(strange) > 0 || len(answers) < switches {
		t.Errorf("%d of %d answers came from a model that was not current", len(strange), len(answers))
	}
	logged := l.logged()
	var slowest time.Duration
	for _, a := range answers {
		slowest = max(slowest, a.gotten.Sub(a.asked))
		if logged[a.id] != 1 {
			t.Errorf("%s was answered and is %d times in the logs", a.id, logged[a.id])
		}
	}
	if len(logged) != len(answers) {
		t.Errorf("%d records in the logs, %d answers", len(logged), len(answers))
	}
	var seen struct {
		Records int `json:"records"`
		Bad     int `json:"bad_lines"`
	}
	if _, out, _ := l.ends("drift", "--last", "0", "--json"); json.Unmarshal(out, &seen) != nil || seen.Records != len(answers) || seen.Bad > 0 {
		t.Errorf("drift sees %+v of %d answers", seen, len(answers)) // its status is not of interest: all are the same customer
	}
	refused, others := proxy.complaints()
	if len(others) > 0 {
		t.Errorf("nginx complains %d times, first: %s", len(others), others[0])
	}
	if refused == 0 {
		t.Error("nginx met no service that was away: nothing was tried")
	}
	t.Logf("three services behind nginx: %d switches (%d by hand), %d restarts, %d answers, all 200, by a model current then, and in exactly one log (%v); "+
		"nginx went on to the next service %d times when one was away; the slowest answer took %v; drift counts %d",
		len(spans)-1, byHand, restarts, len(answers), l.recordsOf(), refused, slowest.Round(time.Millisecond), seen.Records)
}

// replicaArgs returns the arguments that README gives a service, with a number,
// but for the address.
func replicaArgs(t *testing.T, l *loop, number int) (args []string) {
	t.Helper()
	for line := range strings.Lines(snippet(t, "sh", "serve --addr 127.0.0.1:800$n")) {
		words := strings.Fields(strings.TrimSuffix(strings.TrimSpace(line), " &"))
		if len(words) == 0 || words[0] != "serve" {
			continue
		}
		for _, word := range words[3:] {
			word = strings.ReplaceAll(word, "$n", fmt.Sprint(number))
			if strings.HasPrefix(word, "logs/") {
				word = l.path(word)
			}
			args = append(args, word)
		}
	}
	if len(args) < 4 {
		t.Fatalf("README starts services with %q", args)
	}
	return args
}

// restart ends a service as a balancer's operator does, and starts it again. It is for any goroutine.
func (s *service) restart(args ...string) error {
	err := s.serve.Process.Signal(syscall.SIGTERM)
	if err := errors.Join(err, s.serve.Wait()); err != nil {
		return err
	}
	return s.tryStart(args...)
}

// edit makes a model current by hand, as an editor writes.
func (l *loop) edit(name string) {
	l.Helper()
	path := l.path(registry.CurrentFile)
	aside := path + "~"
	if err := errors.Join(os.WriteFile(aside, []byte(name+"\n"), 0o644), os.Rename(aside, path)); err != nil {
		l.Fatal(err)
	}
}

// recordsOf returns how many records each log has.
func (l *loop) recordsOf() map[string]int {
	l.Helper()
	counts := map[string]int{}
	for name, text := range l.logs() {
		counts[name] = strings.Count(text, "\n")
	}
	return counts
}

package load_test

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
	"churn/internal/testing/need"
	"churn/internal/testing/programs"
)

// TestReplicas sends requests through nginx to three services, as in docs/deploy.md, while models
// are switched and the services are restarted one after the other. The long run is
// CHURN_SWITCHES=200 CHURN_RESTARTS=3.
func TestReplicas(t *testing.T) {
	bin := programs.Build(t)
	need.Program(t, "nginx", "nginx-light")
	l := programs.NewLoop(t, bin)
	models := l.Models()
	if len(models) != 2 {
		t.Fatal(models)
	}
	var replicas []*programs.Service
	for i := range 3 {
		s := l.NewService()
		s.Start(replicaArgs(t, l, i+1)...)
		replicas = append(replicas, s)
	}
	front := l.NewService() // never started: nginx listens at its address
	proxy := startNginx(t, front.Addr, replicas)

	var stop atomic.Bool
	answered := make(chan []programs.Answer)
	go func() {
		answered <- programs.Load{Services: []*programs.Service{front}, Interval: 5 * time.Millisecond}.Run(&stop)
	}()

	switches, restarts := programs.EnvCount(t, "CHURN_SWITCHES", 30), programs.EnvCount(t, "CHURN_RESTARTS", 1)
	restarted := make(chan struct{})
	go func() {
		defer close(restarted)
		for i := range restarts {
			if err := restartService(replicas[i%3], replicaArgs(t, l, i%3+1)...); err != nil {
				t.Errorf("restart %d: %v", i+1, err)
				return
			}
		}
	}()
	spans := []span{{model: models[1]}}
	manual, done := 0, false
	for i := 0; i < switches || !done; i++ { // continue while services restart
		by := func() { l.Run("rollback", models[i%2]) }
		if i%3 == 2 {
			by = func() { editPointer(l, models[i%2]) }
			manual++
		}
		spans = change(spans, models[i%2], by)
		select {
		case <-restarted:
			done = true
		default:
		}
		if i >= switches {
			time.Sleep(50 * time.Millisecond) // slower after the last required one
		}
	}
	// Each restarted service answers through nginx.
	counts := recordsByLog(l)
	l.WaitFor("all services answer again", func() bool {
		for name, n := range recordsByLog(l) {
			if n <= counts[name] {
				return false
			}
		}
		return true
	})
	stop.Store(true)
	answers := <-answered
	var wg sync.WaitGroup
	for _, s := range replicas {
		wg.Go(s.Stop)
	}
	wg.Wait()

	checkCurrent(t, answers, spans, switches)
	checkReplicaLogs(l, answers)
	var slowest time.Duration
	for _, a := range answers {
		slowest = max(slowest, a.Received.Sub(a.Sent))
	}
	refused, others := proxy.errors()
	if len(others) > 0 {
		t.Errorf("nginx logged %d errors, first: %s", len(others), others[0])
	}
	if refused == 0 {
		t.Error("nginx met no stopped service: the restarts tested nothing")
	}
	t.Logf("three services behind nginx: %d switches (%d manual), %d restarts, %d answers, all 200, by a model "+
		"current then, and in exactly one log (%v); "+
		"nginx tried the next service %d times when one was stopped; the slowest answer took %v; drift counts all",
		len(spans)-1, manual, restarts, len(answers), recordsByLog(l), refused, slowest.Round(time.Millisecond))
}

// checkReplicaLogs verifies that each answer is in exactly one log, and that drift finds it.
func checkReplicaLogs(l *programs.Loop, answers []programs.Answer) {
	l.Helper()
	logged := logged(l)
	for _, a := range answers {
		if logged[a.ID] != 1 {
			l.Errorf("%s was answered and logged %d times", a.ID, logged[a.ID])
		}
	}
	if len(logged) != len(answers) {
		l.Errorf("%d records in the logs, %d answers", len(logged), len(answers))
	}
	var seen struct {
		Records int `json:"records"`
		Bad     int `json:"bad_lines"`
	}
	if _, out, _ := l.Exec("drift", "--last", "0", "--json"); json.Unmarshal(out, &seen) != nil ||
		seen.Records != len(answers) || seen.Bad > 0 {
		// its status does not matter: all customers are the same
		l.Errorf("drift sees %+v of %d answers", seen, len(answers))
	}
}

// replicaArgs returns the arguments, in docs/deploy.md, of the service with a number, without the address.
func replicaArgs(t *testing.T, l *programs.Loop, number int) (args []string) {
	t.Helper()
	for line := range strings.Lines(programs.PageBlock(t, "docs/deploy.md", "sh", "serve --addr 127.0.0.1:800$n")) {
		words := strings.Fields(strings.TrimSuffix(strings.TrimSpace(line), " &"))
		if len(words) == 0 || words[0] != "serve" {
			continue
		}
		for _, word := range words[3:] {
			word = strings.ReplaceAll(word, "$n", fmt.Sprint(number))
			if strings.HasPrefix(word, "logs/") {
				word = l.Path(word)
			}
			args = append(args, word)
		}
	}
	if len(args) < 4 {
		t.Fatalf("docs/deploy.md starts services with %q", args)
	}
	return args
}

// restartService stops a service by SIGTERM and starts it again. It is for any goroutine.
func restartService(s *programs.Service, args ...string) error {
	err := s.Serve.Process.Signal(syscall.SIGTERM)
	if err := errors.Join(err, s.Serve.Wait()); err != nil {
		return err
	}
	return s.TryStart(args...)
}

// editPointer edits the pointer as an editor does, by rename.
func editPointer(l *programs.Loop, name string) {
	l.Helper()
	path := l.Path(registry.CurrentFile)
	aside := path + "~"
	if err := errors.Join(os.WriteFile(aside, []byte(name+"\n"), 0o644), os.Rename(aside, path)); err != nil {
		l.Fatal(err)
	}
}

// recordsByLog returns the number of records in each log.
func recordsByLog(l *programs.Loop) map[string]int {
	l.Helper()
	counts := map[string]int{}
	for name, text := range logs(l) {
		counts[name] = strings.Count(text, "\n")
	}
	return counts
}

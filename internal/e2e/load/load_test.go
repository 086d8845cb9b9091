package load_test

import (
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sort"
	"sync/atomic"
	"testing"
	"time"

	"churn/internal/predlog"
	"churn/internal/testing/programs"
)

// The guarantees of serve under load from sixteen clients. The defaults are small enough
// for every run; CHURN_KILLS=50 CHURN_SWITCHES=1000 is the long run.

// TestKills kills serve with signal 9 under load, repeatedly: every answered prediction is
// in the log, and after a restart every line is complete.
func TestKills(t *testing.T) {
	bin := programs.Build(t)
	l := programs.NewLoop(t, bin)
	rounds, answered := programs.EnvCount(t, "CHURN_KILLS", 5), 0
	for range rounds {
		l.Start()
		var stop atomic.Bool
		process := l.Serve.Process
		time.AfterFunc(time.Duration(20+rand.IntN(100))*time.Millisecond, func() { process.Kill() })
		answers := programs.Load{Services: []*programs.Service{l.Service}, MayEnd: true}.Run(&stop)
		l.Kill()
		l.Start() // repairs
		logged := logged(l)
		for _, a := range answers {
			if logged[a.ID] != 1 {
				t.Errorf("%s was answered and logged %d times", a.ID, logged[a.ID])
			}
		}
		answered += len(answers)
		l.Kill()
	}
	t.Logf("%d kills under load, %d predictions answered, all in the log, no truncated line", rounds, answered)
}

const lookEvery = time.Millisecond // serve reads the pointer at most once in it

// TestSwitches changes the current model repeatedly under load: every answer is 200, from a
// model that was current during the request.
func TestSwitches(t *testing.T) {
	bin := programs.Build(t)
	l := programs.NewLoop(t, bin)
	models := l.Models()
	if len(models) != 2 {
		t.Fatalf("the models are %q", models)
	}
	l.Start()
	var stop atomic.Bool
	done := make(chan []programs.Answer)
	go func() { done <- programs.Load{Services: []*programs.Service{l.Service}}.Run(&stop) }()

	spans := []span{{model: models[1]}}
	switches := programs.EnvCount(t, "CHURN_SWITCHES", 60)
	for i := range switches {
		spans = change(spans, models[i%2], func() { l.Run("rollback", models[i%2]) })
	}
	stop.Store(true)
	answers := <-done
	checkCurrent(t, answers, spans, switches)
	t.Logf("%d switches under load, %d answers, all 200 and by a model current then", switches, len(answers))
	l.Stop()
	if logged := logged(l); len(logged) != len(answers) {
		t.Errorf("%d records in the log, %d answers", len(logged), len(answers))
	}
}

// logged returns the number of records of each request in the logs of all services.
func logged(l *programs.Loop) map[string]int {
	l.Helper()
	times := map[string]int{}
	for name, text := range logs(l) {
		programs.CountRequests(l.T, times, name, text)
	}
	return times
}

// logs returns the texts of the logs of all services, by name.
func logs(l *programs.Loop) map[string]string {
	l.Helper()
	names, err := filepath.Glob(l.Path(predlog.DefaultPattern))
	if err != nil || len(names) == 0 {
		l.Fatal("there are no logs: ", err)
	}
	logs := map[string]string{}
	for _, name := range names {
		logs[filepath.Base(name)] = programs.ReadFile(l.T, name)
	}
	return logs
}

// A span is a time in which a model may have been current.
type span struct {
	model    string
	from, to time.Time
}

// change changes the current model by do. A model may be current from the start of the change
// to it to the end of the change from it.
func change(spans []span, model string, do func()) []span {
	start := time.Now()
	do()
	spans[len(spans)-1].to = time.Now().Add(lookEvery)
	return append(spans, span{model: model, from: start})
}

// checkCurrent verifies that at least so many answers came, all from current models. The last
// span ends now.
func checkCurrent(t *testing.T, answers []programs.Answer, spans []span, least int) {
	t.Helper()
	spans[len(spans)-1].to = time.Now()
	if wrong := notCurrent(answers, spans); len(wrong) > 0 || len(answers) < least {
		t.Errorf("%d of %d answers came from a model that was not current", len(wrong), len(answers))
	}
}

// notCurrent returns the answers from models that were not current at any time between
// request and response.
func notCurrent(answers []programs.Answer, spans []span) (wrong []programs.Answer) {
	type times struct {
		spans  []span      // of a model, by start
		latest []time.Time // latest end of this and earlier spans
	}
	models := map[string]*times{}
	slices.SortFunc(spans, func(a, b span) int { return a.from.Compare(b.from) })
	for _, s := range spans {
		m := models[s.model]
		if m == nil {
			m = &times{}
			models[s.model] = m
		}
		latest := s.to
		if n := len(m.latest); n > 0 && m.latest[n-1].After(latest) {
			latest = m.latest[n-1]
		}
		m.spans, m.latest = append(m.spans, s), append(m.latest, latest)
	}
	for _, a := range answers {
		m := models[a.Model]
		if m != nil {
			start := sort.Search(len(m.spans), func(i int) bool { return m.spans[i].from.After(a.Received) })
			if start > 0 && !m.latest[start-1].Before(a.Sent) {
				continue
			}
		}
		wrong = append(wrong, a)
	}
	return wrong
}

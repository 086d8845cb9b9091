package load_test

import (
	"churn/internal/testing/programs"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"
)

// What serve promises, under load from sixteen clients. The figures are small
// enough for every run; CHURN_KILLS=50 CHURN_SWITCHES=1000 is the long one.

// TestKills kills serve with signal 9 under load again and again: every answered
// prediction is in the log, and after a restart every line is whole.
func TestKills(t *testing.T) {
	bin := programs.Build(t)
	l := programs.NewLoop(t, bin)
	rounds, answered := programs.Times(t, "CHURN_KILLS", 5), 0
	for range rounds {
		l.Start()
		var stop atomic.Bool
		process := l.Serve.Process
		time.AfterFunc(time.Duration(20+rand.IntN(100))*time.Millisecond, func() { process.Kill() })
		answers := programs.Load{Services: []*programs.Service{l.Service}, Mortal: true}.Until(&stop)
		l.Kill()
		l.Start() // repairs
		logged := l.Logged()
		for _, a := range answers {
			if logged[a.Id] != 1 {
				t.Errorf("%s was answered and is %d times in the log", a.Id, logged[a.Id])
			}
		}
		answered += len(answers)
		l.Kill()
	}
	t.Logf("%d kills under load, %d predictions answered, all in the log, no line torn", rounds, answered)
}

const lookEvery = time.Millisecond // serve looks at the pointer at most once in it

// TestSwitches makes one model current after the other under load: every answer
// is 200, from a model that was current while it was asked.
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
	go func() { done <- programs.Load{Services: []*programs.Service{l.Service}}.Until(&stop) }()

	// A model is current from the start of the change to it, to the end of the change from it.
	spans := []programs.Span{{Model: models[1]}}
	switches := programs.Times(t, "CHURN_SWITCHES", 60)
	for i := range switches {
		name := models[i%2]
		before := time.Now()
		l.Run("rollback", name)
		spans[len(spans)-1].To = time.Now().Add(lookEvery)
		spans = append(spans, programs.Span{Model: name, From: before})
	}
	stop.Store(true)
	answers := <-done
	spans[len(spans)-1].To = time.Now()
	if strange := programs.Strangers(answers, spans); len(strange) > 0 || len(answers) < switches {
		t.Errorf("%d of %d answers came from a model that was not current", len(strange), len(answers))
	}
	t.Logf("%d switches under load, %d answers, all 200 and by a model current then", switches, len(answers))
	l.Stop()
	if logged := l.Logged(); len(logged) != len(answers) {
		t.Errorf("%d records in the log, %d answers", len(logged), len(answers))
	}
}

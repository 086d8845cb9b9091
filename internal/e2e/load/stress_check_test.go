package load_test

import (
	"encoding/json"
	"io/fs"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"churn/internal/registry"
	"churn/internal/testing/programs"
)

// checkModels wants metadata.json to have each training that said so once, and no other.
func (s *storm) checkModels(before int) {
	entries, err := s.reg.Entries()
	if err != nil {
		s.Fatal(err)
	}
	times := map[string]int{}
	for _, e := range entries {
		times[e.ModelFile]++
	}
	for _, t := range s.trained {
		if times[t.Model] != 1 {
			s.Errorf("%s was trained, and metadata has it %d times", t.Model, times[t.Model])
		}
	}
	if want := before + len(s.trained); len(entries) != want || len(s.trained) < trainers {
		s.Errorf("%d models are registered, want %d", len(entries), want)
	}
}

// checkJournal wants a chain in which each change that a program told of is once,
// and returns its lines with the time in which each was made: that of its program,
// as its neighbours narrow it. What was found to be edited by hand has no program.
func (s *storm) checkJournal(begun time.Time) []span {
	var changes []registry.Change
	for line := range strings.Lines(programs.ReadFile(s.T, s.Path(registry.HistoryFile))) {
		var c registry.Change
		if err := json.Unmarshal([]byte(line), &c); err != nil || !strings.HasSuffix(line, "}\n") {
			s.Fatalf("the journal has the line %q: %v", line, err)
		}
		changes = append(changes, c)
	}
	runs := map[string]span{} // by what the line is known by
	for _, t := range s.trained {
		if t.Passed {
			runs[t.Model] = span{model: t.Model, from: t.begun, to: t.ended}
		}
	}
	for _, r := range s.rolled {
		if r.Changed {
			runs[r.reason] = span{model: r.To, from: r.begun, to: r.ended}
		}
	}
	edited := map[string]bool{}
	for _, e := range s.edits {
		edited[e.to] = true
	}
	later := time.Now()
	var made []span
	at := ""
	for i, c := range changes {
		if c.From != at {
			s.Errorf("change %d is from %q, the one before was to %q: %+v", i+1, c.From, at, c)
		}
		at = c.To
		line := span{model: c.To, from: begun, to: later}
		key := c.To
		if c.By == "rollback" {
			key = c.Reason
		}
		switch run, ok := runs[key]; {
		case c.By == "hand":
			if !edited[c.To] && c.To != "" {
				s.Errorf("change %d is by hand to %q, where no hand put it", i+1, c.To)
			}
		case i < 2: // before the storm
			line = span{model: c.To, to: begun}
		case ok && run.model == c.To:
			line = run
			delete(runs, key)
		case i < len(changes)-1: // the last one is ours
			s.Errorf("change %d is of a program that did not tell of it: %+v", i+1, c)
		}
		made = append(made, line)
	}
	for key, run := range runs {
		s.Errorf("%q made %s current, and the journal does not have it", key, run.model)
	}
	if current, err := s.reg.Current(); err != nil || current != at {
		s.Errorf("the journal ends at %q, the current model is %q: %v", at, current, err)
	}
	for i := 1; i < len(made); i++ {
		if made[i].from.Before(made[i-1].from) {
			made[i].from = made[i-1].from
		}
	}
	for i := len(made) - 2; i >= 0; i-- {
		if made[i].to.After(made[i+1].to) {
			made[i].to = made[i+1].to
		}
	}
	return made
}

// checkBlanks wants the pointer to have been empty only while a hand wrote in it.
func (s *storm) checkBlanks() {
	for _, b := range s.blanks {
		if !slices.ContainsFunc(s.edits, func(e edit) bool {
			return e.inPlace && !e.begun.After(b.to) &&
				!e.ended.Before(b.from)
		}) {
			s.Errorf("the pointer was empty, and nobody edited it")
		}
	}
}

// checkAnswers wants each answer in the log once, and no other record; and each by
// a model that may have been current while it was asked.
//
// Who changes the pointer says when it began and when it was done, and the journal
// has the order. So what a line made current was so no earlier than any line up to
// it began, and no later than any line after it was done. Either is over once a
// change that began after it was done is done: so an edit by hand, which has no
// line of its own, ends too.
func (s *storm) checkAnswers(answers []programs.Answer, begun time.Time, changes []span) {
	logged := logged(s.Loop)
	records := 0
	for _, n := range logged {
		records += n
	}
	for _, a := range answers {
		if logged[a.ID] != 1 {
			s.Errorf("request %s was answered, and is %d times in the log", a.ID, logged[a.ID])
		}
	}
	if records != len(answers) {
		s.Errorf("%d records in the log, %d answers", records, len(answers))
	}

	later := time.Now()
	writes := slices.Clone(changes)
	for _, e := range s.edits {
		writes = append(writes, span{model: e.to, from: e.begun, to: e.ended})
	}
	slices.SortFunc(writes, func(a, b span) int { return a.from.Compare(b.from) })
	earliest := make([]time.Time, len(writes)+1) // end of a write from here on
	earliest[len(writes)] = later
	for i := len(writes) - 1; i >= 0; i-- {
		earliest[i] = earliest[i+1]
		if writes[i].to.Before(earliest[i]) {
			earliest[i] = writes[i].to
		}
	}
	over := func(done time.Time) time.Time {
		return earliest[sort.Search(len(writes), func(i int) bool { return !writes[i].from.Before(done) })]
	}
	spans := []span{}
	for i, c := range changes {
		end := later
		if i+1 < len(changes) {
			end = changes[i+1].to
		}
		if o := over(c.to); o.Before(end) {
			end = o
		}
		spans = append(spans, span{model: c.model, from: c.from, to: end.Add(lookEvery)})
	}
	for _, e := range s.edits {
		spans = append(spans, span{model: e.to, from: e.begun, to: over(e.ended).Add(lookEvery)})
	}
	total := time.Duration(0)
	for _, one := range spans {
		total += one.to.Sub(one.from)
	}
	s.Logf("%.1f models may have been current at a time", float64(total)/float64(s.end.Sub(begun)))
	for _, a := range notCurrent(s.patient(answers), spans) {
		s.Errorf("an answer came from %s, which was not current from %v to %v", a.Model, a.Sent, a.Received)
	}
	if len(answers) < programs.Clients {
		s.Errorf("%d answers to %d clients", len(answers), programs.Clients)
	}
}

// patient returns the answers with an earlier question where the pointer may have
// been found empty: a service then goes on with what it found before, at the
// latest when it was asked what it answered last before the edit.
func (s *storm) patient(answers []programs.Answer) []programs.Answer {
	slices.SortFunc(answers, func(a, b programs.Answer) int { return a.Received.Compare(b.Received) })
	result := slices.Clone(answers)
	for i := range result {
		a := &result[i]
		for j := sort.Search(len(s.edits), func(j int) bool { return s.edits[j].begun.After(a.Received) }) - 1; j >= 0 &&
			!s.edits[j].ended.Before(a.Sent); j-- {
			if !s.edits[j].inPlace {
				continue
			}
			last := sort.Search(len(answers), func(k int) bool { return answers[k].Received.After(s.edits[j].begun) }) - 1
			for last >= 0 && answers[last].By != a.By {
				last--
			}
			if last < 0 {
				a.Sent = time.Time{}
			} else if looked := answers[last].Sent.Add(-lookEvery); looked.Before(a.Sent) {
				a.Sent = looked
			}
		}
	}
	return result
}

// checkEvents wants the service to have met no trouble but a pointer that
// somebody was just writing.
func (s *storm) checkEvents(one *programs.Service) {
	for _, e := range one.Events() {
		if e.Level != "INFO" && !(e.Msg == "model rejected" && strings.Contains(e.Error, "it is empty")) {
			s.Errorf("serve met trouble: %s", e.Line)
		}
	}
}

// checkLeftovers wants no temporary file, and no change under way.
func (s *storm) checkLeftovers() {
	known := map[string][]string{
		"registry": {"schema.json", "train_stats.json", "quality.json", "metadata.json", "history.jsonl",
			"current_model.txt", "registry.lock", "prepare.lock"},
		"data": {"raw.csv", "processed.csv"},
		"logs": {"predictions.log"},
	}
	entries, err := s.reg.Entries()
	if err != nil {
		s.Fatal(err)
	}
	for _, e := range entries {
		known["models"] = append(known["models"], e.ModelFile, registry.CardName(e.ModelFile))
	}
	err = filepath.WalkDir(s.Dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !slices.Contains(known[filepath.Base(filepath.Dir(path))], d.Name()) {
			s.Errorf("%s is left over", path)
		}
		return err
	})
	if err != nil {
		s.Error(err)
	}
}

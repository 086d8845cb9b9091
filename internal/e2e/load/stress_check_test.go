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

// checkModels verifies that metadata.json has each reported training once, and no other.
func (s *stress) checkModels(before int) {
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
			s.Errorf("%s was trained and is in metadata.json %d times", t.Model, times[t.Model])
		}
	}
	if want := before + len(s.trained); len(entries) != want || len(s.trained) < trainers {
		s.Errorf("%d models are registered, want %d", len(entries), want)
	}
}

// checkJournal verifies that the journal is a chain with each reported change once, and
// returns its lines with the time in which each change was made: that of its run, bounded
// by its neighbours. A detected manual edit has no run.
func (s *stress) checkJournal(start time.Time) []span {
	var changes []registry.Change
	for line := range strings.Lines(programs.ReadFile(s.T, s.Path(registry.HistoryFile))) {
		var c registry.Change
		if err := json.Unmarshal([]byte(line), &c); err != nil || !strings.HasSuffix(line, "}\n") {
			s.Fatalf("the journal has the line %q: %v", line, err)
		}
		changes = append(changes, c)
	}
	runs := map[string]span{} // by model of a training or reason of a rollback
	for _, t := range s.trained {
		if t.Passed {
			runs[t.Model] = span{model: t.Model, from: t.start, to: t.end}
		}
	}
	for _, r := range s.rolled {
		if r.Changed {
			runs[r.reason] = span{model: r.To, from: r.start, to: r.end}
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
			s.Errorf("change %d is from %q, the previous one to %q: %+v", i+1, c.From, at, c)
		}
		at = c.To
		line := span{model: c.To, from: start, to: later}
		key := c.To
		if c.By == "rollback" {
			key = c.Reason
		}
		switch run, ok := runs[key]; {
		case c.By == "hand":
			if !edited[c.To] && c.To != "" {
				s.Errorf("change %d is a manual edit to %q that was not made", i+1, c.To)
			}
		case i < 2: // before the test
			line = span{model: c.To, to: start}
		case ok && run.model == c.To:
			line = run
			delete(runs, key)
		case i < len(changes)-1: // the last one is the test's own
			s.Errorf("change %d was not reported by its program: %+v", i+1, c)
		}
		made = append(made, line)
	}
	for key, run := range runs {
		s.Errorf("%q made %s current, but is not in the journal", key, run.model)
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

// checkEmptyReads verifies that the pointer was empty only during a manual edit.
func (s *stress) checkEmptyReads() {
	for _, b := range s.emptyReads {
		if !slices.ContainsFunc(s.edits, func(e edit) bool {
			return e.inPlace && !e.start.After(b.to) &&
				!e.end.Before(b.from)
		}) {
			s.Errorf("the pointer was empty without a manual edit")
		}
	}
}

// checkAnswers verifies that each answer is in the log once, that there are no other
// records, and that each answer is by a model that may have been current at the time.
//
// The start and end of each change are known, and the journal has their order. So the
// model of a line was current no earlier than the start of any line up to it, and no later
// than the end of any line after it. It also ends with the end of any change that started
// after it: so does a manual edit, which has no line.
func (s *stress) checkAnswers(answers []programs.Answer, start time.Time, changes []span) {
	logged := logged(s.Loop)
	records := 0
	for _, n := range logged {
		records += n
	}
	for _, a := range answers {
		if logged[a.ID] != 1 {
			s.Errorf("request %s was answered and logged %d times", a.ID, logged[a.ID])
		}
	}
	if records != len(answers) {
		s.Errorf("%d records in the log, %d answers", records, len(answers))
	}

	later := time.Now()
	writes := slices.Clone(changes)
	for _, e := range s.edits {
		writes = append(writes, span{model: e.to, from: e.start, to: e.end})
	}
	slices.SortFunc(writes, func(a, b span) int { return a.from.Compare(b.from) })
	earliest := make([]time.Time, len(writes)+1) // earliest end of a write from here on
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
		spans = append(spans, span{model: e.to, from: e.start, to: over(e.end).Add(lookEvery)})
	}
	total := time.Duration(0)
	for _, one := range spans {
		total += one.to.Sub(one.from)
	}
	s.Logf("%.1f models may have been current at a time", float64(total)/float64(s.end.Sub(start)))
	for _, a := range notCurrent(s.allowEmptyPointer(answers), spans) {
		s.Errorf("an answer came from %s, which was not current from %v to %v", a.Model, a.Sent, a.Received)
	}
	if len(answers) < programs.Clients {
		s.Errorf("%d answers to %d clients", len(answers), programs.Clients)
	}
}

// allowEmptyPointer returns the answers with an earlier request time where the pointer may
// have been empty: the service then uses the model that it read earlier, at the latest for
// its last answer before the edit.
func (s *stress) allowEmptyPointer(answers []programs.Answer) []programs.Answer {
	slices.SortFunc(answers, func(a, b programs.Answer) int { return a.Received.Compare(b.Received) })
	result := slices.Clone(answers)
	for i := range result {
		a := &result[i]
		for j := sort.Search(len(s.edits), func(j int) bool { return s.edits[j].start.After(a.Received) }) - 1; j >= 0 &&
			!s.edits[j].end.Before(a.Sent); j-- {
			if !s.edits[j].inPlace {
				continue
			}
			last := sort.Search(len(answers), func(k int) bool { return answers[k].Received.After(s.edits[j].start) }) - 1
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

// checkEvents verifies that the service logged no error but an empty pointer.
func (s *stress) checkEvents(one *programs.Service) {
	for _, e := range one.Events() {
		if e.Level != "INFO" && !(e.Msg == "model rejected" && strings.Contains(e.Error, "it is empty")) {
			s.Errorf("serve logged %s", e.Line)
		}
	}
}

// checkLeftovers verifies that no temporary file and no unfinished change is left.
func (s *stress) checkLeftovers() {
	known := map[string][]string{
		"registry": {"schema.json", "train_stats.json", "quality.json", "metadata.json", "history.jsonl",
			"current_model.txt", "registry.lock", "prepare.lock"},
		"data": {"raw.csv", "processed.csv"},
		"logs": {"predictions.log", ".predictions.log.lock"},
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

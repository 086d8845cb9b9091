//go:build linux && amd64

package crash_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"churn/internal/testing/postgres"
	"churn/internal/testing/programs"
)

// fixtures are the folders that the runs start from.
type fixtures struct {
	*crashes
	hook string // address of alerts

	empty  string
	raw    string // generate has run
	data   string // and prepare
	full   string // and two trainings; there is a log, and outcomes.csv for it
	v1, v2 string // its models; v2 is current

	three        string // full with a third training, which is current
	candidates   string // three with two candidates, one of them with a card
	longJournal  string // candidates with a journal that pruning shortens
	edited       string // full with a manual edit of the pointer
	halfway      string // full with a training killed while it wrote the journal
	older        string // halfway as earlier versions left it: the journal's last line is truncated
	truncatedLog string // full with half a record at the log's end
	otherRaw     string // full with other raw data
	twoParts, id string // full with a rotated part of the log, and an id that is in both
}

func newFixtures(c *crashes, hook string) *fixtures {
	w := &fixtures{crashes: c, hook: hook}
	w.empty = w.TempDir()
	w.raw = w.copy(w.empty, "generate --rows 600")
	w.data = w.copy(w.raw, "prepare")
	w.full = w.copy(w.data, "train --gate-f1 0 --version v1", "evaluate --gate-f1 0 --version v2")
	models := programs.ModelNames(w.T, programs.ReadFile(w.T, w.full+"/registry/metadata.json"))
	if len(models) != 2 {
		w.Fatalf("the models are %q", models)
	}
	w.v1, w.v2 = models[0], models[1]
	r, err := w.run(&traced{dir: w.full, plain: true}, []string{"serve"}, 40)
	if err != nil || len(r.answered) < 30 {
		w.Fatalf("serve: %v, %d answers: %s", err, len(r.answered), r.stderr)
	}
	outcomes := "request_id,churn\n"
	for i, id := range r.answered {
		outcomes += fmt.Sprintf("%s,%d\n", id, i%2)
	}
	programs.WriteFile(w.T, w.full+"/outcomes.csv", outcomes)

	w.otherRaw = w.copy(w.full, "generate --rows 500 --seed 7")
	w.three = w.copy(w.full, "train --gate-f1 0 --version v3")
	w.candidates = w.copy(w.three, "evaluate --gate-f1 0 --candidate", "train --gate-f1 0 --candidate")
	w.longJournal = w.copy(w.candidates)
	journal, v3 := w.longJournal+"/registry/history.jsonl", programs.ReadFile(w.T, w.three+"/registry/current_model.txt")
	line := func(from, to string) string {
		return fmt.Sprintf(`{"ts":"2026-01-31T12:00:00Z","from":%q,"to":%q,"by":"rollback","reason":"","promoted":true}`+"\n",
			from, to)
	}
	programs.WriteFile(w.T, journal,
		programs.ReadFile(w.T, journal)+strings.Repeat(line(v3, w.v2)+line(w.v2, v3), 1000))
	// These write files aside alone, by package atomicfile, whose calls fail in the other runs.
	listed := w.copy(w.full)
	programs.WriteFile(w.T, listed+"/some.csv", "tenure_months,num_complaints,avg_session_minutes,plan_type,region\n"+
		"6,3,21.5,basic,NA\nsix,3,21.5,basic,NA\n")
	w.copy(listed, "prepare --dry-run --html page.html", "serve --score some.csv --out list.csv --drop-invalid",
		"serve --score data/raw.csv --out list.csv", "serve --check --addr 127.0.0.1:0")
	w.readPredictions()
	w.removeOldPart()
	w.twoParts, w.id = w.copy(w.full), r.answered[1]
	programs.WriteFile(w.T, w.twoParts+"/logs/predictions.log.1",
		strings.ReplaceAll(programs.ReadFile(w.T, w.full+"/logs/predictions.log"), r.answered[0], "another"))
	w.edited = w.copy(w.full)
	programs.WriteFile(w.T, w.edited+"/registry/current_model.txt", w.v1+"\n")
	w.truncatedLog = w.copy(w.full)
	log := programs.ReadFile(w.T, w.full+"/logs/predictions.log")
	programs.WriteFile(w.T, w.truncatedLog+"/logs/predictions.log", log+log[:100])
	w.halfway = w.copy(w.full)
	train := []string{"train", "--gate-f1", "0", "--version", "killed"}
	plain, err := w.run(&traced{dir: w.copy(w.full)}, train, 0)
	if err != nil {
		w.Fatal(err)
	}
	for i, call := range plain.calls {
		if call.name == "write" && strings.HasPrefix(call.path, "registry/.history.jsonl.tmp-") {
			if r, err := w.run(&traced{dir: w.halfway, at: i + 1, mode: cutShort}, train, 0); err != nil || !r.triggered {
				w.Fatalf("%v: %v", r, err)
			}
		}
	}
	cut, err := filepath.Glob(w.halfway + "/registry/.history.jsonl.tmp-*")
	if err != nil || len(cut) != 1 {
		w.Fatalf("the killed training left %q, %v, want the beginning of a journal", cut, err)
	}
	// Earlier versions wrote the journal in place, and left it like that.
	w.older = w.copy(w.halfway)
	programs.WriteFile(w.T, w.older+"/registry/history.jsonl",
		programs.ReadFile(w.T, w.full+"/registry/history.jsonl")+`{"ts":"`)
	return w
}

// readPredictions lets prepare copy predictions from a table to a temporary file.
func (w *fixtures) readPredictions() {
	w.Helper()
	c := postgres.Start(w.T)
	db := c.CreateDatabase(w.T)
	c.Exec(w.T, db, "CREATE TABLE predictions AS SELECT i AS ts, 'v' AS model_version, 0.5 AS probability, "+
		"0 AS prediction, 'AF' AS region FROM generate_series(1, 40) i")
	w.copy(w.full, "prepare --dry-run --labels outcomes.csv --log "+c.URL(db)+"#predictions")
}

// removeOldPart lets serve remove a part of its log by --log-keep: one call, which has no middle.
func (w *fixtures) removeOldPart() {
	w.Helper()
	kept := w.copy(w.full)
	part, rest := kept+"/logs/predictions-20200101T000000.000000000Z.log", kept+"/logs/predictions.log"
	before := programs.ReadFile(w.T, rest)
	programs.WriteFile(w.T, part, regexp.MustCompile(`"ts":[0-9.]+`).ReplaceAllString(before, `"ts":1577836000`))
	r, err := w.run(&traced{dir: kept, plain: true}, []string{"serve", "--log-keep", "1d"}, 5)
	if err != nil || r.status != 0 {
		w.Fatalf("serve --log-keep: status %d, %v: %s", r.status, err, r.stderr)
	}
	_, err = os.Stat(part)
	if !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(programs.ReadFile(w.T, rest), before) {
		w.Fatalf("serve --log-keep removes another part than the old one, or none: %v", err)
	}
}

// writers returns the runs to be repeated with faults.
func (w *fixtures) writers() []crash {
	words := strings.Fields
	all := []crash{
		{name: "generate to nothing", from: w.empty, command: words("generate --rows 300")},
		{name: "generate", from: w.full, command: words("generate --rows 300 --seed 7")},
		{name: "prepare to nothing", from: w.raw, command: words("prepare")},
		{name: "prepare", from: w.otherRaw, command: words("prepare")},
		{name: "prepare from a pipe", from: w.raw, command: words("prepare --in - --target churn")},
		{name: "prepare from the log", from: w.full,
			command: words("prepare --log logs/predictions.log --labels outcomes.csv")},
		{name: "train to nothing", from: w.data, command: words("train --gate-f1 0")},
		{name: "train", from: w.full, command: words("train --gate-f1 0 --version v3")},
		{name: "train beyond memory", from: w.data, command: words("train --gate-f1 0 --memory 1")},
		{name: "train that its gate refuses", from: w.full, command: words("train --gate-f1 0.99 --version v3"), status: 1},
		{name: "train after a kill", from: w.halfway, command: words("train --gate-f1 0 --version v3")},
		{name: "evaluate", from: w.full, command: words("evaluate --gate-f1 0 --version v3")},
		{name: "evaluate a model", from: w.full,
			command: words("evaluate --gate-f1 0 --html pages/v1.html --export graphs/v1.onnx --model " + w.v1)},
		{name: "rollback", from: w.full, command: words("rollback " + w.v1)},
		{name: "rollback to the one before", from: w.three, command: words("rollback")},
		{name: "rollback after a manual edit", from: w.edited, command: words("rollback " + w.v2)},
		{name: "rollback after a kill of an earlier version", from: w.older, command: words("rollback " + w.v1)},
		{name: "rollback that prunes", from: w.candidates, command: words("rollback --prune --keep 0")},
		{name: "rollback that moves old lines", from: w.longJournal, command: words("rollback --prune --keep 0")},
		{name: "rollback that forgets", from: w.twoParts, command: words("rollback --forget " + w.id)},
		{name: "rollback that forgets rows", from: w.twoParts, command: words("rollback --match region=EU")},
		{name: "drift with a page", from: w.full, command: words("drift --html pages/drift.html"), status: 1},
		{name: "drift with an alert", from: w.full, command: words("drift --alert-url " + w.hook), status: 1},
		{name: "serve without a log", from: w.data, command: words("serve")},
		{name: "serve", from: w.full,
			command: words(fmt.Sprintf("serve --log-sync batch --log-max-size %d",
				len(programs.ReadFile(w.T, w.full+"/logs/predictions.log"))+600))},
		{name: "serve after a kill", from: w.truncatedLog, command: words("serve")},
	}
	for i := range all {
		if all[i].command[0] == "serve" {
			all[i].requests = 5
		}
	}
	return all
}

// readers returns commands that must not change files.
func (w *fixtures) readers() (commands [][]string) {
	for _, line := range []string{
		"rollback --list", "rollback --verify", "rollback --dry-run", "rollback --rehearse",
		"rollback --prune --keep 0 --dry-run", "rollback --forget " + w.id + " --dry-run",
		"rollback --match region=EU --dry-run", "drift",
		"drift --json --windows 3 --labels outcomes.csv",
		"evaluate --gate-f1 0 --model " + w.v1,
	} {
		commands = append(commands, strings.Fields(line))
	}
	return commands
}

// copy returns a copy of a folder in which programs have run.
func (w *fixtures) copy(from string, commands ...string) string {
	w.Helper()
	dir := w.TempDir()
	snapshot(w.T, from).write(w.T, dir)
	for _, command := range commands {
		r, err := w.run(&traced{dir: dir, plain: true}, strings.Fields(command), 0)
		if err != nil || r.status != 0 {
			w.Fatalf("%s: status %d, %v: %s", command, r.status, err, r.stderr)
		}
	}
	return dir
}

// requestPredictions requests predictions from serve, then stops it, and returns the ids of
// those that were answered. serve may end at any time.
func requestPredictions(addr string, times int, started <-chan int, ended <-chan error) (answered []string, err error) {
	client := &http.Client{Timeout: programs.Patience}
	defer client.CloseIdleConnections()
	for {
		select {
		case err := <-ended:
			return nil, err
		default:
		}
		if resp, err := client.Get("http://" + addr + "/livez"); err == nil {
			resp.Body.Close()
			break
		}
		time.Sleep(time.Millisecond)
	}
	for range times {
		status, body, err := programs.Request(client, "POST", "http://"+addr+"/predict", "application/json",
			programs.GoodCustomer)
		if err != nil {
			return answered, <-ended // killed
		}
		var a struct {
			ID string `json:"request_id"`
		}
		switch {
		case status == http.StatusOK && json.Unmarshal([]byte(body), &a) == nil && a.ID != "":
			answered = append(answered, a.ID)
		case status != http.StatusServiceUnavailable:
			return answered, fmt.Errorf("answer %d: %s", status, body)
		}
	}
	syscall.Kill(<-started, syscall.SIGTERM)
	return answered, <-ended
}

package database_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"churn/internal/testing/postgres"
	"churn/internal/testing/programs"
)

// TestDatabase runs the programs on customers in PostgreSQL.
func TestDatabase(t *testing.T) {
	bin := programs.Build(t)
	c := postgres.Start(t)
	db := c.CreateDatabase(t)
	t.Run("loop", func(t *testing.T) { testTableLoop(t, bin, c, db) })
	t.Run("terms", func(t *testing.T) { testTableTerms(t, bin, c, db) })
	t.Run("readme", func(t *testing.T) { testTableReadme(t, bin, c, db) })
	t.Run("pool", func(t *testing.T) { testPool(t, bin, c, db) })
	t.Run("drift", func(t *testing.T) { testTableDrift(t, bin, c) })
	t.Run("interrupted", func(t *testing.T) { testInterrupted(t, bin, c, db) })
	t.Run("scale", func(t *testing.T) { testScale(t, bin, c, db) })
	t.Run("server goes away", func(t *testing.T) { testServerGone(t, bin, c, db) })
}

// storeInTable copies data/raw.csv into a table with an id and returns the flags of its source.
func storeInTable(l *programs.Loop, c *postgres.Cluster, db string) []string {
	l.Helper()
	c.Exec(l, db, `DROP TABLE IF EXISTS customers CASCADE;
		CREATE TABLE customers (tenure_months integer, num_complaints integer,
		avg_session_minutes double precision, plan_type text, region text, churn integer)`)
	c.CopyCSV(l, db, "customers", programs.ReadFile(l.T, l.Path("data/raw.csv")))
	c.Exec(l, db, "ALTER TABLE customers ADD id bigint GENERATED ALWAYS AS IDENTITY")
	return []string{"--from", c.URL(db), "--table", "customers"}
}

// A report has the fields of the programs' JSON that the tests check.
type report struct {
	RowsRead int `json:"rows_read"`
	Target   any `json:"target"`
	Columns  any `json:"columns"`

	Model     string         `json:"model_file"`
	FiguresOn string         `json:"figures_on"`
	Figures   map[string]any `json:"figures"`
	Data      map[string]any `json:"data"`
	Warnings  []string       `json:"warnings"`
	Training  struct {
		Choice struct {
			Rows       int
			Candidates []struct {
				Terms  string
				Chosen bool
			}
		}
	} `json:"training"`
	Champion *struct{ Comparable bool } `json:"champion"`
}

func reportOf(l *programs.Loop, program string, args ...string) (r report) {
	l.Helper()
	if err := json.Unmarshal([]byte(l.Force(program, append(args, "--json")...)), &r); err != nil {
		l.Fatal(err)
	}
	return r
}

func testTableLoop(t *testing.T, bin string, c *postgres.Cluster, db string) {
	l := programs.EmptyLoop(t, bin)
	l.Run("generate", "--rows", "4000", "--dirty", "0.02")
	c.Exec(t, db, "DROP TABLE IF EXISTS customers CASCADE")
	from := storeInTable(l, c, db)
	status, _, err := l.Exec("train", from...)
	if status != 2 || !strings.Contains(err.Error(), "run prepare first") {
		t.Errorf("train before prepare ended with %d: %v", status, err)
	}
	got := reportOf(l, "prepare", append(from, "--key", "id")...)
	want := reportOf(emptyLoopOf(t, bin, l), "prepare")
	if got.RowsRead != want.RowsRead || !reflect.DeepEqual(got.Target, want.Target) ||
		!reflect.DeepEqual(withoutText(got.Columns), withoutText(want.Columns)) {
		t.Errorf("the table's quality is %+v,\nthe file's %+v", got, want)
	}
	if status, _, err := l.Exec("train"); status != 2 || !strings.Contains(err.Error(), "--table customers") {
		t.Errorf("train without --from ended with %d: %v", status, err)
	}
	first := reportOf(l, "train", append(from, "--gate-f1", "0")...)
	second := reportOf(l, "evaluate", append(from, "--gate-f1", "0")...)
	if first.Data["key"] != "id" || first.Data["rows"] != 4000.0 || len(second.Warnings) > len(first.Warnings) {
		t.Errorf("train says %+v, evaluate %+v", first, second)
	}
	evaluated := reportOf(l, "evaluate", append(from, "--gate-f1", "0", "--model", second.Model)...)
	for name, x := range second.Figures {
		if y := evaluated.Figures[name]; !reflect.DeepEqual(x, y) && name != "confusion" {
			t.Errorf("%s is %v, later %v", name, x, y)
		}
	}
	if auc := second.Figures["roc_auc"].(float64); evaluated.FiguresOn != "test" || math.Abs(auc-0.71) > 0.05 {
		t.Errorf("a ROC AUC of %v on %s rows", auc, evaluated.FiguresOn)
	}
	l.Run("rollback", "--verify")
	l.Start()
	for range 40 {
		if status, answer := l.Post("/predict", programs.GoodCustomer); status != 200 {
			t.Fatalf("%d %s", status, answer)
		}
	}
	l.Stop()
	if status, _, err := l.Exec("drift"); status == 2 {
		t.Error(err)
	}
	l.Run("rollback")
	if l.Current() != first.Model {
		t.Errorf("%s is current after a rollback to %s", l.Current(), first.Model)
	}
	passes := reportOf(l, "train", append(from, "--gate-f1", "0", "--memory", "1")...) // in the database
	for _, name := range []string{"log_loss", "f1", "brier"} {
		if a, b := first.Figures[name].(float64), passes.Figures[name].(float64); math.Abs(a-b) > 1e-6 {
			t.Errorf("%s is %v of fetched rows, %v of passes in the database", name, a, b)
		}
	}

	c.Exec(t, db, "UPDATE customers SET num_complaints = 5 WHERE id = 17")
	if later := reportOf(l, "train", append(from, "--gate-f1", "0")...); !strings.Contains(strings.Join(later.Warnings,
		"\n"), "run prepare again") {
		t.Errorf("the table was changed, but train warns of %q", later.Warnings)
	}
	c.Exec(t, db, "ALTER TABLE customers ADD code text; UPDATE customers SET code = 'c' || id WHERE id > 20")
	for program, args := range map[string][]string{"prepare": {"--key", "code", "--ignore", "id"},
		"train": {"--key", "code"}} {
		status, _, err := l.Exec(program, append(args, from...)...)
		if status != 1 || !strings.Contains(err.Error(), "20 rows have no key") {
			t.Errorf("%s with a key that 20 rows lack ended with %d: %v", program, status, err)
		}
	}
	wantNoSecret(t, l)
}

// testTableTerms lets evaluate choose terms on a sample of a table whose customers leave
// in the middle of a number.
func testTableTerms(t *testing.T, bin string, c *postgres.Cluster, db string) {
	l := programs.EmptyLoop(t, bin)
	l.Run("generate", "--rows", "70000")
	from := storeInTable(l, c, db)
	c.Exec(t, db, "UPDATE customers SET churn = CASE WHEN (abs(avg_session_minutes - 35) < 8) <> "+
		"(hashint8(id) % 4 = 0) THEN 1 ELSE 0 END")
	l.Run("prepare", append(from, "--key", "id")...)
	from = append(from, "--memory", "1")                             // in the database
	lines := reportOf(l, "train", append(from, "--gate-f1", "0")...) // which cannot bend, and so are rejected
	curves := reportOf(l, "evaluate", append(from, "--gate-f1", "0", "--terms", "auto")...)
	chosen := ""
	for _, d := range curves.Training.Choice.Candidates {
		if d.Chosen {
			chosen = d.Terms
		}
	}
	if !strings.HasPrefix(chosen, "curves") || curves.Training.Choice.Rows != 50_000 {
		t.Errorf("%q was chosen on %d rows, want curves on 50000", chosen, curves.Training.Choice.Rows)
	}
	if document := programs.ReadFile(t, l.Path("models/"+curves.Model)); !strings.Contains(document, `"format": 2,`) {
		t.Error("a model with curves is not of format 2")
	}
	before, after := lines.Figures["log_loss"].(float64), curves.Figures["log_loss"].(float64)
	if curves.Champion == nil || !curves.Champion.Comparable || after > before-0.1 {
		t.Errorf("a log loss of %v, of lines %v, compared with %+v", after, before, curves.Champion)
	}
	pairs := []string{"--pairs", "avg_session_minutes*tenure_months,plan_type*region", "--terms", "curve"}
	last := reportOf(l, "train", append(append(from, "--gate-f1", "0"), pairs...)...)
	for _, want := range []report{last, curves} {
		got := reportOf(l, "evaluate", append(from, "--gate-f1", "0", "--model", want.Model)...)
		wantAlike(t, want.Model, want.Figures, got.Figures)
	}
}

// testTableReadme runs the lines of docs/warehouse.md as a database user who may only read the table.
func testTableReadme(t *testing.T, bin string, c *postgres.Cluster, db string) {
	lines, _, _ := strings.Cut(programs.PageBlock(t, "docs/warehouse.md", "sh", "prepare --from"), "serve ")
	l := programs.EmptyLoop(t, bin)
	l.Run("generate")
	storeInTable(l, c, db)
	c.Exec(t, db, "CREATE ROLE reader LOGIN PASSWORD 'secret'; GRANT SELECT ON customers TO reader")
	lines = strings.ReplaceAll(lines, "@127.0.0.1/shop", "@"+c.Addr()+"/"+db+"?sslmode=disable")
	cmd := exec.Command("sh", "-euc", lines)
	cmd.Dir = l.Dir
	cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "passed: its log loss of ") ||
		!strings.Contains(string(out), "registry/source.json") {
		t.Errorf("%v\n%s", err, out)
	}
}

// testTableDrift loads the log into a table as in docs/warehouse.md; drift must report the same for both.
func testTableDrift(t *testing.T, bin string, c *postgres.Cluster) {
	if _, err := exec.LookPath("psql"); err != nil {
		t.Fatal("the lines of docs/warehouse.md need psql, which comes with PostgreSQL")
	}
	l := programs.NewLoop(t, bin)
	l.Start()
	send := func(n int) {
		for i := range n {
			body := programs.With(`"avg_session_minutes":21.5`, fmt.Sprintf(`"avg_session_minutes":%d.25`, 20+i%17))
			switch {
			case i%9 == 0:
				body = strings.Replace(body, `"region":"NA"`, `"region":"XX"`, 1)
			case i%4 == 0:
				body = strings.Replace(body, `"region":"NA"`, `"region":"EU"`, 1)
			}
			if status, answer := l.Post("/predict", body); status != 200 {
				t.Fatalf("%d %s", status, answer)
			}
		}
	}
	send(150)
	l.Run("rollback") // the next predictions are by another model
	send(120)
	l.Stop()
	records := strings.SplitAfter(programs.ReadFile(t, l.Path("logs/predictions.log")), "\n")
	outcomes, ids := "request_id,churn\n", regexp.MustCompile(`"request_id":("[^"]*")`)
	for i, r := range records[:len(records)-1] { // each at a time of its own, which is their order in a table
		records[i] = regexp.MustCompile(`"ts":[0-9.]+`).ReplaceAllString(r,
			fmt.Sprintf(`"ts":%d.000`, time.Now().Unix()-500+int64(i)))
		outcomes += fmt.Sprintf("%s,%d\n", ids.FindStringSubmatch(r)[1], i%2)
	}
	log := strings.Join(records, "") // earlier versions took control characters
	log = strings.Replace(log, `"warnings":["`, `"warnings":["\u0000`, 1)
	programs.WriteFile(t, l.Path("logs/predictions.log"), log)
	programs.WriteFile(t, l.Path("outcomes.csv"), outcomes)
	db := c.CreateDatabase(t)
	lines, _, _ := strings.Cut(programs.PageBlock(t, "docs/warehouse.md", "sh", "json_to_record"), "drift ")
	lines = strings.Replace(lines, "postgres://loader@127.0.0.1/shop", "'"+c.URL(db)+"'", 1)
	cmd := exec.Command("sh", "-euc", lines)
	cmd.Dir = l.Dir
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%v\n%s", err, out)
	}
	from := []string{"--from", c.URL(db), "--table", "predictions"}
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	same := func(program string, log, table []string, args ...string) {
		t.Helper()
		var answers [2]string
		for i, args := range [][]string{append(log, args...), append(table, args...)} {
			status, out, err := l.Exec(program, args...)
			if answers[i] = string(out); status == 2 {
				t.Fatal(program, args, err)
			}
		}
		if answers[0] != answers[1] {
			file, table := strings.Split(answers[0], "\n"), strings.Split(answers[1], "\n")
			at := 0
			for at < min(len(file), len(table))-1 && file[at] == table[at] {
				at++
			}
			t.Errorf("%s %q: line %d is %q of a table and %q of the log", program, args, at+1, table[at], file[at])
		}
	}
	for _, args := range []string{
		"--last 120", "--last 0", "--last 60 --windows 2", "--since 1h", "--labels OUTCOMES",
		"--labels OUTCOMES --last 120",
	} {
		args = strings.ReplaceAll(args, "OUTCOMES", l.Path("outcomes.csv")) + " --json"
		same("drift", nil, from, strings.Fields(args)...)
	}
	file, table := []string{"--log", l.Path("logs/predictions.log")}, []string{"--log", c.URL(db) + "#predictions"}
	same("drift", file, table, "--json")
	same("evaluate", file, table, "--model", "v1", "--rehearse", "--last", "0", "--json")
	same("prepare", file, table, "--labels", l.Path("outcomes.csv"), "--json", "--dry-run")
	if status, out, err := l.Exec("evaluate", append(table, "--version", "v9", "--rehearse", "--json")...); status == 2 ||
		!strings.Contains(string(out), `"records": 200`) {
		t.Errorf("%v\n%s", err, out)
	}
	l.Exec("drift", append([]string{"--html", l.Path("drift.html")}, from...)...)
	if page := programs.ReadFile(t, l.Path("drift.html")); !strings.Contains(page, "avg_session_minutes") {
		t.Error("the page has no columns")
	}
	if left, _ := os.ReadDir(tmp); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	c.Exec(t, db, "CREATE TABLE nothing (ts float8, model_version text, prediction int, probability float8, region "+
		"text); CREATE TABLE others (x int)")
	for table, want := range map[string]string{"nothing": "not enough data: 0 records in nothing in postgres://",
		"others": "it has no column model_version", "nowhere": "nowhere"} {
		status, _, err := l.Exec("drift", "--from", c.URL(db), "--table", table)
		if status != 2 || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), postgres.Password) {
			t.Errorf("drift of the table %s ended with %d: %v", table, status, err)
		}
	}
}

// emptyLoopOf returns a loop with the same raw data.
func emptyLoopOf(t *testing.T, bin string, l *programs.Loop) *programs.Loop {
	t.Helper()
	other := programs.EmptyLoop(t, bin)
	if err := os.MkdirAll(other.Path("data"), 0o755); err != nil {
		t.Fatal(err)
	}
	programs.WriteFile(t, other.Path("data/raw.csv"), programs.ReadFile(t, l.Path("data/raw.csv")))
	return other
}

// wantNoSecret verifies that no file of the loop has the password.
func wantNoSecret(t *testing.T, l *programs.Loop) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(l.Dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		if text := programs.ReadFile(t, path); strings.Contains(text, postgres.Password) ||
			strings.Contains(text, "sslmode=disable@") {
			t.Errorf("%s has the password", path)
		}
		return nil
	})
	if err != nil || files < 8 {
		t.Errorf("%d files were checked: %v", files, err)
	}
	if source := programs.ReadFile(t, l.Path("registry/source.json")); !strings.Contains(source, postgres.User+"@") {
		t.Errorf("the source does not have the user: %s", source)
	}
	if _, err := os.Stat(l.Path("data/processed.csv")); err == nil {
		t.Error("the rows were written to data/processed.csv")
	}
}

// slowly creates a view of the customers that takes seconds to read, and returns its flags.
func slowly(l *programs.Loop, c *postgres.Cluster, db, seconds string) []string {
	l.Helper()
	l.Run("generate")
	from := storeInTable(l, c, db)
	c.Exec(l, db, "CREATE VIEW slow AS SELECT c.* FROM customers c, (SELECT pg_sleep("+seconds+")) s")
	from[3] = "slow"
	return from
}

// waitForQuery waits until the server has started a number of queries of the view.
func waitForQuery(l *programs.Loop, c *postgres.Cluster, times int) {
	l.Helper()
	l.WaitFor("the query starts", func() bool { return strings.Count(c.Log(l), `FROM "slow"`) >= times })
}

func testInterrupted(t *testing.T, bin string, c *postgres.Cluster, db string) {
	l := programs.EmptyLoop(t, bin)
	cmd := l.Command("prepare", append(slowly(l, c, db, "600"), "--key", "id")...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitForQuery(l, c, 1)
	began := time.Now()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	if status := cmd.ProcessState.ExitCode(); status != 2 || !strings.Contains(stderr.String(), "interrupted") {
		t.Errorf("prepare ended with %d: %v: %s", status, err, &stderr)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v to stop", took)
	}
	l.WaitFor("the server stops the query",
		func() bool { return strings.Contains(c.Log(t), "canceling statement due to user request") })
	if files, err := filepath.Glob(l.Path("registry/*.json")); err != nil || len(files) > 0 {
		t.Errorf("it left %q: %v", files, err)
	}
}

func testServerGone(t *testing.T, bin string, c *postgres.Cluster, db string) {
	l := programs.EmptyLoop(t, bin)
	before := strings.Count(c.Log(t), `FROM "slow"`)
	cmd := l.Command("prepare", append(slowly(l, c, db, "0.5"), "--key", "id")...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitForQuery(l, c, before+2)
	c.Kill(t)
	c.Restart(t)
	if err := cmd.Wait(); err != nil || !strings.Contains(stderr.String(), "prepare: warning: ") ||
		!strings.Contains(stderr.String(), "trying again") {
		t.Errorf("prepare ended with %v: %s", err, &stderr)
	}
	if !strings.Contains(programs.ReadFile(t, l.Path("registry/source.json")), `"rows": 1200`) {
		t.Error("the source does not have the rows")
	}
}

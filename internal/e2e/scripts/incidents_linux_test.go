package scripts_test

import (
	"cmp"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"churn/internal/testing/need"
	"churn/internal/testing/programs"
)

// An incident is provoked in a folder with customers, a log and two models, of which v2 has the name
// $V2. A service has its address and process in $ADDR and $PID. Each text is commands for sh -e.
type incident struct {
	row     string // the first cell of the page's row, without backquotes
	provoke string
	see     string // shows the incident, by each program $P of the row; "": /health of a service
	do      string // what the row says
	well    string // succeeds afterwards; "": see
	alerts  string // names of those that fire

	restart bool   // the service is ended before it is provoked, and started after that
	ends    bool   // the service ends, and is started after do
	by      string // folder and name of the test that provokes it instead
}

const (
	health  = `curl -s -w ' %{http_code}' http://$ADDR/`
	check   = `serve --check --addr 127.0.0.1:0`
	noModel = "ChurnErrors ChurnNoAnswer ChurnNoModel"
	noLog   = "ChurnErrors ChurnLogStuck ChurnNoAnswer"
	remove  = `mv models/$V2 kept`
	restore = `mv kept models/$V2`
	invalid = `sed -i '2s/^[0-9]*/abc/' data/raw.csv`
	column  = `sed -i '1s/^/mood,/; 2~2s/^/1,/; 3~2s/^/2,/' data/raw.csv; prepare --target churn`
	mood    = column + `; train --gate-f1 0 --version v9 --candidate`
	left    = `sed -i 1s/churn/left/ data/raw.csv; prepare --target left`
	scored  = `serve --score data/raw.csv --out list.csv --id tenure_months`
	hold    = `flock logs/.predictions.log.lock sleep 0.8 >&- 2>&- & sleep 0.1; `
	predict = `curl -sf -m 0.3 http://$ADDR/predict -d '` + programs.GoodCustomer + `'`
)

var older = strings.Replace(predict, ":6,", ":250,", 1) // has been a customer for more months than the rule has

var incidents = []incident{
	{row: `200, "status":"ok"`},
	{row: `200, "keeps serving"`, provoke: `echo gone.json > registry/current_model.txt`, do: `rollback`,
		alerts: "ChurnModelRefused"},
	{row: `503, "there is no current model yet"`, provoke: `rm -r registry models`, do: `prepare; train`,
		alerts: noModel, restart: true},
	{row: `503 without current_model`, provoke: remove, do: `rollback`, restart: true,
		alerts: noModel + " ChurnModelRefused"},
	{row: `503, "predictions cannot be logged"`, provoke: `mv logs away; touch logs`, do: `rm logs; mv away logs`,
		alerts: noLog},
	{row: `503, "the log is not a regular file"`, provoke: `rm logs/predictions.log; mkfifo logs/predictions.log`,
		do: `rm logs/predictions.log`, alerts: noLog},
	{row: `503, "another process has held the log's lock for 2 s"`, by: "internal/e2e/hostile TestHeldLog"},
	{row: `503, "a write to the log has not returned for 2 s"`, by: "internal/predlog TestFrozenDisk"},
	{row: `/readyz 503, "stopping"`, provoke: `kill $PID`, see: health + "readyz", ends: true},
	{row: `no answer`, provoke: `kill -9 $PID`, do: check, alerts: "ChurnDown", ends: true},

	{row: "ChurnSlow", provoke: hold, see: hold + predict, well: predict, alerts: "ChurnSlow"},
	{row: "ChurnInputsRefused", provoke: `for i in 1 2 3; do ` + older + ` || true; done`, see: older,
		do:     `sed s/lte=200/lte=300/ registry/schema.json > wider.json; prepare --schema wider.json; train`,
		alerts: "ChurnInputsRefused"},
	{row: "ChurnDriftSuspected", provoke: `(head -1 data/raw.csv; yes "$(sed -n 2p data/raw.csv)" | head -200) |
		curl -sf -H 'Content-Type: text/csv' --data-binary @- http://$ADDR/predict/batch`,
		see: `drift`, do: `drift --html drift.html || test -s drift.html`, well: `true`, alerts: "ChurnDriftSuspected"},

	{row: `generate 2, "at least 1"`, see: `generate --rows 0`, well: `generate --rows 9`},
	{row: `prepare 1, "is not a number"`, provoke: invalid, see: `prepare`, do: `prepare --missing-values abc`,
		well: `train`},
	{row: `prepare 1, "is above"`, provoke: `sed -i '2s/^[0-9]*/999/' data/raw.csv`, see: `prepare`,
		do: `prepare --drop-invalid`, well: `train`},
	{row: `prepare 1, "missing, at most"`, provoke: `sed -i '2,600s/^[0-9]*//' data/raw.csv`,
		see: `prepare --target churn`, do: `prepare --target churn --max-missing 0.6`, well: `train --gate-f1 0`},
	{row: `prepare 1, "name the one to predict"`, provoke: `sed -i '1s/.*/a,b,c,d,e,gone/' data/raw.csv`, see: `prepare`,
		do: `prepare --target gone`, well: `test -s data/processed.csv`},
	{row: `prepare, train, evaluate 1, "unless it is known before the outcome"`,
		provoke: `sed -i '1s/$/,leak/; s/,\([01]\)$/&,\1/' data/raw.csv; prepare --target churn`,
		see:     `test $P = prepare && set -- --target churn; $P --strict "$@"`,
		do:      `prepare --target churn --ignore leak`, well: `train --strict`},
	{row: `prepare 2, "run generate, or name your file with --in"`, provoke: `rm data/raw.csv`, see: `prepare`,
		do: `generate`},
	{row: `train, evaluate 1, "is registered but rejected"`, see: `$P --gate-f1 0.99 --version v9`,
		do: `rollback --force v9`, well: check},
	{row: `evaluate --model 1, "does not pass the gate"`, see: `evaluate --model v1 --gate-f1 0.99`,
		well: `evaluate --model v1 --gate-f1 0`},
	{row: `train, evaluate 1, "each part needs both classes"`, provoke: `head -4 data/raw.csv > few; prepare --in few`,
		see: `$P`, do: `prepare`},
	{row: `train, evaluate 1, "one folder is for one target"`, provoke: left, see: `$P`,
		do: `prepare --in data/raw.csv --target left --dir left`, well: `$P --dir left`},
	{row: `train, evaluate 1, "would refuse"`, provoke: column, see: `$P --gate-f1 0 --version v9`,
		do: `rollback --force v9`, well: check},
	{row: `train, evaluate 2, "run prepare first"`, provoke: `rm registry/schema.json`, see: `$P`, do: `prepare`},
	{row: `train, evaluate 2, "did not converge"`,
		provoke: `awk -F, -v OFS=, 'NR > 1 { $6 = ($1 > 30) } 1' data/raw.csv > s; mv s data/raw.csv; prepare`,
		see:     `$P --c 1e15 --terms line --pairs 0`, well: `$P --c 1`},
	{row: `drift 1, "found in"`, see: `drift`,
		provoke: `sed -i 's/^[1-9],/7&/' data/raw.csv; ` + scored + ` --log logs/predictions.log`,
		do:      `drift --html drift.html || prepare; train`},
	{row: `drift 2, "not enough data"`, provoke: `sed -i 10q logs/predictions.log`, see: `drift`,
		well: `drift --min-rows 5`},
	{row: `drift 2, "run serve first"`, provoke: `rm -r logs`, see: `drift`, do: scored + ` --log logs/predictions.log`},
	{row: `rollback 2, "see rollback --list"`, see: `rollback v7`, do: `rollback v1`, well: check},
	{row: `rollback 2, "there is no current model yet"`, provoke: `rm -r registry models; prepare`, see: `rollback`,
		do: `train`, well: `rollback --verify`},
	{row: `rollback, serve --score 2, "restore it from a copy"`, provoke: remove,
		see: `if test $P = serve; then ` + scored + `; else rollback v2; fi`, do: restore},
	{row: `rollback, train, evaluate 2, "is not a list of models"`,
		provoke: `cp -a registry copy; echo [1 > registry/metadata.json`, see: `$P`, do: `cp copy/metadata.json registry`},
	{row: `rollback --verify 1, "problems in the registry"`, provoke: remove + `; head -c 99 kept > models/$V2`,
		see: `rollback --verify`, do: `rollback; ` + restore + `; rollback v2`},
	{row: `rollback --forget 1, "has this request_id"`, see: `rollback --forget x`, well: `rollback --forget 6`},
	{row: `rollback --match 1, "no row in data/ and no record"`, see: `rollback --match region=X`,
		well: `rollback --match region=EU`},
	{row: `serve 2, "name another address"`, see: `serve --addr $BUSY`, well: check},
	{row: `serve 2, "name another log"`, provoke: `rm -r logs; touch logs`, see: `serve --addr 127.0.0.1:0`,
		do: `rm logs`, well: check},
	{row: `serve --check 1, "no prediction would be answered"`, provoke: remove, see: check, do: `rollback`},
	{row: `serve --score 1, "is not a number"`, provoke: invalid, see: scored, do: scored + ` --drop-invalid`,
		well: `test -s list.csv; test -s list.rejected.csv`},
	{row: `any 2, "unknown flag"`, see: `train --versoin v3`, well: `train --version v3`},
	{row: `any 2, "no such file or directory"`, provoke: `rm data/processed.csv`, see: `train`, do: `prepare`},
	{row: `any 2, "no space left on device", or an input/output error`, see: `rollback --list > /dev/full`,
		well: `rollback --list`},
	{row: `any, "waiting for"`, by: "internal/e2e/hostile TestInterruptedWaits"},

	{row: `"did not pass its gate"`, provoke: `! train --gate-f1 0.99 --version v9`, see: `rollback v9`,
		do: `rollback --force v9`, well: check},
	{row: `"would refuse"`, provoke: mood, see: `rollback v9`, do: `rollback --force v9`},
	{row: `"goes there on purpose"`, provoke: left + `; train --force`, see: `rollback`, do: `rollback v2`, well: check},
	{row: `"was current before"`, provoke: `rollback`, see: `rollback`, do: `rollback v2`},
	{row: `"no model is current"`, provoke: `rm registry/current_model.txt`, see: `rollback`, do: `rollback v2`,
		well: `rollback --verify`},
	{row: `"does not reproduce"`,
		provoke: `cp logs/predictions.log copy; sed -i '$s/y":0\../y":0.9/' logs/predictions.log`,
		see:     `rollback --rehearse v2`, do: `rollback --verify; mv copy logs/predictions.log`},
	{row: `"can score none of"`, provoke: mood, see: `rollback --rehearse v9`, well: `rollback --rehearse v1`},
}

// TestIncidents provokes what the tables of incidents list, sees what they quote, does what they say,
// and has Prometheus judge what the service's metrics said meanwhile.
func TestIncidents(t *testing.T) {
	rows := map[string]string{}
	for page, section := range map[string]string{"operate.md": "## Incidents\n", "registry.md": "## Status 1\n"} {
		_, text, _ := strings.Cut(programs.ReadFile(t, filepath.Join(programs.Root(t), "docs", page)), section)
		text, _, _ = strings.Cut(text, "\n## ")
		for _, row := range regexp.MustCompile(`(?m)^\| (.*?) \|.*`).FindAllStringSubmatch(text, -1) {
			if !regexp.MustCompile(`^\| (you see|alert) |\| see \[`).MatchString(row[0]) { // or it is in another table
				rows[strings.ReplaceAll(row[1], "`", "")] = row[0]
			}
		}
	}
	need.Program(t, "curl", "curl")
	need.Program(t, "flock", "util-linux")
	base := programs.NewLoop(t, programs.Build(t))
	base.Run("serve", "--score", base.Path("data/raw.csv"), "--out", base.Path("list.csv"), "--id", "tenure_months",
		"--log", base.Path("logs/predictions.log"))
	busy := httptest.NewServer(nil)
	defer busy.Close()
	t.Setenv("BUSY", busy.Listener.Addr().String())
	t.Setenv("V2", base.Current())
	t.Setenv("PATH", base.Bin+string(os.PathListSeparator)+os.Getenv("PATH"))

	a, known := alertTests{}, map[string]bool{}
	for _, c := range incidents {
		for _, row := range append(strings.Fields(c.alerts), c.row) {
			if known[row] = true; rows[row] == "" {
				t.Errorf("no table has the row %s", row)
			}
		}
		t.Run(c.row, func(t *testing.T) { c.test(t, base, rows[c.row], &a) })
	}
	rules := programs.DeployFile(t, "prometheus-rules.yaml")
	for _, rule := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(rules, -1) {
		rows[rule[1]] = rule[0]
	}
	for row := range rows {
		if !known[row] {
			t.Errorf("nothing here provokes %s", row)
		}
	}
	t.Run("alerts", func(t *testing.T) { promtool(t, rules, "rule_files: [rules.yml]\ntests:\n"+a.String()) })
}

var (
	quoted  = regexp.MustCompile(`"([^"].*?[^"])"(?:,|$)`)
	exitRow = regexp.MustCompile(`^([a-z, ]+)(?: --\w+)? ([12])\b`)
	deeds   = regexp.MustCompile(`\b(generate|prepare|train|drift|rollback) |` +
		`--(force|drop-invalid|ignore|max-missing|schema)`)
)

// hasWords reports whether what was said has the words that a row quotes, and not what it is without.
func (c incident) hasWords(said string) bool {
	_, without, _ := strings.Cut(c.row, " without ")
	for _, words := range quoted.FindAllStringSubmatch(c.row, -1) {
		if !strings.Contains(said, words[1]) {
			return false
		}
	}
	return without == "" || !strings.Contains(said, without)
}

// test provokes the incident of a row for each program that it names.
func (c incident) test(t *testing.T, base *programs.Loop, row string, a *alertTests) {
	for _, deed := range deeds.FindAllString(strings.ReplaceAll(c.do, ";", " ")+" ", -1) {
		if !strings.Contains(row, strings.TrimSpace(deed)) {
			t.Errorf("it does %s, and the row says nothing of %s", c.do, deed)
		}
	}
	if c.by != "" {
		c.wantTest(t)
		return
	}
	names, want := "rollback", "1" // in docs/registry.md
	if m := exitRow.FindStringSubmatch(c.row); m != nil {
		names, want = m[1], m[2]
	}
	for _, program := range strings.Split(names, ", ") {
		f := folder{programs.EmptyLoop(t, base.Bin), program}
		f.must("cp -a " + base.Dir + "/. .")
		if c.see == "" || c.alerts != "" || c.ends {
			c.testService(f, a)
			continue
		}
		f.must(c.provoke)
		if status, said := f.run(c.see); fmt.Sprint(status) != want || !c.hasWords(said) {
			t.Errorf("%s: %s ends with %d: %s", program, c.see, status, said)
		}
		f.must(c.do)
		f.must(cmp.Or(c.well, c.see))
	}
}

// testService is test for a service.
func (c incident) testService(f folder, a *alertTests) {
	code, see := regexp.MustCompile(`\d{3}|$`).FindString(c.row), cmp.Or(c.see, health+"health")
	f.Start("--drain", "20s")
	before := f.metrics()
	if c.restart {
		f.Kill()
	}
	if f.must(c.provoke); c.restart {
		f.Start()
	}
	a.add(c, before, f.metrics())
	f.WaitFor(c.row, func() bool {
		status, said := f.run(see)
		return c.hasWords(said) && strings.HasSuffix(said, code) && (code != "" || status != 0)
	})
	f.must(c.do)
	if c.ends {
		f.Kill()
		f.Start()
	}
	f.WaitFor("after "+c.row, func() bool {
		status, said := f.run(cmp.Or(c.well, see))
		return status == 0 && (code == "" || strings.HasSuffix(said, "200") && (c.do == "" || !c.hasWords(said)))
	})
}

// A folder is where an incident happens to a program.
type folder struct {
	*programs.Loop
	program string
}

// run runs commands, and returns their status and what they print.
func (f folder) run(script string) (status int, said string) {
	cmd := exec.Command("sh", "-ec", script)
	cmd.Dir, cmd.Env = f.Dir, append(os.Environ(), "P="+f.program, "ADDR="+f.Addr)
	if f.Serve != nil {
		cmd.Env = append(cmd.Env, fmt.Sprint("PID=", f.Serve.Process.Pid))
	}
	out, _ := cmd.CombinedOutput() // the status says more than the error
	return cmd.ProcessState.ExitCode(), string(out)
}

// must runs commands that must succeed.
func (f folder) must(script string) {
	f.Helper()
	if status, out := f.run(script); status != 0 {
		f.Fatalf("%s\nends with %d: %s", script, status, out)
	}
}

// metrics returns what Prometheus would scrape after some predictions, "" if the service does not answer.
func (f folder) metrics() (text string) {
	for range 5 {
		f.Send("/predict", programs.GoodCustomer) // the metrics have the status
	}
	_, text, _ = f.Send("/metrics", "")
	return text
}

// wantTest verifies that the test which provokes the incident exists, where the words are too.
func (c incident) wantTest(t *testing.T) {
	dir, name, _ := strings.Cut(c.by, " ")
	files, _ := filepath.Glob(filepath.Join(programs.Root(t), dir, "*.go")) // the pattern is valid
	all := ""
	for _, file := range files {
		all += programs.ReadFile(t, file)
	}
	if !strings.Contains(all, "func "+name+"(") || !c.hasWords(all) {
		t.Errorf("%s has no %s, or not these words", dir, name)
	}
}

// alertTests are tests of promtool: what the metrics of a real service said before an incident, and meanwhile.
type alertTests struct{ strings.Builder }

var sample = regexp.MustCompile(`(?m)^(churn_\w+)(?:\{(.*)\})? ([-+.\de]+)$`)

// add adds an incident that begins after 10 minutes and goes on: counters grow as between before and after.
func (a *alertTests) add(c incident, before, after string) {
	fmt.Fprintf(a, "  - name: %q\n    interval: 1m\n    input_series:\n"+
		"      - {series: 'up{instance=\"x\",job=\"churn\"}', values: '1x9 %dx50'}\n", c.row, min(len(after), 1))
	series := map[string][2]string{}
	for i, text := range []string{before, after} {
		for _, m := range sample.FindAllStringSubmatch(text, -1) {
			name := fmt.Sprintf(`%s{instance="x",job="churn",%s}`, m[1], m[2])
			values := series[name]
			values[i] = m[3]
			series[name] = values
		}
	}
	for name, values := range series {
		was, _ := strconv.ParseFloat(values[0], 64) // 0 without
		is, _ := strconv.ParseFloat(values[1], 64)
		growth := max(is-was, 0)
		if metric, _, _ := strings.Cut(name, "{"); strings.Contains(before+after, "# TYPE "+metric+" gauge") {
			growth = 0
		}
		text := fmt.Sprintf("%s+0x9 %s+%fx50", values[0], values[1], growth)
		text = regexp.MustCompile(`(^| )\+[\d.]+x`).ReplaceAllString(text, "${1}_x") // there is none
		fmt.Fprintf(a, "      - {series: '%s', values: '%s'}\n", name, text)
	}
	fmt.Fprintf(a, "    promql_expr_test:\n      - expr: group by (alertname) (ALERTS{alertstate=\"firing\"})\n"+
		"        eval_time: 50m\n        exp_samples:\n")
	for _, alert := range strings.Fields(c.alerts) {
		fmt.Fprintf(a, "          - {labels: '{alertname=%q}', value: 1}\n", alert)
	}
}

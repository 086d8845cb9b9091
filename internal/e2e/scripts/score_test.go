package scripts_test

import (
	"encoding/csv"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"churn/internal/predlog"
	"churn/internal/testing/programs"
)

// TestScoredFile compares the list of serve --score with what the service answers, and with
// itself in other forms.
func TestScoredFile(t *testing.T) {
	bin := programs.Build(t)
	l := programs.NewLoop(t, bin)
	raw := l.Path("data/raw.csv")
	list := table(t, l.Run("serve", "--score", raw))
	header := list[0]
	column := func(rows [][]string, name string) (cells []string) {
		at := slices.Index(rows[0], name)
		if at < 0 {
			t.Fatalf("there is no column %s in %q", name, rows[0])
		}
		for _, row := range rows[1:] {
			cells = append(cells, row[at])
		}
		return cells
	}
	probability := column(list, "churn_probability")

	l.Start()
	status, body, err := programs.Request(l.Client, "POST", l.URL("/predict/batch"), "text/csv", programs.ReadFile(t, raw))
	if err != nil || status != 200 {
		t.Fatalf("%d, %v: %s", status, err, body)
	}
	answers := table(t, body)
	if !slices.Equal(column(answers, "probability"), probability) ||
		!slices.Equal(column(answers, "prediction"), column(list, "churn_predicted")) {
		t.Error("the list differs from what the service answers")
	}
	l.Stop()

	own := table(t, programs.ReadFile(t, raw))
	for i, row := range own {
		if !slices.Equal(row, list[i][:len(row)]) {
			t.Fatalf("row %d: %q, in the file %q", i, list[i], row)
		}
	}
	if want := []string{"churn_rank", "churn_probability", "churn_predicted", "churn_decile", "reason_1", "reason_2",
		"reason_3"}; !slices.Equal(header[len(own[0]):], want) {
		t.Errorf("columns %q", header)
	}
	rank, decile := column(list, "churn_rank"), column(list, "churn_decile")
	for i, p := range probability {
		above := 0
		for _, q := range probability {
			if q > p { // texts of one length
				above++
			}
		}
		if rank[i] != fmt.Sprint(above+1) || decile[i] != fmt.Sprint(1+10*above/len(probability)) {
			t.Fatalf("probability %s has rank %s and decile %s, %d are above it", p, rank[i], decile[i], above)
		}
	}

	top := table(t, l.Run("serve", "--score", raw, "--top", "50", "--keep", "region", "--id", "tenure_months",
		"--reasons", "1"))
	sorted := slices.Sorted(slices.Values(probability))
	slices.Reverse(sorted)
	if len(top) != 51 || !slices.Equal(column(top, "churn_probability"), sorted[:50]) ||
		!slices.Equal(top[0][:2], []string{"tenure_months", "region"}) || !strings.HasSuffix(top[1][6], "0") &&
		!strings.Contains(top[1][6], ": +") {
		t.Errorf("the first 50: %d rows, %q", len(top), top[:3])
	}
	called := 0
	for _, c := range column(table(t, l.Run("serve", "--score", raw, "--capacity", "100")), "churn_predicted") {
		if c == "1" {
			called++
		}
	}
	if called < 95 || called > 100 { // of equal probabilities all or none
		t.Errorf("%d customers are predicted to be positive with --capacity 100", called)
	}
	objects := l.Run("serve", "--score", raw, "--format", "ndjson", "--top", "1")
	if !strings.Contains(objects, `"churn_rank":1,`) || !strings.Contains(objects, `"reasons":["`) {
		t.Errorf("as JSON: %s", objects)
	}

	l.Run("serve", "--score", raw, "--id", "tenure_months", "--log", l.Path("logs/predictions.log"), "--out",
		l.Path("l.csv"))
	lines := strings.Split(strings.TrimSpace(programs.ReadFile(t, l.Path("logs/predictions.log"))), "\n")
	r, err := predlog.Parse([]byte(lines[len(lines)-1]))
	if len(lines) != 2*len(probability) || err != nil || r.RequestID != own[len(own)-1][0] {
		t.Errorf("the log has %d lines, the last is %+v, %v", len(lines), r, err)
	}
}

// TestScoringBadFiles scores files of which some rows or all cannot be scored.
func TestScoringBadFiles(t *testing.T) {
	bin := programs.Build(t)
	l := programs.NewLoop(t, bin)
	const head = "id,tenure_months,num_complaints,avg_session_minutes,plan_type,region\n"
	path := l.Path("some.csv")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(text string, want int, says string, flags ...string) {
		t.Helper()
		write(text)
		status, out, err := l.Exec("serve", append([]string{"--score", path, "--out", l.Path("list.csv")}, flags...)...)
		if status != want || len(out) > 0 || err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("status %d, %v, want %d and %s", status, err, want, says)
		}
		if _, err := os.Stat(l.Path("list.csv")); err == nil {
			t.Errorf("a list was written: %s", says)
		}
	}
	refused(head, 1, "the file has a header but no rows")
	refused("id,region\n1,NA\n", 1, "tenure_months: the column is missing: the file has id, region")
	refused("id,r\xe9gion\n1,NA\n", 1, "read as Windows-1252, since line 1 is not UTF-8")
	refused(head+"1,6,3,21.5,basic,NA\n2,abc,3,21.5,basic,NA\n3,,3,21.5,basic,NA\n", 1,
		`:3: tenure_months: "abc" is not a number`)
	refused(head+"1,6,3,21.5,basic,NA\n2,6,3,21.5\n", 1, "4 cells, the header has 6", "--drop-invalid")
	refused(head+"1,6,3,21.5,basic,NA\n", 2, `"x": there is no such column to keep`, "--keep", "x")
	refused(head+"1,6,3,21.5,basic,NA\n", 2, "--reasons 11: 0 to 10", "--reasons", "11")
	refused(head+"1,6,3,21.5,basic,NA\n", 2, "give one of them", "--top", "1", "--capacity", "1")

	write(head + "1,6,3,21.5,basic,NA\n")
	_, all, err := l.Exec("serve", "--score", path, "--keep", "all", "--id", "id")
	if _, want, bad := l.Exec("serve", "--score", path); string(all) != string(want) || err != nil || bad != nil {
		t.Errorf("--keep all: %v, %q, want %q", err, all, want)
	}
	write(head + "1,6,3,21.5,basic,NA\n2,abc,3,21.5,basic,NA\n3,,3,21.5,basic,NA\n4,6,3,21.5,basic,MARS\n")
	status, _, err := l.Exec("serve", "--score", path, "--out", l.Path("list.csv"), "--drop-invalid")
	if status != 0 || err != nil {
		t.Fatalf("status %d, %v", status, err)
	}
	list, left := table(t, programs.ReadFile(t, l.Path("list.csv"))), programs.ReadFile(t, l.Path("list.rejected.csv"))
	if len(list) != 3 || list[2][0] != "4" || left != head+"2,abc,3,21.5,basic,NA\n3,,3,21.5,basic,NA\n" {
		t.Errorf("the list %q, left out %q", list, left)
	}
}

func table(t *testing.T, text string) [][]string {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(rows) < 2 {
		t.Fatalf("%v: %.300q", err, text)
	}
	return rows
}

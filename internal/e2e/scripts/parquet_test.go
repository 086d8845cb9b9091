package scripts_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"churn/internal/testing/programs"

	"github.com/parquet-go/parquet-go"
)

// What prepare ignores is not read from a Parquet file, but for the column of --time-column.
func TestIgnoredColumnsOfParquet(t *testing.T) {
	type customer struct {
		Tags   []string `parquet:"tags"`
		Age    int      `parquet:"age"`
		Joined string   `parquet:"joined"`
		Left   bool     `parquet:"left"`
	}
	var customers []customer
	for i := range 60 {
		customers = append(customers, customer{[]string{"a", "b"}, 20 + i, fmt.Sprintf("2026-01-%02d", 1+i%28), i%3 == 0})
	}
	bin, dir := programs.Build(t), t.TempDir()
	path := filepath.Join(dir, "nested.parquet")
	if err := parquet.WriteFile(path, customers); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		flags []string
		want  string // "" of data that is taken
	}{
		{nil, `the column "tags" is nested: leave it out, in prepare with --ignore tags, or write its parts as columns`},
		{[]string{"--ignore", "joined"}, "in prepare with --ignore tags"},
		{[]string{"--ignore", "tags"}, ""},
		{[]string{"--ignore", "#1"}, ""},
		{[]string{"--ignore", "tags,joined", "--time-column", "joined"}, ""},
	} {
		args := append([]string{"--dir", dir, "--in", path, "--target", "left"}, c.flags...)
		out, err := exec.Command(filepath.Join(bin, "prepare"), args...).CombinedOutput()
		want := c.want
		if want == "" {
			want = "60 customers read, 60 kept, 0 left out, 33.3 % positive"
		}
		if (err == nil) != (c.want == "") || !strings.Contains(string(out), want) {
			t.Errorf("%q: %v: %s", c.flags, err, out)
		}
	}
}

// Outcomes may be in a Parquet file.
func TestOutcomesInParquet(t *testing.T) {
	type outcome struct {
		ID    string `parquet:"request_id"`
		Churn int64  `parquet:"churn"`
	}
	bin, dir := programs.Build(t), t.TempDir()
	run := func(program string, args ...string) string {
		t.Helper()
		out, err := exec.Command(filepath.Join(bin, program), append([]string{"--dir", dir}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s %q: %v: %s", program, args, err, out)
		}
		return string(out)
	}
	run("generate", "--rows", "1000")
	run("prepare")
	run("train", "--gate-f1", "0")
	log, path := filepath.Join(dir, "logs", "predictions.log"), filepath.Join(dir, "outcomes.parquet")
	run("serve", "--score", filepath.Join(dir, "data", "raw.csv"), "--log", log, "--out", filepath.Join(dir, "list.csv"))
	records, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	var outcomes []outcome
	for i, id := range regexp.MustCompile(`"request_id":"([^"]+)"`).FindAllSubmatch(records, -1) {
		outcomes = append(outcomes, outcome{string(id[1]), int64(i % 2)})
	}
	if err := parquet.WriteFile(path, outcomes); err != nil {
		t.Fatal(err)
	}
	out, _ := exec.Command(filepath.Join(bin, "drift"), "--dir", dir, "--labels", path, "--last", "0").CombinedOutput()
	if !strings.Contains(string(out), "outcomes.parquet: 1000, of these 1000 scored by the current model") {
		t.Errorf("%s", out)
	}
}

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"churn/internal/dataset"
	"churn/internal/predlog"
	"churn/internal/status"
	"churn/internal/testing/fuzzing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// FuzzTrainStats: whatever train_stats.json and the log contain, drift prints valid
// JSON and text, or an error.
func FuzzTrainStats(f *testing.F) {
	dir := f.TempDir()
	for _, folder := range []string{"registry", "logs"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o755); err != nil {
			f.Fatal(err)
		}
	}
	var numbers []float64
	var log []byte
	for i := range 40 {
		numbers = append(numbers, float64(i*i%37))
		c := dataset.Value{Text: []string{"a", "b"}[i%2], Level: true, Missing: i%9 == 8}
		r := predlog.Record{ModelVersion: "m.json", Probability: 0.5, Features: []predlog.Feature{
			{Name: "x", Value: dataset.Value{Number: float64(i % 7)}}, {Name: "c", Value: c},
		}}
		log = append(r.Append(log), '\n')
	}
	x := dataset.SummarizeNumbers(numbers)
	c := dataset.Summary{Levels: map[string]int{"a": 30, "b": 5}, Rows: 35, Missing: 5}
	stats, err := json.Marshal(map[string]dataset.Summary{"x": x, "c": c})
	if err != nil {
		f.Fatal(err)
	}
	line := log[:bytes.IndexByte(log, '\n')]
	edit := func(old, new string) {
		changed := strings.Replace(string(stats), old, new, 1)
		if changed == string(stats) {
			f.Fatalf("no %s in %s", old, stats)
		}
		f.Add([]byte(changed), line)
	}
	f.Add(stats, line)
	f.Add(stats, bytes.Replace(line, []byte(`"x":0`), []byte(`"x":1e100`), 1))
	f.Add([]byte(`{"x":{"mean":3,"std":2}}`), line) // as the reference lab writes it
	f.Add([]byte(`{"x":{"mean":1e300,"std":1e-300}}`), line)
	f.Add([]byte(`{"x":{},"c":null}`), line)
	edit(`"cuts":[`, `"cuts":[50,`)
	edit(`"counts":[`, `"counts":[1,`)
	edit(`"counts":[`, `"counts":[-1,`)
	edit(`"rows":40`, `"rows":9223372036854775807`)
	edit(`"b":5`, `"b":-5`)
	edit(fmt.Sprintf(`"std":%.3f`, x.Numbers.Std)[:9], `"std":1e-300,"old":1`)
	edit(`"c":`, `"c\u001b[31m\n":`)
	path := filepath.Join(dir, "registry", "train_stats.json")
	f.Fuzz(func(t *testing.T, stats, line []byte) {
		defer fuzzing.Watch()()
		text := append(append(bytes.Clone(log), line...), '\n')
		logs := filepath.Join(dir, "logs", "predictions.log")
		if err := errors.Join(os.WriteFile(path, stats, 0o644), os.WriteFile(logs, text, 0o644)); err != nil {
			t.Fatal(err)
		}
		for _, format := range []string{"--json", "--json=false"} {
			cmd := command()
			var stdout bytes.Buffer
			cmd.SetOut(&stdout)
			cmd.SetErr(io.Discard)
			cmd.SilenceErrors, cmd.SilenceUsage = true, true
			cmd.SetArgs([]string{"--dir", dir, format, "--last", "0", "--windows", "2"})
			err := cmd.ExecuteContext(t.Context())
			if err != nil && strings.ContainsAny(err.Error(), "\x00\x1b\r") {
				t.Fatalf("%s: the error %q is not printable", stats, err)
			}
			if err != nil && !errors.Is(err, status.ErrRejected) {
				if stdout.Len() > 0 {
					t.Fatalf("%s: output beside the error %v: %s", stats, err, stdout.Bytes())
				}
				continue
			}
			if format == "--json" && !jsontext.Value(stdout.Bytes()).IsValid() {
				t.Fatalf("%s: the output is not JSON: %s", stats, stdout.Bytes())
			}
			unprintable := bytes.ContainsAny(stdout.Bytes(), "\x00\x1b\r") || bytes.Contains(stdout.Bytes(), []byte("NaN"))
			if format != "--json" && unprintable {
				t.Fatalf("%s: the output is not printable: %s", stats, stdout.Bytes())
			}
		}
	})
}

package hostile_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"churn/internal/testing/programs"
)

// wide returns customers with a number of columns.
func wide(columns, rows int) string {
	var b strings.Builder
	for j := range columns {
		fmt.Fprintf(&b, "c%d,", j)
	}
	b.WriteString("churn\n")
	for i := range rows {
		for j := range columns {
			fmt.Fprintf(&b, "%d,", (i+j)%5)
		}
		fmt.Fprintf(&b, "%d\n", i%2)
	}
	return b.String()
}

// TestColumns has prepare read wide files: its time is linear in columns, and too many are refused.
// It measures processor time, which other work on the machine does not change.
func TestColumns(t *testing.T) {
	if programs.RaceDetector {
		t.Skip("it measures time: make test runs it")
	}
	l := programs.EmptyLoop(t, programs.Build(t))
	prepare := func(columns int) time.Duration {
		programs.WriteFile(t, l.Path("wide.csv"), wide(columns, 20))
		cmd := l.Command("prepare", "--in", l.Path("wide.csv"), "--target", "churn")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "not checked: collinear numbers") ||
			!strings.Contains(string(out), fmt.Sprintf("\n%d more columns: ", columns-1000)) {
			t.Fatalf("%v: %.300s", err, out)
		}
		return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	few, many := prepare(10_000), prepare(80_000)
	t.Logf("10,000 columns: %v of processor time, 80,000: %v", few, many)
	if many > 24*few {
		t.Errorf("8 times the columns take %.0f times the time", float64(many)/float64(few))
	}
	if status, _, err := l.Exec("train"); status != 2 || !strings.Contains(err.Error(), "80000 features, at most 5000") {
		t.Errorf("train of 80,000 columns: status %d, %v", status, err)
	}
	programs.WriteFile(t, l.Path("wide.csv"), wide(200_000, 1))
	out, err := l.Command("prepare", "--in", l.Path("wide.csv"), "--target", "churn").CombinedOutput()
	if want := "200001 columns, at most 150000 are read"; err == nil || !strings.Contains(string(out), want) {
		t.Errorf("%v: %.300s, want %q", err, out, want)
	}
}

package database_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"churn/internal/testing/postgres"
	"churn/internal/testing/programs"

	"github.com/jackc/pgx/v5"
)

// A run has the time and resources of one program.
type run struct {
	took    time.Duration
	memory  int // largest, in bytes
	queries int
	workers int // largest number of parallel workers of the server at once
}

// testScale trains on the same customers from a CSV file and from a table, and compares
// time, memory and weights. CHURN_WAREHOUSE_ROWS sets their number.
func testScale(t *testing.T, bin string, c *postgres.Cluster, db string) {
	rows := programs.EnvCount(t, "CHURN_WAREHOUSE_ROWS", 20_000)
	l := programs.EmptyLoop(t, bin)
	l.Run("generate", "--rows", fmt.Sprint(rows))
	from := storeInTable(l, c, db)
	c.Exec(t, db, "ALTER TABLE customers ADD PRIMARY KEY (id)")
	c.Exec(t, db, "VACUUM ANALYZE customers")
	exported := export(t, c.URL(db))
	file := programs.EmptyLoop(t, bin)
	file.Dir = l.Dir
	table := programs.EmptyLoop(t, bin)
	var out bytes.Buffer
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%d rows\tfile\tmemory\ttable\tmemory\tqueries\tworkers\t\n", rows)
	for _, step := range []struct {
		name             string
		args, onlyTables []string
	}{
		{"prepare", nil, []string{"--key", "id"}},
		{"train", []string{"--gate-f1", "0", "--test-size", "0"}, nil},
		{"train", []string{"--gate-f1", "0"}, nil},
		{"evaluate", []string{"--gate-f1", "0", "--terms", "line"}, nil},
		{"evaluate", []string{"--gate-f1", "0"}, nil},
	} {
		if step.name != "prepare" {
			step.onlyTables = []string{"--memory", "1"} // else a small table is fetched
		}
		a := measure(t, c, db, file, step.name, step.args...)
		b := measure(t, c, db, table, step.name, append(append(step.args, from...), step.onlyTables...)...)
		fmt.Fprintf(w, "%s\t%v\t%d MB\t%v\t%d MB\t%d\t%d\t\n", strings.Join(append([]string{step.name}, step.args...), " "),
			a.took.Round(10*time.Millisecond), a.memory>>20, b.took.Round(10*time.Millisecond), b.memory>>20, b.queries,
			b.workers)
		most := 60 << 20
		if step.name == "evaluate" && len(step.args) == 2 {
			most = 120 << 20 // terms are chosen on a sample of 50,000 rows
		}
		if b.memory > most && !programs.RaceDetector {
			t.Errorf("%s took %d bytes of memory for a table", step.name, b.memory)
		}
		if rows >= 1_000_000 && step.name == "train" && b.workers < 2 {
			t.Errorf("%s used %d workers of the server", step.name, b.workers)
		}
		if slices.Contains(step.args, "--test-size") { // both are trained on all rows
			compareWeights(t, file, table)
		}
	}
	fmt.Fprintf(w, "exporting the table to a file\t%v\t\t\t\t\t\t\n", exported.Round(10*time.Millisecond))
	w.Flush()
	t.Logf("\n%s", &out)
}

// export copies the table to a CSV file and returns the time that it takes.
func export(t *testing.T, url string) time.Duration {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	f, err := os.Create(filepath.Join(t.TempDir(), "customers.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	began := time.Now()
	if _, err := conn.PgConn().CopyTo(t.Context(), f, "COPY customers TO STDOUT (FORMAT csv, HEADER)"); err != nil {
		t.Fatal(err)
	}
	return time.Since(began)
}

// measure runs a program on a loop's folder and measures it.
func measure(t *testing.T, c *postgres.Cluster, db string, l *programs.Loop, program string, args ...string) (r run) {
	t.Helper()
	queries := func() int { return strings.Count(c.Log(t), "execute ") }
	before := queries()
	ctx, stop := context.WithCancel(t.Context())
	workers := make(chan int)
	go func() { workers <- watchWorkers(ctx, t, c.URL(db)) }()
	cmd := l.Command(program, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	peak := make(chan int)
	go func() { peak <- watchMemory(ctx, cmd.Process.Pid) }()
	err := cmd.Wait()
	r.took = time.Since(began)
	stop()
	r.workers, r.memory = <-workers, <-peak
	if status := cmd.ProcessState.ExitCode(); status != 0 && status != 1 { // 1: a gate may reject the model
		t.Fatalf("%s %q: %v: %s", program, args, err, &stderr)
	}
	r.queries = queries() - before
	return r
}

// watchMemory returns the largest memory of a process from /proc. The maximum in rusage
// would include that of the parent before the exec.
func watchMemory(ctx context.Context, pid int) (most int) {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return most
		case <-tick.C:
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			_, rest, found := strings.Cut(string(status), "VmHWM:")
			var kilobytes int
			if _, scanErr := fmt.Sscan(rest, &kilobytes); err == nil && found && scanErr == nil {
				most = max(most, kilobytes<<10)
			}
		}
	}
}

// watchWorkers returns the largest number of parallel workers of a server at once.
func watchWorkers(ctx context.Context, t *testing.T, url string) (most int) {
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer conn.Close(context.Background())
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return most
		case <-tick.C:
			var n int
			if err := conn.QueryRow(ctx,
				"/* watching */ SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'parallel worker'",
				pgx.QueryExecModeSimpleProtocol).Scan(&n); err == nil {
				most = max(most, n)
			}
		}
	}
}

// compareWeights compares the weights of the current models of two loops.
func compareWeights(t *testing.T, a, b *programs.Loop) {
	t.Helper()
	read := func(l *programs.Loop) (m struct {
		Intercept float64
		Weights   map[string]float64
		Training  struct{ Rows int }
	}) {
		if err := json.Unmarshal([]byte(programs.ReadFile(t, l.Path("models/"+l.Current()))), &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	file, table := read(a), read(b)
	worst := math.Abs(file.Intercept - table.Intercept)
	for name, w := range file.Weights {
		worst = max(worst, math.Abs(w-table.Weights[name]))
	}
	if len(file.Weights) != len(table.Weights) || file.Training.Rows != table.Training.Rows || !(worst <= 1e-6) {
		t.Errorf("from a file %+v, from a table %+v", file, table)
	}
	t.Logf("%d rows: no weight differs by more than %.1g", table.Training.Rows, worst)
}

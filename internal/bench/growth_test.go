package bench

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"churn/internal/testing/need"
	"churn/internal/testing/postgres"
	"churn/internal/testing/programs"
)

const columnRows = 5000 // of files and tables of many columns

// A source is where prepare, train and evaluate find rows.
type source struct {
	name          string
	rows, columns int // at most
	// load takes the rows of a file and returns the flags that name them, of prepare and of the others.
	load func(t *testing.T, raw string) (prepare, others []string)
}

// A growth measures how time and memory of the steps grow with rows and columns.
type growth struct {
	*testing.T
	bin  string
	out  *strings.Builder // the file of points
	last map[string]point // by step and what grows
}

// A point is what a step takes for x rows or columns.
type point struct {
	x int
	sample
}

// TestGrowth is make growth: it measures the steps with lines, from 1,000 rows and from 5 columns on,
// prints how their cost grows, and writes docs/pictures/growth.csv, which TestPicture of package growth
// draws. A further source is one more entry in its list.
//
// The environment may set MAX_ROWS (10000000) and MAX_COLUMNS (500) of files, MAX_TABLE_ROWS (1000000)
// and MAX_TABLE_COLUMNS (50) of a table in PostgreSQL, and BIN, the folder of the binaries (bin).
func TestGrowth(t *testing.T) {
	if os.Getenv("CHURN_GROWTH") == "" {
		t.Skip("make growth runs it")
	}
	t.Chdir(filepath.Join("..", ".."))
	out := new(strings.Builder)
	fmt.Fprintln(out, "source,step,against,x,seconds,bytes")
	fmt.Printf("%s, %d cores, %s/%s, %s; columns of numbers: of %d rows\n", time.Now().Format(time.DateOnly),
		runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), columnRows)
	for _, s := range []source{
		{"file", programs.EnvCount(t, "MAX_ROWS", 10_000_000), programs.EnvCount(t, "MAX_COLUMNS", 500),
			func(_ *testing.T, raw string) (prepare, others []string) { return []string{"--in", raw}, nil }},
		{"PostgreSQL", programs.EnvCount(t, "MAX_TABLE_ROWS", 1_000_000), programs.EnvCount(t, "MAX_TABLE_COLUMNS", 50),
			loadTable},
	} {
		t.Run(s.name, func(t *testing.T) {
			g := &growth{t, setting("BIN", "bin"), out, map[string]point{}}
			fmt.Printf("\n%-10s %-9s %-8s %10s %9s %7s %7s   %s\n", "source", "step", "against", "at most", "seconds", "MB",
				"slopes", "the last one's cost, each")
			g.measure(s)
		})
	}
	need.NoError(t, os.WriteFile(filepath.Join("docs", "pictures", "growth.csv"), []byte(out.String()), 0o644))
}

// measure measures all steps by rows, and those that read by columns.
func (g *growth) measure(s source) {
	for rows := 1000; rows <= s.rows; rows *= 10 {
		dir := g.TempDir()
		args := []string{"--dir", dir, "--rows", strconv.Itoa(rows)}
		if generated := g.time(command{path: filepath.Join(g.bin, "generate"), args: args}); s.name == "file" {
			g.add(s, "generate", "rows", point{rows, generated}, 10*rows > s.rows)
		}
		g.steps(s, dir, filepath.Join(dir, "data", "raw.csv"), "rows", rows, 10*rows > s.rows)
		need.NoError(g, os.RemoveAll(dir)) // gigabytes
	}
	counts := []int{5, 20, 50, 100, 200, 500}
	for i, columns := range counts {
		if columns > s.columns {
			break
		}
		raw := filepath.Join(g.TempDir(), "raw.csv")
		need.NoError(g, writeNumbers(raw, columnRows, columns))
		g.steps(s, filepath.Dir(raw), raw, "columns", columns, i+1 == len(counts) || counts[i+1] > s.columns)
	}
}

// steps measures prepare, train and evaluate.
func (g *growth) steps(s source, dir, raw, against string, x int, last bool) {
	prepare, others := s.load(g.T, raw)
	if against == "columns" {
		prepare = append(prepare, "--target", "churn")
	}
	for _, step := range []string{"prepare", "train", "evaluate"} {
		args := append([]string{"--dir", dir}, prepare...)
		if step != "prepare" {
			args = append([]string{"--dir", dir, "--gate-f1", "0", "--terms", "line"}, others...)
		}
		c := command{path: filepath.Join(g.bin, step), args: args, mayReject: true} // of 1,000 rows little is learned
		g.add(s, step, against, point{x, g.time(c)}, last)
	}
}

// time returns the median time and the highest peak of five runs of a command, of one if that
// takes seconds.
func (g *growth) time(c command) sample {
	all, err := inTurn(g.Context(), 1, []command{c})
	need.NoError(g, err)
	if all[0].wall() < time.Second {
		all, err = inTurn(g.Context(), 5, []command{c})
		need.NoError(g, err)
	}
	return sample{all[0].wall(), all[0].peak()}
}

// add writes a point, and for the last one prints the slopes of time and memory in logarithms since
// the point before, and what each row or column more costs.
func (g *growth) add(s source, step, against string, p point, last bool) {
	fmt.Fprintf(g.out, "%s,%s,%s,%d,%.4f,%d\n", s.name, step, against, p.x, p.wall.Seconds(), p.peak)
	before := g.last[step+against]
	g.last[step+against] = p
	if !last || before.x == 0 {
		return
	}
	slope := func(y, z float64) float64 { return math.Log(y/z) / math.Log(float64(p.x)/float64(before.x)) }
	more := float64(p.x - before.x)
	fmt.Printf("%-10s %-9s %-8s %10d %9.3f %7s %3.1f %3.1f   %.3g µs, %.3g bytes\n", s.name, step, against, p.x,
		p.wall.Seconds(), mb(p.peak), slope(float64(p.wall), float64(before.wall)),
		slope(float64(p.peak), float64(before.peak)), (p.wall-before.wall).Seconds()*1e6/more,
		float64(p.peak-before.peak)/more)
}

// loadTable copies a file into a table of a PostgreSQL of its own, with an id. Without PostgreSQL it
// skips the test.
func loadTable(t *testing.T, raw string) (prepare, others []string) {
	c := postgres.Shared(t)
	db := c.CreateDatabase(t)
	f, err := os.Open(raw)
	need.NoError(t, err)
	defer f.Close()
	header, _, err := bufio.NewReader(f).ReadLine()
	need.NoError(t, err)
	_, err = f.Seek(0, 0)
	need.NoError(t, err)
	var columns []string
	for _, name := range strings.Split(string(header), ",") {
		kind := "double precision"
		switch name {
		case "tenure_months", "num_complaints", "churn":
			kind = "integer"
		case "plan_type", "region":
			kind = "text"
		}
		columns = append(columns, name+" "+kind)
	}
	c.Exec(t, db, "CREATE TABLE customers ("+strings.Join(columns, ", ")+")")
	c.Copy(t, db, "customers", f)
	c.Exec(t, db, "ALTER TABLE customers ADD id bigint GENERATED ALWAYS AS IDENTITY")
	c.Exec(t, db, "VACUUM ANALYZE customers")
	others = []string{"--from", c.URL(db), "--table", "customers"}
	return append([]string{"--key", "id"}, others...), others
}

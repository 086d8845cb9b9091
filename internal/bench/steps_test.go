package bench

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"
)

const (
	targetRows = 1_000_000 // that the required ratios apply to
	smallRows  = 1200      // generate's default
	maxMB      = 150       // of generate, prepare and drift, for any number of rows
	rowBytes   = 40        // that train and evaluate may use in addition, per row
	maxStart   = 15        // ms
	maxTail    = 50        // ms, for the last records of a long log
)

var binaries = []string{"generate", "prepare", "train", "evaluate", "serve", "drift", "rollback"}

// TestSteps is make bench: it measures the binaries against pandas with scikit-learn, polars, DuckDB,
// glum, interpret-core and LightGBM, as whole processes on the same files, alternating, and prints
// medians. The peers run steps_peer.py, prepare_*.py and terms_peer.py.
//
// The environment may set ROWS (1000000, from which those of the other shapes follow), ROUNDS (5; at
// most 3 of the other shapes), LARGE_ROUNDS (1, of 2,000,000 rows of numbers; 0: none), LOG_GB (1),
// PYTHON (python3), CHURN_TELCO_CSV, and BIN, the folder of the binaries (bin).
func TestSteps(t *testing.T) {
	if os.Getenv("CHURN_BENCH") == "" {
		t.Skip("make bench runs it")
	}
	t.Chdir(filepath.Join("..", ".."))
	if err := run(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A bench is one run of all measurements.
type bench struct {
	ctx                 context.Context
	rows, rounds, logGB int
	largeRounds         int
	bin                 string
	peers               peers
	dir                 string // of the binaries: data, registry, models, logs
	peerDir             string // where the peers write
	lines               []line
}

func run(ctx context.Context) error {
	b := &bench{ctx: ctx, bin: setting("BIN", "bin")}
	for _, n := range []struct {
		at     *int
		name   string
		preset string
		least  int
	}{{&b.rows, "ROWS", strconv.Itoa(targetRows), 1}, {&b.rounds, "ROUNDS", "5", 1},
		{&b.largeRounds, "LARGE_ROUNDS", "1", 0}, {&b.logGB, "LOG_GB", "1", 1}} {
		var err error
		if *n.at, err = strconv.Atoi(setting(n.name, n.preset)); err != nil || *n.at < n.least {
			return fmt.Errorf("%s=%q: expected a whole number of at least %d", n.name, os.Getenv(n.name), n.least)
		}
	}
	temp, err := os.MkdirTemp("", "churn-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	b.dir, b.peerDir = filepath.Join(temp, "ours"), filepath.Join(temp, "peer")
	b.peers = findPeers(ctx, setting("PYTHON", "python3"))
	fmt.Printf("%s, %d rows, medians of %d, %d cores, %s/%s; ours: %s;\npeers: %s\n", time.Now().Format(time.DateOnly),
		b.rows, b.rounds, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), b.peers.versions)
	if b.rows != targetRows {
		fmt.Printf("no required ratios for the steps: they apply to %d rows\n", targetRows)
	}
	shapes, err := b.shapes(temp)
	if err != nil {
		return err
	}
	steps := []func() error{b.generate}
	for _, s := range shapes {
		steps = append(steps, func() error { return b.measure(s) })
	}
	for _, step := range append(steps, b.terms, b.drift, b.tail, b.chain, b.start) {
		if err := step(); err != nil {
			return err
		}
	}
	fmt.Print("\n\n")
	printTable(b.lines)
	fmt.Println("\nchecks")
	return b.checks(temp, shapes)
}

// add adds a line to the table, and shows where the measurements are.
func (b *bench) add(shape, step, peer string, ours, theirs series, l limits) {
	last := line{shape: "-"}
	if len(b.lines) > 0 {
		last = b.lines[len(b.lines)-1]
	}
	if last.shape != shape {
		fmt.Printf("\nmeasured %s;", cmp.Or(shape, "without peers"))
	}
	if last.shape != shape || last.step != step {
		fmt.Printf(" %s", step)
	}
	b.lines = append(b.lines, line{shape, step, peer, ours, theirs, l})
}

func setting(name, preset string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return preset
}

// ratio returns the required ratio, 0 for none unless there are targetRows rows.
func (b *bench) ratio(times float64) float64 {
	if b.rows != targetRows {
		return 0
	}
	return times
}

// ours returns a command that runs a binary on the common folder.
func (b *bench) ours(name string, args ...string) *command {
	return &command{
		path:      filepath.Join(b.bin, name),
		args:      append([]string{"--dir", b.dir}, args...),
		mayReject: name == "drift",
	}
}

func (b *bench) raw() string { return filepath.Join(b.dir, "data", "raw.csv") }

// lab is the shape of the customers of generate, as the table names it.
func (b *bench) lab() string { return fmt.Sprintf("lab: %d x 5", b.rows) }

func (b *bench) generate() error {
	rows := strconv.Itoa(b.rows)
	return b.against("generate", limits{ratio: b.ratio(15), mb: maxMB}, b.ours("generate", "--rows", rows),
		b.peers.step("generate", rows, b.peerDir))
}

func (b *bench) drift() error {
	if err := writeLog(b.ctx, b.dir); err != nil {
		return err
	}
	return b.against("drift --last 0", limits{ratio: b.ratio(20), mb: maxMB},
		b.ours("drift", "--last", "0"), b.peers.step("drift", b.dir, "0"))
}

// tail measures reading the end of a long log, that of drift repeated.
func (b *bench) tail() error {
	if err := growLog(b.ctx, b.dir, int64(b.logGB)*1e9); err != nil {
		return err
	}
	return b.alone(fmt.Sprintf("drift, 200 of %d GB", b.logGB), limits{ms: maxTail, mb: maxMB},
		b.ours("drift", "--last", "200"))
}

// chain measures the first four steps in sequence, at the size of the reference lab.
func (b *bench) chain() error {
	dir, peerDir := b.dir+"-small", b.peerDir+"-small"
	var ours, peer []command
	for _, step := range binaries[:4] {
		c := command{path: filepath.Join(b.bin, step), args: []string{"--dir", dir}}
		if step == "train" || step == "evaluate" {
			c.args = append(c.args, "--gate-f1", "0")
		}
		ours = append(ours, c)
	}
	if b.peers.found["pandas"] {
		raw, processed := filepath.Join(peerDir, "data", "raw.csv"), filepath.Join(peerDir, "data", "processed.csv")
		peer = []command{
			*b.peers.step("generate", strconv.Itoa(smallRows), peerDir), *b.peers.step("prepare", raw, peerDir),
			*b.peers.step("train", processed, peerDir, "lbfgs"), *b.peers.step("evaluate", processed, peerDir, "lbfgs"),
		}
	}
	all, err := inTurn(b.ctx, b.rounds, ours, peer)
	if err == nil {
		b.add(fmt.Sprintf("lab: %d x 5", smallRows), "four steps", "pandas", all[0], all[1], limits{ratio: 40})
	}
	return err
}

// start measures the start-up time of each binary.
func (b *bench) start() error {
	for _, name := range binaries {
		help := &command{path: filepath.Join(b.bin, name), args: []string{"--help"}}
		if err := b.alone(name+" --help", limits{ms: maxStart}, help); err != nil {
			return err
		}
	}
	return nil
}

// against measures a step and its peer in pandas, if that is installed.
func (b *bench) against(step string, l limits, ours, peer *command) error {
	all, err := inTurn(b.ctx, b.rounds, chainOf(ours), chainOf(peer))
	if err == nil {
		b.add(b.lab(), step, "pandas", all[0], all[1], l)
	}
	return err
}

func (b *bench) alone(step string, l limits, ours *command) error {
	all, err := inTurn(b.ctx, b.rounds, chainOf(ours))
	if err == nil {
		b.add("", step, "", all[0], nil, l)
	}
	return err
}

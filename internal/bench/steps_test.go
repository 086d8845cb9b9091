package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
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

// TestSteps is make bench: it measures the binaries against pandas with scikit-learn, DuckDB,
// interpret-core and LightGBM, as whole processes on the same files, alternating, and prints
// medians. The peers run steps_peer.py, prepare_duckdb.py and terms_peer.py.
//
// The environment may set ROWS (1000000), ROUNDS (5), LOG_GB (1), PYTHON (python3), and
// BIN, the folder of the binaries (bin).
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
	bin                 string
	peers               peers
	dir                 string // of the binaries: data, registry, models, logs
	peerDir             string // where the peers write
}

func run(ctx context.Context) error {
	b := &bench{ctx: ctx, bin: setting("BIN", "bin")}
	for _, n := range []struct {
		at     *int
		name   string
		preset string
	}{{&b.rows, "ROWS", strconv.Itoa(targetRows)}, {&b.rounds, "ROUNDS", "5"}, {&b.logGB, "LOG_GB", "1"}} {
		var err error
		if *n.at, err = strconv.Atoi(setting(n.name, n.preset)); err != nil || *n.at < 1 {
			return fmt.Errorf("%s=%q: expected a whole number of at least 1", n.name, os.Getenv(n.name))
		}
	}
	temp, err := os.MkdirTemp("", "churn-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	b.dir, b.peerDir = filepath.Join(temp, "ours"), filepath.Join(temp, "peer")
	b.peers = findPeers(ctx, setting("PYTHON", "python3"))
	fmt.Printf("%d rows, medians of %d, %d cores, %s/%s; ours: %s; peers: %s\n", b.rows, b.rounds,
		runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), b.peers.versions)
	if b.rows != targetRows {
		fmt.Printf("no required ratios for the steps: they apply to %d rows\n", targetRows)
	}
	fmt.Println()
	printHeader()
	steps := []func() error{b.generate, b.prepare, b.train, b.evaluate, b.terms, b.wide, b.drift, b.tail, b.chain, b.start}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	fmt.Println("\nchecks")
	return b.checks(temp)
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

func (b *bench) raw() string       { return filepath.Join(b.dir, "data", "raw.csv") }
func (b *bench) processed() string { return filepath.Join(b.dir, "data", "processed.csv") }

func (b *bench) generate() error {
	rows := strconv.Itoa(b.rows)
	return b.against("generate", limits{ratio: b.ratio(15), mb: maxMB}, b.ours("generate", "--rows", rows),
		b.peers.step("generate", rows, b.peerDir))
}

func (b *bench) prepare() error {
	pandas, duck := b.peers.step("prepare", b.raw(), b.peerDir), b.peers.duckdb(b.raw(), b.peerDir+"-duckdb")
	all, err := inTurn(b.ctx, b.rounds, chainOf(b.ours("prepare")), chainOf(pandas), chainOf(duck))
	if err != nil {
		return err
	}
	printLine("prepare", "pandas", all[0], all[1], limits{ratio: b.ratio(25), mb: maxMB})
	printLine("prepare", "duckdb", all[0], all[2], limits{ratio: b.ratio(4), mb: maxMB})
	return nil
}

func (b *bench) train() error    { return b.fit("train", 18) }
func (b *bench) evaluate() error { return b.fit("evaluate", 30) }

// fit measures a step that fits lines against both solvers. The ratio is required of the faster.
func (b *bench) fit(step string, ratio float64) error {
	solvers := []string{"lbfgs", "newton-cholesky"}
	all, err := inTurn(b.ctx, b.rounds, chainOf(b.ours(step, "--gate-f1", "0", "--terms", "line")),
		chainOf(b.peers.step(step, b.processed(), b.peerDir, solvers[0])),
		chainOf(b.peers.step(step, b.processed(), b.peerDir, solvers[1])))
	if err != nil {
		return err
	}
	faster := 0
	if all[2] != nil && all[2].wall < all[1].wall {
		faster = 1
	}
	for i, solver := range solvers {
		l := limits{mb: maxMB + float64(rowBytes*b.rows)/1e6}
		if i == faster {
			l.ratio = b.ratio(ratio)
		}
		printLine(step, solver, all[0], all[i+1], l)
	}
	return nil
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
	if b.peers.pandas {
		raw, processed := filepath.Join(peerDir, "data", "raw.csv"), filepath.Join(peerDir, "data", "processed.csv")
		peer = []command{
			*b.peers.step("generate", strconv.Itoa(smallRows), peerDir), *b.peers.step("prepare", raw, peerDir),
			*b.peers.step("train", processed, peerDir, "lbfgs"), *b.peers.step("evaluate", processed, peerDir, "lbfgs"),
		}
	}
	all, err := inTurn(b.ctx, b.rounds, ours, peer)
	if err == nil {
		printLine(fmt.Sprintf("four steps, %d rows", smallRows), "pandas", all[0], all[1], limits{ratio: 40})
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
		printLine(step, "pandas", all[0], all[1], l)
	}
	return err
}

func (b *bench) alone(step string, l limits, ours *command) error {
	all, err := inTurn(b.ctx, b.rounds, chainOf(ours))
	if err == nil {
		printLine(step, "", all[0], nil, l)
	}
	return err
}

// Steps measures the binaries against pandas with scikit-learn and against
// DuckDB, as whole processes on the same files, in turn, and prints medians. It
// is the larger part of make bench; what each peer runs is in steps_peer.py and
// prepare_duckdb.py, next door.
//
// The environment may set ROWS (1000000), ROUNDS (5), LOG_GB (1), PYTHON
// (python3), and BIN, the folder of the binaries (bin).
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
)

const (
	targetRows = 1_000_000 // what the ratios to reach were set for
	smallRows  = 1200      // generate's default
	mostMB     = 150       // of generate, prepare and drift, whatever the rows
	bytesARow  = 40        // that train and evaluate may use beside it
	mostStart  = 15        // ms
	mostTail   = 50        // ms, for the last records of a long log
)

var binaries = []string{"generate", "prepare", "train", "evaluate", "serve", "drift", "rollback"}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
}

// bench is one run of all measurements.
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
		at    *int
		name  string
		usual string
	}{{&b.rows, "ROWS", strconv.Itoa(targetRows)}, {&b.rounds, "ROUNDS", "5"}, {&b.logGB, "LOG_GB", "1"}} {
		var err error
		if *n.at, err = strconv.Atoi(setting(n.name, n.usual)); err != nil || *n.at < 1 {
			return fmt.Errorf("%s=%q: a whole number, at least 1", n.name, os.Getenv(n.name))
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
		fmt.Printf("no ratio to reach for the steps: those are for %d rows\n", targetRows)
	}
	fmt.Println()
	printHeader()
	for _, step := range []func() error{b.generate, b.prepare, b.train, b.evaluate, b.drift, b.tail, b.chain, b.start} {
		if err := step(); err != nil {
			return err
		}
	}
	fmt.Println("\nchecks")
	return b.checks(temp)
}

func setting(name, usual string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return usual
}

// ratio returns the ratio to reach, none for other rows than it was set for.
func (b *bench) ratio(times float64) float64 {
	if b.rows != targetRows {
		return 0
	}
	return times
}

// ours is a command of a binary on the common folder.
func (b *bench) ours(name string, args ...string) *command {
	return &command{path: filepath.Join(b.bin, name), args: append([]string{"--dir", b.dir}, args...), mayAnswerNo: name == "drift"}
}

func (b *bench) raw() string       { return filepath.Join(b.dir, "data", "raw.csv") }
func (b *bench) processed() string { return filepath.Join(b.dir, "data", "processed.csv") }

func (b *bench) generate() error {
	rows := strconv.Itoa(b.rows)
	return b.against("generate", limits{ratio: b.ratio(15), mb: mostMB}, b.ours("generate", "--rows", rows),
		b.peers.step("generate", rows, b.peerDir))
}

func (b *bench) prepare() error {
	pandas, duck := b.peers.step("prepare", b.raw(), b.peerDir), b.peers.duckdb(b.raw(), b.peerDir+"-duckdb")
	all, err := inTurn(b.ctx, b.rounds, chainOf(b.ours("prepare")), chainOf(pandas), chainOf(duck))
	if err != nil {
		return err
	}
	printLine("prepare", "pandas", all[0], all[1], limits{ratio: b.ratio(25), mb: mostMB})
	printLine("prepare", "duckdb", all[0], all[2], limits{ratio: b.ratio(4), mb: mostMB})
	return nil
}

func (b *bench) train() error    { return b.fit("train", 18) }
func (b *bench) evaluate() error { return b.fit("evaluate", 30) }

// fit measures a step that fits models, against both solvers. The faster is the one to beat.
func (b *bench) fit(step string, ratio float64) error {
	solvers := []string{"lbfgs", "newton-cholesky"}
	all, err := inTurn(b.ctx, b.rounds, chainOf(b.ours(step, "--gate-f1", "0")),
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
		l := limits{mb: mostMB + float64(bytesARow*b.rows)/1e6}
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
	return b.against("drift --last 0", limits{ratio: b.ratio(20), mb: mostMB}, b.ours("drift", "--last", "0"), b.peers.step("drift", b.dir, "0"))
}

// tail measures the end of a long log. The log is the one of drift, over and over.
func (b *bench) tail() error {
	if err := growLog(b.ctx, b.dir, int64(b.logGB)*1e9); err != nil {
		return err
	}
	return b.alone(fmt.Sprintf("drift, 200 of %d GB", b.logGB), limits{ms: mostTail, mb: mostMB}, b.ours("drift", "--last", "200"))
}

// chain measures the four steps at the size of the lab, one after the other.
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
		printLine(fmt.Sprintf("the four, %d rows", smallRows), "pandas", all[0], all[1], limits{ratio: 40})
	}
	return err
}

// start measures how long each binary takes to come up.
func (b *bench) start() error {
	for _, name := range binaries {
		if err := b.alone(name+" --help", limits{ms: mostStart}, &command{path: filepath.Join(b.bin, name), args: []string{"--help"}}); err != nil {
			return err
		}
	}
	return nil
}

// against measures a step and its peer in pandas, if there is one.
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

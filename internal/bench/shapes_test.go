package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
)

// A shape is a file of some rows and columns, on which prepare, train and evaluate are measured.
type shape struct {
	name        string
	rows        int
	dir         string // of the binaries: data, registry, models, logs
	raw         string
	args        []string // of prepare
	rounds      int
	preparers   []string // libraries to compare prepare with
	asked       map[string]limits
	approximate bool // prepare's deciles and kurtosis
}

var solvers = []string{"lbfgs", "newton-cholesky", "glum"}

// shapes returns the shapes, of which the first has the customers of generate.
func (b *bench) shapes(temp string) ([]shape, error) {
	all := []string{"pandas", "polars", "duckdb"}
	lab := shape{
		name: b.lab(), rows: b.rows, dir: b.dir, raw: b.raw(), rounds: b.rounds,
		preparers: all,
		asked: map[string]limits{
			"prepare": {ratio: b.ratio(20), mb: maxMB},
			"train":   {ratio: b.ratio(15), mb: b.fitMB()}, "evaluate": {ratio: b.ratio(20), mb: b.fitMB()},
		},
	}
	shapes := []shape{lab}
	if path := os.Getenv("CHURN_TELCO_CSV"); path == "" {
		fmt.Println("bench: SKIPPED: telco: CHURN_TELCO_CSV does not name a copy of telco_churn.csv")
	} else {
		times := max(1, b.rows/10_000)
		raw := filepath.Join(temp, "telco", "raw.csv")
		rows, err := repeat(path, raw, times)
		if err != nil {
			return nil, err
		}
		shapes = append(shapes, shape{
			name: fmt.Sprintf("telco x%d: %d x 19", times, rows), rows: rows, dir: filepath.Dir(raw), raw: raw,
			args:   []string{"--target", "Churn", "--positive", "Yes", "--ignore", "customerID"},
			rounds: min(3, b.rounds), preparers: all,
			asked: map[string]limits{"train": {ratio: b.ratio(10)}},
		})
	}
	for _, numbers := range []struct {
		rows, rounds int
		preparers    []string
	}{
		{max(b.rows/5, 1000), min(3, b.rounds), all},
		{2 * b.rows, b.largeRounds, all[1:]}, // pandas takes minutes to write so many numbers
	} {
		if numbers.rounds == 0 {
			fmt.Printf("bench: SKIPPED: %d rows of 20 numbers: LARGE_ROUNDS is 0\n", numbers.rows)
			continue
		}
		dir := filepath.Join(temp, fmt.Sprintf("numbers%d", numbers.rows))
		raw := filepath.Join(dir, "raw.csv")
		if err := writeNumbers(raw, numbers.rows, 20); err != nil {
			return nil, err
		}
		shapes = append(shapes, shape{
			name: fmt.Sprintf("numbers: %d x 20", numbers.rows), rows: numbers.rows, dir: dir, raw: raw,
			args: []string{"--target", "churn"}, rounds: numbers.rounds, preparers: numbers.preparers,
			approximate: true,
			asked: map[string]limits{
				"train": {ratio: b.ratio(5), peer: true}, "evaluate": {ratio: b.ratio(8), peer: true},
			},
		})
	}
	return shapes, nil
}

// fitMB is what train and evaluate may use for the customers of generate.
func (b *bench) fitMB() float64 { return maxMB + float64(rowBytes*b.rows)/1e6 }

func (s shape) peerDir(kind string) string { return s.dir + "-" + kind }
func (s shape) processed() string          { return filepath.Join(s.dir, "data", "processed.csv") }

// program returns a command that runs a binary on the shape's folder.
func (b *bench) program(s shape, name string, args ...string) *command {
	c := &command{path: filepath.Join(b.bin, name), args: append([]string{"--dir", s.dir}, args...)}
	if name == "prepare" {
		c.args = append(append(c.args, "--in", s.raw), s.args...)
	}
	return c
}

// measure measures prepare, train and evaluate, the last two with lines alone, as the peers.
func (b *bench) measure(s shape) error {
	var peers []*command
	for _, kind := range s.preparers {
		peers = append(peers, b.peers.prepare(kind, s.raw, s.peerDir(kind)))
	}
	if _, err := b.compare(s, "prepare", b.program(s, "prepare"), s.preparers, peers); err != nil {
		return err
	}
	faster, err := b.fit(s, "train", solvers)
	if err == nil {
		_, err = b.fit(s, "evaluate", []string{faster}) // glum has no folds
	}
	return err
}

func (b *bench) fit(s shape, step string, solvers []string) (faster string, err error) {
	var peers []*command
	for _, solver := range solvers {
		peers = append(peers, b.peers.step(step, s.processed(), s.peerDir(step), solver))
	}
	return b.compare(s, step, b.program(s, step, "--gate-f1", "0", "--terms", "line"), solvers, peers)
}

// compare runs commands in turn and adds a line for each peer. It returns the fastest one of pandas
// and scikit-learn's solvers: what is asked is asked of that.
func (b *bench) compare(s shape, step string, ours *command, names []string, peers []*command) (string, error) {
	commands := [][]command{chainOf(ours)}
	for _, peer := range peers {
		commands = append(commands, chainOf(peer))
	}
	all, err := inTurn(b.ctx, s.rounds, commands...)
	if err != nil {
		return "", err
	}
	fastest := 0
	for i, name := range names {
		if (name == "lbfgs" || name == "newton-cholesky") && all[i+1] != nil && all[i+1].wall() < all[fastest+1].wall() {
			fastest = i
		}
	}
	for i, name := range names {
		l := s.asked[step]
		if i != fastest {
			l.ratio, l.peer = 0, false
		}
		b.add(s.name, step, name, all[0], all[i+1], l)
	}
	return names[fastest], nil
}

// repeat writes the lines of a file below its header so many times, and returns their number.
func repeat(from, to string, times int) (rows int, err error) {
	text, err := os.ReadFile(from)
	if err != nil {
		return 0, err
	}
	header, lines, _ := bytes.Cut(text, []byte("\n"))
	if len(lines) > 0 && lines[len(lines)-1] != '\n' {
		lines = append(lines, '\n')
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return 0, err
	}
	f, err := os.Create(to)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	fmt.Fprintf(f, "%s\n", header)
	for range times {
		if _, err := f.Write(lines); err != nil {
			return 0, err
		}
	}
	return times * bytes.Count(lines, []byte("\n")), f.Close()
}

// writeNumbers writes rows of numbers with all their digits, of which hardly any repeat. The
// log-odds are a sum of normal numbers, in different units.
func writeNumbers(name string, rows, columns int) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	out, rng := bufio.NewWriter(f), rand.New(rand.NewPCG(1, 2))
	scales, weights := make([]float64, columns), make([]float64, columns)
	for j := range columns {
		scales[j], weights[j] = 0.1+10*rng.ExpFloat64(), rng.NormFloat64()/float64(columns)
		fmt.Fprintf(out, "x%d,", j)
	}
	fmt.Fprintln(out, "churn")
	var line []byte
	for range rows {
		line = line[:0]
		z := -1.0
		for j := range columns {
			x := rng.NormFloat64()
			z += 3 * weights[j] * x
			line = append(strconv.AppendFloat(line, scales[j]*(x+1), 'f', -1, 64), ',')
		}
		churn := byte('0')
		if rng.Float64() < 1/(1+math.Exp(-z)) {
			churn = '1'
		}
		out.Write(append(line, churn, '\n'))
	}
	return errors.Join(out.Flush(), f.Close())
}

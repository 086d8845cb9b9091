package bench

import (
	"bufio"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
)

const (
	wideRows  = 200_000 // at most
	timesWide = 5       // as fast as pandas with scikit-learn reads and fits, in no more memory than that takes
)

// wide measures many columns of numbers with all their digits, of which hardly any repeat. The peer
// reads the same file and fits the same lines; unlike train it holds out, evaluates and writes nothing.
func (b *bench) wide() error {
	rows := min(wideRows, b.rows)
	for _, columns := range []int{20, 50} {
		dir := fmt.Sprintf("%s-wide%d", b.dir, columns)
		raw := filepath.Join(dir, "raw.csv")
		if err := writeWide(raw, rows, columns); err != nil {
			return err
		}
		prepare := command{path: filepath.Join(b.bin, "prepare"),
			args: []string{"--dir", dir, "--in", raw, "--target", "churn"}}
		train := command{path: filepath.Join(b.bin, "train"), args: []string{"--dir", dir}}
		all, err := inTurn(b.ctx, b.rounds, chainOf(&prepare), chainOf(&train), chainOf(b.peers.step("wide", raw)))
		if err != nil {
			return err
		}
		size := fmt.Sprintf("%dk x %d", rows/1000, columns)
		printLine("prepare "+size, "", all[0], nil, limits{})
		l := limits{ratio: b.ratio(timesWide)}
		if all[2] != nil {
			l.mb = float64(all[2].peak) / 1e6
		}
		printLine("train "+size, "pandas", all[1], all[2], l)
	}
	return nil
}

// writeWide writes rows whose log-odds are a sum of normal numbers, in different units.
func writeWide(name string, rows, columns int) error {
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

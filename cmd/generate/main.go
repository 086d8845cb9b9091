// Generate writes synthetic customers to a CSV file.
package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"churn/internal/atomicfile"
	"churn/internal/cli"
	"churn/internal/progress"

	"github.com/spf13/cobra"
)

func main() { cli.Main(command()) }

type options struct {
	dir, out string
	rows     int
	seed     uint64
	dirty    float64
	shifts   []string
	json     bool
}

func command() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "generate",
		Short: "Write synthetic customers to a CSV file",
		Long: `Generate draws customers from a population whose churn follows a known logistic
model and writes them to data/raw.csv. The same seed gives the same bytes.`,
		Example: `  generate --rows 5000 --seed 7
  generate --dirty 0.05                 with cells that need cleaning
  generate --shift avg_session_minutes=6 --shift region=AF:0.6 --out data/shifted.csv`,
		Args: cobra.ExactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error { return generate(cmd, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.dir, "dir", ".", "`folder` that holds data, registry, models and logs")
	f.StringVar(&o.out, "out", "", "`file` to write (default DIR/data/raw.csv)")
	f.IntVar(&o.rows, "rows", 1200, "number of customers, at least 1")
	f.Uint64Var(&o.seed, "seed", 42, "seed of the random numbers")
	f.Float64Var(&o.dirty, "dirty", 0, "`fraction` of feature cells to corrupt, 0 to 1: "+
		"a quarter become blank, the rest get extra spaces, another letter case or a minus sign")
	f.StringArrayVar(&o.shifts, "shift", nil,
		"drift to simulate, `FEATURE=AMOUNT` in the column's unit or FEATURE=LEVEL:FREQUENCY; repeatable")
	f.BoolVar(&o.json, "json", false, "print the result as JSON")
	return cmd
}

// result is the output of --json.
type result struct {
	File      string  `json:"file"`
	Rows      int     `json:"rows"`
	Seed      uint64  `json:"seed"`
	ChurnRate float64 `json:"churn_rate"`
	SHA256    string  `json:"sha256"`
}

func generate(cmd *cobra.Command, o options) error {
	if o.rows < 1 {
		return fmt.Errorf("--rows %d: expected at least 1", o.rows)
	}
	if !(o.dirty >= 0 && o.dirty <= 1) {
		return fmt.Errorf("--dirty %g: expected a fraction from 0 to 1", o.dirty)
	}
	p, err := newPopulation(o.shifts)
	if err != nil {
		return err
	}
	o.out = cmp.Or(o.out, filepath.Join(o.dir, "data", "raw.csv"))
	f, err := atomicfile.Create(o.out, 0o660)
	if err != nil {
		return err
	}
	defer f.Abort()
	hash := sha256.New()
	out := atomicfile.NewSpool(f.File)
	bar := progress.Rows(cmd.ErrOrStderr(), "drawing", int64(o.rows))
	churned, err := writeCustomers(cmd.Context(), io.MultiWriter(out, hash), p, o, bar.Set)
	bar.Finish()
	if err := errors.Join(err, out.Wait()); err != nil {
		return err
	}
	if err := f.Commit(); err != nil {
		return err
	}
	r := result{
		File:      o.out,
		Rows:      o.rows,
		Seed:      o.seed,
		ChurnRate: float64(churned) / float64(o.rows),
		SHA256:    hex.EncodeToString(hash.Sum(nil)),
	}
	if o.json {
		return cli.JSON(cmd.OutOrStdout(), r)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "wrote %s: %d customers, %.1f %% churn, seed %d\n",
		r.File, r.Rows, 100*r.ChurnRate, r.Seed)
	return err
}

package bench

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// checks prints whether results are correct, and whether the peers do the same work.
func (b *bench) checks(temp string, shapes []shape) error {
	checks := []func() error{func() error { return b.sameBytes(temp) }, func() error { return b.sameDirtyStats(temp) }}
	for _, s := range shapes {
		checks = append(checks, func() error { return b.sameStats(s) }, func() error { return b.sameF1(s) },
			func() error { return b.sameWeights(s) })
	}
	for _, check := range append(checks, b.similarLogLoss, b.sameDrift) {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// sameBytes generates on one core and compares with the output of all cores.
func (b *bench) sameBytes(temp string) error {
	one := filepath.Join(temp, "one")
	c := command{
		path: filepath.Join(b.bin, "generate"),
		args: []string{"--dir", one, "--rows", strconv.Itoa(b.rows)},
		env:  []string{"GOMAXPROCS=1"},
	}
	if _, _, err := c.run(b.ctx); err != nil {
		return err
	}
	here, err := hash(b.raw())
	if err != nil {
		return err
	}
	there, err := hash(filepath.Join(one, "data", "raw.csv"))
	if err == nil {
		report(here == there, "generate writes the same bytes on one core")
	}
	return err
}

func hash(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return string(h.Sum(nil)), err
}

// sameDirtyStats compares the statistics of customers with corrupted cells.
func (b *bench) sameDirtyStats(temp string) error {
	dir := filepath.Join(temp, "dirty")
	s := shape{
		name: "lab with corrupted cells", dir: dir, raw: filepath.Join(dir, "data", "raw.csv"),
		preparers: []string{"pandas", "polars", "duckdb"},
	}
	commands := []command{*b.program(s, "generate", "--rows", "20000", "--dirty", "0.03"), *b.program(s, "prepare")}
	for _, kind := range s.preparers {
		commands = append(commands, chainOf(b.peers.prepare(kind, s.raw, s.peerDir(kind)))...)
	}
	for _, c := range commands {
		if _, _, err := c.run(b.ctx); err != nil {
			return err
		}
	}
	return b.sameStats(s)
}

// sameStats compares the statistics of all peers.
func (b *bench) sameStats(s shape) error {
	for _, kind := range s.preparers {
		if !b.peers.found[kind] {
			continue
		}
		var stats [2]map[string]map[string]any
		for i, dir := range []string{s.dir, s.peerDir(kind)} {
			text, err := os.ReadFile(filepath.Join(dir, "registry", "train_stats.json"))
			if err != nil {
				return err
			}
			if err := json.Unmarshal(text, &stats[i]); err != nil {
				return fmt.Errorf("%s: %w", dir, err)
			}
		}
		same := len(stats[0]) == len(stats[1])
		for name, ours := range stats[0] {
			theirs := stats[1][name]
			if s.approximate {
				same = same && similar(ours, theirs)
				for _, key := range []string{"cuts", "counts", "kurtosis"} {
					delete(ours, key)
					delete(theirs, key)
				}
			}
			same = same && near(any(ours), any(theirs))
		}
		report(same, s.name+": prepare and "+kind+" find the same statistics")
	}
	return nil
}

// similar reports whether deciles differ by at most a hundredth of the standard deviation, and the
// kurtosis by a hundredth.
func similar(ours, theirs map[string]any) bool {
	within := func(most float64) func(x, y any) bool {
		return func(x, y any) bool { return math.Abs(x.(float64)-y.(float64)) <= most }
	}
	a, _ := ours["cuts"].([]any)
	b, _ := theirs["cuts"].([]any)
	return len(a) > 0 && slices.EqualFunc(a, b, within(ours["std"].(float64)/100)) &&
		within(theirs["kurtosis"].(float64)/100)(ours["kurtosis"], theirs["kurtosis"])
}

// near reports whether two JSON values are equal, numbers to nine digits.
func near(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for k := range a {
			if !near(a[k], b[k]) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, near)
	case float64:
		b, ok := b.(float64)
		return ok && math.Abs(a-b) <= 1e-9*max(1, math.Abs(a))
	}
	return a == b
}

// sameF1 compares the F1 of evaluate and its peer, each on a test set of its own. Both
// tune the threshold.
func (b *bench) sameF1(s shape) error {
	if !b.peers.found["pandas"] {
		return nil
	}
	ours, err := lastF1(s.dir)
	if err != nil {
		return err
	}
	theirs, err := lastF1(s.peerDir("evaluate"))
	if err != nil {
		return err
	}
	tolerance := 4 / math.Sqrt(float64(s.rows)) // about three standard errors: each test set is a quarter of the rows
	report(math.Abs(ours-theirs) <= tolerance,
		fmt.Sprintf("%s: evaluate and scikit-learn have similar F1: %.4f and %.4f", s.name, ours, theirs))
	return nil
}

// lastF1 returns the F1 of the model that was registered last.
func lastF1(dir string) (float64, error) {
	path := filepath.Join(dir, "registry", "metadata.json")
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	var models []struct {
		Metrics struct{ F1 float64 }
	}
	if err := json.Unmarshal(b, &models); err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	if len(models) == 0 {
		return 0, fmt.Errorf("%s: no models", path)
	}
	return models[len(models)-1].Metrics.F1, nil
}

// sameWeights fits all to all rows, since their splits differ.
func (b *bench) sameWeights(s shape) error {
	if s.rows > targetRows { // of numbers, as those of another shape
		return nil
	}
	_, out, err := b.program(s, "train", "--gate-f1", "0", "--test-size", "0", "--json").run(b.ctx)
	if err != nil {
		return err
	}
	var trained struct {
		ModelFile string `json:"model_file"`
	}
	if err := json.Unmarshal(out, &trained); err != nil {
		return err
	}
	for _, solver := range solvers[1:] {
		c := b.peers.step("weights", s.processed(), filepath.Join(s.dir, "models", trained.ModelFile), solver)
		if c == nil {
			continue
		}
		_, out, err := c.run(b.ctx)
		if err != nil {
			return err
		}
		difference, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
		if err != nil {
			return err
		}
		report(difference <= 1e-6, fmt.Sprintf("%s: train and %s find the same weights: largest relative difference %.1e",
			s.name, solver, difference))
	}
	return nil
}

// sameDrift compares the checks on a log of the customers of the small chain. The peer
// has no checks for missing values and unseen levels, of which there are none, and for correlations.
func (b *bench) sameDrift() error {
	if !b.peers.found["pandas"] {
		return nil
	}
	dir := b.dir + "-small"
	if err := writeLog(b.ctx, dir); err != nil {
		return err
	}
	drift := command{
		path:      filepath.Join(b.bin, "drift"),
		args:      []string{"--dir", dir, "--last", "0", "--json"},
		mayReject: true,
	}
	var found [2]any
	for i, c := range []command{drift, *b.peers.step("drift", dir, "0")} {
		_, out, err := c.run(b.ctx)
		if err != nil {
			return err
		}
		if found[i], err = effects(out); err != nil {
			return err
		}
	}
	report(near(found[0], found[1]), "drift and pandas find the same statistics and effects")
	return nil
}

// effects returns the statistic and the effect size by column and kind of check.
func effects(out []byte) (any, error) {
	type check struct {
		Column, Kind      string
		Statistic, Effect float64
	}
	var ours struct{ Checks []check }
	checks := &ours.Checks
	into := any(&ours)
	if bytes.HasPrefix(out, []byte("[")) { // the peer prints the list alone
		into = checks
	}
	if err := json.Unmarshal(out, into); err != nil {
		return nil, err
	}
	found := map[string]any{}
	for _, c := range *checks {
		if c.Kind != "missing" && c.Kind != "unseen" && c.Kind != "correlation" {
			found[c.Column+" "+c.Kind] = []any{c.Statistic, c.Effect}
		}
	}
	return found, nil
}

func report(ok bool, text string) {
	word := "yes"
	if !ok {
		word = "NO"
	}
	fmt.Printf("%-4s%s\n", word, text)
}

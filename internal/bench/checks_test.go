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
func (b *bench) checks(temp string) error {
	checks := []func(string) error{b.sameBytes, b.sameStats, b.sameF1, b.sameWeights, b.similarLogLoss, b.sameDrift}
	for _, check := range checks {
		if err := check(temp); err != nil {
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

// sameStats compares the statistics of all peers, of the clean customers and of
// customers with corrupted cells.
func (b *bench) sameStats(temp string) error {
	dirty := filepath.Join(temp, "dirty")
	peer, duck := dirty+"-peer", dirty+"-duckdb"
	raw := filepath.Join(dirty, "data", "raw.csv")
	commands := []command{
		{path: filepath.Join(b.bin, "generate"), args: []string{"--dir", dirty, "--rows", "20000", "--dirty", "0.03"}},
		{path: filepath.Join(b.bin, "prepare"), args: []string{"--dir", dirty}},
	}
	commands = slices.Concat(commands, chainOf(b.peers.step("prepare", raw, peer)), chainOf(b.peers.duckdb(raw, duck)))
	for _, c := range commands {
		if _, _, err := c.run(b.ctx); err != nil {
			return err
		}
	}
	if b.peers.pandas {
		if err := compareStats("pandas", [2]string{b.dir, b.peerDir}, [2]string{dirty, peer}); err != nil {
			return err
		}
	}
	if b.peers.duckDB {
		return compareStats("duckdb", [2]string{b.dir, b.peerDir + "-duckdb"}, [2]string{dirty, duck})
	}
	return nil
}

func compareStats(name string, pairs ...[2]string) error {
	same := true
	for _, pair := range pairs {
		var stats [2]any
		for i, dir := range pair {
			b, err := os.ReadFile(filepath.Join(dir, "registry", "train_stats.json"))
			if err != nil {
				return err
			}
			if err := json.Unmarshal(b, &stats[i]); err != nil {
				return fmt.Errorf("%s: %w", dir, err)
			}
		}
		same = same && near(stats[0], stats[1])
	}
	report(same, "prepare and "+name+" find the same statistics, in corrupted cells too")
	return nil
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
func (b *bench) sameF1(string) error {
	if !b.peers.pandas {
		return nil
	}
	ours, err := lastF1(b.dir)
	if err != nil {
		return err
	}
	theirs, err := lastF1(b.peerDir)
	if err != nil {
		return err
	}
	tolerance := 4 / math.Sqrt(float64(b.rows)) // about three standard errors: each test set is a quarter of the rows
	report(math.Abs(ours-theirs) <= tolerance,
		fmt.Sprintf("evaluate and scikit-learn have similar F1: %.4f and %.4f", ours, theirs))
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

// sameWeights fits both to all rows, since their splits differ.
func (b *bench) sameWeights(string) error {
	if !b.peers.pandas {
		return nil
	}
	_, out, err := b.ours("train", "--gate-f1", "0", "--test-size", "0", "--json").run(b.ctx)
	if err != nil {
		return err
	}
	var trained struct {
		ModelFile string `json:"model_file"`
	}
	if err := json.Unmarshal(out, &trained); err != nil {
		return err
	}
	_, out, err = b.peers.step("weights", b.processed(), filepath.Join(b.dir, "models", trained.ModelFile)).run(b.ctx)
	if err != nil {
		return err
	}
	difference, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	if err == nil {
		report(difference <= 1e-6,
			fmt.Sprintf("train and scikit-learn find the same weights: largest relative difference %.1e", difference))
	}
	return err
}

// sameDrift compares the checks on a log of the customers of the small chain. The peer
// has no checks for missing values and unseen levels, of which there are none.
func (b *bench) sameDrift(string) error {
	if !b.peers.pandas {
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
		if c.Kind != "missing" && c.Kind != "unseen" {
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

package bench

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	bankRows  = 10_000
	bankMS    = 600 // at most, for evaluate to choose terms and fit
	timesEBM  = 30  // as fast as the explainable boosting machine
	timesLine = 2.5 // as long as lines take, at most, with targetRows
)

// terms measures the choice of terms: against lines alone on the common customers, and on
// customers of a bank against peers that find curves and pairs too.
func (b *bench) terms() error {
	all, err := inTurn(b.ctx, b.rounds, chainOf(b.ours("evaluate", "--gate-f1", "0")),
		chainOf(b.ours("evaluate", "--gate-f1", "0", "--terms", "line")))
	if err != nil {
		return err
	}
	b.add("", "evaluate, auto", "--terms line", all[0], all[1], limits{ratio: b.ratio(1 / timesLine), mb: b.fitMB()})
	raw := filepath.Join(b.bank(), "raw.csv")
	if err := writeBank(raw); err != nil {
		return err
	}
	prepare := command{path: filepath.Join(b.bin, "prepare"),
		args: []string{"--dir", b.bank(), "--in", raw, "--target", "exited", "--positive", "1"}}
	if _, _, err := prepare.run(b.ctx); err != nil {
		return err
	}
	ebm, lightgbm := b.peers.terms("ebm", raw), b.peers.terms("lightgbm", raw)
	all, err = inTurn(b.ctx, min(2, b.rounds), chainOf(b.evaluateBank()), chainOf(ebm), chainOf(lightgbm))
	if err != nil {
		return err
	}
	shape := fmt.Sprintf("bank, with curves and pairs: %d x 10", bankRows)
	b.add(shape, "evaluate", "boosting machine", all[0], all[1], limits{ratio: timesEBM, mb: maxMB})
	b.add(shape, "evaluate", "lightgbm", all[0], all[2], limits{ms: bankMS, mb: maxMB})
	return nil
}

func (b *bench) bank() string { return b.dir + "-bank" }

func (b *bench) evaluateBank() *command {
	return &command{path: filepath.Join(b.bin, "evaluate"),
		args: []string{"--dir", b.bank(), "--gate-f1", "0", "--json"}}
}

// similarLogLoss compares the log loss of evaluate and its peers, each on a quarter of its own.
func (b *bench) similarLogLoss() error {
	_, out, err := b.evaluateBank().run(b.ctx)
	if err != nil {
		return err
	}
	var ours struct {
		Figures struct {
			LogLoss float64 `json:"log_loss"`
		}
	}
	if err := json.Unmarshal(out, &ours); err != nil {
		return err
	}
	for _, kind := range []string{"ebm", "lightgbm"} {
		c := b.peers.terms(kind, filepath.Join(b.bank(), "raw.csv"))
		if c == nil {
			continue
		}
		_, out, err := c.run(b.ctx)
		if err != nil {
			return err
		}
		theirs, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
		if err != nil {
			return err
		}
		const most = 0.03 // about two standard errors of the difference between two quarters
		report(ours.Figures.LogLoss <= theirs+most, fmt.Sprintf("evaluate predicts the bank's customers as well as %s: "+
			"log loss %.4f and %.4f", kind, ours.Figures.LogLoss, theirs))
	}
	return nil
}

// writeBank writes customers whose log-odds have a hump in age, levels of products, and the pairs
// age × active, products × balance and country × balance.
func writeBank(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w, rng := bufio.NewWriter(f), rand.New(rand.NewPCG(42, 0))
	fmt.Fprintln(w, "score,country,gender,age,tenure,balance,products,card,active,salary,exited")
	for range bankRows {
		score, salary := 650+97*rng.NormFloat64(), 200_000*rng.Float64()
		country, gender := []string{"DE", "ES", "FR", "FR"}[rng.IntN(4)], []string{"F", "M"}[rng.IntN(2)]
		age, tenure := 18+20*rng.ExpFloat64()*rng.Float64()+12*rng.Float64(), rng.IntN(11)
		balance, products := 0.0, 1+rng.IntN(2)
		if country == "DE" || rng.IntN(2) == 0 {
			balance = max(3000, 120_000+29_000*rng.NormFloat64())
		}
		if rng.IntN(33) == 0 {
			products += 2
		}
		card, active := rng.IntN(2), rng.IntN(2)
		z := -3.2 + (3-1.5*float64(active))*math.Exp(-(age-54)*(age-54)/180) + []float64{1, -0.8, 2.8, 4.5}[products-1]
		if products == 2 && balance > 0 {
			z += 0.8
		}
		if country == "DE" {
			z += 0.6 + 5e-6*(balance-120_000)
		}
		exited := 0
		if rng.Float64() < 1/(1+math.Exp(-z)) {
			exited = 1
		}
		fmt.Fprintf(w, "%.0f,%s,%s,%.0f,%d,%.2f,%d,%d,%d,%.2f,%d\n",
			score, country, gender, age, tenure, balance, products, card, active, salary, exited)
	}
	return errors.Join(w.Flush(), f.Close())
}

package model

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"slices"
	"strings"

	"churn/internal/dataset"
	"churn/internal/pipeline"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"
)

// Values of Options.Terms.
const (
	TermsLine  = "line"  // every number is a line
	TermsCurve = "curve" // every number is a curve
	TermsAuto  = "auto"  // chosen by cross-validation
)

// A Choice says how the terms of a model were chosen.
type Choice struct {
	Rows       int         `json:"rows"` // that were looked at
	Folds      int         `json:"folds"`
	Candidates []Candidate `json:"candidates"`
}

// A Candidate is terms that were cross-validated. It is chosen over the one chosen before
// it if its log loss is lower by more than one standard error.
type Candidate struct {
	Kind     string  `json:"kind"`  // kindNumbers, kindLevels, kindPairs or kindC
	Terms    string  `json:"terms"` // in words
	LogLoss  float64 `json:"log_loss"`
	Gain     float64 `json:"gain"`      // over the one chosen before
	StdError float64 `json:"std_error"` // of the gain, paired by row
	Chosen   bool    `json:"chosen"`    // over that one; the last such is the model
}

// String says in words what was chosen.
func (c *Choice) String() string {
	last := map[string]string{} // by kind
	for _, d := range c.Candidates {
		if d.Chosen {
			last[d.Kind] = d.Terms
		}
	}
	words := []string{last[kindNumbers], last[kindLevels], last[kindPairs], last[kindC]}
	return strings.Join(slices.DeleteFunc(words, func(s string) bool { return s == "" }), ", ")
}

// Kinds of candidates.
const (
	kindNumbers = "numbers" // how they enter
	kindLevels  = "levels"  // how much they are shrunk
	kindPairs   = "pairs"   // how many
	kindC       = "c"
)

const (
	choiceRows      = 50_000 // of more, that many are looked at
	choiceTolerance = 0.03   // on the last Newton step of a fit to choose by: its square remains
	defaultSmooth   = 10
	manyLevels      = 8 // of a category: with fewer, how much they are shrunk matters little
)

var (
	smooths   = []float64{1, 10, 100}                              // of curves
	shrinks   = []float64{0, 3, 10, 30, 100}                       // of levels
	strengths = []float64{0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100} // of C
)

// A pairPenalty is that of pairs: of their weights, and of the second differences along knots.
type pairPenalty struct{ shrink, smooth float64 }

var (
	usualPenalty  = pairPenalty{1, 0}
	weakPenalty   = pairPenalty{0.03, 0.1} // for pairs that act strongly
	strongPenalty = pairPenalty{10, 0}     // for many that act weakly
	pairPenalties = []pairPenalty{usualPenalty, {1, 1}, {1, 10}, weakPenalty}
)

// A structure is terms without the knots and levels, which depend on the rows.
type structure struct {
	of      []string  // by feature: what a number is
	smooth  []float64 // by feature: of its curve
	shrink  float64   // of levels
	pairs   []Pair
	penalty pairPenalty // of the pairs
	lacking int         // pairs asked for or chosen that were not found
}

// What a number may be beside TermsLine and TermsCurve.
const (
	termMissing = "line, missing" // with a weight of its own for missing cells
	termLevels  = "levels"
)

// A chooser chooses terms by the rows of a sample.
type chooser struct {
	o      Options
	schema *dataset.Schema
	all    *part
	folds  []*part // none if nothing is to be chosen
	report Choice
}

// A chosen is what choose returns.
type chosen struct {
	terms   Terms
	c       float64 // inverse strength of the penalty
	report  *Choice // nil if there was nothing to choose
	sample  *part   // that was looked at, if there is more than lines and levels
	lacking int     // pairs that were asked for or chosen, and not found
}

// choose returns the terms for the rows of a source. It looks at a sample of many rows.
func choose(ctx context.Context, rows Source, o Options) (*chosen, error) {
	c := &chooser{o: o, schema: rows.Table().Schema}
	if err := c.addPairs(); err != nil {
		return nil, err
	}
	fixed := func(f dataset.Feature) bool { return f.Term != "" && f.Term != TermsLine }
	cross := o.Terms == TermsAuto || o.Pairs.Auto || o.AutoC
	if !cross && o.Terms != TermsCurve && !c.o.Pairs.any() && !slices.ContainsFunc(c.schema.Features, fixed) {
		return &chosen{c: o.C}, nil
	}
	table, sampled, err := rows.Sample(ctx, choiceRows, o.Seed)
	if err != nil || len(sampled) == 0 {
		return nil, cmp.Or(err, tooFew("training", 0, 0))
	}
	sample := &memory{table: table, rows: sampled}
	c.o.Progress, c.all = nil, newPart(sample, nil)
	for j, f := range c.schema.Features {
		if f.Type == dataset.Number && len(c.all.sorted[j]) == 0 {
			return nil, allMissing(f.Name)
		}
	}
	if cross {
		fold, err := sample.Folds(ctx, Folds, o.Seed)
		if err != nil {
			return nil, err
		}
		for k := range Folds {
			rest, held := fold(k)
			c.folds = append(c.folds, newPart(rest.(*memory), held.(*memory)))
		}
	}
	c.report = Choice{Rows: len(sampled), Folds: len(c.folds)}
	st, losses, err := c.chooseNumbers(ctx)
	if err == nil {
		st, losses, err = c.chooseLevels(ctx, st, losses)
	}
	if err == nil {
		st, err = c.choosePairs(ctx, st, losses)
	}
	if err == nil && o.AutoC {
		err = c.chooseC(ctx, st)
	}
	if err != nil {
		return nil, err
	}
	out := &chosen{terms: c.all.terms(st), c: c.o.C, sample: c.all, lacking: st.lacking}
	if cross {
		out.report = &c.report
	}
	return out, nil
}

// structure returns the structure in which numbers are what the schema says, or else of.
func (c *chooser) structure(of string, smooth float64) structure {
	st := structure{smooth: slices.Repeat([]float64{smooth}, len(c.schema.Features))}
	for _, f := range c.schema.Features {
		st.of = append(st.of, cmp.Or(f.Term, of))
	}
	return st
}

// numberCandidates returns the structures to choose from and their names: first some of lines. Each is another model
// than those before.
func (c *chooser) numberCandidates() (all []structure, names []string, lines int) {
	var terms []Terms
	add := func(of string, smooth float64, name string) {
		st, weights := c.structure(of, smooth), 0
		t := c.all.terms(st)
		for _, b := range t.Curves {
			weights += b.width()
		}
		_, err := newEncoder(c.schema, c.all.described, t)
		same := func(before Terms) bool { return reflect.DeepEqual(t, before) }
		if weights <= maxChosen && !errors.Is(err, errTooWide) && !slices.ContainsFunc(terms, same) {
			all, names, terms = append(all, st), append(names, name), append(terms, t)
		}
	}
	add(TermsLine, defaultSmooth, "lines")
	add(termMissing, defaultSmooth, "lines, and a weight for missing cells")
	lines = len(all)
	for _, s := range smooths {
		add(TermsCurve, s, fmt.Sprintf("curves, smoothed by %g", s))
	}
	return all, names, lines
}

// chooseNumbers chooses between lines and curves, and returns the losses of the structure
// that it chose, if it did.
func (c *chooser) chooseNumbers(ctx context.Context) (structure, []float64, error) {
	if c.o.Terms != TermsAuto {
		return c.structure(c.o.Terms, defaultSmooth), nil, nil
	}
	candidates, names, lines := c.numberCandidates()
	fits := make([][]*fit, len(c.folds))
	losses, err := c.cross(ctx, len(candidates), func(fold, k int) (*fit, error) {
		var from *fit
		if k > 0 {
			from = fits[fold][k-1]
		}
		f, err := c.folds[fold].fitRoughly(ctx, candidates[k], c.o, from)
		fits[fold] = append(fits[fold], f)
		return f, err
	})
	if err != nil {
		return structure{}, nil, err
	}
	curve := lines + least(losses[lines:]) // stands for the curves: the smoothest within a standard error of the best
	for k := len(candidates) - 1; k > curve; k-- {
		if lost, stdError := gain(losses[curve], losses[k]); lost <= stdError {
			curve = k
		}
	}
	best := 0
	c.compare(kindNumbers, names[0], losses[0], nil, true)
	for k, than := 1, 0; k < len(candidates); k++ {
		if k <= lines {
			than = best // all curves compete with the same lines
		}
		if c.compare(kindNumbers, names[k], losses[k], losses[than], k < lines || k == curve) {
			best = k
		}
	}
	for k, fold := range c.folds {
		fold.fit = fits[k][best]
	}
	if best < lines {
		return candidates[best], losses[best], nil
	}
	return c.chooseSmooths(ctx, candidates[best], losses[best])
}

// chooseSmooths chooses whether each curve of a structure is smoothed by itself.
func (c *chooser) chooseSmooths(ctx context.Context, st structure, losses []float64) (structure, []float64, error) {
	fits := make([]*fit, len(c.folds))
	each, err := c.cross(ctx, 1, func(fold, _ int) (f *fit, err error) {
		fits[fold], _, err = c.folds[fold].smoothEach(ctx, st, c.o)
		return fits[fold], err
	})
	if err != nil || !c.compare(kindNumbers, "curves, each smoothed by itself", each[0], losses, true) {
		return st, losses, err
	}
	if c.all.fit, err = c.all.fitRoughly(ctx, st, c.o, nil); err == nil {
		_, st, err = c.all.smoothEach(ctx, st, c.o)
	}
	for k, fold := range c.folds {
		fold.fit = fits[k]
	}
	return st, each[0], err
}

// chooseLevels chooses how much levels are shrunk beyond the penalty of lines, where a category has many. It tries
// more as long as that lowers the loss, and returns the structure and its losses.
func (c *chooser) chooseLevels(ctx context.Context, st structure, losses []float64) (structure, []float64, error) {
	many := func(s dataset.Summary) bool { return len(s.Levels) >= manyLevels }
	if c.o.Terms != TermsAuto || !slices.ContainsFunc(c.all.described.Columns, many) {
		return st, losses, nil
	}
	tried, fits := [][]float64{losses}, make([][]*fit, len(c.folds)) // by shrinks, and by fold
	for k, fold := range c.folds {
		fits[k] = []*fit{fold.fit}
	}
	for k := 1; k < len(shrinks) && least(tried) == k-1; k++ {
		st.shrink = shrinks[k]
		now, err := c.cross(ctx, 1, func(fold, _ int) (*fit, error) {
			f, err := c.folds[fold].fitRoughly(ctx, st, c.o, fits[fold][k-1])
			fits[fold] = append(fits[fold], f)
			return f, err
		})
		if err != nil {
			return st, nil, err
		}
		tried = append(tried, now[0])
	}
	best, chosen := least(tried), 0
	for k := 1; k < len(tried); k++ {
		if c.compare(kindLevels, fmt.Sprintf("levels shrunk by %g", shrinks[k]), tried[k], losses, k == best) {
			chosen = k
		}
	}
	for k, fold := range c.folds {
		fold.fit = fits[k][chosen]
	}
	st.shrink = shrinks[chosen]
	return st, tried[chosen], nil
}

// cross returns the losses of n fits to each fold, by fit; those of one fold follow each other.
func (c *chooser) cross(ctx context.Context, n int, fit func(fold, k int) (*fit, error)) ([][]float64, error) {
	byFold := make([][][]float64, n)
	for k := range byFold {
		byFold[k] = make([][]float64, len(c.folds))
	}
	err := pipeline.Each(len(c.folds), runtime.GOMAXPROCS(0), func(_, fold int) error {
		for k := range n {
			f, err := fit(fold, k)
			if err == nil {
				byFold[k][fold], err = c.folds[fold].losses(ctx, f)
			}
			if err != nil {
				return inFold(fold, err)
			}
		}
		return nil
	})
	losses := make([][]float64, n)
	for k := range losses {
		losses[k] = slices.Concat(byFold[k]...)
	}
	return losses, err
}

// compare reports a candidate, and whether it is chosen: its losses are lower than those of the
// one chosen before by more than a standard error, or there is none.
func (c *chooser) compare(kind, terms string, losses, than []float64, eligible bool) bool {
	d := c.add(kind, terms, losses, than)
	d.Chosen = than == nil || eligible && d.Gain > d.StdError
	return d.Chosen
}

// add reports a candidate, with its gain over another unless that is nil.
func (c *chooser) add(kind, terms string, losses, than []float64) *Candidate {
	d := Candidate{Kind: kind, Terms: terms, LogLoss: mean(losses)}
	if than != nil {
		d.Gain, d.StdError = gain(losses, than)
	}
	c.report.Candidates = append(c.report.Candidates, d)
	return &c.report.Candidates[len(c.report.Candidates)-1]
}

// gain returns by how much losses are lower than others of the same rows, and its
// standard error.
func gain(losses, than []float64) (gain, stdError float64) {
	differences := floats.SubTo(make([]float64, len(losses)), than, losses)
	gain, std := stat.PopMeanStdDev(differences, nil)
	return gain, std / math.Sqrt(float64(len(losses)))
}

// least returns the index of the losses with the least mean, 0 of none.
func least(losses [][]float64) (best int) {
	for k := range losses {
		if mean(losses[k]) < mean(losses[best]) {
			best = k
		}
	}
	return best
}

// chooseC chooses the smallest C whose loss is at most a standard error above the least.
func (c *chooser) chooseC(ctx context.Context, st structure) error {
	losses, err := c.cross(ctx, len(strengths), func(fold, k int) (*fit, error) {
		o, p := c.o, c.folds[fold]
		o.C = strengths[k]
		f, err := p.fitRoughly(ctx, st, o, p.fit)
		p.fit = f
		return f, err
	})
	if err != nil {
		return err
	}
	best := least(losses)
	chosen := slices.IndexFunc(losses[:best+1], func(l []float64) bool {
		d, stdError := gain(losses[best], l)
		return d <= stdError
	})
	for k, strength := range strengths {
		c.add(kindC, fmt.Sprintf("C %g", strength), losses[k], losses[chosen]).Chosen = k == chosen
	}
	c.o.C = strengths[chosen]
	return nil
}

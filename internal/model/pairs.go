package model

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"churn/internal/dataset"
	"gonum.org/v1/gonum/stat"
)

// PairOptions say which pairs a model has.
type PairOptions struct {
	Auto  bool   // as many as cross-validation chooses
	N     int    // that many, the strongest; without Auto
	Named []Pair // these, and no other
}

var pairSteps = []int{1, 2, 4, 8, 16, 24}

const patience = 2 // steps in a row that do not lower the loss; with a strong penalty one is enough

// ParsePairs reads "auto", a number of pairs, or pairs such as "a*b,c*d".
func ParsePairs(s string) (PairOptions, error) {
	if s == TermsAuto {
		return PairOptions{Auto: true}, nil
	}
	if n, err := strconv.Atoi(s); err == nil && n >= 0 {
		return PairOptions{N: n}, nil
	}
	var p PairOptions
	for text := range strings.SplitSeq(s, ",") {
		a, b, ok := strings.Cut(text, "*")
		if a, b = dataset.Trim(a), dataset.Trim(b); !ok || a == "" || b == "" {
			return p, fmt.Errorf("%q: auto, a number of pairs, or pairs such as a*b,c*d", s)
		}
		p.Named = append(p.Named, Pair{a, b})
	}
	return p, nil
}

func (p *PairOptions) any() bool { return p.Auto || p.N > 0 || len(p.Named) > 0 }

// addPairs adds the pairs of the schema to those that are named, and checks them.
func (c *chooser) addPairs() error {
	p := &c.o.Pairs
	for _, pair := range c.schema.Pairs {
		if !slices.ContainsFunc(p.Named, pair.Same) {
			p.Named = append(slices.Clone(p.Named), pair)
		}
	}
	if n := len(c.schema.Features); p.N > n*(n-1)/2 {
		return fmt.Errorf("%d pairs: %d features have only %d: ask for at most that many", p.N, n, n*(n-1)/2)
	}
	return c.schema.CheckPairs(p.Named)
}

// choosePairs returns the structure with the pairs that are named, and those that are chosen.
// losses are those of the structure, or nil.
func (c *chooser) choosePairs(ctx context.Context, st structure, losses []float64) (structure, error) {
	add := pairChoice{n: c.o.Pairs.N}
	if st.pairs = c.o.Pairs.Named; len(st.pairs) > 0 {
		losses = nil
	}
	if c.o.Pairs.Auto {
		var err error
		if add, err = c.crossPairs(ctx, st, losses); err != nil {
			return st, err
		}
	}
	st.penalty = add.penalty
	n, g := add.n, &selection{part: c.all, o: c.o, st: st, named: len(st.pairs), also: add.found}
	for _, step := range append(slices.DeleteFunc(slices.Clone(pairSteps), func(s int) bool { return s >= n }), n) {
		more, err := g.grow(ctx, step)
		if err != nil {
			return g.st, err
		}
		if !more {
			break
		}
	}
	if g.st.lacking = n - len(g.st.pairs) + g.named; g.st.lacking == n {
		for k := range c.report.Candidates { // none is in the model
			d := &c.report.Candidates[k]
			d.Chosen = d.Chosen && (d.Kind != kindPairs || d.Terms == countPairs(g.named))
		}
	}
	return g.st, nil
}

// pairChoice is what cross-validation chooses of pairs.
type pairChoice struct {
	n       int // how many to add
	penalty pairPenalty
	losses  []float64 // with them
	found   []Pair    // in the folds
}

// crossPairs returns the pairs to add. Where it finds some that do not act strongly, it looks again for more, with a
// strong penalty.
func (c *chooser) crossPairs(ctx context.Context, st structure, without []float64) (best pairChoice, err error) {
	if without == nil {
		losses, err := c.cross(ctx, 1, func(fold, _ int) (f *fit, err error) {
			p := c.folds[fold]
			p.fit, err = p.fitRoughly(ctx, st, c.o, nil)
			return p.fit, err
		})
		if err != nil {
			return best, err
		}
		without = losses[0]
		c.compare(kindPairs, countPairs(len(st.pairs)), without, nil, true)
	}
	fits := make([]*fit, len(c.folds))
	for k, fold := range c.folds {
		fits[k] = fold.fit
	}
	st.penalty = usualPenalty
	best, err = c.growPairs(ctx, st, without, without)
	if err != nil || best.n == 0 || len(st.pairs) > 0 || best.penalty == weakPenalty {
		return best, err
	}
	for k, fold := range c.folds {
		fold.fit = fits[k]
	}
	st.penalty = strongPenalty
	more, err := c.growPairs(ctx, st, without, best.losses)
	if more.n > 0 {
		best = more
	}
	return best, err
}

// growPairs returns pairs that are selected in each fold: as many as lower losses, each step by more than a standard
// error, and with the best penalty if they have the usual one. without are the losses without pairs to add. Pairs are
// screened in each fold: those that all rows have chosen would gain by chance in the folds too. It stops where more do
// not help.
func (c *chooser) growPairs(ctx context.Context, st structure, without, losses []float64) (best pairChoice, err error) {
	var selections []*selection
	for _, fold := range c.folds {
		selections = append(selections, &selection{part: fold, o: c.o, st: st, named: len(st.pairs)})
	}
	best.losses = losses
	least, worse := mean(without), 0
	for _, n := range pairSteps {
		more := make([]bool, len(c.folds))
		now, err := c.cross(ctx, 1, func(fold, _ int) (f *fit, err error) {
			more[fold], err = selections[fold].grow(ctx, n)
			return selections[fold].fit, err
		})
		if err != nil {
			return best, err
		}
		if !slices.Contains(more, true) {
			break
		}
		if c.compare(kindPairs, st.penalty.of(n+len(st.pairs)), now[0], best.losses, true) {
			best.n, best.penalty, best.losses = n, st.penalty, now[0]
		}
		if worse++; mean(now[0]) < least {
			least, worse = mean(now[0]), 0
		}
		if worse == patience || st.penalty == strongPenalty && worse > 0 {
			break
		}
	}
	if best.n > 0 && len(st.pairs) == 0 && st.penalty == usualPenalty {
		best.penalty, best.losses, err = c.choosePenalty(ctx, selections, best.n)
	}
	for _, s := range selections {
		best.found = append(best.found, s.st.pairs[s.named:]...)
	}
	return best, err
}

// choosePenalty returns the penalty with the least loss, of the first n pairs of each fold, and its losses: the last one,
// which is the weakest, only for a gain of more than a standard error.
func (c *chooser) choosePenalty(ctx context.Context, selections []*selection, n int) (pairPenalty, []float64, error) {
	losses, err := c.cross(ctx, len(pairPenalties), func(fold, k int) (*fit, error) {
		st := selections[fold].st
		st.pairs, st.penalty = st.pairs[:min(n, len(st.pairs))], pairPenalties[k]
		return selections[fold].fitRoughly(ctx, st, c.o, selections[fold].fit)
	})
	if err != nil {
		return pairPenalty{}, nil, err
	}
	last := len(losses) - 1
	best := least(losses[:last])
	if more, stdError := gain(losses[last], losses[best]); more > stdError {
		best = last
	}
	for k, penalty := range pairPenalties[1:] {
		c.add(kindPairs, penalty.of(n), losses[k+1], losses[0]).Chosen = k+1 == best
	}
	return pairPenalties[best], losses[best], nil
}

// of names n pairs with the penalty.
func (p pairPenalty) of(n int) string {
	text := countPairs(n)
	if p.shrink != 1 {
		text += fmt.Sprintf(", shrunk by %g", p.shrink)
	}
	if p.smooth > 0 {
		text += fmt.Sprintf(", smoothed by %g", p.smooth)
	}
	return text
}

func mean(x []float64) float64 { return stat.Mean(x, nil) }

func countPairs(n int) string {
	if n == 1 {
		return "1 pair"
	}
	return fmt.Sprintf("%d pairs", n)
}

// A selection is the forward selection of pairs: a structure that they are added to, with the
// part that it is fitted to.
type selection struct {
	*part
	o          Options
	st         structure
	named      int        // pairs that it began with
	also       []Pair     // that are screened, whatever their features contribute
	candidates []screened // nil before the first screening
}

// grow adds the strongest pairs until there are n more than it began with, or no weights are left for more, and
// reports whether there was one to add.
func (g *selection) grow(ctx context.Context, n int) (more bool, err error) {
	if n == 0 {
		return false, nil
	}
	if g.fit == nil {
		if g.fit, err = g.fitRoughly(ctx, g.st, g.o, nil); err != nil {
			return false, err
		}
	}
	pairs, err := g.screen(ctx)
	if err != nil || len(pairs) == 0 {
		return false, err
	}
	pairs = pairs[:min(len(pairs), n-len(g.st.pairs)+g.named)]
	before := g.st.pairs
	for ; len(pairs) > 0; pairs = pairs[:len(pairs)-1] {
		g.st.pairs = slices.Concat(before, pairs)
		if f, err := g.fitRoughly(ctx, g.st, g.o, g.fit); !errors.Is(err, errTooWide) {
			g.fit = f
			return true, err
		}
	}
	g.st.pairs = before
	return false, nil
}

// screen returns the pairs that the fit does not have and that would gain more than by
// chance, the strongest first. After the first time only those of then are looked at.
func (g *selection) screen(ctx context.Context) ([]Pair, error) {
	p, err := g.rest.use(g.fit.design).Probabilities(ctx, g.fit.fitted.Weights)
	if err != nil {
		return nil, err
	}
	if g.candidates == nil {
		if g.candidates, err = g.pairable(ctx); err != nil {
			return nil, err
		}
	}
	s := g.newScreen(p)
	kept := g.candidates[:0:0]
	for _, c := range g.candidates {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if slices.ContainsFunc(g.st.pairs, c.pair.Same) {
			continue
		}
		if err := s.test(&c); err != nil {
			return nil, err
		}
		if c.gain > screenLeast*c.df {
			c.gain -= c.df
			kept = append(kept, c)
		}
	}
	slices.SortStableFunc(kept, func(a, b screened) int { return cmp.Compare(b.gain, a.gain) })
	g.candidates = kept
	var pairs []Pair
	for _, c := range kept {
		pairs = append(pairs, c.pair)
	}
	return pairs, nil
}

// pairable returns the pairs of the features that contribute most, of at most screenFeatures, and those of also.
func (g *selection) pairable(ctx context.Context) ([]screened, error) {
	schema := g.rest.table.Schema
	features := dataset.UpTo[int](len(schema.Features))
	if len(features) > screenFeatures {
		over, err := g.fit.moments(ctx, g.rest)
		if err != nil {
			return nil, err
		}
		std := make([]float64, len(features))
		for j := range features {
			own := make([]float64, len(g.fit.fitted.Weights))
			first := g.fit.encoder.first(j)
			last := first + g.fit.encoder.bases[j].width
			copy(own[first:last], g.fit.fitted.Weights[first:last])
			std[j] = over.std(own)
		}
		slices.SortStableFunc(features, func(i, j int) int { return cmp.Compare(std[j], std[i]) })
		features = features[:screenFeatures]
		slices.Sort(features)
	}
	pairs := []screened{}
	add := func(pair Pair) {
		known := func(s screened) bool { return pair.Same(s.pair) }
		if schema.CheckPairs([]Pair{pair}) == nil && !slices.ContainsFunc(pairs, known) {
			pairs = append(pairs, screened{pair: pair, a: schema.Index(pair[0]), b: schema.Index(pair[1])})
		}
	}
	for k, b := range features {
		for _, a := range features[:k] {
			add(Pair{schema.Features[a].Name, schema.Features[b].Name})
		}
	}
	for _, pair := range g.also {
		add(pair)
	}
	return pairs, nil
}

package model

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"

	"churn/internal/dataset"
	"churn/internal/logreg"
)

// Values of Options.Terms.
const (
	TermsLine  = "line"  // every number is a line
	TermsCurve = "curve" // every number is a curve
	TermsAuto  = "auto"  // chosen by cross-validation
)

// PairOptions say which pairs a model has.
type PairOptions struct {
	Auto  bool   // as many as cross-validation chooses
	N     int    // that many, the strongest; without Auto
	Named []Pair // these, whatever else
}

// A Choice says how the terms of a model were chosen.
type Choice struct {
	Rows       int         `json:"rows"` // that were looked at
	Folds      int         `json:"folds"`
	Candidates []Candidate `json:"candidates"`
}

// A Candidate is terms that were cross-validated. It is chosen over the one chosen before
// it if its log loss is lower by more than one standard error.
type Candidate struct {
	Terms    string  `json:"terms"` // in words
	LogLoss  float64 `json:"log_loss"`
	Gain     float64 `json:"gain"`      // over the one chosen before
	StdError float64 `json:"std_error"` // of the gain, paired by row
	Chosen   bool    `json:"chosen"`    // over that one; the last such is the model
}

const (
	choiceRows      = 50_000 // of more, that many are looked at
	choiceTolerance = 0.03   // on the last Newton step of a fit to choose by: its square remains
	choiceFolds     = 5
	defaultSmooth   = 10
)

var (
	smooths   = []float64{1, 10, 100} // of curves
	pairSteps = []int{1, 2, 4, 8, 16, 24}
	strengths = []float64{0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100} // of C
)

// A structure is terms without the knots and levels, which depend on the rows.
type structure struct {
	of     []string // by feature: termLevels, or for a number termLine and others
	smooth float64
	pairs  []Pair
}

// What a number may be.
const (
	termLine    = "line"
	termMissing = "line, missing" // a line with a weight of its own for missing cells
	termCurve   = "curve"
	termLevels  = "levels"
)

// A chooser chooses terms by the rows of a sample.
type chooser struct {
	o      Options
	schema *dataset.Schema
	all    *part
	folds  []*part
	report Choice
}

// A part is rows to fit to, what bases need to know of them, and rows held out.
type part struct {
	rest, held *memory
	described  *dataset.Description
	sorted     [][]float64 // by number: its values in order
	grids      []*Basis    // by feature
}

func newPart(rest, held *memory) *part {
	p := &part{rest: rest, held: held, described: rest.table.Describe(rest.rows)}
	for j := range rest.table.Columns {
		var values []float64
		grid := &Basis{}
		if rest.table.Schema.Features[j].Type == dataset.Number {
			values, _ = rest.table.Ascending(j, rest.rows)
			if len(values) > 0 {
				grid = newCurve(values, p.described.Columns[j].Missing > 0, gridKnots)
			}
		} else {
			grid = newGridLevels(&p.described.Columns[j])
		}
		p.sorted, p.grids = append(p.sorted, values), append(p.grids, grid)
	}
	return p
}

// terms returns the terms of a structure for the part's rows.
func (p *part) terms(st structure) Terms {
	var t Terms
	schema := p.rest.table.Schema
	place := map[string]int{}
	for j, f := range schema.Features {
		place[f.Name] = j
		missing := p.described.Columns[j].Missing > 0
		switch {
		case f.Type != dataset.Number || len(p.sorted[j]) == 0:
		case st.of[j] == termMissing && missing:
			t.Missing = append(t.Missing, f.Name)
		case st.of[j] == termCurve || st.of[j] == termLevels:
			if t.Curves == nil {
				t.Curves = map[string]*Basis{}
			}
			b := newCurve(p.sorted[j], missing, curveKnots)
			b.Smooth = st.smooth
			if st.of[j] == termLevels {
				b = &Basis{Values: slices.Compact(slices.Clone(p.sorted[j])), Missing: missing}
			}
			t.Curves[f.Name] = b
		}
	}
	slices.Sort(t.Missing)
	t.Pairs = st.pairs
	for _, pair := range st.pairs {
		if t.Grids == nil {
			t.Grids = map[string]*Basis{}
		}
		for _, name := range pair {
			t.Grids[name] = p.grids[place[name]]
		}
	}
	return t
}

// fit fits a structure to the part's rows, roughly.
func (p *part) fit(ctx context.Context, st structure, o Options, start []float64) (*fit, error) {
	return fitTerms(ctx, p.rest, p.described, p.terms(st), o, start, choiceTolerance)
}

// losses returns the log loss of each row held out.
func (p *part) losses(ctx context.Context, f *fit) ([]float64, error) {
	scored, err := p.held.Predict(ctx, f.classifier(0.5))
	if err != nil {
		return nil, err
	}
	rows := scored.(*rowPredictions)
	out := make([]float64, len(rows.probabilities))
	for k, prob := range rows.probabilities {
		weight := f.design.ClassWeight[0]
		if rows.positive[k] {
			prob, weight = 1-prob, f.design.ClassWeight[1]
		}
		const least = 1e-12
		out[k] = -weight * math.Log(max(1-prob, least))
	}
	return out, nil
}

// choose returns the terms for the rows of a source, how they were chosen, and C. The
// choice is made on a sample of many rows.
func choose(ctx context.Context, rows Source, o Options) (Terms, *Choice, float64, error) {
	schema := rows.Table().Schema
	o.Terms = cmp.Or(o.Terms, TermsLine)
	for _, p := range schema.Pairs {
		if !slices.ContainsFunc(o.Pairs.Named, p.Same) {
			o.Pairs.Named = append(slices.Clone(o.Pairs.Named), p)
		}
	}
	if err := o.Pairs.check(schema); err != nil {
		return Terms{}, nil, 0, err
	}
	bent := func(f dataset.Feature) bool { return f.Term != "" && f.Term != termLine }
	noPairs := !o.Pairs.Auto && o.Pairs.N == 0 && len(o.Pairs.Named) == 0
	if o.Terms == TermsLine && noPairs && !o.AutoC && !slices.ContainsFunc(schema.Features, bent) {
		return Terms{}, nil, o.C, nil
	}
	table, sampled, err := rows.Sample(ctx, choiceRows, o.Seed)
	if err != nil {
		return Terms{}, nil, 0, err
	}
	sample := &memory{table, sampled}
	c := &chooser{o: o, schema: schema, all: newPart(sample, nil)}
	c.o.Progress = nil
	for j, f := range schema.Features {
		if f.Type == dataset.Number && len(c.all.sorted[j]) == 0 {
			return Terms{}, nil, 0, allMissing(f.Name)
		}
	}
	if o.Terms == TermsAuto || o.Pairs.Auto || o.AutoC {
		fold, err := sample.Folds(ctx, choiceFolds, o.Seed)
		if err != nil {
			return Terms{}, nil, 0, err
		}
		for k := range choiceFolds {
			rest, held := fold(k)
			c.folds = append(c.folds, newPart(rest.(*memory), held.(*memory)))
		}
	}
	c.report = Choice{Rows: len(sampled), Folds: len(c.folds)}
	st, err := c.choose(ctx)
	if err != nil {
		return Terms{}, nil, 0, err
	}
	report := &c.report
	if c.folds == nil {
		report = nil
	}
	return c.all.terms(st), report, c.o.C, nil
}

func (c *chooser) choose(ctx context.Context) (structure, error) {
	st, losses, err := c.chooseCurves(ctx)
	if err != nil {
		return st, err
	}
	if st.pairs = c.o.Pairs.Named; len(st.pairs) > 0 {
		losses = nil
	}
	if st.pairs, err = c.choosePairs(ctx, st, losses); err != nil {
		return st, err
	}
	if c.o.AutoC {
		err = c.chooseC(ctx, st)
	}
	return st, err
}

// structure returns the structure in which numbers are what the schema says, or else of.
func (c *chooser) structure(of string, smooth float64) structure {
	st := structure{smooth: smooth}
	for _, f := range c.schema.Features {
		term := of
		if f.Type != dataset.Number {
			term = termLevels
		} else if f.Term != "" {
			term = f.Term
		}
		st.of = append(st.of, term)
	}
	return st
}

// chooseCurves chooses between lines and curves.
func (c *chooser) chooseCurves(ctx context.Context) (structure, []float64, error) {
	line := c.structure(termLine, defaultSmooth)
	switch c.o.Terms {
	case TermsCurve:
		return c.structure(termCurve, defaultSmooth), nil, nil
	case TermsLine:
		return line, nil, nil
	}
	candidates, names := []structure{line}, []string{"lines"}
	for j, f := range c.schema.Features {
		if f.Type == dataset.Number && c.all.described.Columns[j].Missing > 0 {
			candidates = append(candidates, c.structure(termMissing, defaultSmooth))
			names = append(names, "lines, with a weight for missing cells")
			break
		}
	}
	lines := len(candidates)
	for _, s := range smooths {
		candidates, names = append(candidates, c.structure(termCurve, s)), append(names, fmt.Sprintf("curves, smoothed by %g", s))
	}
	losses := make([][]float64, len(candidates))
	byFold := make([][][]float64, len(candidates))
	for k := range byFold {
		byFold[k] = make([][]float64, len(c.folds))
	}
	err := inParallel(len(candidates)*len(c.folds), func(i int) error {
		k, fold := i/len(c.folds), c.folds[i%len(c.folds)]
		f, err := fold.fit(ctx, candidates[k], c.o, nil)
		if err == nil {
			byFold[k][i%len(c.folds)], err = fold.losses(ctx, f)
		}
		return err
	})
	if err != nil {
		return line, nil, err
	}
	for k := range losses {
		losses[k] = slices.Concat(byFold[k]...)
	}
	curve := lines // the best of the curves stands for them
	for k := lines; k < len(candidates); k++ {
		if mean(losses[k]) < mean(losses[curve]) {
			curve = k
		}
	}
	best := 0
	c.compare(names[0], losses[0], nil)
	for k := 1; k < len(candidates); k++ {
		if c.compare(names[k], losses[k], losses[best]) && (k < lines || k == curve) {
			best = k
		} else {
			c.report.Candidates[k].Chosen = false
		}
	}
	return candidates[best], losses[best], nil
}

// compare reports a candidate, and whether its losses are lower than those of another by
// more than a standard error.
func (c *chooser) compare(terms string, losses, than []float64) bool {
	d := Candidate{Terms: terms, LogLoss: mean(losses)}
	d.Chosen = than == nil
	if than != nil {
		d.Gain, d.StdError = gain(losses, than)
		d.Chosen = d.Gain > d.StdError
	}
	c.report.Candidates = append(c.report.Candidates, d)
	return d.Chosen
}

// gain returns by how much losses are lower than others of the same rows, and its
// standard error.
func gain(losses, than []float64) (gain, stdError float64) {
	var sum, squares float64
	n := float64(len(losses))
	for k := range losses {
		sum += than[k] - losses[k]
	}
	gain = sum / n
	for k := range losses {
		d := than[k] - losses[k] - gain
		squares += d * d
	}
	return gain, math.Sqrt(squares) / n
}

func mean(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}

// choosePairs adds pairs to those that are named. losses are those of the structure, or nil.
func (c *chooser) choosePairs(ctx context.Context, st structure, losses []float64) ([]Pair, error) {
	n := c.o.Pairs.N
	if c.o.Pairs.Auto {
		best, err := c.crossPairs(ctx, st, losses)
		if err != nil {
			return nil, err
		}
		n = best
	}
	if n == 0 {
		return st.pairs, nil
	}
	g := c.all.grow(st, c.o)
	for _, step := range append(slices.DeleteFunc(slices.Clone(pairSteps), func(s int) bool { return s >= n }), n) {
		if more, err := g.step(ctx, step); err != nil {
			return nil, err
		} else if !more {
			break
		}
	}
	return g.st.pairs, nil
}

// crossPairs returns how many pairs to add: screened in each fold, they are added as long as
// the log loss of the rows held out falls.
func (c *chooser) crossPairs(ctx context.Context, st structure, losses []float64) (int, error) {
	growths := make([]*growth, len(c.folds))
	for k, fold := range c.folds {
		growths[k] = fold.grow(st, c.o)
	}
	best, last := 0, math.Inf(1)
	chosen := losses
	for _, n := range append([]int{0}, pairSteps...) {
		byFold := make([][]float64, len(c.folds))
		any := make([]bool, len(c.folds))
		err := inParallel(len(c.folds), func(k int) (err error) {
			if any[k], err = growths[k].step(ctx, n); err == nil {
				byFold[k], err = growths[k].losses(ctx)
			}
			return err
		})
		if err != nil {
			return 0, err
		}
		now := slices.Concat(byFold...)
		if n == 0 {
			if chosen == nil {
				c.compare("without further pairs", now, nil)
			}
			chosen, last = now, mean(now)
			continue
		}
		if !slices.Contains(any, true) {
			break
		}
		if c.compare(fmt.Sprintf("%d pairs", n), now, chosen) {
			best, chosen = n, now
		}
		if mean(now) >= last {
			break // more pairs no longer help
		}
		last = mean(now)
	}
	return best, nil
}

// chooseC chooses the smallest C whose loss is at most a standard error above the least.
func (c *chooser) chooseC(ctx context.Context, st structure) error {
	losses := make([][]float64, len(strengths))
	best := 0
	for k, strength := range strengths {
		o := c.o
		o.C = strength
		byFold := make([][]float64, len(c.folds))
		err := inParallel(len(c.folds), func(i int) error {
			f, err := c.folds[i].fit(ctx, st, o, nil)
			if err == nil {
				byFold[i], err = c.folds[i].losses(ctx, f)
			}
			return err
		})
		if err != nil {
			return err
		}
		if losses[k] = slices.Concat(byFold...); mean(losses[k]) < mean(losses[best]) {
			best = k
		}
	}
	chosen := best
	for k := range best {
		if d, stdError := gain(losses[best], losses[k]); d <= stdError {
			chosen = k
			break
		}
	}
	for k, strength := range strengths {
		d, stdError := gain(losses[k], losses[chosen])
		c.report.Candidates = append(c.report.Candidates, Candidate{
			Terms: fmt.Sprintf("C %g", strength), LogLoss: mean(losses[k]), Gain: d, StdError: stdError, Chosen: k == chosen,
		})
	}
	c.o.C = strengths[chosen]
	return nil
}

// A growth is a fit to which pairs are added.
type growth struct {
	*part
	o          Options
	st         structure
	fit        *fit
	named      int // pairs that it began with
	candidates []screened
	spots      [][]logreg.Spot // by feature and row: of grids
	widths     []int           // by feature
}

func (p *part) grow(st structure, o Options) *growth {
	return &growth{part: p, o: o, st: st, named: len(st.pairs)}
}

// step adds pairs until there are n more than it began with, and reports whether any was
// added.
func (g *growth) step(ctx context.Context, n int) (bool, error) {
	if g.fit == nil {
		f, err := g.part.fit(ctx, g.st, g.o, nil)
		if g.fit = f; err != nil || n == 0 {
			return false, err
		}
	}
	more, err := g.screen(ctx)
	if err != nil || len(more) == 0 {
		return false, err
	}
	more = more[:min(len(more), n-len(g.st.pairs)+g.named)]
	if len(more) == 0 {
		return false, nil
	}
	g.st.pairs = append(slices.Clone(g.st.pairs), more...)
	start := slices.Clone(g.fit.fitted.Weights[:g.fit.encoder.Width()])
	terms, width := g.part.terms(g.st), 0
	for _, p := range more {
		width += terms.Grids[p[0]].width() * terms.Grids[p[1]].width()
	}
	start = append(append(start, make([]float64, width)...), g.fit.fitted.Weights[g.fit.encoder.Width()])
	f, err := g.part.fit(ctx, g.st, g.o, start)
	g.fit = f
	return true, err
}

func (g *growth) losses(ctx context.Context) ([]float64, error) { return g.part.losses(ctx, g.fit) }

// check reports pairs that cannot be.
func (p *PairOptions) check(s *dataset.Schema) error {
	if err := s.CheckPairs(p.Named); err != nil {
		return err
	}
	if n := len(s.Features); p.N > n*(n-1)/2 {
		return fmt.Errorf("%d pairs: %d features have only %d", p.N, n, n*(n-1)/2)
	}
	return nil
}

// ParsePairs reads "auto", a number of pairs, or pairs such as "a*b,c*d".
func ParsePairs(s string) (PairOptions, error) {
	var p PairOptions
	if s == TermsAuto {
		p.Auto = true
		return p, nil
	}
	if _, err := fmt.Sscanf(s, "%d", &p.N); err == nil && fmt.Sprint(p.N) == s && p.N >= 0 {
		return p, nil
	}
	for text := range strings.SplitSeq(s, ",") {
		a, b, ok := strings.Cut(text, "*")
		if a, b = strings.TrimSpace(a), strings.TrimSpace(b); !ok || a == "" || b == "" {
			return p, fmt.Errorf("%q: auto, a number of pairs, or pairs such as a*b,c*d", s)
		}
		p.Named = append(p.Named, Pair{a, b})
	}
	return p, nil
}

// inParallel does n things on all cores, and returns the first error.
func inParallel(n int, do func(k int) error) error {
	errs, slots := make([]error, n), make(chan struct{}, max(foldsAtOnce, runtime.GOMAXPROCS(0)))
	var wg sync.WaitGroup
	for k := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			errs[k] = do(k)
		})
	}
	wg.Wait()
	return cmp.Or(errs...)
}

package model

import (
	"context"
	"fmt"
	"math"
	"slices"

	"churn/internal/dataset"
	"churn/internal/fingerprint"
	"churn/internal/logreg"
	"churn/internal/metric"
	"churn/internal/status"
)

// memory is rows of a table in memory.
type memory struct {
	table *dataset.Table
	rows  []int32 // ascending
	fold  bool    // an encoder alone needs their description
}

// InMemory returns all rows of a table.
func InMemory(t *dataset.Table) Source { return InMemoryRows(t, dataset.AllRows(t.Rows())) }

// InMemoryRows returns the given rows of a table, in ascending order.
func InMemoryRows(t *dataset.Table, rows []int32) Source { return &memory{table: t, rows: rows} }

func (s *memory) Table() *dataset.Table { return s.table }

// labels returns the rows' classes.
func (s *memory) labels() []bool {
	out := make([]bool, len(s.rows))
	for k, i := range s.rows {
		out[k] = s.table.Positive[i]
	}
	return out
}

// Split is stratified, or by time if the table has times: see dataset.
func (s *memory) Split(testSize float64, seed uint64) (train, test Source, err error) {
	if testSize == 0 {
		return s, nil, nil
	}
	if s.table.Times != nil {
		parts, _ := s.byTime(1 - testSize)
		if len(parts[0].rows) == 0 {
			return nil, nil, status.Reject("%d rows, no %.4g %% of which are later than the others: "+
				"give a smaller --test-size, or a --time-column with more times", len(s.rows), 100*testSize)
		}
		return parts[0], parts[1], nil
	}
	in, out, err := dataset.Split(s.labels(), testSize, seed)
	if err != nil {
		return nil, nil, err
	}
	return s.part(in), s.part(out), nil
}

// byTime divides the rows at some shares of them by their time, and says from when on they are.
func (s *memory) byTime(shares ...float64) (parts []*memory, from []string) {
	times := make([]float64, len(s.rows))
	for k, i := range s.rows {
		times[k] = s.table.Times[i]
	}
	places, starts := dataset.SplitByTime(times, shares...)
	for _, p := range places {
		parts = append(parts, s.part(p))
	}
	for _, at := range starts {
		from = append(from, dataset.FormatTime(at, s.table.Dates))
	}
	return parts, from
}

// part returns the rows at some places among these.
func (s *memory) part(places []int32) *memory {
	for k, i := range places {
		places[k] = s.rows[i]
	}
	return &memory{table: s.table, rows: places}
}

// Folds are stratified: see dataset.Folds.
func (s *memory) Folds(_ context.Context, n int, seed uint64) (func(k int) (rest, held Source), error) {
	fold, err := dataset.Folds(s.labels(), n, seed)
	return func(k int) (rest, held Source) {
		size := len(fold)/n + 1
		in, out := make([]int32, 0, len(fold)-size+n), make([]int32, 0, size)
		for i, of := range fold {
			if int(of) == k {
				out = append(out, s.rows[i])
			} else {
				in = append(in, s.rows[i])
			}
		}
		return &memory{s.table, in, true}, &memory{table: s.table, rows: out}
	}, err
}

// Sample is stratified.
func (s *memory) Sample(_ context.Context, n int, seed uint64) (*dataset.Table, []int32, error) {
	if len(s.rows) <= n {
		return s.table, s.rows, nil
	}
	_, sample, err := dataset.Split(s.labels(), float64(n)/float64(len(s.rows)), seed)
	if err != nil {
		return nil, nil, err
	}
	return s.table, s.part(sample).rows, nil
}

func (s *memory) Describe(context.Context) (*dataset.Description, error) {
	if s.fold {
		return s.table.DescribeScalings(s.rows), nil
	}
	return s.table.Describe(s.rows), nil
}

func (s *memory) CountLevels(context.Context) ([]dataset.Summary, error) {
	out := make([]dataset.Summary, len(s.table.Columns))
	for j := range out {
		if s.table.Schema.Features[j].Type == dataset.Category {
			out[j] = s.table.Summarize(j, s.rows)
		}
	}
	return out, nil
}

// use returns the design with these rows.
func (s *memory) use(design *logreg.Rows) *logreg.Rows {
	rows := *design
	rows.Use = s.rows
	return &rows
}

func (s *memory) Pass(ctx context.Context, design *logreg.Rows) (logreg.Pass, error) {
	return s.use(design).Group(ctx)
}

func (s *memory) Predict(ctx context.Context, c Classifier) (Predictions, error) {
	p, err := s.use(c.Design).Probabilities(ctx, c.Weights)
	if err != nil {
		return nil, err
	}
	if k := slices.IndexFunc(p, math.IsNaN); k >= 0 {
		return nil, fmt.Errorf("the weights are so large that row %d has no probability", s.rows[k]+1)
	}
	return &rowPredictions{s.rows, p, s.labels()}, nil
}

func (s *memory) Pair(_ context.Context, current, candidate Scored) (metric.Paired, error) {
	a, b := current.Predictions.(*rowPredictions), candidate.Predictions.(*rowPredictions)
	return metric.Pair(a.positive, a.probabilities, b.probabilities,
		[2]float64{current.By.Threshold, candidate.By.Threshold}), nil
}

func (s *memory) Hashes(schema *dataset.Schema) []uint64 {
	return fingerprint.Hashes(s.table, schema, s.rows)
}

// rowPredictions are Predictions row by row.
type rowPredictions struct {
	rows          []int32 // of the table, ascending
	probabilities []float64
	positive      []bool
}

func (s *rowPredictions) Ranking() metric.Ranking { return metric.Rank(s.probabilities, s.positive) }
func (s *rowPredictions) LogLoss() float64        { return metric.LogLoss(s.probabilities, s.positive) }
func (s *rowPredictions) LossesAbove(base float64) metric.LossSums {
	return metric.LossesAbove(base, s.probabilities, s.positive)
}

func (s *rowPredictions) Brier() float64         { return metric.Brier(s.probabilities, s.positive) }
func (s *rowPredictions) AUCErrorBound() float64 { return 0 }

func (s *rowPredictions) ConfusionAt(threshold float64) metric.Confusion {
	return metric.ConfusionAt(s.probabilities, s.positive, threshold)
}

// Pool puts the rows in order, so that sums over them do not depend on the folds.
func (s *rowPredictions) Pool(others ...Predictions) Predictions {
	if len(others) == 0 {
		return s
	}
	parts, size := []*rowPredictions{s}, 0
	for _, other := range others {
		parts = append(parts, other.(*rowPredictions))
	}
	for _, part := range parts {
		if n := len(part.rows); n > 0 {
			size = max(size, int(part.rows[n-1])+1)
		}
	}
	probability, positive := slices.Repeat([]float64{math.NaN()}, size), make([]bool, size) // by row
	for _, part := range parts {
		for k, i := range part.rows {
			probability[i], positive[i] = part.probabilities[k], part.positive[k]
		}
	}
	all := &rowPredictions{make([]int32, 0, len(probability)), probability[:0], positive[:0]} // closes the gaps in place
	for i, p := range probability {
		if !math.IsNaN(p) {
			all.rows = append(all.rows, int32(i))
			all.probabilities = append(all.probabilities, p)
			all.positive = append(all.positive, positive[i])
		}
	}
	return all
}

// A part is rows to fit to, what bases need to know of them, and rows held out.
type part struct {
	rest, held *memory
	described  *dataset.Description
	sorted     [][]float64 // by feature: a number's values in order
	grids      []*Basis    // by feature
	fit        *fit        // of the structure that is chosen so far
}

func newPart(rest, held *memory) *part {
	p := &part{rest: rest, held: held, described: rest.table.Describe(rest.rows)}
	for j := range rest.table.Columns {
		s, values, grid := &p.described.Columns[j], []float64(nil), &Basis{}
		if rest.table.Schema.Features[j].Type == dataset.Category {
			grid = newGridLevels(s)
		} else if s.Rows > 0 {
			values, _ = rest.table.Ascending(j, rest.rows)
			grid = newCurve(values, s.Missing > 0, gridKnots)
		}
		p.sorted, p.grids = append(p.sorted, values), append(p.grids, grid)
	}
	return p
}

// terms returns the terms of a structure for the part's rows.
func (p *part) terms(st structure) Terms {
	t := Terms{Curves: map[string]*Basis{}, Pairs: st.pairs, Grids: map[string]*Basis{}, shrink: st.shrink,
		shrinkPairs: st.penalty.shrink}
	schema := p.rest.table.Schema
	for j, f := range schema.Features {
		missing := p.described.Columns[j].Missing > 0
		switch {
		case len(p.sorted[j]) == 0: // a category
		case st.of[j] == termMissing && missing:
			t.Missing = append(t.Missing, f.Name)
		case st.of[j] == TermsCurve:
			b := newCurve(p.sorted[j], missing, curveKnots)
			b.Smooth = st.smooth[j]
			t.Curves[f.Name] = b
		case st.of[j] == termLevels:
			t.Curves[f.Name] = &Basis{Values: slices.Compact(slices.Clone(p.sorted[j])), Missing: missing}
		}
	}
	slices.Sort(t.Missing)
	for _, pair := range st.pairs {
		for _, name := range pair {
			grid := *p.grids[schema.Index(name)]
			if grid.Knots != nil {
				grid.Smooth = st.penalty.smooth
			}
			t.Grids[name] = &grid
		}
	}
	return t
}

// fitRoughly fits a structure to the part's rows, beginning at another fit to them, or nil.
func (p *part) fitRoughly(ctx context.Context, st structure, o Options, from *fit) (*fit, error) {
	e, err := newEncoder(p.rest.table.Schema, p.described, p.terms(st))
	if err != nil {
		return nil, err
	}
	return fitWeights(ctx, p.rest, p.described, e, o, e.start(from), choiceTolerance)
}

// smoothEach returns p.fit, which is of a structure, with each curve smoothed as much as makes the restricted
// likelihood largest, and the structure. It ends before it is exact: the loss hardly changes there.
func (p *part) smoothEach(ctx context.Context, st structure, o Options) (*fit, structure, error) {
	const (
		rounds      = 6
		least, most = 0.1, 1e4 // weight of the second differences
		settled     = 1.1      // factor of all
	)
	f, changed := p.fit, math.Inf(1)
	st.smooth = slices.Clone(st.smooth)
	for round := 0; round < rounds && changed > settled; round++ {
		var curves []int
		var parts []logreg.Penalty
		for j, feature := range p.rest.table.Schema.Features {
			if b := f.encoder.Curves[feature.Name]; b != nil && len(b.Knots) > 2 {
				curves, parts = append(curves, j), append(parts, b.smoothness(nil, f.encoder.first(j), 1))
			}
		}
		factors, err := f.fitted.FellnerSchall(parts)
		if err != nil {
			return f, st, nil // the curves cannot be told apart
		}
		changed = 1
		for k, j := range curves {
			before := st.smooth[j]
			st.smooth[j] = min(max(before*factors[k], least), most)
			changed = max(changed, st.smooth[j]/before, before/st.smooth[j])
		}
		if f, err = p.fitRoughly(ctx, st, o, f); err != nil {
			return nil, st, err
		}
	}
	return f, st, nil
}

// losses returns the log loss of each row held out.
func (p *part) losses(ctx context.Context, f *fit) ([]float64, error) {
	const least = 1e-12
	losses, err := p.held.use(f.design).Probabilities(ctx, f.fitted.Weights)
	for k, i := range p.held.rows {
		probability, weight := 1-losses[k], f.design.ClassWeight[0]
		if p.held.table.Positive[i] {
			probability, weight = losses[k], f.design.ClassWeight[1]
		}
		losses[k] = -weight * math.Log(max(probability, least))
	}
	return losses, err
}

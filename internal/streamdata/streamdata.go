// Package streamdata trains on the rows of a CSV file without holding them. They are checked and
// described in a first reading, and in a second one written to a temporary file as codes, which
// each pass reads, on all cores, in blocks of rows of which it keeps only sums and bins.
//
// The rows of a split or a fold are those whose number has a hash in a range. All sums are added in
// the file's order, so that they do not depend on the number of cores.
package streamdata

import (
	"context"
	"fmt"
	"math"
	"slices"

	"churn/internal/csvdata"
	"churn/internal/dataset"
	"churn/internal/filedata"
	"churn/internal/logreg"
	"churn/internal/metric"
	"churn/internal/model"
)

// Key stands in a model's data for the column whose hash selects the rows held out: it is no
// column's name.
const Key = "(row)"

// A Source is the rows of a file, or the part of them whose numbers have certain hashes: a model.Source.
type Source struct {
	*spool
	hashes dataset.HashRange // nil: all rows
	seed   uint64

	described *dataset.Description // nil until Describe
	sampled   *dataset.Table       // nil until Sample
	sampledOf int                  // the most rows that it was to have
}

// Open checks the rows of a regular file of text as csvdata.Clean does, reading them from first, and
// reads it again into a temporary file in dir. A file that is changed meanwhile is an error.
func Open(ctx context.Context, f *filedata.Table, first csvdata.Source, schema *dataset.Schema, limits dataset.Limits,
	dir string) (*Source, *dataset.Quality, error) {
	file, _, err := f.Whole()
	if err != nil {
		return nil, nil, err
	}
	was, err := file.Stat()
	if err != nil {
		return nil, nil, err
	}
	s := &Source{}
	q, err := s.fill(ctx, f, first, schema, limits, dir)
	if now, e := file.Stat(); e == nil && (now.Size() != was.Size() || !now.ModTime().Equal(was.ModTime())) {
		err = fmt.Errorf("%s was changed while it was read: wait until nobody writes it, and run this again", f.Name)
	}
	if err != nil && s.spool != nil {
		s.Close()
	}
	return s, q, err
}

func (s *Source) fill(ctx context.Context, f *filedata.Table, first csvdata.Source, schema *dataset.Schema,
	limits dataset.Limits, dir string) (*dataset.Quality, error) {
	q, d, empty, err := csvdata.Survey(ctx, first, schema, limits)
	if err != nil {
		return nil, err
	}
	if s.spool, err = newSpool(dir, empty); err != nil {
		return nil, err
	}
	s.described, s.empty = d, s.blank() // which the blocks do not fill
	for j := range empty.Columns {
		s.origins = append(s.origins, d.Scalings[j].Median)
		if empty.Columns[j].Numbers != nil && d.Columns[j].Missing > 0 {
			s.described = nil // their median is not exact
		}
	}
	text, err := f.Read("writing what does not fit")
	if err != nil {
		return nil, err
	}
	return q, csvdata.ReadBlocks(ctx, text, empty, limits, func() error { return s.write(empty) })
}

// Table returns a table with the schema, the levels and the numbers, without rows.
func (s *Source) Table() *dataset.Table { return s.empty }

// of returns the rows whose numbers have hashes in some ranges.
func (s *Source) of(hashes dataset.HashRange, seed uint64, described *dataset.Description) *Source {
	return &Source{spool: s.spool, hashes: hashes, seed: seed, described: described}
}

// Split is by the hash of the row's number and the seed.
func (s *Source) Split(testSize float64, seed uint64) (train, test model.Source, err error) {
	if testSize == 0 {
		return s, nil, nil
	}
	return s.of(dataset.TrainRange(testSize), seed, nil), s.of(dataset.TestRange(testSize), seed, nil), nil
}

// Folds are by the hash of the row's number and the seed. They share the description of all their rows, so
// a level of one fold only has the weight 0.
func (s *Source) Folds(ctx context.Context, n int, seed uint64) (func(k int) (rest, held model.Source), error) {
	d, err := s.Describe(ctx)
	if err == nil {
		err = model.RequireClasses(d)
	}
	if err != nil {
		return nil, err
	}
	testSize := 0.0
	if s.hashes != nil {
		testSize = s.hashes[0].From
	}
	return func(k int) (rest, held model.Source) {
		in, out := dataset.FoldRange(testSize, k, n)
		return s.of(out, seed, d), s.of(in, seed, d)
	}, nil
}

// Describe summarises the rows, once. Deciles of numbers without codes are those of a dataset.Sketch, and so
// is the median where no cell is missing.
func (s *Source) Describe(ctx context.Context) (*dataset.Description, error) {
	if s.described != nil {
		return s.described, nil
	}
	d, columns := new(dataset.Description), s.empty.Columns
	counts, sketches := make([][]int, len(columns)), []*dataset.Sketch{}
	for j := range columns {
		counts[j], sketches = make([]int, len(columns[j].Coded())), append(sketches, dataset.NewSketch(s.origins[j]))
	}
	err := each(ctx, s, func(r rows) (rows, error) { return r, nil }, func(r rows) {
		d.Rows += len(r.use)
		for _, i := range r.use {
			d.Positives += metric.Indicator(r.Positive[i])
		}
		for j := range r.Columns {
			c := &r.Columns[j]
			if c.Numbers == nil {
				c.Count(counts[j], r.use)
				continue
			}
			for _, i := range r.use {
				sketches[j].Add(dataset.Value{Number: c.Numbers[i], Missing: math.IsNaN(c.Numbers[i])}, 1)
			}
		}
	})
	if err != nil {
		return nil, err
	}
	medians, err := s.medians(ctx, d.Rows, sketches)
	if err != nil {
		return nil, err
	}
	for j := range columns {
		summary, to := dataset.DescribeCounts(&s.empty.Schema.Features[j], columns[j].Coded(), counts[j])
		if sketches[j].Rows > 0 {
			summary = sketches[j].Summary()
			to = summary.Scaling(medians[j])
		}
		summary.Missing = d.Rows - summary.Rows
		d.Columns, d.Scalings = append(d.Columns, summary), append(d.Scalings, to)
	}
	s.described = d
	return d, nil
}

// medians returns the medians of sketches of all rows: exact ones where cells are missing, which they fill.
func (s *Source) medians(ctx context.Context, n int, sketches []*dataset.Sketch) ([]float64, error) {
	medians, bins := make([]float64, len(sketches)), map[int]*dataset.MedianBins{}
	for j, sketch := range sketches {
		if sketch.Rows == 0 {
			continue
		}
		if medians[j] = sketch.Median(); sketch.Rows < n {
			bins[j] = sketch.MedianBins()
		}
	}
	if len(bins) == 0 {
		return medians, nil
	}
	err := each(ctx, s, func(r rows) (rows, error) { return r, nil }, func(r rows) {
		for j, b := range bins {
			for _, i := range r.use {
				if x := r.Columns[j].Numbers[i]; !math.IsNaN(x) {
					b.Add(x)
				}
			}
		}
	})
	if err != nil {
		return nil, err
	}
	for j, b := range bins {
		medians[j] = b.Median()
	}
	return medians, nil
}

// CountLevels is Describe.
func (s *Source) CountLevels(ctx context.Context) ([]dataset.Summary, error) {
	d, err := s.Describe(ctx)
	if err != nil {
		return nil, err
	}
	return d.Columns, nil
}

// Sample reads the rows with the lowest hashes, unless a sample of as many is at hand.
func (s *Source) Sample(ctx context.Context, n int, _ uint64) (*dataset.Table, []int32, error) {
	d, err := s.Describe(ctx)
	if err != nil {
		return nil, nil, err
	}
	if s.sampled == nil || s.sampledOf < min(n, d.Rows) {
		part, out := s, s.blank()
		if d.Rows > n {
			share := (float64(n) - 4*math.Sqrt(float64(n))) / float64(d.Rows) // n is four standard deviations off
			part = s.of(s.hashes.Sample(share), s.seed, nil)
		}
		err = each(ctx, part, func(r rows) (*dataset.Table, error) {
			r.Keep(r.use)
			return r.Table, nil
		}, out.Join)
		if err != nil {
			return nil, nil, err
		}
		s.sampled, s.sampledOf = out, n
	}
	use := dataset.AllRows(min(s.sampled.Rows(), n))
	for k := range use {
		use[k] = int32(k * s.sampled.Rows() / len(use))
	}
	return s.sampled, use, nil
}

// with returns a design with these rows.
func (r rows) with(design *logreg.Rows) *logreg.Rows {
	d := *design
	d.Positive, d.Use, d.Bases = r.Positive, r.use, slices.Clone(design.Bases)
	for k := range d.Bases {
		b := &d.Bases[k]
		b.Codes, b.X = r.Columns[b.Feature].Codes, r.Columns[b.Feature].Numbers
	}
	return &d
}

func (r rows) score(ctx context.Context, c model.Classifier) (s model.Scored, err error) {
	s.By, s.Rows = c, model.InMemoryRows(r.Table, r.use)
	c.Design = r.with(c.Design)
	s.Predictions, err = s.Rows.Predict(ctx, c)
	return s, err
}

// Pass adds up loss, gradient and Hessian of each block.
func (s *Source) Pass(_ context.Context, design *logreg.Rows) (logreg.Pass, error) {
	return func(ctx context.Context, w []float64, sums *logreg.Sums) error {
		return each(ctx, s, func(r rows) (*logreg.Sums, error) {
			pass, err := r.with(design).Group(ctx)
			if err != nil {
				return nil, err
			}
			part := logreg.NewSums(design.Width)
			return part, pass(ctx, w, part)
		}, sums.Add)
	}, nil
}

// Predict counts the probabilities by bin.
func (s *Source) Predict(ctx context.Context, c model.Classifier) (model.Predictions, error) {
	var all model.Predictions = model.BinnedPredictions{Binned: metric.Binned{Threshold: c.Threshold}}
	err := each(ctx, s, func(r rows) (model.Predictions, error) {
		scored, err := r.score(ctx, c)
		if err != nil {
			return nil, err
		}
		return model.Bin(scored.Predictions, c.Threshold), nil
	}, func(p model.Predictions) { all = all.Pool(p) })
	return all, err
}

// Pair compares two classifiers by the rows' classes, answers and losses.
func (s *Source) Pair(ctx context.Context, current, candidate model.Scored) (p metric.Paired, err error) {
	err = each(ctx, s, func(r rows) (p metric.Paired, err error) {
		a, err := r.score(ctx, current.By)
		if err != nil {
			return p, err
		}
		b, err := r.score(ctx, candidate.By)
		if err != nil {
			return p, err
		}
		return a.Rows.Pair(ctx, a, b)
	}, p.Add)
	return p, err
}

// Hashes returns nil: the rows are not in memory.
func (s *Source) Hashes(*dataset.Schema) []uint64 { return nil }

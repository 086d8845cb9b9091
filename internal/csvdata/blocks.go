package csvdata

import (
	"cmp"
	"context"
	"io"
	"slices"

	"churn/internal/dataset"
)

// Survey checks a file as Clean does and describes its rows. empty is a table with the levels, and
// with the numbers unless there are too many for codes, in order.
func Survey(ctx context.Context, s Source, schema *dataset.Schema, limits dataset.Limits) (
	q *dataset.Quality, d *dataset.Description, empty *dataset.Table, err error,
) {
	sc := newScanner(schema, s.File, limits)
	if q, d, err = sc.clean(ctx, s, io.Discard); err != nil {
		return nil, nil, nil, err
	}
	values := make([][]dataset.Value, len(sc.columns))
	for j, c := range sc.columns {
		if c.sketch == nil {
			values[j] = slices.DeleteFunc(slices.Clone(c.values), func(v dataset.Value) bool { return v.Missing })
			slices.SortFunc(values[j], func(a, b dataset.Value) int {
				return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.Text, b.Text))
			})
		}
	}
	return q, d, dataset.Empty(schema, values), nil
}

// ReadBlocks reads a file again that Survey has read. It calls each with the empty table filled by
// some rows, which is emptied again.
func ReadBlocks(ctx context.Context, s Source, empty *dataset.Table, limits dataset.Limits, each func() error) error {
	sc, keep := newScanner(empty.Schema, s.File, limits), appendTo(empty, 0)
	sc.coded = true
	return sc.scan(ctx, s, func(p *partial) error {
		defer empty.Keep(nil)
		return cmp.Or(keep(p), each())
	})
}

// clean reads a file and describes the rows that it writes.
func (sc *scanner) clean(ctx context.Context, s Source, w io.Writer) (*dataset.Quality, *dataset.Description, error) {
	sc.sampler = newSampler(sc.schema)
	err := sc.scan(ctx, s, func(p *partial) error {
		_, err := w.Write(p.csv)
		return cmp.Or(err, sc.sampler.add(p))
	})
	if err != nil {
		return nil, nil, err
	}
	q := sc.audit.Quality
	d := &dataset.Description{Rows: q.RowsKept, Positives: q.Target.Labels[q.Target.Positive],
		Columns: make([]dataset.Summary, len(sc.columns)), Scalings: make([]dataset.Scaling, len(sc.columns))}
	for j, c := range sc.columns {
		s, scaling := c.summary()
		q.Columns[j].Describe(&s, scaling.Median)
		if c.sketch == nil && s.Numbers != nil {
			q.Columns[j].Distinct = c.present
		}
		d.Columns[j], d.Scalings[j] = s, scaling
	}
	if q.Sample, q.Copies, q.CopyLines = sc.sampler.finish(q.RowsKept); s.Place != nil {
		q.CopyLines = nil // the lines of findings have no file
		clear(q.Sample.Lines)
	}
	return q, d, nil
}

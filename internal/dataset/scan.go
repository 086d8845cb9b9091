package dataset

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
)

// Limits says what a file may be like.
type Limits struct {
	MaxMissing  float64 // largest share of missing cells in a column, 0 to 1
	DropInvalid bool    // leave out rows that break validate or integer, instead of refusing the file
	Known       bool    // a model knows the columns already: levels may be new, a column may be empty
}

// drops tells whether a row with the problem is left out, and not a reason to refuse the file.
func (l Limits) drops(problem *Problem) bool {
	return l.DropInvalid && (problem.Kind == BreaksRule || problem.Kind == NotWhole)
}

// Clean reads customers from CSV, judges and cleans them, and writes the good
// ones to w as CSV: the features in the schema's order, then the target. It
// returns what it found of each column before cleaning, and describes the rows
// that it wrote, by feature.
//
// If the data is refused the error is a *Refusal with everything that is wrong.
// Something may have been written by then, which must be undone. file names the
// data in messages.
func (s *Schema) Clean(ctx context.Context, r io.Reader, file string, limits Limits, w io.Writer) (*Quality, map[string]Summary, error) {
	return s.CleanWith(ctx, r, file, nil, limits, w)
}

// CleanWith is Clean of a file and of customers who are not in it. more gets the
// names of the file's columns and returns those customers as CSV of them, without
// a header; they follow the file's own. It may be nil.
func (s *Schema) CleanWith(ctx context.Context, r io.Reader, file string, more func(columns []string) ([]byte, error), limits Limits, w io.Writer) (*Quality, map[string]Summary, error) {
	header, err := csvRow(s.Columns())
	if err != nil {
		return nil, nil, err
	}
	if _, err := w.Write(header); err != nil {
		return nil, nil, err
	}
	sc := newScanner(s, file, limits)
	sc.wantCSV = true
	sc.more = more
	err = sc.scan(ctx, r, func(p *part) error {
		_, err := w.Write(p.csv)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	summaries := map[string]Summary{}
	for j := range s.Features {
		summaries[s.Features[j].Name] = sc.columns[j].summary()
	}
	return sc.quality, summaries, nil
}

// scanner holds the state of one reading of a file. Blocks of it are read by
// workers, on all cores, and put together in their order, so that the result does
// not depend on who read which.
type scanner struct {
	schema  *Schema
	file    string
	limits  Limits
	wantCSV bool                                   // parts have their text, not columns
	block   int                                    // bytes to read at once
	more    func(columns []string) ([]byte, error) // rows that follow the file's; may be nil

	header  []string
	cell    []int // feature to position in a record, -1 if the column is missing
	target  int
	unbound bool // the header is at fault, so no row is kept
	inOrder bool // a record has the features in the schema's order, then the target

	origins []float64 // by feature: one of its numbers, from the first rows
	workers []*worker // nil for one who had nothing to do
	fails   failures
	missing [][]int // first lines with a missing cell, by feature
	quality *Quality
	columns []*cells // by feature: what all workers counted
}

func newScanner(s *Schema, file string, limits Limits) *scanner {
	return &scanner{
		schema: s, file: file, limits: limits, fails: failures{file: file}, target: -1, block: blockBytes,
		missing: make([][]int, len(s.Features)), quality: newQuality(s, file),
	}
}

// scan reads a file and hands its parts to emit, in order, as long as nothing is
// wrong. An error of emit ends it and is returned as it is.
func (sc *scanner) scan(ctx context.Context, r io.Reader, emit func(*part) error) error {
	in := newBlocks(r)
	in.size = sc.block
	names, b, err := readHeader(in, nil, &sc.fails)
	if err != nil {
		return err
	}
	if names == nil {
		return sc.fails.err()
	}
	sc.header = names
	if sc.more != nil {
		rows, err := sc.more(names)
		if err != nil {
			return err
		}
		in.then = bytes.NewReader(rows)
	}
	first := newPart(sc.schema)
	first.block, first.memory = b, b.text
	sc.bind()
	sc.findOrigins(b)
	broken, err := sc.readAll(ctx, in, first, emit)
	if err != nil {
		return err
	}
	sc.total()
	if !broken {
		sc.judge()
	}
	return sc.fails.err()
}

// readAll reads what follows the header, of which first has the beginning. It
// tells whether the file stops being CSV somewhere.
func (sc *scanner) readAll(ctx context.Context, in *blocks, first *part, emit func(*part) error) (broken bool, err error) {
	outer := ctx
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	sc.workers = make([]*worker, runtime.GOMAXPROCS(0))
	parts := 2*len(sc.workers) + 1 // one each at hand and waiting, and one to be read; each channel has room for all
	todo, order, free := make(chan *part, parts), make(chan *part, parts), make(chan *part, parts)
	for range parts - 1 {
		free <- newPart(sc.schema)
	}
	var readError error // to be looked at once order is closed
	go func() {
		defer close(order)
		defer close(todo)
		for p := first; ; {
			todo <- p
			order <- p
			select {
			case p = <-free:
			case <-ctx.Done():
				return
			}
			if err := p.read(in); err != nil {
				if err != io.EOF {
					readError = fmt.Errorf("%s: %w", sc.file, err)
				}
				return
			}
		}
	}()
	var wg sync.WaitGroup
	for k := range sc.workers {
		wg.Go(func() {
			for p := range todo {
				if sc.workers[k] == nil {
					sc.workers[k] = sc.newWorker(k)
				}
				if ctx.Err() == nil {
					sc.workers[k].scan(p)
				}
				p.done <- struct{}{}
			}
		})
	}
	for p := range order {
		<-p.done
		if ctx.Err() == nil {
			sc.merge(p)
			if broken = p.broken; !broken && !p.refused && len(sc.fails.list) == 0 {
				err = emit(p)
			}
			if broken || err != nil {
				stop()
			}
		}
		free <- p
	}
	wg.Wait()
	if err == nil && !broken {
		err = readError
	}
	if err == nil {
		err = outer.Err()
	}
	return broken, err
}

// merge takes over what is wrong with a part.
func (sc *scanner) merge(p *part) {
	for _, f := range p.fails.list {
		sc.fails.merge(f)
	}
	for j, lines := range p.missing {
		sc.missing[j] = append(sc.missing[j], lines[:min(len(lines), linesShown-len(sc.missing[j]))]...)
	}
}

// total adds up what the workers counted.
func (sc *scanner) total() {
	q := sc.quality
	all := sc.newWorker(-1)
	for _, w := range sc.workers {
		if w == nil {
			continue
		}
		q.RowsRead += w.read
		q.RowsKept += w.kept
		q.RowsDropped += w.dropped
		all.labels.merge(&w.labels)
		for j, c := range all.columns {
			c.merge(w.columns[j])
		}
	}
	q.Target.labelled(&all.labels)
	sc.columns = all.columns
	for j, c := range sc.columns {
		c.quality.Name, c.quality.Type, c.quality.Levels = q.Columns[j].Name, q.Columns[j].Type, q.Columns[j].Levels
		c.finish()
		q.Columns[j] = c.quality
	}
}

// findOrigins looks for a number of each feature in the first rows, which do not
// hang on who reads what; 0 is as good as any if there is none.
func (sc *scanner) findOrigins(b block) {
	sc.origins = make([]float64, len(sc.schema.Features))
	found := make([]bool, len(sc.origins))
	var rs records
	var fails failures // they are found again
	rs.over(b, len(sc.header), &fails)
	for range 100 {
		if !rs.next() {
			return
		}
		for j := range sc.origins {
			f := &sc.schema.Features[j]
			if found[j] || f.Type != Number || sc.cell[j] < 0 {
				continue
			}
			if v, _, _, problem := f.Clean(string(rs.cells[sc.cell[j]])); problem == nil && !v.Missing {
				sc.origins[j], found[j] = v.Number, true
			}
		}
	}
}

// bind finds the schema's columns in the header, and reports those that are
// missing and those that nobody knows.
func (sc *scanner) bind() {
	for i := range sc.schema.Features {
		at := slices.Index(sc.header, sc.schema.Features[i].Name)
		sc.cell = append(sc.cell, at)
		if at < 0 {
			sc.fails.add(1, sc.schema.Features[i].Name, "absent", "the column is missing")
		}
	}
	sc.target = slices.Index(sc.header, sc.schema.Target.Name)
	if sc.target < 0 {
		sc.fails.add(1, sc.schema.Target.Name, "absent", "the target column is missing")
	}
	for _, name := range sc.header {
		if name != "" && sc.schema.Index(name) < 0 && !sc.schema.Skips(name) {
			sc.fails.add(1, name, "unknown", sc.unknownAdvice())
		}
	}
	sc.unbound = len(sc.fails.list) > 0
	sc.inOrder = slices.Equal(sc.header, sc.schema.Columns())
}

func (sc *scanner) unknownAdvice() string {
	if sc.limits.Known {
		return "the model's schema does not know this column: take it out of the file"
	}
	return "the schema does not know this column: add it there, or ignore it with --ignore"
}

// levelLimit is how many levels a feature may have: what a table can hold where
// they are known not to name rows.
func levelLimit(f *Feature, limits Limits) int {
	if limits.Known {
		return maxLevels
	}
	return f.levelLimit()
}

package csvdata

import (
	"context"
	"runtime"

	"churn/internal/dataset"
	"churn/internal/pipeline"
)

// A RowReader reads the customers of a file one by one, on all cores, by the schema of a model.
type RowReader struct {
	Schema      *dataset.Schema
	DropInvalid bool // rows that cannot be scored are left out, instead of rejecting the file

	Bind func(header []string) error         // is called once, before Row
	Row  func(r *Row, out []byte) []byte     // appends what becomes of a customer; Row.Worker is the caller's
	Bad  func(r *Row, out []byte) []byte     // likewise of one that is left out; may be nil
	Each func(rows, bad []byte, n int) error // takes what they appended, in the file's order
}

// A Row is a customer of a file. It is valid until the next one.
type Row struct {
	Worker int             // from 0, less than GOMAXPROCS
	Cells  [][]byte        // trimmed or not, as in the file, in the header's order
	Values []dataset.Value // by feature
}

// RowCounts is what a RowReader has read.
type RowCounts struct {
	Rows, Bad int   // that can be scored, and that were left out
	Issues    error // of those that were left out
}

// rowPart is what a worker made of one chunk.
type rowPart struct {
	chunk     chunk
	rows, bad []byte
	n, nBad   int
	issues    dataset.Issues // of rows that cannot be scored
	damage    dataset.Issues // of the file
}

// Read reads a file. Columns that the schema does not have are no concern of it. An error about
// the file or its rows is a *dataset.ValidationError.
func (rr *RowReader) Read(ctx context.Context, s Source) (*RowCounts, error) {
	issues := dataset.Issues{File: s.File}
	in := newChunkReader(s)
	header, _, err := readHeader(in, &issues)
	if err != nil {
		return nil, err
	}
	if header == nil {
		return nil, issues.Err()
	}
	schema := s.schema(rr.Schema, header).Unclipped()
	cells, position := make([]int, len(schema.Features)), positions(header)
	known := positions(schema.Columns())
	for j, f := range schema.Features {
		if cells[j] = position(f.Name); cells[j] < 0 {
			issues.Add(1, f.Name, "absent", "the column is missing: "+listColumns(header, f.Name, known))
		}
	}
	if err := issues.Err(); err != nil {
		return nil, err
	}
	if err := rr.Bind(header); err != nil {
		return nil, err
	}
	workers := make([]*rowWorker, runtime.GOMAXPROCS(0))
	read := func(p *rowPart) (err error) {
		p.chunk, err = in.next(p.chunk.text)
		return err
	}
	work := func(k int, p *rowPart) {
		if workers[k] == nil {
			workers[k] = rr.newWorker(k, s.File, schema, cells, len(header))
		}
		workers[k].read(p)
	}
	counts, damage := new(RowCounts), dataset.Issues{File: s.File}
	consume := func(p *rowPart) error {
		counts.Rows, counts.Bad = counts.Rows+p.n, counts.Bad+p.nBad
		issues.Merge(&p.issues)
		damage.Merge(&p.damage)
		if !damage.Empty() || !issues.Empty() && !rr.DropInvalid {
			return nil
		}
		return rr.Each(p.rows, p.bad, p.n)
	}
	err = pipeline.Run(ctx, len(workers), read, work, consume)
	rejected := counts.Rows == 0 || counts.Bad > 0 && !rr.DropInvalid
	switch {
	case err != nil:
		return nil, err
	case !damage.Empty() && rr.DropInvalid:
		return nil, damage.Err()
	case counts.Rows+counts.Bad == 0 && damage.Empty():
		issues.AddColumn("", "the file has a header but no rows")
	case rejected && counts.Rows > 0 && damage.Empty():
		issues.AddColumn("", "%d of %d rows cannot be scored: mend them, or leave them out with --drop-invalid",
			counts.Bad, counts.Bad+counts.Rows)
	}
	issues.Merge(&damage)
	if counts.Issues = issues.Err(); counts.Issues != nil && (rejected || !damage.Empty()) {
		return nil, counts.Issues
	}
	return counts, nil
}

// A rowWorker reads chunks, one at a time.
type rowWorker struct {
	*RowReader
	file    string
	cells   []int // by feature: its place in a record
	width   int
	records records
	columns []*column
	row     Row
	rows    int // read
}

func (rr *RowReader) newWorker(k int, file string, schema *dataset.Schema, cells []int, width int) *rowWorker {
	w := &rowWorker{RowReader: rr, file: file, cells: cells, width: width}
	w.row = Row{Worker: k, Values: make([]dataset.Value, len(cells))}
	limits := dataset.Limits{Known: true}
	for j := range schema.Features {
		f := &schema.Features[j]
		w.columns = append(w.columns, newColumn(f, limits.MaxLevels(f), false, 0))
	}
	return w
}

func (w *rowWorker) read(p *rowPart) {
	p.rows, p.bad, p.n, p.nBad = p.rows[:0], p.bad[:0], 0, 0
	p.issues, p.damage = dataset.Issues{File: w.file}, dataset.Issues{File: w.file}
	rs := &w.records
	rs.reset(p.chunk, w.width, &p.damage)
	for rs.next() {
		if w.rows++; w.rows == tryRows {
			adapt(w.columns, tryRows)
		}
		w.row.Cells = rs.cells
		if !w.check(rs, &p.issues) {
			if p.nBad++; w.Bad != nil {
				p.bad = w.Bad(&w.row, p.bad)
			}
			continue
		}
		p.n++
		p.rows = w.Row(&w.row, p.rows)
	}
}

// check cleans the cells of a record, and reports whether it can be scored.
func (w *rowWorker) check(rs *records, issues *dataset.Issues) bool {
	good := true
	for j, c := range w.columns {
		found := &c.cells[c.read(rs.cells[w.cells[j]])]
		w.row.Values[j] = found.value
		switch {
		case found.problem != nil:
			issues.Add(rs.line, c.feature.Name, found.problem.ID(), found.problem.Error())
			good = false
		case found.value.Missing && !c.feature.Optional:
			issues.Add(rs.line, c.feature.Name, "missing", "missing, which it never was in the training rows")
			good = false
		}
	}
	return good
}

package csvdata

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"

	"churn/internal/dataset"
	"churn/internal/pipeline"
	"churn/internal/strictjson"
)

// Clean reads customers from a CSV file, validates and cleans them, and writes them to
// w as CSV: the features in the schema's order, then the target. It returns the quality
// of the data before cleaning, and the summaries of the rows that it wrote, by feature.
//
// more, if it is not nil, takes the names of the file's columns and returns further
// customers as CSV with those columns and without a header, which follow the file's.
//
// Invalid data gives a *dataset.ValidationError with every issue. What has been written
// to w by then must be discarded.
func Clean(
	ctx context.Context, s Source, more func(columns []string) ([]byte, error),
	schema *dataset.Schema, limits dataset.Limits, w io.Writer,
) (*dataset.Quality, map[string]dataset.Summary, error) {
	sc := newScanner(schema, s.File, limits)
	if _, err := w.Write(AppendRow(nil, sc.names())); err != nil {
		return nil, nil, err
	}
	sc.more = more
	q, d, err := sc.clean(ctx, s, w)
	if err != nil {
		return nil, nil, err
	}
	summaries := map[string]dataset.Summary{}
	for j, f := range schema.Features {
		summaries[f.Name] = d.Columns[j]
	}
	return q, summaries, nil
}

// schema returns the schema by which the cells under a header are read.
func (s *Source) schema(schema *dataset.Schema, header []string) *dataset.Schema {
	if s.Typed == nil {
		return schema
	}
	at := positions(header)
	return schema.Typed(func(name string) bool {
		i := at(name)
		return i >= 0 && i < len(s.Typed) && s.Typed[i]
	})
}

// ReadTable reads all customers of a CSV file into memory, by the rules of Clean.
func ReadTable(
	ctx context.Context, s Source, schema *dataset.Schema, limits dataset.Limits,
) (*dataset.Table, error) {
	t, sc := dataset.NewTable(schema), newScanner(schema, s.File, limits)
	if err := sc.scan(ctx, s, appendTo(t, s.Size)); err != nil {
		return nil, err
	}
	t.Open = sc.audit.Quality.RowsOpen
	err := pipeline.Each(len(t.Columns), runtime.GOMAXPROCS(0), func(_, j int) error {
		t.Columns[j].UseCodes()
		return nil
	})
	return t, err
}

// appendTo returns a function that appends partials to a table, from a file of so many bytes if they are known.
func appendTo(t *dataset.Table, size int64) func(*partial) error {
	recoded := make(map[int][][]int32) // by worker and feature
	return func(p *partial) error {
		if recoded[p.worker] == nil {
			recoded[p.worker] = make([][]int32, len(t.Columns))
		}
		if have := len(t.Positive) + len(p.positive); have > cap(t.Positive) && len(p.chunk.text) > 0 {
			const margin, most = 1.01, 128 // times the rows there are: a file may be shorter than it says
			all := margin * float64(len(p.positive)) / float64(len(p.chunk.text)) * float64(size)
			t.Grow(max(0, min(int(all), most*have)-len(t.Positive)))
		}
		t.Positive = append(t.Positive, p.positive...)
		t.Times, t.Dates = append(t.Times, p.times...), t.Dates || p.moments[1] > 0
		for j := range t.Columns {
			if len(p.numbers[j]) > 0 {
				t.Columns[j].AppendNumbers(p.numbers[j])
			} else if len(p.codes[j]) > 0 { // otherwise the column may have no values any more
				t.Columns[j].AppendCoded(p.codes[j], p.values[j], &recoded[p.worker][j])
			}
		}
		return nil
	}
}

// scanner holds the state of one reading of a file. Its chunks are read by workers, on
// all cores, and joined in their order, so that the result does not depend on which
// worker reads which.
type scanner struct {
	schema    *dataset.Schema
	limits    dataset.Limits
	sampler   *sampler                               // partials have text, and columns of its rows; nil: no text, all rows
	chunkSize int                                    // bytes to read at once
	more      func(columns []string) ([]byte, error) // rows that follow the file's; may be nil
	coded     bool                                   // numbers keep their codes even if the first ones differ

	header     []string
	cell       []int  // by feature: position in a record, -1 if the column is missing
	targetCell int    // likewise
	timeCell   int    // likewise
	times      [2]int // numbers and dates
	badHeader  bool   // columns are missing or unknown, so no row is kept
	inOrder    bool   // a record has the features in the schema's order, then the target

	origins []float64 // by feature: one of its numbers, from the first rows
	workers []*worker // nil for one that had nothing to do
	audit   *dataset.Audit
	missing [][]int   // first lines with a missing cell, by feature
	columns []*column // by feature: the counts of all workers
}

func newScanner(s *dataset.Schema, file string, limits dataset.Limits) *scanner {
	return &scanner{
		schema: s, limits: limits, chunkSize: chunkBytes,
		audit: s.NewAudit(file, limits), missing: make([][]int, len(s.Features)),
	}
}

// errBroken ends a reading whose issues say where the text is not CSV.
var errBroken = errors.New("not CSV")

// scan reads a file and calls emit with its partials, in order, as long as there are
// no issues. An error of emit ends it and is returned as it is.
func (sc *scanner) scan(ctx context.Context, s Source, emit func(*partial) error) error {
	in := newChunkReader(s)
	in.size, sc.audit.Issues.Place = sc.chunkSize, s.Place
	names, c, err := readHeader(in, &sc.audit.Issues)
	if err != nil {
		return err
	}
	if names == nil {
		return sc.audit.Issues.Err()
	}
	sc.header = names
	if sc.schema = s.schema(sc.schema, names); sc.limits.Plain {
		sc.schema = sc.schema.Plain()
	}
	if sc.more != nil {
		rows, err := sc.more(names)
		if err != nil {
			return err
		}
		in.more = bytes.NewReader(rows)
	}
	sc.bind()
	sc.findOrigins(c)
	sc.workers = make([]*worker, sc.workersFor(s.Size))
	err = sc.readAll(ctx, in, emit)
	if err != nil && err != errBroken {
		return err
	}
	sc.total()
	if err == nil {
		sc.check()
	}
	return sc.audit.Issues.Err()
}

// workersFor returns how many workers a file of so many bytes pays for, if they are known: each has
// its own columns, which in a wide file of few rows cost more than reading it.
func (sc *scanner) workersFor(size int64) int {
	const perColumn = 64 // bytes
	most := int64(runtime.GOMAXPROCS(0))
	if size > 0 {
		most = min(most, 1+size/int64(perColumn*len(sc.header)))
	}
	return int(most)
}

// readAll reads the chunks behind the header. It ends where the text is not CSV.
func (sc *scanner) readAll(ctx context.Context, in *chunkReader, emit func(*partial) error) error {
	read := func(p *partial) (err error) {
		p.chunk, err = in.next(p.chunk.text)
		return err
	}
	work := func(k int, p *partial) {
		if sc.workers[k] == nil {
			sc.workers[k] = sc.newWorker(k)
		}
		sc.workers[k].scan(p)
	}
	consume := func(p *partial) error {
		sc.merge(p)
		switch {
		case p.broken:
			return errBroken
		case p.overflow || !sc.audit.Issues.Empty():
			return nil
		}
		return emit(p)
	}
	return pipeline.Run(ctx, len(sc.workers), read, work, consume)
}

// merge adds the issues and missing cells of a partial.
func (sc *scanner) merge(p *partial) {
	sc.audit.Issues.Merge(&p.issues)
	sc.times[0], sc.times[1] = sc.times[0]+p.moments[0], sc.times[1]+p.moments[1]
	for j, lines := range p.missing {
		room := dataset.LinesShown - len(sc.missing[j])
		sc.missing[j] = append(sc.missing[j], lines[:min(len(lines), room)]...)
	}
}

func (sc *scanner) total() {
	q := sc.audit.Quality
	var all *worker // the first one takes what the others have
	for _, w := range sc.workers {
		if w == nil {
			continue
		}
		q.RowsRead += w.rowsRead
		q.RowsKept += w.rowsKept
		q.RowsDropped += w.rowsDropped
		q.RowsOpen += w.rowsOpen
		q.RowsBlank += w.rowsBlank
		if all == nil {
			all = w
			continue
		}
		all.target.classes.Merge(&w.target.classes)
		for j, c := range all.columns {
			c.merge(w.columns[j])
		}
	}
	if all == nil {
		all = sc.newWorker(0)
	}
	q.Target = all.target.classes.Quality()
	sc.columns = all.columns
	for j, c := range sc.columns {
		c.finish(&q.Columns[j])
	}
}

// check applies the checks that need the whole file.
func (sc *scanner) check() {
	q := sc.audit.Quality
	if q.RowsRead == 0 {
		if sc.audit.Issues.Empty() {
			sc.audit.Issues.AddColumn("", "the file has a header but no rows")
		}
		return
	}
	if line, columns := sc.secondHeader(); line > 0 {
		sc.audit.Issues.Add(line, "", "header", "words where all other rows have numbers, in "+columns+
			": if they are a second header, leave it out with --skip-rows 1, or delete the line")
		return // it makes categories of numbers, and a class of the target
	}
	for j := range q.Columns {
		if sc.cell[j] >= 0 {
			sc.audit.CheckColumn(j, sc.missingIn)
		}
	}
	if sc.times[0] > 0 && sc.times[1] > 0 && !sc.limits.Known {
		sc.audit.Issues.AddColumn(sc.limits.Time, "%d times are dates and %d are numbers: write all of them as dates",
			sc.times[1], sc.times[0])
	}
	sc.audit.CheckRows(sc.targetCell >= 0)
}

// missingIn says where feature j is missing.
func (sc *scanner) missingIn(j int) string {
	where := ", all in the rows added"
	if lines := sc.missing[j]; len(lines) > 0 {
		where = ", " + dataset.ListLines(lines, sc.audit.Quality.Columns[j].Missing)
		if place := sc.audit.Issues.Place; place != nil {
			file, line := place(lines[0])
			where = fmt.Sprintf(", the first in %s:%d", file, line)
		}
	}
	if sc.sampler != nil {
		where += sc.sampler.blankWith(j)
	}
	return where
}

// secondHeader returns the line of words, not all the same, in several columns that
// otherwise have numbers alone, and the columns; 0 if there is none.
func (sc *scanner) secondHeader() (line int, columns string) {
	const least = 20 // numbers
	var names []string
	words := map[string]bool{}
	for _, q := range sc.audit.Quality.Columns {
		if len(q.Texts) != 1 || q.Numeric < least || q.Numeric != q.Present-1 || line > 0 && q.Texts[0].Line != line {
			continue
		}
		line = q.Texts[0].Line
		words[q.Texts[0].Level] = true
		names = append(names, strictjson.Printable(q.Name))
	}
	if len(words) < 2 {
		return 0, ""
	}
	return line, strings.Join(names, ", ")
}

// findOrigins finds the middle number of each feature in the first rows, which do not depend on
// the workers; 0 will do if there is none.
func (sc *scanner) findOrigins(c chunk) {
	sc.origins = make([]float64, len(sc.schema.Features))
	numbers := make([][]float64, len(sc.origins))
	var rs records
	rs.reset(c, len(sc.header), new(dataset.Issues)) // which are reported when the rows are read
	for range 100 {
		if !rs.next() {
			break
		}
		for j := range numbers {
			f := &sc.schema.Features[j]
			if f.Type != dataset.Number || sc.cell[j] < 0 {
				continue
			}
			if v, _, _, problem := f.Clean(string(rs.cells[sc.cell[j]])); problem == nil && !v.Missing {
				numbers[j] = append(numbers[j], v.Number)
			}
		}
	}
	for j, found := range numbers {
		if len(found) > 0 {
			slices.Sort(found)
			sc.origins[j] = found[len(found)/2]
		}
	}
}

// bind finds the schema's columns in the header, and reports missing and unknown ones.
func (sc *scanner) bind() {
	issues := &sc.audit.Issues
	position, known := positions(sc.header), positions(slices.Concat(sc.schema.Columns(), sc.schema.Ignore))
	for i := range sc.schema.Features {
		name := sc.schema.Features[i].Name
		at := position(name)
		sc.cell = append(sc.cell, at)
		if at < 0 {
			issues.Add(1, name, "absent", "the column is missing: "+listColumns(sc.header, name, known))
		}
	}
	sc.targetCell = position(sc.schema.Target.Name)
	if sc.targetCell < 0 {
		issues.Add(1, sc.schema.Target.Name, "absent", "the target column is missing: "+
			listColumns(sc.header, sc.schema.Target.Name, known))
	}
	unknown := "the schema does not know this column: add it there, or ignore it with --ignore"
	if sc.limits.Known {
		unknown = "the model's schema does not know this column: remove it from the file"
	}
	addSecond(issues, sc.header, known)
	for i, name := range sc.header {
		if _, twice := second(i, name); name != "" && known(name) < 0 && !twice {
			issues.Add(1, name, "unknown", unknown)
		}
	}
	if sc.timeCell = -1; sc.limits.Time != "" {
		sc.timeCell = position(sc.limits.Time)
	}
	if sc.limits.Time != "" && sc.timeCell < 0 && !sc.limits.Known {
		issues.Add(1, sc.limits.Time, "absent", "the column of --time-column is missing: prepare keeps it with that flag")
	}
	sc.badHeader = !issues.Empty()
	sc.inOrder = slices.Equal(sc.header, sc.names())
}

// names returns the columns that Clean writes.
func (sc *scanner) names() []string {
	if sc.limits.Time == "" {
		return sc.schema.Columns()
	}
	return append(sc.schema.Columns(), sc.limits.Time)
}

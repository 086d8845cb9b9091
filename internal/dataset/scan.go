package dataset

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Limits says what Scan lets through.
type Limits struct {
	MaxMissing  float64 // largest share of missing cells in a column, 0 to 1
	DropInvalid bool    // leave out rows that break validate or integer, instead of refusing the file
	Known       bool    // a model knows the columns already: levels may be new, a column may be empty
}

// A Row is a customer that Scan found good. It is overwritten by the next one.
type Row struct {
	Values   []Value  // in the schema's order
	Positive bool     // the target
	Cells    []string // the cleaned text: the features in the schema's order, then the target
}

// Scan reads customers from CSV, cleans and judges them, and hands the good ones
// to emit, in order. It returns what it found of each column.
//
// If the data is refused the error is a *Refusal with everything that is wrong;
// emit may have been called by then, so its effects must be undone. An error of
// emit ends the scan and is returned as it is. file names the data in messages.
func (s *Schema) Scan(r io.Reader, file string, limits Limits, emit func(*Row) error) (*Quality, error) {
	sc := newScanner(s, file, limits)
	rs, err := newRecords(r, &sc.fails)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	sc.bind(rs.header)
	row := &Row{Values: make([]Value, len(s.Features)), Cells: make([]string, len(s.Features)+1)}
	for rs.header != nil {
		record, line, err := rs.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		keep := sc.row(record, line, row)
		if !keep || len(sc.fails.list) > 0 {
			continue
		}
		sc.quality.RowsKept++
		if err := emit(row); err != nil {
			return nil, err
		}
	}
	if rs.header != nil && !rs.broken {
		sc.judge()
	}
	return sc.quality, sc.fails.err()
}

// scanner holds the state of one Scan.
type scanner struct {
	schema  *Schema
	limits  Limits
	quality *Quality
	fails   failures
	cell    []int // feature to position in a record, -1 if the column is missing
	target  int
	numeric bool // the target's positive value is a number
	pos     float64
	missing [][]int // first lines with a missing cell, by feature
}

func newScanner(s *Schema, file string, limits Limits) *scanner {
	sc := &scanner{schema: s, limits: limits, fails: failures{file: file}, target: -1}
	sc.pos, sc.numeric = parseNumber(s.Target.Positive)
	sc.missing = make([][]int, len(s.Features))
	sc.quality = newQuality(s, file)
	return sc
}

// bind finds the schema's columns in the header, and reports those that are
// missing and those that nobody knows.
func (sc *scanner) bind(header []string) {
	if header == nil {
		return
	}
	for i := range sc.schema.Features {
		at := slices.Index(header, sc.schema.Features[i].Name)
		sc.cell = append(sc.cell, at)
		if at < 0 {
			sc.fails.add(1, sc.schema.Features[i].Name, "absent", "the column is missing")
		}
	}
	sc.target = slices.Index(header, sc.schema.Target.Name)
	if sc.target < 0 {
		sc.fails.add(1, sc.schema.Target.Name, "absent", "the target column is missing")
	}
	for _, name := range header {
		if name != "" && sc.schema.Index(name) < 0 && !sc.schema.Skips(name) {
			sc.fails.add(1, name, "unknown", sc.unknownAdvice())
		}
	}
}

func (sc *scanner) unknownAdvice() string {
	if sc.limits.Known {
		return "the model's schema does not know this column: take it out of the file"
	}
	return "the schema does not know this column: add it there, or ignore it with --ignore"
}

// row cleans and judges a record, and fills row. It tells whether to keep it.
func (sc *scanner) row(record []string, line int, row *Row) bool {
	sc.quality.RowsRead++
	var problems int
	for i := range sc.schema.Features {
		if sc.cell[i] < 0 {
			continue
		}
		f, q := &sc.schema.Features[i], &sc.quality.Columns[i]
		v, text, changes, problem := f.Clean(record[sc.cell[i]])
		row.Values[i], row.Cells[i] = v, text
		q.count(v, changes)
		if v.Missing && len(sc.missing[i]) < linesShown {
			sc.missing[i] = append(sc.missing[i], line)
		}
		if problem == nil {
			continue
		}
		if sc.limits.DropInvalid && (problem.Kind == BreaksRule || problem.Kind == NotWhole) {
			q.Invalid++
			problems++
			continue
		}
		sc.fails.add(line, f.Name, fmt.Sprint(problem.Kind, problem.Rule), problem.Error())
	}
	if problems > 0 {
		sc.quality.RowsDropped++
		return false
	}
	for i, v := range row.Values {
		if sc.cell[i] >= 0 {
			sc.quality.Columns[i].countKept(v, sc.levelLimit(&sc.schema.Features[i]))
		}
	}
	if sc.target < 0 {
		return false
	}
	label := strings.TrimSpace(record[sc.target])
	if _, missing := sc.schema.missing[label]; missing {
		sc.fails.add(line, sc.schema.Target.Name, "missing", "the target is missing")
		return false
	}
	row.Positive = sc.positive(label)
	row.Cells[len(row.Cells)-1] = label
	sc.quality.Target.count(sc.canonical(label))
	return true
}

func (sc *scanner) positive(label string) bool {
	if sc.numeric {
		x, ok := parseNumber(label)
		return ok && x == sc.pos
	}
	return label == sc.schema.Target.Positive
}

// canonical lets 1 and 1.0 be one label where labels are numbers.
func (sc *scanner) canonical(label string) string {
	if x, ok := parseNumber(label); ok && sc.numeric {
		return strconv.FormatFloat(x+0, 'g', -1, 64) // −0 is 0
	}
	return label
}

// judge applies the gates that need the whole file.
func (sc *scanner) judge() {
	q := sc.quality
	if q.RowsRead == 0 {
		if len(sc.fails.list) == 0 {
			sc.fails.addColumn("", "the file has a header but no rows")
		}
		return
	}
	for i := range q.Columns {
		if sc.cell[i] >= 0 {
			sc.judgeColumn(&sc.schema.Features[i], &q.Columns[i], sc.missing[i])
		}
	}
	if q.RowsDropped == q.RowsRead {
		sc.fails.addColumn("", "every row breaks the schema's rules, so none is left")
	} else if sc.target >= 0 {
		sc.judgeTarget()
	}
}

func (sc *scanner) judgeColumn(f *Feature, q *ColumnQuality, missingLines []int) {
	rows := sc.quality.RowsRead
	q.MissingShare = float64(q.Missing) / float64(rows)
	switch {
	case q.kept == 0 && sc.quality.RowsDropped < rows && !sc.limits.Known:
		sc.fails.addColumn(f.Name, "every cell is missing: leave the column out with --ignore")
	case q.MissingShare > sc.limits.MaxMissing:
		sc.fails.addColumn(f.Name, "%.1f %% missing, at most %.3g %% (%d of %d rows, %s)",
			100*q.MissingShare, 100*sc.limits.MaxMissing, q.Missing, rows, listLines(missingLines, q.Missing))
	}
	if f.Type != Category || sc.limits.Known && !q.tooManyLevels {
		return
	}
	const (
		nearly  = 0.9 // share of different values above which a category names rows instead of kinds
		telling = 20  // rows below which that share says nothing
	)
	numbers := ""
	if 2*q.numbers > q.kept {
		numbers = fmt.Sprintf("; %d of its %d cells are numbers, but not %q: if that means missing, name it in --missing-values",
			q.numbers, q.kept, shorten(q.notNumber))
	}
	switch {
	case q.tooManyLevels:
		sc.fails.addColumn(f.Name, "more than %d different values, as an identifier has: leave it out with --ignore, or raise its max_levels in the schema%s", sc.levelLimit(f), numbers)
	case q.kept >= telling && float64(len(q.Levels)) > nearly*float64(q.kept):
		sc.fails.addColumn(f.Name, "%d different values in %d rows, as an identifier has: leave it out with --ignore%s", len(q.Levels), q.kept, numbers)
	}
}

// levelLimit is how many levels a feature may have: what a table can hold where
// they are known not to name rows.
func (sc *scanner) levelLimit(f *Feature) int {
	if sc.limits.Known {
		return maxLevels
	}
	return f.levelLimit()
}

func (sc *scanner) judgeTarget() {
	t := &sc.quality.Target
	positive := sc.canonical(sc.schema.Target.Positive)
	switch _, ok := t.Labels[positive]; {
	case len(t.Labels) > 2 || t.more:
		sc.fails.addColumn(t.Name, "more than two values (%s): a target has two", t.list())
	case !ok && len(t.Labels) > 0:
		sc.fails.addColumn(t.Name, "no row has the positive value %q, but %s: name one with --positive", sc.schema.Target.Positive, t.list())
	case len(t.Labels) == 1:
		sc.fails.addColumn(t.Name, "every row is %q: a target has two values", sc.schema.Target.Positive)
	}
}

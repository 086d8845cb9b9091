package dataset

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"churn/internal/strictjson"
)

// Limits says what a data set may be like.
type Limits struct {
	MaxMissing  float64  // largest share of missing cells in a column, 0 to 1
	DropInvalid bool     // leave out rows that break validate or integer, instead of rejecting the data
	DropOpen    bool     // leave out rows of a file that lack the target
	Known       bool     // a model knows the columns already: levels may be new, a column may be empty
	Plain       bool     // prepare wrote the file: its numbers are plain, whatever the schema's notations
	Time        string   // column of times that is kept beside the features; "" for none
	TimeForm    string   // one of DateForms that ParseTime does not read, if its dates have it
	Several     []string // categories that would be numbers or dates but for cells in another notation
}

// Drops reports whether a row with the problem is left out, instead of rejecting the data.
func (l Limits) Drops(problem *Problem) bool {
	return l.DropInvalid && (problem.Kind == BreaksRule || problem.Kind == NotWhole)
}

// MaxLevels returns how many levels a feature may have: as many as a table can hold
// where they are known not to identify rows.
func (l Limits) MaxLevels(f *Feature) int {
	switch {
	case l.Known:
		return maxLevels
	case f.MaxLevels > 0:
		return f.MaxLevels
	}
	return DefaultMaxLevels
}

// An Audit applies the schema to a data set whose values were counted, such as by a
// database: the rules are the same as for a file, and so are the checks and the report.
//
// Read and Problem take all rows, Keep and KeepLabel those that are not left out.
// Finish, once at the end, checks the columns and the target.
type Audit struct {
	Quality *Quality
	Issues  Issues

	schema       *Schema
	limits       Limits
	classes      Classes
	tooManyTexts []int // features whose texts were not all counted
	maxTexts     int
	table        bool // the rows are a database's, which leaves out none for its target
}

// NewAudit returns the audit of no rows. source names them in messages.
func (s *Schema) NewAudit(source string, limits Limits) *Audit {
	return &Audit{
		Quality: newQuality(s, source), Issues: Issues{File: source},
		schema: s, limits: limits, classes: s.NewClasses(),
	}
}

// Read cleans and validates a text that feature j has in a number of rows; a null is "".
// It returns the cleaned value, and whether rows with it are left out.
func (a *Audit) Read(j int, raw string, rows int) (v Value, drop bool) {
	v, _, changes, problem := a.schema.Features[j].Clean(raw)
	a.Quality.Columns[j].Count(v, changes, rows)
	if problem == nil {
		return v, false
	}
	return v, a.Problem(j, problem, rows)
}

// Cleaned counts numbers of feature j that a database cleaned.
func (a *Audit) Cleaned(j, missing, clipped int) {
	a.Quality.Columns[j].Missing += missing
	a.Quality.Columns[j].Clipped += clipped
}

// Problem records a problem of cells of feature j. It returns whether their rows
// are left out; otherwise the data is rejected.
func (a *Audit) Problem(j int, p *Problem, rows int) (drop bool) {
	if a.limits.Drops(p) {
		a.Quality.Columns[j].Invalid += rows
		return true
	}
	a.Issues.add(Issue{Column: a.schema.Features[j].Name, Problem: p.Error(), Count: rows, kind: p.ID()})
	return false
}

// Keep counts rows that are kept and have a value of feature j.
func (a *Audit) Keep(j int, v Value, rows int) {
	q := &a.Quality.Columns[j]
	if v.Missing || rows == 0 {
		return
	}
	q.CountPresent(v, rows, 0)
	_, known := q.Levels[v.Text]
	if v.Level && !known && len(q.Levels) == a.limits.MaxLevels(&a.schema.Features[j]) {
		q.TooManyLevels = true
	} else if v.Level {
		q.Levels[v.Text] += rows
	}
}

// TooManyTexts records that feature j has more different texts than the most that Read took.
func (a *Audit) TooManyTexts(j, most int) {
	a.tooManyTexts, a.maxTexts = append(a.tooManyTexts, j), most
}

// KeepLabel counts rows that are kept and have a text as their target.
func (a *Audit) KeepLabel(raw string, rows int) {
	switch l := a.schema.Label(raw); {
	case rows == 0:
	case l.Missing:
		a.Issues.add(Issue{Column: a.schema.Target.Name, Problem: "the target is missing: make a view without such rows",
			Count: rows, kind: "missing"})
	default:
		a.classes.Count(a.classes.Class(l.Text, 0), rows)
	}
}

// Finish checks the columns and the target. read and dropped count all rows and those
// left out. The error is a *ValidationError.
func (a *Audit) Finish(read, dropped int) (*Quality, error) {
	q := a.Quality
	q.RowsRead, q.RowsDropped, q.RowsKept = read, dropped, read-dropped
	if read == 0 {
		a.Issues.AddColumn("", "there are no rows")
		return nil, a.Issues.Err()
	}
	q.Target = a.classes.Quality()
	for _, j := range a.tooManyTexts {
		switch f := &a.schema.Features[j]; {
		case f.Type == Number:
			a.Issues.AddColumn(f.Name, "more than %d different texts that are not plain decimals, "+
				"or need a rule that a database does not know: make a view of plain numbers", a.maxTexts)
		case !q.Columns[j].TooManyLevels: // otherwise that is the issue
			a.Issues.AddColumn(f.Name, "more than %d different texts, too many to be cleaned one by one: "+
				"leave it out with --ignore, or make a view that has fewer", a.maxTexts)
		}
	}
	for j := range q.Columns {
		a.CheckColumn(j, func(int) string { return "" })
	}
	a.table = true
	a.CheckRows(true)
	if err := a.Issues.Err(); err != nil {
		return nil, err
	}
	return q, nil
}

// CheckRows checks the rows that are kept, and the target if hasTarget.
func (a *Audit) CheckRows(hasTarget bool) {
	switch q := a.Quality; {
	case q.RowsOpen > 0 && q.RowsOpen == q.RowsRead:
		a.Issues.AddColumn(a.schema.Target.Name, "every row is left out, since its outcome is open or a third value")
	case q.RowsDropped == q.RowsRead:
		a.Issues.AddColumn("", "every row breaks the schema's rules, so none is left")
	case hasTarget:
		a.checkTarget()
	}
}

// CheckColumn validates feature j by its counts. where says in which rows cells of a feature are missing; it
// is called for an issue alone.
func (a *Audit) CheckColumn(j int, where func(j int) string) {
	f, q, rows := &a.schema.Features[j], &a.Quality.Columns[j], a.Quality.RowsRead-a.Quality.RowsOpen
	q.MissingShare = float64(q.Missing) / float64(max(rows, 1))
	switch {
	case q.Present == 0 && a.Quality.RowsDropped < a.Quality.RowsRead && !a.limits.Known:
		a.Issues.AddColumn(f.Name, "every cell is missing: leave the column out with --ignore")
	case q.MissingShare > a.limits.MaxMissing:
		a.Issues.AddColumn(f.Name, "%.1f %% missing, at most %.3g %% (%d of %d rows%s): if a blank means something, "+
			"--max-missing %.2g keeps it, with a weight of its own", 100*q.MissingShare, 100*a.limits.MaxMissing,
			q.Missing, rows, where(j), math.Ceil(100*a.mostMissing(rows))/100)
	}
	if f.Type != Category || a.limits.Known && !q.TooManyLevels {
		return
	}
	const (
		nearly  = 0.9 // share of different values above which a category identifies rows
		minRows = 20  // with fewer rows that share means nothing
	)
	numbers := "" // what is likelier than an identifier
	if text, advice := q.NumbersButNot(); text != "" {
		numbers = text + ": correct that or, " + advice + "; otherwise it has "
	} else if slices.Contains(a.limits.Several, f.Name) {
		numbers = "its cells are not in one notation: correct those that are written otherwise; otherwise it has "
	}
	switch {
	case q.TooManyLevels:
		a.Issues.AddColumn(f.Name, "%smore than %d different values, as an identifier has: leave it out with --ignore, "+
			"or raise its limit with --max-levels %s", numbers, a.limits.MaxLevels(f), strictjson.Word(f.Name+"=N"))
	case q.Present >= minRows && float64(len(q.Levels)) > nearly*float64(q.Present):
		a.Issues.AddColumn(f.Name, "%s%d different values in %d rows, as an identifier has: leave it out with --ignore",
			numbers, len(q.Levels), q.Present)
	}
}

// mostMissing returns the largest share of a column's missing cells in so many rows, of columns that have others.
func (a *Audit) mostMissing(rows int) (share float64) {
	for _, q := range a.Quality.Columns {
		if q.Present > 0 {
			share = max(share, float64(q.Missing)/float64(rows))
		}
	}
	return share
}

func (a *Audit) checkTarget() {
	t := &a.Quality.Target
	_, hasPositive := t.Labels[t.Positive]
	for label := range t.Labels {
		if len(label) > MaxText {
			a.Issues.AddColumn(t.Name, "%v", &Problem{Kind: TooLong, Value: label})
		}
	}
	switch {
	case (len(t.Labels) > 2 || t.More) && a.table:
		a.Issues.AddColumn(t.Name, "more than two values (%s): a target has two: make a view without the rows of a third",
			t.List())
	case (len(t.Labels) > 2 || t.More) && a.limits.Known:
		a.Issues.AddColumn(t.Name, "more than two values (%s): the model has two: leave the rows of a third out of the file",
			t.List())
	case len(t.Labels) > 2 || t.More:
		a.Issues.AddColumn(t.Name, "more than two values (%s): a target has two: name both with --positive "+
			"and --negative, and rows with a third are left out", t.List())
	case !hasPositive && a.schema.Target.Negative != "":
		a.Issues.AddColumn(t.Name, "no row has the positive value %q: name it with --positive, beside --negative %s",
			t.Positive, strictjson.Word(a.schema.Target.Negative))
	case !hasPositive && a.limits.Known:
		a.Issues.AddColumn(t.Name, "no row has the positive value %q, but %s: write it as in the training rows", t.Positive,
			t.List())
	case !hasPositive && len(t.Labels) > 0:
		a.Issues.AddColumn(t.Name, "no row has the positive value %q, but %s: name one with --positive", t.Positive, t.List())
	case len(t.Labels) == 1 && a.Quality.RowsOpen > 0 && a.schema.Target.Negative == "":
		a.Issues.AddColumn(t.Name, "every row that is kept is %q: if an empty cell is the other value, say --negative ''",
			t.Positive)
	case len(t.Labels) == 1 && a.schema.Target.Negative != "" && !a.limits.Known:
		a.Issues.AddColumn(t.Name, "no row has the negative value %q: name it with --negative, beside --positive %s",
			a.schema.Target.Negative, strictjson.Word(t.Positive))
	case len(t.Labels) == 1:
		a.Issues.AddColumn(t.Name, "every row is %q: a target has two values", t.Positive)
	}
}

func newQuality(s *Schema, file string) *Quality {
	q := &Quality{File: file, Columns: make([]ColumnQuality, 0, len(s.Features))}
	for i := range s.Features {
		q.Columns = append(q.Columns, ColumnQuality{
			Name: s.Features[i].Name, Type: s.Features[i].Type, AsOf: s.Features[i].Notation.AsOf})
		if s.Features[i].Type == Category {
			q.Columns[i].Levels = map[string]int{}
		}
	}
	return q
}

// Count counts cells with a value before the rows to keep are known.
func (q *ColumnQuality) Count(v Value, changes Changes, rows int) {
	if v.Missing {
		q.Missing += rows
	}
	if changes&Trimmed != 0 {
		q.Trimmed += rows
	}
	if changes&Recased != 0 {
		q.Recased += rows
	}
	if changes&Clipped != 0 {
		q.Clipped += rows
	}
}

// CountPresent counts cells with a value in the rows that are kept, of which line has the first.
func (q *ColumnQuality) CountPresent(v Value, rows, line int) {
	q.Present += rows
	if !v.Level {
		return
	}
	if _, ok := ParseNumber(v.Text); ok {
		q.Numeric += rows
	} else {
		q.notNumeric(Text{v.Text, line})
	}
}

// notNumeric adds a level that is no number to Texts.
func (q *ColumnQuality) notNumeric(t Text) {
	const named = 3
	if k := slices.IndexFunc(q.Texts, func(u Text) bool { return u.Level == t.Level }); k >= 0 {
		t.Line = min(t.Line, q.Texts[k].Line)
		q.Texts = slices.Delete(q.Texts, k, k+1)
	}
	at, _ := slices.BinarySearchFunc(q.Texts, t, func(a, b Text) int {
		return cmp.Or(a.Line-b.Line, strings.Compare(a.Level, b.Level))
	})
	q.Texts = slices.Insert(q.Texts, at, t)
	q.Texts = q.Texts[:min(len(q.Texts), named)]
}

// NumbersButNot says that most cells of a category are numbers, and which are not, and what to do with those if they
// mean missing; "" where they are not so many.
func (q *ColumnQuality) NumbersButNot() (text, advice string) {
	if q.Numeric <= q.Present-q.Numeric || len(q.Texts) == 0 {
		return "", ""
	}
	var quoted []string
	for _, t := range q.Texts {
		quoted = append(quoted, strconv.Quote(Shorten(t.Level)))
	}
	advice = "if that means missing, name it in --missing-values"
	if len(quoted) > 1 {
		advice = "if these mean missing, name them in --missing-values"
	}
	return fmt.Sprintf("%d of its %d cells are numbers, but not %s", q.Numeric, q.Present, strings.Join(quoted, ", ")),
		advice
}

// Merge adds the counts of other rows, but for levels.
func (q *ColumnQuality) Merge(r *ColumnQuality) {
	q.Missing += r.Missing
	q.Trimmed += r.Trimmed
	q.Recased += r.Recased
	q.Clipped += r.Clipped
	q.Invalid += r.Invalid
	q.Present += r.Present
	q.Numeric += r.Numeric
	q.TooManyLevels = q.TooManyLevels || r.TooManyLevels
	for _, t := range r.Texts {
		q.notNumeric(t)
	}
}

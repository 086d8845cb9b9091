package dataset

import (
	"slices"
	"strings"

	"churn/internal/metric"
)

// Quality is what a data set was like before cleaning, and what cleaning changed.
type Quality struct {
	File        string          `json:"file"`
	RowsRead    int             `json:"rows_read"`
	RowsKept    int             `json:"rows_kept"`
	RowsDropped int             `json:"rows_dropped"`        // break validate or integer, with DropInvalid
	RowsBlank   int             `json:"rows_blank,omitzero"` // lines of nothing but delimiters, which are skipped
	Target      TargetQuality   `json:"target"`
	Columns     []ColumnQuality `json:"columns"` // in the schema's order

	Copies    int       `json:"copies,omitzero"`    // rows equal to an earlier one; estimated for many rows
	Findings  []Finding `json:"findings,omitzero"`  // what to look at before a model is fitted
	Profiled  int       `json:"profiled,omitzero"`  // rows of the sample that the columns' groups count
	Unchecked []string  `json:"unchecked,omitzero"` // what the findings leave out where columns are many

	RowsOpen  int     `json:"-"` // of RowsDropped, those without a target or time: nothing else of them counts
	CopyLines []int   `json:"-"` // the first lines of copies
	Sample    *Sample `json:"-"` // of the rows that are kept, for the checks; nil if they are in a database

	FromLog *FromLog `json:"from_log,omitzero"` // customers of the log among RowsRead; nil if none were requested

	ProcessedSHA256 string `json:"processed_sha256,omitempty"` // of the rows that prepare wrote
}

// FromLog counts the customers that were added from a log of predictions because
// their outcome is known.
type FromLog struct {
	Labels    string `json:"labels"`     // file of the outcomes
	Outcomes  int    `json:"outcomes"`   // in it, by different ids
	Rows      int    `json:"rows"`       // customers that were added
	Unfit     int    `json:"unfit"`      // features that do not fit the schema
	NoRecord  int    `json:"no_record"`  // outcomes without a record in the log
	Repeated  int    `json:"repeated"`   // records of a request that has a later one, which counts
	NoOutcome int    `json:"no_outcome"` // records whose outcome is not known
}

// ColumnQuality counts the cells of one column, over all rows read.
type ColumnQuality struct {
	Name         string         `json:"name"`
	Type         string         `json:"type"`
	Missing      int            `json:"missing"`
	MissingShare float64        `json:"missing_share"`
	Trimmed      int            `json:"trimmed"` // white space removed
	Recased      int            `json:"recased"` // case set
	Clipped      int            `json:"clipped"` // raised to clip_min
	Invalid      int            `json:"invalid"` // break validate or integer, the row left out
	Levels       map[string]int `json:"levels,omitempty"`

	// Of the rows that are kept.
	Distinct int      `json:"distinct,omitzero"` // different values; 0: not counted
	Min      *float64 `json:"min,omitzero"`
	Median   *float64 `json:"median,omitzero"`
	Max      *float64 `json:"max,omitzero"`
	AsOf     string   `json:"as_of,omitempty"` // the date from which these days are counted back

	Groups []Group `json:"groups,omitzero"` // of a sample of them, for the page of prepare; otherwise nil

	// Likewise; the checks need them.
	Present       int    `json:"-"` // cells with a value
	Numeric       int    `json:"-"` // cells of a category that read as numbers
	NotNumeric    string `json:"-"` // the first level that does not
	TextLine      int    `json:"-"` // of NotNumeric; 0 in a database, where the first in the alphabet is taken
	TooManyLevels bool   `json:"-"`
}

// A Group is rows with the same level, with rarer levels, with numbers from From to To, or without
// a value, and how many of them are positive.
type Group struct {
	Level     string          `json:"level,omitempty"`
	Others    int             `json:"others,omitzero"` // how many rarer levels
	From      *float64        `json:"from,omitzero"`
	To        *float64        `json:"to,omitzero"`
	Missing   bool            `json:"missing,omitzero"`
	Rows      int             `json:"rows"`
	Positives int             `json:"positives"`
	Rate      metric.Estimate `json:"rate"` // positives per row, Wilson's interval
}

// Describe takes over what a summary of the kept rows says, and the median of numbers.
func (q *ColumnQuality) Describe(s *Summary, median float64) {
	if n := s.Numbers; n == nil {
		q.Distinct = len(s.Levels)
	} else if s.Rows > 0 {
		q.Min, q.Median, q.Max = &n.Min, &median, &n.Max
		if s.Constant() {
			q.Distinct = 1
		}
	}
}

// A Finding is something about the data that valid rows may have, and that makes a model
// worse, or look better than it is.
type Finding struct {
	Kind    string   `json:"kind"`
	Columns []string `json:"columns,omitzero"` // none if it concerns whole rows
	Text    string   `json:"text"`
	Advice  string   `json:"advice"`
	Count   int      `json:"count,omitzero"` // cells or rows
	Lines   []int    `json:"lines,omitzero"` // the first few
}

// Issue returns the finding as an issue of a file.
func (f *Finding) Issue(file string) Issue {
	return Issue{File: file, Column: strings.Join(f.Columns, ", "), Problem: f.Text + ": " + f.Advice, Lines: f.Lines}
}

// harmless are the kinds of findings that leave a model's answers right.
var harmless = []string{"alias", "determined", "collinear", "constant"}

// Refuse returns the findings that make a model wrong as a *ValidationError, or nil if there are none.
func (q *Quality) Refuse() error {
	issues := Issues{File: q.File}
	for i := range q.Findings {
		if !slices.Contains(harmless, q.Findings[i].Kind) {
			issues.list = append(issues.list, q.Findings[i].Issue(q.File))
		}
	}
	return issues.Err()
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
		q.notNumeric(v.Text, line)
	}
}

func (q *ColumnQuality) notNumeric(level string, line int) {
	if q.NotNumeric == "" || line < q.TextLine || line == q.TextLine && level < q.NotNumeric {
		q.NotNumeric, q.TextLine = level, line
	}
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
	if r.NotNumeric != "" {
		q.notNumeric(r.NotNumeric, r.TextLine)
	}
}

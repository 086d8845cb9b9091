package dataset

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"churn/internal/metric"
	"churn/internal/status"
	"churn/internal/strictjson"
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
	Texts         []Text `json:"-"` // the first few levels that do not, in order
	TooManyLevels bool   `json:"-"`
}

// A Text is a level with the line of its first cell; 0 in a database, where they are in the order of the alphabet.
type Text struct {
	Level string
	Line  int
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

// A ValidationError is the error for data that breaks the rules. It lists every
// issue, in the order of first appearance, one per line:
//
//	data/raw.csv:17: avg_session_minutes: "abc" is not a number (3 times, lines 17, 20, 31)
type ValidationError struct {
	Issues []Issue
}

// An Issue is one thing wrong with a data set, however often it occurs.
type Issue struct {
	File    string
	Column  string // empty if it concerns whole rows or the file
	Problem string // the first one of its kind, with the value
	Count   int    // number of occurrences; 0 if it concerns a whole column or the file
	Lines   []int  // the first few lines, counted from 1; empty where rows have no line numbers

	kind string // problems of the same column and kind are one issue
}

// LinesShown is the number of lines that an issue lists: enough to find the pattern.
const LinesShown = 5

func (i *Issue) String() string {
	var b strings.Builder
	b.WriteString(i.File)
	if len(i.Lines) > 0 {
		fmt.Fprintf(&b, ":%d", i.Lines[0])
	}
	if i.Column != "" {
		fmt.Fprintf(&b, ": %s", strictjson.Printable(i.Column))
	}
	fmt.Fprintf(&b, ": %s", i.Problem)
	switch {
	case i.Count > 1 && len(i.Lines) == 0:
		fmt.Fprintf(&b, " (%d times)", i.Count)
	case i.Count > 1:
		fmt.Fprintf(&b, " (%d times, %s)", i.Count, ListLines(i.Lines, i.Count))
	}
	return b.String()
}

func (e *ValidationError) Error() string {
	lines := make([]string, len(e.Issues))
	for i := range e.Issues {
		lines[i] = e.Issues[i].String()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns status.ErrRejected.
func (e *ValidationError) Unwrap() error { return status.ErrRejected }

// Issues collects the issues of one data set.
type Issues struct {
	File  string
	Place func(line int) (file string, own int) // of a line of several files; nil: File has them all

	list []Issue
	at   map[[2]string]int // position in list by column and kind of problem
}

// Empty reports whether there are no issues.
func (is *Issues) Empty() bool { return len(is.list) == 0 }

// Err returns a *ValidationError, or nil if there are no issues.
func (is *Issues) Err() error {
	if is.Empty() {
		return nil
	}
	slices.SortStableFunc(is.list, func(a, b Issue) int { return firstLine(a) - firstLine(b) })
	for k := range is.list {
		if i := &is.list[k]; is.Place != nil && len(i.Lines) > 0 {
			i.File, _ = is.Place(i.Lines[0])
			var own []int
			for _, line := range i.Lines {
				if file, n := is.Place(line); file == i.File {
					own = append(own, n)
				}
			}
			i.Lines = own
		}
	}
	return &ValidationError{is.list}
}

func firstLine(i Issue) int {
	if len(i.Lines) == 0 {
		return 1 << 62 // issues of whole columns come last
	}
	return i.Lines[0]
}

// Add records a problem of one line. Problems of the same column and kind are one issue.
func (is *Issues) Add(line int, column, kind, problem string) {
	is.add(Issue{Column: column, Problem: problem, Count: 1, Lines: []int{line}, kind: kind})
}

// AddColumn records a problem of a whole column, or of the file if column is empty.
func (is *Issues) AddColumn(column, format string, args ...any) {
	is.list = append(is.list, Issue{File: is.File, Column: column, Problem: fmt.Sprintf(format, args...)})
}

// Merge adds the issues of later lines.
func (is *Issues) Merge(later *Issues) {
	for _, i := range later.list {
		is.add(i)
	}
}

func (is *Issues) add(i Issue) {
	key := [2]string{i.Column, i.kind}
	at, ok := is.at[key]
	if !ok {
		if is.at == nil {
			is.at = map[[2]string]int{}
		}
		i.File = is.File
		is.at[key] = len(is.list)
		is.list = append(is.list, i)
		return
	}
	old := &is.list[at]
	old.Count += i.Count
	old.Lines = append(old.Lines, i.Lines[:min(len(i.Lines), LinesShown-len(old.Lines))]...)
}

// ListLines names the first lines of count.
func ListLines(lines []int, count int) string {
	words := make([]string, len(lines))
	for i, x := range lines {
		words[i] = strconv.Itoa(x)
	}
	text := "lines " + strings.Join(words, ", ")
	if count == 1 {
		text = "line " + words[0]
	}
	if count > len(lines) {
		text += ", …"
	}
	return text
}

// InFile prefixes each line of an error with a file's name; nil stays nil.
func InFile(path string, err error) error {
	if err == nil {
		return nil
	}
	return errors.New(path + ": " + strings.ReplaceAll(err.Error(), "\n", "\n"+path+": "))
}

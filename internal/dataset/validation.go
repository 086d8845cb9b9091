package dataset

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"churn/internal/status"
	"churn/internal/strictjson"
)

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
	lines := strings.Split(err.Error(), "\n")
	for i, line := range lines {
		lines[i] = path + ": " + line
	}
	return errors.New(strings.Join(lines, "\n"))
}

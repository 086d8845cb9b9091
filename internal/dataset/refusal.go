package dataset

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"churn/internal/strictjson"
)

// A Refusal is the error for data that may not be used. It lists all that is
// wrong with a file, in the order of first appearance, a line each:
//
//	data/raw.csv:17: avg_session_minutes: "abc" is not a number (3 times, lines 17, 20, 31)
type Refusal struct {
	Failures []Failure
}

// A Failure is one thing wrong with a file, however often it occurs.
type Failure struct {
	File    string
	Column  string // empty if it concerns whole rows or the file
	Problem string // the first one of its kind, with the value
	Count   int    // how many times it occurs; 0 if it is not a thing of single lines
	Lines   []int  // the first few lines, counted from 1; none where rows have no lines

	kind string // problems of the same column and kind are one failure
}

const linesShown = 5 // as many as help to find the pattern

func (f *Failure) String() string {
	var b strings.Builder
	b.WriteString(f.File)
	if len(f.Lines) > 0 {
		fmt.Fprintf(&b, ":%d", f.Lines[0])
	}
	if f.Column != "" {
		fmt.Fprintf(&b, ": %s", strictjson.Printable(f.Column))
	}
	fmt.Fprintf(&b, ": %s", f.Problem)
	switch {
	case f.Count > 1 && len(f.Lines) == 0:
		fmt.Fprintf(&b, " (%d times)", f.Count)
	case f.Count > 1:
		fmt.Fprintf(&b, " (%d times, %s)", f.Count, listLines(f.Lines, f.Count))
	}
	return b.String()
}

func (r *Refusal) Error() string {
	lines := make([]string, len(r.Failures))
	for i := range r.Failures {
		lines[i] = r.Failures[i].String()
	}
	return strings.Join(lines, "\n")
}

// Refusal marks the error as an answer, not as trouble.
func (r *Refusal) Refusal() {}

// Refuse returns an error for data that may not be used, where it is not its cells
// that are at fault.
func Refuse(format string, args ...any) error { return refusedError{fmt.Errorf(format, args...)} }

type refusedError struct{ error }

func (refusedError) Refusal() {}

// failures collects what is wrong with one file.
type failures struct {
	file string
	list []Failure
	at   map[[2]string]int // column and kind of problem to position in list
}

func (fs *failures) err() error {
	if len(fs.list) == 0 {
		return nil
	}
	slices.SortStableFunc(fs.list, func(a, b Failure) int { return firstLine(a) - firstLine(b) })
	return &Refusal{fs.list}
}

func firstLine(f Failure) int {
	if len(f.Lines) == 0 {
		return 1 << 62 // whole-column failures come last
	}
	return f.Lines[0]
}

// add notes a problem of one line. Problems of the same column and kind are one failure.
func (fs *failures) add(line int, column, kind, problem string) {
	fs.merge(Failure{Column: column, Problem: problem, Count: 1, Lines: []int{line}, kind: kind})
}

// merge notes a failure found further down.
func (fs *failures) merge(f Failure) {
	key := [2]string{f.Column, f.kind}
	i, ok := fs.at[key]
	if !ok {
		if fs.at == nil {
			fs.at = map[[2]string]int{}
		}
		f.File = fs.file
		fs.at[key] = len(fs.list)
		fs.list = append(fs.list, f)
		return
	}
	old := &fs.list[i]
	old.Count += f.Count
	old.Lines = append(old.Lines, f.Lines[:min(len(f.Lines), linesShown-len(old.Lines))]...)
}

// addColumn notes a problem of a whole column or of the file.
func (fs *failures) addColumn(column, format string, args ...any) {
	fs.list = append(fs.list, Failure{File: fs.file, Column: column, Problem: fmt.Sprintf(format, args...)})
}

// listLines names the first lines of count.
func listLines(lines []int, count int) string {
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

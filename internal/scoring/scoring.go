// Package scoring scores the customers of a file, with the checks and the model of the service,
// and writes a list that people can work with: who is likely to leave, and why.
//
// The file is read twice, at any size: first to score all and to count the probabilities, so that
// ranks are known, then to write.
package scoring

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"strings"

	"churn/internal/csvdata"
	"churn/internal/dataset"
	"churn/internal/drift"
	"churn/internal/filedata"
	"churn/internal/model"
)

// Formats of a list.
const (
	CSV    = "csv"
	Excel  = "excel" // CSV that Excel opens as it is: a byte order mark and the notation of the file
	NDJSON = "ndjson"
)

// Options say what is scored and what the list has.
type Options struct {
	Name        string   // of the model
	ID          string   // column that identifies customers; "" for none
	Keep        []string // columns of the file; nil, or all if no column has that name: all
	Top         int      // only so many, the highest first; 0: all, in the file's order
	Capacity    int      // so many are predicted to be positive, the highest; 0: those that reach the threshold
	Reasons     int      // for each customer, 0 to 10
	Format      string   // CSV, Excel or NDJSON
	AsOf        string   // date that the model's schema counts to in place of its own; "" for its own
	DropInvalid bool     // rows that cannot be scored are left out, instead of rejecting the file
}

// Check rejects options that are out of range.
func (o *Options) Check() error {
	switch {
	case o.Top < 0 || o.Capacity < 0:
		return fmt.Errorf("--top %d --capacity %d: at least 0", o.Top, o.Capacity)
	case o.Top > 0 && o.Capacity > 0:
		return fmt.Errorf("--top lists so many customers, --capacity marks so many among all: give one of them")
	case o.Reasons < 0 || o.Reasons > 10:
		return fmt.Errorf("--reasons %d: 0 to 10", o.Reasons)
	case !slices.Contains([]string{CSV, Excel, NDJSON}, o.Format):
		return fmt.Errorf("--format %q: csv, excel or ndjson", o.Format)
	}
	return nil
}

// bins is how many probabilities there are with the six decimals that are written.
const bins = 1_000_000 + 1

func binOf(p float64) int32 { return int32(math.Round(p * (bins - 1))) }

// A Result is what was found in the file.
type Result struct {
	Rows, Bad int     // that were scored, and left out
	Listed    int     // rows of the list
	Positive  int     // of these, predicted to be positive
	Expected  float64 // positives among the rows of the list, or those of --capacity: the sum of their probabilities
	Lowest    float64 // probability of these rows
	BadRows   error   // why the others were left out; nil if none was
	Notes     []string
	Warnings  []string
	Drift     drift.Severity
	Drifted   []string // sentences
}

// A scorer is one run.
type scorer struct {
	Options
	model   *model.Model
	file    *filedata.Table
	workers []*counts
	all     *counts // of all workers
	above   []int   // by bin: customers with a higher probability
	result  Result

	header []string
	target int    // place of the target in the header; -1: none
	kept   []int  // places in the header
	typed  []bool // of the file, as csvdata.Source says
	comma  byte   // between cells of the list
	point  string // in numbers of the list

	prefix   string   // of the names of columns that are added
	names    []string // of what contributes to a score
	averages []string // by feature, in words
}

// counts are one worker's of the first reading, and what it reuses in the second.
type counts struct {
	bins       []int32
	columns    []drift.Column // the features, then the probability
	outOfRange [][2]int       // by feature: rows far below and above the training rows
	unseen     []int          // by feature: rows with a value that the model has no weight for
	positive   int            // customers that reach the threshold
	outcomes   int            // customers whose positive outcome is in the file

	explain func([]dataset.Value) model.Explanation
	reason  []byte
}

// Score scores the file and writes the list to out, and rows that are left out, as they are in
// the file, to bad. On an error nothing, or only the beginning, has been written, and
// the result has the notes alone.
func Score(ctx context.Context, m *model.Model, file *filedata.Table, o Options, out, bad io.Writer) (*Result, error) {
	s := &scorer{Options: o, model: m, file: file, point: ".", workers: make([]*counts, runtime.GOMAXPROCS(0))}
	if err := s.count(ctx); err != nil {
		return &s.result, err
	}
	s.rank()
	s.compare()
	return &s.result, s.write(ctx, out, bad)
}

// read reads the file from the beginning, and notes its header, its notes and what separates its cells.
func (s *scorer) read(ctx context.Context, what string, rr csvdata.RowReader) (*csvdata.RowCounts, error) {
	source, err := s.file.Read(what)
	if err != nil {
		return nil, err
	}
	s.result.Notes = source.Notes
	rr.Schema, rr.DropInvalid = s.model.Schema, s.DropInvalid
	bind := rr.Bind
	rr.Bind = func(header []string) error {
		s.header = header
		return bind(header)
	}
	s.typed, s.comma = source.Typed, cmp.Or(s.comma, source.Comma, ',')
	return rr.Read(ctx, source)
}

// count scores all customers.
func (s *scorer) count(ctx context.Context) error {
	found, err := s.read(ctx, "scoring", csvdata.RowReader{
		Bind: s.bind,
		Row: func(r *csvdata.Row, out []byte) []byte {
			c := s.worker(r.Worker)
			c.add(s.model, r.Values, s.model.Score(r.Values))
			if s.target >= 0 && s.model.Schema.Label(string(r.Cells[s.target])).Positive {
				c.outcomes++
			}
			return out
		},
		Each: func(_, _ []byte, _ int) error { return nil },
	})
	if err != nil {
		return err
	}
	s.result.Rows, s.result.Bad, s.result.BadRows = found.Rows, found.Bad, found.Issues
	for _, c := range s.workers {
		if s.all == nil {
			s.all = c
		} else if c != nil {
			s.all.merge(c)
		}
	}
	return nil
}

// worker returns the counts of a worker, made with its first row.
func (s *scorer) worker(k int) *counts {
	if s.workers[k] != nil {
		return s.workers[k]
	}
	features := len(s.model.Schema.Features)
	s.workers[k] = &counts{
		bins: make([]int32, bins), columns: drift.NewColumns(s.model.Schema, s.model.References()),
		outOfRange: make([][2]int, features), unseen: make([]int, features),
	}
	return s.workers[k]
}

func (c *counts) add(m *model.Model, values []dataset.Value, score model.Score) {
	c.bins[binOf(score.Probability)]++
	c.positive += score.Prediction()
	for j, v := range values {
		c.columns[j].Live.Add(v)
		if side := m.OutOfRange(j, v); side != 0 {
			c.outOfRange[j][max(side, 0)]++
		}
		if score.Warnings != nil && !m.Knows(j, v) {
			c.unseen[j]++
		}
	}
	c.columns[len(values)].Live.Add(dataset.Value{Number: score.Probability})
}

func (c *counts) merge(other *counts) {
	for bin, n := range other.bins {
		c.bins[bin] += n
	}
	for j := range other.columns {
		c.columns[j].Live.Merge(other.columns[j].Live)
	}
	for j, n := range other.outOfRange {
		c.outOfRange[j][0] += n[0]
		c.outOfRange[j][1] += n[1]
	}
	for j, n := range other.unseen {
		c.unseen[j] += n
	}
	c.positive += other.positive
	c.outcomes += other.outcomes
}

// bind finds the target and the columns to keep.
func (s *scorer) bind(header []string) error {
	s.target = csvdata.Place(header, s.model.Schema.Target.Name)
	s.kept = s.kept[:0]
	all := s.Keep == nil || slices.Equal(s.Keep, []string{"all"}) && csvdata.Place(header, "all") < 0
	if all && (s.ID == "" || csvdata.Place(header, s.ID) >= 0) {
		for i := range header {
			s.kept = append(s.kept, i)
		}
		return nil
	}
	names := s.Keep
	if s.ID != "" && !slices.Contains(names, s.ID) {
		names = append([]string{s.ID}, names...)
	}
	for _, name := range names {
		at := csvdata.Place(header, name)
		if at < 0 {
			return fmt.Errorf("%s: %q: there is no such column to keep: the file has %s",
				s.file.Name, name, strings.Join(header, ", "))
		}
		if !slices.Contains(s.kept, at) { // by its name and by its place
			s.kept = append(s.kept, at)
		}
	}
	return nil
}

// rank counts how many customers are above each probability, and what to expect of the list, or of those whom
// --capacity marks.
func (s *scorer) rank() {
	s.above = make([]int, bins)
	n, most := 0, cmp.Or(s.Top, s.Capacity, math.MaxInt)
	for bin := bins - 1; bin >= 0; bin-- {
		s.above[bin] = n
		n += int(s.all.bins[bin])
		if listed := n - s.above[bin]; listed > 0 && s.above[bin] < most {
			p := float64(bin) / (bins - 1)
			if s.Top > 0 {
				listed = min(listed, s.Top-s.above[bin])
			}
			s.result.Expected, s.result.Lowest = s.result.Expected+p*float64(listed), p
		}
	}
}

func (s *scorer) warn(format string, args ...any) {
	s.result.Warnings = append(s.result.Warnings, fmt.Sprintf(format, args...))
}

// compare compares the file with the training rows.
func (s *scorer) compare() {
	if t := s.model.Schema.Target; s.all.outcomes > 0 {
		s.warn("%d of %d rows have %s = %s already: score customers whose outcome is open",
			s.all.outcomes, s.result.Rows, t.Name, t.Positive)
	}
	for j, f := range s.model.Schema.Features {
		s.warnOutOfRange(j, &f)
		if n := s.all.unseen[j]; n > 0 {
			s.warn("%s: %d of %d rows have a value that no training row had: scored as none of the known ones",
				f.Name, n, s.result.Rows)
		}
	}
	if s.result.Drift = drift.NotEnoughData; s.result.Rows < drift.MinRows {
		return
	}
	checks, severity := drift.Compare(s.all.columns, drift.Pairs{})
	s.result.Drift = severity
	for _, c := range checks {
		if c.Severity == drift.Alert {
			s.result.Drifted = append(s.result.Drifted, c.Column+": "+c.Sentence)
		}
	}
}

func (s *scorer) warnOutOfRange(j int, f *dataset.Feature) {
	words := [2]string{"below the lowest", "above the highest"}
	if f.Notation.Date != "" { // the number of days falls with the date
		words = [2]string{"after the latest", "before the earliest"}
	}
	for side, word := range words {
		n := s.all.outOfRange[j][side]
		if ref := s.model.Reference.Columns[f.Name].Numbers; n > 0 {
			advice := ""
			if side == 0 && f.Notation.Date != "" && s.AsOf == "" {
				advice = ": where the file is a later export --as-of its day counts days as in training"
			}
			s.warn("%s: %d rows far %s training value %s%s",
				f.Name, n, word, f.Notation.Format([2]float64{ref.Min, ref.Max}[side]), advice)
		}
	}
}

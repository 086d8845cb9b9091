package dataset

import (
	"fmt"
	"slices"
	"strings"
)

// Quality is what Scan found in a file before cleaning, and what it changed.
type Quality struct {
	File        string          `json:"file"`
	RowsRead    int             `json:"rows_read"`
	RowsKept    int             `json:"rows_kept"`
	RowsDropped int             `json:"rows_dropped"` // outside validate or integer, with DropInvalid
	Target      TargetQuality   `json:"target"`
	Columns     []ColumnQuality `json:"columns"` // in the schema's order

	FromLog *FromLog `json:"from_log,omitzero"` // customers of the log among RowsRead; nil if none were asked for

	ProcessedSHA256 string `json:"processed_sha256,omitempty"` // of what prepare wrote of it
}

// FromLog tells of customers that were added from a log of predictions, since
// their outcome is known by now.
type FromLog struct {
	Labels    string `json:"labels"`     // file of the outcomes
	Outcomes  int    `json:"outcomes"`   // in it, by different ids
	Rows      int    `json:"rows"`       // customers that were added
	Unfit     int    `json:"unfit"`      // whose features are not those of the schema
	NoRecord  int    `json:"no_record"`  // outcomes of nobody in the log
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
	Invalid      int            `json:"invalid"` // outside validate or integer, the row left out
	Levels       map[string]int `json:"levels,omitempty"`

	kept          int // cells with a value, in rows that were not left out
	tooManyLevels bool
	numbers       int    // cells of a category that read as numbers
	notNumber     string // the first that does not
}

// TargetQuality counts the values of the target.
type TargetQuality struct {
	Name     string         `json:"name"`
	Positive string         `json:"positive"`
	Labels   map[string]int `json:"labels"`

	more bool
}

func newQuality(s *Schema, file string) *Quality {
	q := &Quality{File: file, Target: TargetQuality{Name: s.Target.Name, Positive: s.Target.Positive, Labels: map[string]int{}}}
	for i := range s.Features {
		q.Columns = append(q.Columns, ColumnQuality{Name: s.Features[i].Name, Type: s.Features[i].Type})
		if s.Features[i].Type == Category {
			q.Columns[i].Levels = map[string]int{}
		}
	}
	return q
}

func (q *ColumnQuality) count(v Value, changes Changes) {
	if v.Missing {
		q.Missing++
	}
	if changes&Trimmed != 0 {
		q.Trimmed++
	}
	if changes&Recased != 0 {
		q.Recased++
	}
	if changes&Clipped != 0 {
		q.Clipped++
	}
}

// add adds the counts of other rows.
func (q *ColumnQuality) add(r *ColumnQuality) {
	q.Missing += r.Missing
	q.Trimmed += r.Trimmed
	q.Recased += r.Recased
	q.Clipped += r.Clipped
	q.Invalid += r.Invalid
	q.tooManyLevels = q.tooManyLevels || r.tooManyLevels
}

// labelled takes over the classes that the workers counted.
func (t *TargetQuality) labelled(l *labels) {
	const most = 10 // enough to show that it is not a target
	slices.SortFunc(l.classes, func(a, b class) int { return a.line - b.line })
	for _, c := range l.classes {
		if c.count == 0 {
			continue
		}
		if len(t.Labels) == most {
			t.more = true
			return
		}
		t.Labels[c.text] = c.count
	}
	t.more = l.more
}

// list names the labels with their counts, the most frequent first.
func (t *TargetQuality) list() string {
	labels := make([]string, 0, len(t.Labels))
	for l := range t.Labels {
		labels = append(labels, l)
	}
	slices.SortFunc(labels, func(a, b string) int {
		if d := t.Labels[b] - t.Labels[a]; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	words := make([]string, len(labels))
	for i, l := range labels {
		words[i] = fmt.Sprintf("%q in %d rows", shorten(l), t.Labels[l])
	}
	if t.more {
		words = append(words, "…")
	}
	return strings.Join(words, ", ")
}

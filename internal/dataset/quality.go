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

	ProcessedSHA256 string `json:"processed_sha256,omitempty"` // of what prepare wrote of it
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

// countKept counts the cell of a row that was not left out.
func (q *ColumnQuality) countKept(v Value, levelLimit int) {
	if v.Missing {
		return
	}
	q.kept++
	if v.Level {
		q.countLevel(v.Text, levelLimit)
	}
}

// countLevel counts a level, up to limit different ones.
func (q *ColumnQuality) countLevel(level string, limit int) {
	if n, ok := q.Levels[level]; ok {
		q.Levels[level] = n + 1
	} else if len(q.Levels) < limit {
		q.Levels[strings.Clone(level)] = 1
	} else {
		q.tooManyLevels = true
	}
	if _, ok := parseNumber(level); ok {
		q.numbers++
	} else if q.notNumber == "" {
		q.notNumber = strings.Clone(level)
	}
}

func (t *TargetQuality) count(label string) {
	const most = 10 // enough to show that it is not a target
	if n, ok := t.Labels[label]; ok {
		t.Labels[label] = n + 1
	} else if len(t.Labels) < most {
		t.Labels[strings.Clone(label)] = 1
	} else {
		t.more = true
	}
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

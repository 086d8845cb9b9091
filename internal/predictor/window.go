package predictor

import (
	"sync"

	"churn/internal/dataset"
	"churn/internal/drift"
	"churn/internal/model"
)

// A window is the last rows that a model answered, to be compared with its
// training rows when somebody asks.
type window struct {
	model *model.Model
	refs  []dataset.Summary // the features in the schema's order, then the probability

	mu   sync.Mutex
	ring [][]dataset.Value // rows of a value a column; nil where none has been yet
	next int               // where the next row goes
}

func newWindow(m *model.Model, rows int) *window {
	w := &window{model: m, ring: make([][]dataset.Value, rows)}
	for _, f := range m.Schema.Features {
		w.refs = append(w.refs, m.Reference.Columns[f.Name])
	}
	w.refs = append(w.refs, m.Reference.Probability)
	return w
}

// add moves the window on by the rows of a batch.
func (w *window) add(rows []row, results []result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := max(0, len(rows)-len(w.ring)); i < len(rows); i++ {
		if w.ring[w.next] == nil {
			w.ring[w.next] = make([]dataset.Value, len(w.refs))
		}
		kept := w.ring[w.next]
		for j, v := range rows[i].values {
			if _, known := w.refs[j].Levels[v.Text]; v.Level && !known {
				v.Text = "" // unseen whatever it is, and perhaps long
			}
			kept[j] = v
		}
		kept[len(kept)-1] = dataset.Value{Number: results[i].Probability}
		w.next = (w.next + 1) % len(w.ring)
	}
}

// checks compares the window with the training rows; without checks or severity if it
// has too few rows to tell.
func (w *window) checks() (rows int, checks []drift.Check, severity drift.Severity) {
	columns := make([]drift.Column, len(w.refs))
	for j := range columns {
		columns[j] = drift.Column{Name: drift.Probability, Reference: &w.refs[j], Live: dataset.NewTally(&w.refs[j])}
		if j < len(w.model.Schema.Features) {
			columns[j].Name = w.model.Schema.Features[j].Name
		}
	}
	w.mu.Lock()
	for _, row := range w.ring {
		if row == nil {
			continue
		}
		rows++
		for j, v := range row {
			columns[j].Live.Add(v)
		}
	}
	w.mu.Unlock()
	if rows >= drift.MinRows {
		checks, severity = drift.Compare(columns)
	}
	return rows, checks, severity
}

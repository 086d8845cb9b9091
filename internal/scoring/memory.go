package scoring

import (
	"fmt"

	"churn/internal/csvdata"
	"churn/internal/dataset"
	"churn/internal/model"
)

// A List makes the same lines of customers that its caller has read and scored.
type List struct{ s scorer }

// NewList returns the list of so many customers of a file with this header.
func NewList(m *model.Model, header []string, rows, reasons int) (*List, error) {
	l := &List{scorer{
		Options: Options{Reasons: reasons, Format: Excel}, model: m, header: header, point: ".",
		workers: []*counts{{}}, result: Result{Rows: rows},
	}}
	l.s.bind(header) // without names to keep it has no error
	l.s.describe()
	if name := l.s.taken(); name != "" {
		return nil, fmt.Errorf("the file has a column %s already: it is scored: remove it", name)
	}
	return l, nil
}

// Head returns the header line.
func (l *List) Head() []byte { return l.s.headLine() }

// Append appends the line of a customer: the cells, and the rank, probability, prediction and reasons.
func (l *List) Append(out []byte, cells [][]byte, values []dataset.Value, score model.Score, rank int) []byte {
	return l.s.appendLine(out, &csvdata.Row{Cells: cells, Values: values}, score.Probability, rank, score.Churn)
}

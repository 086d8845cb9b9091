package sqldata

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"strings"

	"churn/internal/dataset"
	"churn/internal/predlog"
)

// required are the columns of each table of predictions; optional ones are no features either.
var (
	required = []string{"model_version", "probability", "prediction"}
	optional = []string{"request_id", "ts", "latency_ms", "threshold", "warnings"}
)

// A recordColumn is a feature among the columns of a table of predictions, and its cell in a row.
type recordColumn struct {
	name     string
	isNumber bool // in the schema or, if that does not know it, in the table
	isText   bool // the cell is
	of       column
	number   sql.NullFloat64
	text     sql.NullString
}

// Records calls each with predictions that were logged and loaded into a table: the last n by ts, or with 0 all,
// not earlier than since, the oldest first. Every column of numbers or texts is a feature, but for the record's own;
// categories of the schema are texts, whatever the type of their column. The record is valid until each returns.
func (t *Table) Records(ctx context.Context, s *dataset.Schema, n int, since float64,
	each func(*predlog.Record) error) error {
	columns, cells, err := t.recordColumns(s)
	if err != nil {
		return err
	}
	var r predlog.Record
	var model, id sql.NullString
	var probability, prediction, ts sql.NullFloat64
	dest := []any{&model, &id, &probability, &prediction, &ts}
	for k := range columns {
		if columns[k].isText {
			dest = append(dest, &columns[k].text)
		} else {
			dest = append(dest, &columns[k].number)
		}
	}
	from, order := t.sql+" t", ""
	if at := t.column("ts"); at != nil {
		ties := "" // so that each run reads the same
		if id := t.column("request_id"); id != nil {
			ties = ", " + id.sql()
		}
		order = fmt.Sprintf(" ORDER BY %s NULLS FIRST%s", at.sql(), ties)
		if n > 0 {
			from = fmt.Sprintf("(SELECT * FROM %s ORDER BY %s DESC NULLS LAST%s LIMIT %d) t", from, at.sql(), ties, n)
		}
		if !math.IsInf(since, -1) {
			order = fmt.Sprintf(" WHERE %s >= %s%s", at.sql(), t.d.Number(since), order)
		}
	} else if n > 0 || !math.IsInf(since, -1) {
		return t.unfit("it has no column ts, by which the last are found: use --last 0 for all")
	}
	query := fmt.Sprintf("SELECT %s FROM %s%s", strings.Join(cells, ", "), from, order)
	return t.query(ctx, "reading the predictions", query, func(scan func(dest ...any) error) error {
		if err := scan(dest...); err != nil {
			return err
		}
		r.ModelVersion, r.RequestID, r.TS = model.String, id.String, ts.Float64
		r.Prediction, r.Probability = int(prediction.Float64), probability.Float64
		if !probability.Valid { // the line is then no record
			r.Probability = math.NaN()
		}
		if !prediction.Valid || prediction.Float64 != float64(r.Prediction) { // likewise: NULL is no 0, nor is 0.7
			r.Prediction = -1
		}
		r.Features = r.Features[:0]
		for k := range columns {
			r.Features = append(r.Features, predlog.Feature{Name: columns[k].name, Value: columns[k].value()})
		}
		return each(&r)
	})
}

// recordColumns returns the features of a table of predictions, and the cells to select: those of model_version,
// request_id, probability, prediction and ts, then those of the features.
func (t *Table) recordColumns(s *dataset.Schema) (columns []recordColumn, cells []string, err error) {
	for _, name := range append(required[:], "ts") {
		if c := t.column(name); c == nil && name != "ts" {
			return nil, nil, t.unfit("it has no column %s, which each record of the log has: "+
				"docs/warehouse.md shows how a log is loaded", name)
		} else if c != nil && c.kind < kindNumber && name != "model_version" {
			return nil, nil, t.unfit("%s: a column of type %s has no numbers: make a view that converts it", name, c.engineType)
		}
	}
	texts := func(name string) (raw, double string) {
		if c := t.column(name); c != nil {
			return t.expressions(c)
		}
		return t.d.AsText("NULL"), t.d.AsDouble("NULL")
	}
	model, _ := texts("model_version")
	id, _ := texts("request_id")
	_, probability := texts("probability")
	_, prediction := texts("prediction")
	_, ts := texts("ts")
	cells = []string{model, id, probability, prediction, ts}
	features, own := map[*tableColumn]int{}, map[*tableColumn]bool{}
	for j, f := range s.Features {
		features[t.column(f.Name)] = j
	}
	for _, name := range append(required[:], optional...) {
		own[t.column(name)] = true
	}
	found := false
	for i := range t.columns {
		c := &t.columns[i]
		j, known := features[c]
		if !known && (c.kind < kindText || own[c]) {
			continue
		}
		if c.kind < kindText {
			return nil, nil, t.unfit("%s: a column of type %s is neither number nor text", c.name, c.engineType)
		}
		of, err := t.bind(c.name, nil, "")
		if err != nil {
			return nil, nil, err
		}
		column := recordColumn{name: c.name, isNumber: c.kind >= kindNumber, of: of}
		if known {
			column.name, column.isNumber, found = s.Features[j].Name, s.Features[j].Type == dataset.Number, true
		}
		if column.isText = c.kind == kindText || !column.isNumber; column.isText {
			cells = append(cells, of.raw)
		} else {
			cells = append(cells, of.double)
		}
		columns = append(columns, column)
	}
	if !found {
		return nil, nil, t.unfit("it has none of the model's features as columns, but %s: "+
			"docs/warehouse.md shows how a log is loaded", t.list())
	}
	return columns, cells, nil
}

// value returns the cell. One of a number that is none is a text: it has the wrong type.
func (c *recordColumn) value() dataset.Value {
	v := dataset.Value{Missing: !c.number.Valid && !c.text.Valid, Number: c.number.Float64}
	v.Text = c.of.inFile(c.text.String)
	switch x, ok := dataset.ParseNumber(v.Text); {
	case c.isText:
		v.Level = !c.isNumber || !ok
		v.Number = x
	case math.IsNaN(v.Number) || math.IsInf(v.Number, 0):
		v.Text, v.Level = dataset.FormatNumber(v.Number), true
	}
	return v
}

// unfit returns the error for a table that does not have the records of a log.
func (t *Table) unfit(format string, args ...any) error {
	return fmt.Errorf("%s: "+format, append([]any{t.Name()}, args...)...)
}

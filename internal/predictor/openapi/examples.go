package openapi

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"

	"churn/internal/dataset"
	"churn/internal/model"
	"churn/internal/predlog"

	"github.com/go-json-experiment/json/jsontext"
)

// examples are bodies and an answer about the average training customer, no real one.
type examples struct {
	customer, prediction jsontext.Value
	array                []jsontext.Value // of a batch, like lines and csv
	lines, csv           string
}

func exemplify(name string, m *model.Model, l Service) examples {
	record := predlog.Record{RequestID: "a", ModelVersion: name, LatencyMS: 0.041, TS: 1795375800.123,
		Threshold: m.Threshold}
	var values []dataset.Value
	header, cells := []string{"request_id"}, []string{""}
	for i := range m.Schema.Features {
		f := &m.Schema.Features[i]
		v := m.TypicalValue(f)
		values = append(values, v)
		record.Features = append(record.Features, predlog.Feature{Name: f.Name, Value: v})
		cell := v.Text // "" if it is missing
		if !v.Level && !v.Missing {
			cell = cellOf(f, v.Number)
		}
		header, cells = append(header, f.Name), append(cells, cell)
	}
	score := m.Score(values)
	record.Prediction, record.Probability, record.Warnings = score.Prediction(), score.Probability, score.Warnings

	var array []jsontext.Value
	var lines, table strings.Builder
	w := csv.NewWriter(&table) // it cannot fail
	w.Write(header)
	for _, id := range []string{"a", "b"}[:min(2, l.BatchRows)] {
		customer := customerText(id, record.Features)
		array = append(array, customer)
		fmt.Fprintf(&lines, "%s\n", customer)
		cells[0] = id
		w.Write(cells)
	}
	w.Flush()
	return examples{
		customer:   customerText("", record.Features),
		array:      array,
		lines:      lines.String(),
		csv:        table.String(),
		prediction: record.Append(nil),
	}
}

// cellOf returns a number as a CSV file has it: in the column's notation, if it is valid there.
func cellOf(f *dataset.Feature, x float64) string {
	plain := strconv.FormatFloat(x, 'g', -1, 64)
	if f.Notation == (dataset.Notation{}) {
		return plain
	}
	cell := f.Format(x)
	if _, _, _, problem := f.Clean(cell); problem != nil { // rounded, or a date that is written as a number
		return dataset.PlainMark + plain
	}
	return cell
}

// customerText returns a customer as /predict takes it, without what is missing.
func customerText(id string, features []predlog.Feature) jsontext.Value {
	var text bytes.Buffer
	e := jsontext.NewEncoder(&text)
	e.WriteToken(jsontext.BeginObject)
	if id != "" {
		e.WriteToken(jsontext.String("request_id"))
		e.WriteToken(jsontext.String(id))
	}
	for _, f := range features {
		if !f.Value.Missing {
			e.WriteToken(jsontext.String(f.Name))
			f.Value.MarshalJSONTo(e)
		}
	}
	e.WriteToken(jsontext.EndObject)
	return bytes.TrimSpace(text.Bytes())
}

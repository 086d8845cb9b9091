package predictor

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"fmt"
	"maps"
	"math"
	"slices"
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

func exemplify(s *serving, l Limits) examples {
	record := predlog.Record{RequestID: "a", ModelVersion: s.name, LatencyMS: 0.041, TS: 1795375800.123, Threshold: s.model.Threshold}
	var values []dataset.Value
	header, cells := []string{"request_id"}, []string{""}
	for i := range s.model.Schema.Features {
		f := &s.model.Schema.Features[i]
		v := average(s.model, f)
		values = append(values, v)
		record.Features = append(record.Features, predlog.Feature{Name: f.Name, Value: v})
		header, cells = append(header, f.Name), append(cells, cellText(v))
	}
	score := s.model.Score(values)
	record.Probability, record.Warnings = score.Probability, score.Warnings
	record.Prediction = (&result{Score: score}).prediction()

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

// cellText returns a value as a CSV file has it.
func cellText(v dataset.Value) string {
	switch {
	case v.Missing:
		return ""
	case v.Level:
		return v.Text
	}
	return shortest(v.Number)
}

// average returns what the average training customer has, and the schema allows:
// the most frequent level, or about the median. A level is missing if all were.
func average(m *model.Model, f *dataset.Feature) dataset.Value {
	if f.Type == dataset.Category {
		levels := commonest(m, f)
		if len(levels) == 0 {
			return dataset.Value{Missing: true, Level: true}
		}
		return dataset.Value{Text: levels[0], Level: true}
	}
	median := m.Encoder.Numbers[f.Name].Median
	about := math.Round(median)
	if !f.Integer {
		const digits = 4
		about, _ = strconv.ParseFloat(strconv.FormatFloat(median, 'g', digits, 64), 64)
	}
	for _, x := range []float64{about, median} {
		if v, problem := f.CheckNumber(x); problem == nil {
			return v
		}
	}
	return dataset.Value{Number: m.Reference.Columns[f.Name].Numbers.Min} // a row had it, so it is allowed
}

// commonest returns the levels that the model knows, the most frequent first.
func commonest(m *model.Model, f *dataset.Feature) []string {
	rows := m.Reference.Columns[f.Name].Levels
	return slices.SortedFunc(maps.Keys(rows), func(a, b string) int {
		return cmp.Or(rows[b]-rows[a], strings.Compare(a, b))
	})
}

package model

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"churn/internal/dataset"
)

// TypicalValue returns a value that is typical of the training rows and valid: the most
// frequent level, or about the median. A level is missing if all were.
func (m *Model) TypicalValue(f *dataset.Feature) dataset.Value {
	if f.Type == dataset.Category {
		levels := m.CommonLevels(f)
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
	return dataset.Value{Number: m.Reference.Columns[f.Name].Numbers.Min} // valid, since a row had it
}

// CommonLevels returns the levels of the training rows, the most frequent first.
func (m *Model) CommonLevels(f *dataset.Feature) []string {
	return commonLevels(m.Reference.Columns[f.Name].Levels)
}

func commonLevels(rows map[string]int) []string {
	return slices.SortedFunc(maps.Keys(rows), func(a, b string) int {
		return cmp.Or(rows[b]-rows[a], strings.Compare(a, b))
	})
}

package openapi

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"

	"churn/internal/dataset"
	"churn/internal/model"

	"github.com/getkin/kin-openapi/openapi3"
)

// Patterns of texts without control characters, but for the white space around them. They are
// written in what the dialects of regular expressions have in common.
const (
	space     = `[\t-\r \x85\xa0]*`
	printable = `^` + space + `[^\x00-\x1f\x7f-\x9f]*` + space + `$`
	notBlank  = `^` + space + `[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*` + space + `$`
)

const (
	levelsShown = 50 // of a category, as examples
	known       = "The model knows %d %s; any other is scored as none of them, with a warning."
)

// describeCustomer fills in what the model's schema says of a customer, and of the
// features in a prediction.
func describeCustomer(schemas openapi3.Schemas, m *model.Model, l Service) {
	customer := schemas["Customer"].Value
	scored := schemas["Prediction"].Value.Properties["features"].Value
	id := customer.Properties["request_id"].Value
	id.OneOf[0].Value.MaxLength, id.OneOf[0].Value.Pattern = new(uint64(l.RequestIDLength)), printable
	id.Description = fmt.Sprintf(id.Description, l.RequestIDLength)
	for _, name := range append([]string{m.Schema.Target.Name}, m.Schema.Ignore...) {
		customer.WithProperty(name, &openapi3.Schema{Description: "Accepted and ignored."})
	}
	for i := range m.Schema.Features {
		f := &m.Schema.Features[i]
		s := featureSchema(m, i)
		customer.WithProperty(f.Name, s)
		scored.WithProperty(f.Name, s)
		scored.Required = append(scored.Required, f.Name)
		if !f.Optional {
			customer.Required = append(customer.Required, f.Name)
		}
	}
}

// featureSchema returns what values a feature may have.
func featureSchema(m *model.Model, i int) *openapi3.Schema {
	f := &m.Schema.Features[i]
	var s *openapi3.Schema
	allowed := f.Allowed()
	if f.Type == dataset.Number {
		s = numberSchema(m, f, &allowed)
	} else {
		s = levelSchema(m, f, &allowed)
	}
	description := s.Description
	if f.Optional {
		description = strings.TrimSpace(description) + " " + scoredWithout(m, i)
	}
	if len(allowed.Other) > 0 {
		description += " Further rules: " + strings.Join(allowed.Other, ", ") + "."
	}
	if s.Description = ""; f.Optional {
		s = openapi3.NewOneOfSchema(s, &openapi3.Schema{Type: &openapi3.Types{openapi3.TypeNull}})
	}
	s.Description = strings.TrimSpace(description)
	return s
}

func numberSchema(m *model.Model, f *dataset.Feature, allowed *dataset.Allowed) *openapi3.Schema {
	s := openapi3.NewFloat64Schema().WithFormat("double") // without it generated code has 32 bits
	if f.Integer {
		s = openapi3.NewInt64Schema()
	}
	s.Min, s.Max = allowed.Min, allowed.Max
	s.ExclusiveMin.Value, s.ExclusiveMax.Value = allowed.Above, allowed.Below
	s.Examples = []any{m.TypicalValue(f).Number}
	if text := f.Example(); text != "" {
		s.Description = "Of what was exported, " + text + ". "
	}
	if n := len(m.NumberLevels(f.Name)); n > 0 {
		s.Description += fmt.Sprintf(known, n, "values")
	}
	return s
}

// levelSchema gives the levels that the model knows as examples: others are valid too.
func levelSchema(m *model.Model, f *dataset.Feature, allowed *dataset.Allowed) *openapi3.Schema {
	s := openapi3.NewStringSchema()
	for _, level := range allowed.OneOf {
		s.Enum = append(s.Enum, level)
	}
	least, pattern := 0.0, printable
	if !f.Optional {
		least, pattern = 1, notBlank // an empty text is missing
	}
	or := func(limit *float64, otherwise float64) float64 { return *cmp.Or(limit, &otherwise) }
	least = max(least, or(allowed.Min, 0), or(allowed.Above, -1)+1)
	most := min(or(allowed.Max, math.Inf(1)), or(allowed.Below, math.Inf(1))-1)
	s.MinLength = uint64(least)
	if most < math.Inf(1) {
		s.MaxLength = new(uint64(max(0, most)))
	}
	levels := m.CommonLevels(f)
	if !slices.ContainsFunc(levels, func(level string) bool { return strings.ContainsFunc(level, unicode.IsControl) }) {
		s.Pattern = pattern // texts of training rows may have them
	}
	for _, level := range levels[:min(levelsShown, len(levels))] {
		s.Examples = append(s.Examples, level)
	}
	s.Description = fmt.Sprintf(known, len(levels), "levels")
	return s
}

// scoredWithout describes how feature i is scored if it is absent.
func scoredWithout(m *model.Model, i int) string {
	how := "the training median"
	switch {
	case m.WeighsMissing(i):
		how = "the training rows without one were"
	case m.Schema.Features[i].Type == dataset.Category:
		how = "none of the levels, with a warning"
	}
	return "Absent or null, it is scored as " + how + "."
}

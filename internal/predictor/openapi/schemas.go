package openapi

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"churn/internal/dataset"
	"churn/internal/model"

	"github.com/getkin/kin-openapi/openapi3"
)

const levelsShown = 50 // of a category, as examples

// schemas are the shapes of bodies and answers. Those of customers are the model's.
func schemas(m *model.Model, l Limits) openapi3.Schemas {
	number, str := openapi3.NewFloat64Schema, openapi3.NewStringSchema
	customer, scored := openapi3.NewObjectSchema(), openapi3.NewObjectSchema()
	customer.Description = "Texts are trimmed, and set in the case that the model was trained with."
	for _, name := range append([]string{m.Schema.Target.Name}, m.Schema.Ignore...) {
		customer.WithProperty(name, &openapi3.Schema{Description: "May be there, is not read."})
	}
	customer.WithProperty("request_id", &openapi3.Schema{
		Type: &openapi3.Types{openapi3.TypeString, openapi3.TypeNull}, MaxLength: new(uint64(l.RequestIDBytes)),
		Description: fmt.Sprintf("Comes back with the prediction; one is made up without it. At most %d bytes.",
			l.RequestIDBytes),
	})
	for i := range m.Schema.Features {
		f := &m.Schema.Features[i]
		s := featureSchema(m, f)
		customer.WithProperty(f.Name, s)
		scored.WithProperty(f.Name, s)
		scored.Required = append(scored.Required, f.Name)
		if !f.Optional {
			customer.Required = append(customer.Required, f.Name)
		}
	}
	return openapi3.Schemas{
		"Customer": customer.WithoutAdditionalProperties().NewRef(),
		"Prediction": objectOf(map[string]*openapi3.Schema{
			"request_id":    str(),
			"model_version": described("The model's file name.", str()),
			"prediction":    openapi3.NewIntegerSchema().WithEnum(0, 1),
			"probability":   number().WithMin(0).WithMax(1),
			"latency_ms":    number().WithMin(0),
			"features":      described("As they were scored.", scored.WithoutAdditionalProperties()),
			"ts":            described("Unix seconds.", number()),
			"threshold":     described("The least probability that is predicted as 1.", number()),
			"warnings":      described("Levels that the model does not know.", listOf(str().NewRef())),
			"explanation":   explanationSchema(),
		}, "warnings", "explanation").NewRef(),
		"Status":       objectOf(map[string]*openapi3.Schema{"status": str().WithEnum("ok")}).NewRef(),
		"Model":        modelSchema().NewRef(),
		"Trial":        trialSchema().NewRef(),
		"CurrentModel": currentModelSchema().NewRef(),
		"Drift":        driftSchema().NewRef(),
		"Health": objectOf(map[string]*openapi3.Schema{
			"status":        str().WithEnum("ok", "error"),
			"current_model": str(),
			"detail":        described("Why the model that the registry names does not serve.", str()),
		}, "current_model", "detail").NewRef(),
		"Error": objectOf(map[string]*openapi3.Schema{"detail": str()}).NewRef(),
		"HTTPValidationError": objectOf(map[string]*openapi3.Schema{
			"detail": listOf(refTo("ValidationError")).WithMinItems(1),
		}).NewRef(),
		"ValidationError": objectOf(map[string]*openapi3.Schema{
			"loc": described("Where: body, in a batch the row from 0, the field.",
				listOf((&openapi3.Schema{Type: &openapi3.Types{openapi3.TypeString, openapi3.TypeInteger}}).NewRef())),
			"msg":  str(),
			"type": str(),
			"ctx":  openapi3.NewObjectSchema(),
		}, "ctx").NewRef(),
	}
}

func described(text string, s *openapi3.Schema) *openapi3.Schema {
	s.Description = text
	return s
}

// objectOf returns the schema of an object with just these properties. All but the optional ones are required.
func objectOf(properties map[string]*openapi3.Schema, optional ...string) *openapi3.Schema {
	s := openapi3.NewObjectSchema().WithProperties(properties).WithoutAdditionalProperties()
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if !slices.Contains(optional, name) {
			s.Required = append(s.Required, name)
		}
	}
	return s
}

// featureSchema returns what values a feature may have.
func featureSchema(m *model.Model, f *dataset.Feature) *openapi3.Schema {
	var s *openapi3.Schema
	allowed := f.Allowed()
	if f.Type == dataset.Number {
		s = numberSchema(m, f, &allowed)
	} else {
		s = levelSchema(m, f, &allowed)
	}
	if f.Optional {
		s.Type = &openapi3.Types{(*s.Type)[0], openapi3.TypeNull}
		if s.Enum != nil {
			s.Enum = append(s.Enum, nil)
		}
		s.Description += " " + scoredWithout(m, f)
	}
	if len(allowed.Other) > 0 {
		s.Description += " It must also hold: " + strings.Join(allowed.Other, ", ") + "."
	}
	s.Description = strings.TrimSpace(s.Description)
	return s
}

func numberSchema(m *model.Model, f *dataset.Feature, allowed *dataset.Allowed) *openapi3.Schema {
	s := openapi3.NewFloat64Schema()
	if f.Integer {
		s = openapi3.NewIntegerSchema()
	}
	s.Min, s.Max = allowed.Min, allowed.Max
	s.ExclusiveMin.Value, s.ExclusiveMax.Value = allowed.Above, allowed.Below
	s.Examples = []any{m.TypicalValue(f).Number}
	return s
}

// levelSchema gives the levels that the model knows as examples: others are scored too.
func levelSchema(m *model.Model, f *dataset.Feature, allowed *dataset.Allowed) *openapi3.Schema {
	s := openapi3.NewStringSchema()
	for _, level := range allowed.OneOf {
		s.Enum = append(s.Enum, level)
	}
	least, most := 0.0, math.Inf(1)
	if !f.Optional {
		least = 1 // an empty text is missing
	}
	if allowed.Min != nil {
		least = max(least, *allowed.Min)
	}
	if allowed.Above != nil {
		least = max(least, *allowed.Above+1)
	}
	if allowed.Max != nil {
		most = min(most, *allowed.Max)
	}
	if allowed.Below != nil {
		most = min(most, *allowed.Below-1)
	}
	s.MinLength = uint64(least)
	if most < math.Inf(1) {
		s.MaxLength = new(uint64(max(0, most)))
	}
	levels := m.CommonLevels(f)
	for _, level := range levels[:min(levelsShown, len(levels))] {
		s.Examples = append(s.Examples, level)
	}
	s.Description = fmt.Sprintf("The model knows %d levels; another is scored as none of them, with a warning.",
		len(levels))
	return s
}

// scoredWithout tells how a feature is scored that is left out.
func scoredWithout(m *model.Model, f *dataset.Feature) string {
	how := "the training median"
	if f.Type == dataset.Category {
		how = "none of the levels, with a warning"
		if slices.Contains(m.Encoder.Levels[f.Name], dataset.MissingLevel) {
			how = "the training rows were that had none"
		}
	}
	return "Left out or null it is scored as " + how + "."
}

// modelSchema is an entry of metadata.json, which may have fields of other programs.
func modelSchema() *openapi3.Schema {
	s := openapi3.NewObjectSchema()
	s.Description = "An entry of registry/metadata.json."
	for name, about := range map[string]string{
		"model_file": "The model's file name.", "version": "The version that training was given.",
		"trained_at_utc": "RFC 3339.",
		"data_file":      "What it was trained on.", "model_sha256": "Of the file.", "data_sha256": "Of the data.",
	} {
		s.WithProperty(name, described(about, openapi3.NewStringSchema()))
	}
	s.WithProperty("metrics", described("On rows that it was not fitted to.", openapi3.NewObjectSchema()))
	s.WithProperty("threshold", described("The least probability that is predicted as 1.", openapi3.NewFloat64Schema()))
	s.WithProperty("passed_gate", openapi3.NewBoolSchema())
	s.Required = []string{"model_file", "version", "passed_gate"}
	return s
}

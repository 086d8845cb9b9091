package openapi

import (
	"churn/internal/drift"

	"github.com/getkin/kin-openapi/openapi3"
)

// Shapes of what the page asks for, and any other form for customers.

func explanationSchema() *openapi3.Schema {
	number := openapi3.NewFloat64Schema
	contribution := objectOf(map[string]*openapi3.Schema{"feature": openapi3.NewStringSchema(), "contribution": number()})
	return objectOf(map[string]*openapi3.Schema{
		"base":          described("The log-odds of the average training customer.", number()),
		"contributions": described("The largest first. They and base add up to the log-odds.", listOf(contribution.NewRef())),
	})
}

func trialSchema() *openapi3.Schema {
	s := objectOf(map[string]*openapi3.Schema{
		"model_version": described("The model's file name.", openapi3.NewStringSchema()),
		"prediction":    openapi3.NewIntegerSchema().WithEnum(0, 1),
		"probability":   openapi3.NewFloat64Schema().WithMin(0).WithMax(1),
		"threshold":     described("The least probability that is predicted as 1.", openapi3.NewFloat64Schema()),
		"warnings":      described("Levels that the model does not know.", listOf(openapi3.NewStringSchema().NewRef())),
		"explanation":   explanationSchema(),
	}, "warnings")
	return described("What a Prediction would say of the same customer, without what belongs to a record.", s)
}

// currentModelSchema is a Model with what a form needs.
func currentModelSchema() *openapi3.Schema {
	text, whole, yes := openapi3.NewStringSchema, openapi3.NewIntegerSchema, openapi3.NewBoolSchema
	value := &openapi3.Schema{Type: &openapi3.Types{openapi3.TypeNumber, openapi3.TypeString, openapi3.TypeNull}}
	feature := objectOf(map[string]*openapi3.Schema{
		"name":     text(),
		"type":     text().WithEnum("number", "category"),
		"integer":  yes(),
		"optional": described("It may be left out.", yes()),
		"default": described("What a typical training customer has: about the mean, or the most frequent level. null if "+
			"no row had one.", value),
		"min":   described("The least of the training rows.", openapi3.NewFloat64Schema()),
		"max":   described("The largest of the training rows.", openapi3.NewFloat64Schema()),
		"whole": described("The numbers of the training rows look like whole ones.", yes()),
		"levels": described("Those of the training rows, the most frequent first.",
			listOf(objectOf(map[string]*openapi3.Schema{"level": text(), "rows": whole()}).NewRef())),
	}, "integer", "optional", "min", "max", "whole", "levels")
	s := modelSchema()
	s.WithProperty("target", described("What is predicted: that this column has this value.",
		objectOf(map[string]*openapi3.Schema{"name": text(), "positive": text()})))
	s.WithProperty("card", described("Where the model's card is, if it has one.", text()))
	s.WithProperty("features", described("What a customer has, in the model's order.", listOf(feature.NewRef())))
	s.Description = "The entry of registry/metadata.json, and what a form for customers needs."
	s.Required = append(s.Required, "target", "features")
	return s
}

func driftSchema() *openapi3.Schema {
	text, number, whole := openapi3.NewStringSchema, openapi3.NewFloat64Schema, openapi3.NewIntegerSchema
	severities := []any{string(drift.OK), string(drift.Watch), string(drift.Alert)}
	var kinds []any
	for _, kind := range drift.Kinds() {
		kinds = append(kinds, kind)
	}
	check := objectOf(map[string]*openapi3.Schema{
		"column":           described("A feature, or "+drift.Probability+".", text()),
		"kind":             text().WithEnum(kinds...),
		"rows":             described("Live rows that it is based on.", whole()),
		"statistic":        described("z, chi-squared, or the share of the live rows.", number()),
		"df":               described("Degrees of freedom of the chi-squared.", whole()),
		"p":                described("Two-sided.", number()),
		"p_adjusted":       described("After Holm, over all checks.", number()),
		"effect":           described("In the unit.", number()),
		"effect_threshold": described("Effect worth acting on.", number()),
		"unit":             described("std, for standard deviations, or PSI.", text()),
		"level":            text().WithEnum(severities...),
		"sentence":         described("What is different; absent if nothing significant is.", text()),
	}, "df", "sentence")
	return objectOf(map[string]*openapi3.Schema{
		"current_model": described("The model's file name.", text()),
		"verdict": described("The gravest level of the checks; off without a window.",
			text().WithEnum(append(severities, string(drift.NotEnoughData), string(drift.Off))...)),
		"rows":     described("Rows that the verdict rests on.", whole()),
		"min_rows": described("With fewer rows there is no verdict.", whole()),
		"window":   described("The last rows that are kept, at most; 0 for none.", whole()),
		"checks":   listOf(check.NewRef()),
	})
}

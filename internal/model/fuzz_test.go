package model

import (
	"bytes"
	"math"
	"testing"

	"churn/internal/dataset"
	"churn/internal/testing/fuzzing"
)

// smallModel returns a model of a number and a category, both with missing cells.
func smallModel(f *testing.F, terms string, pairs ...Pair) []byte {
	schema, err := dataset.ParseSchema([]byte(`{"format":1,"target":{"name":"y","positive":"1"},"features":[
		{"name":"x","type":"number","validate":"gte=-9,lte=9","optional":true},
		{"name":"c","type":"category","case":"lower","optional":true}]}`))
	if err != nil {
		f.Fatal(err)
	}
	table := dataset.NewTable(schema)
	for i := range 40 {
		table.Append(&dataset.Row{Positive: i%3 == 0, Values: []dataset.Value{
			{Number: float64(i*i%13) / 7, Missing: i%10 == 9},
			{Text: []string{"a", "b"}[i%2], Level: true, Missing: i%11 == 9},
		}})
	}
	o := options()
	o.TestSize, o.Terms, o.Pairs.Named = 0.25, terms, pairs
	m, err := Train(f.Context(), InMemory(table), o)
	if err != nil {
		f.Fatal(err)
	}
	m.Golden = m.Golden[:3]
	doc, err := m.Bytes()
	if err != nil {
		f.Fatal(err)
	}
	return doc
}

// FuzzParse: a document that is read is written again as it was, and scores every
// customer that its schema lets through. One of its values is replaced, so that what
// is tried gets past the JSON.
func FuzzParse(f *testing.F) {
	if testing.Short() {
		f.Skip("it parses many documents")
	}
	f.Add([]byte(`{"format":1}`), uint16(1), "2")
	for _, small := range [][]byte{smallModel(f, TermsLine), smallModel(f, TermsCurve, Pair{"x", "c"})} {
		f.Add(small, uint16(0), "")
		values := 0
		for replaced := small; !bytes.Equal(replaced, small) || values == 0; values++ {
			replaced = fuzzing.ReplaceValue(small, values, "\"?\"")
		}
		for k := range values {
			for _, text := range []string{"null", "-1", "1e308", "{}"} {
				f.Add(small, uint16(k), text)
			}
		}
	}
	f.Fuzz(func(t *testing.T, doc []byte, k uint16, text string) {
		defer fuzzing.Watch()()
		if text != "" {
			doc = fuzzing.ReplaceValue(doc, int(k), text)
		}
		if bytes.HasSuffix(doc, []byte(documentEnd)) && len(doc) > len(documentEnd)+checksumDigits {
			doc = sign(bytes.Clone(doc)) // past the checksum, to the parts behind it
		}
		m, err := Parse(doc)
		if err != nil {
			return
		}
		written, err := m.Bytes()
		if err != nil {
			t.Fatalf("%s: %v", doc, err)
		}
		again, err := Parse(written)
		if err != nil {
			t.Fatalf("%s, written %s: %v", doc, written, err)
		}
		if twice, err := again.Bytes(); err != nil || !bytes.Equal(twice, written) {
			t.Fatalf("%s is written again as %s, %v", written, twice, err)
		}
		values := make([]dataset.Value, len(m.Schema.Features))
		for _, cell := range []string{"", "0", "-9", "1e100", "-1e100", "1e-300", "a", "b", "new"} {
			scored := true
			for j := range values {
				v, problem := m.Schema.Features[j].CheckText(cell)
				scored = scored && problem == nil
				values[j] = v
			}
			if !scored {
				continue
			}
			s, other := m.Score(values), again.Score(values)
			if !(s.Probability >= 0 && s.Probability <= 1) || s.Probability != other.Probability {
				t.Fatalf("%s scores %q with %v, written again %v", doc, cell, s.Probability, other.Probability)
			}
			x := m.Explain(values)
			for _, c := range append(x.Contributions, x.Base) {
				if math.IsNaN(c) || math.IsInf(c, 0) {
					t.Fatalf("%s explains %q with %+v", doc, cell, x)
				}
			}
		}
	})
}

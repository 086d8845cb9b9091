package csvdata

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"churn/internal/dataset"
)

func infer(text string, target string, ignore, missing []string) (*dataset.Schema, error) {
	s, _, err := Infer(context.Background(), Source{Reader: strings.NewReader(text), File: "x.csv"}, Inference{
		Target: dataset.Target{Name: target, Positive: "Yes"}, Ignore: ignore, MissingValues: missing,
	})
	return s, err
}

// public returns the schema as its file has it, without what is compiled.
func public(s *dataset.Schema) dataset.Schema {
	p := dataset.Schema{Format: s.Format, Target: s.Target, Ignore: s.Ignore, MissingValues: s.MissingValues}
	for _, f := range s.Features {
		p.Features = append(p.Features, dataset.Feature{
			Name: f.Name, Type: f.Type, Validate: f.Validate, Integer: f.Integer, ClipMin: f.ClipMin,
			Case: f.Case, Optional: f.Optional, MaxLevels: f.MaxLevels,
		})
	}
	return p
}

func TestInferredTypes(t *testing.T) {
	// check infers the feature of a column with these cells.
	check := func(cells string, want dataset.Feature, missing ...string) {
		t.Helper()
		s, err := infer("a,churn\n"+strings.ReplaceAll(cells, " ", ",Yes\n")+",No\n", "churn", nil, missing)
		if err != nil {
			t.Fatal(err)
		}
		want.Name = "a"
		if got := public(s).Features; len(got) != 1 || !reflect.DeepEqual(got[0], want) {
			t.Errorf("Infer(%s) = %+v, want %+v", cells, got, want)
		}
	}
	check("1 2.5 -3e2", dataset.Feature{Type: dataset.Number})
	check("1 x 3", dataset.Feature{Type: dataset.Category})
	check("x y", dataset.Feature{Type: dataset.Category})
	check("1 NA 3", dataset.Feature{Type: dataset.Category}) // NA is a value
	check("1 NaN 3", dataset.Feature{Type: dataset.Category})
	check("1  3", dataset.Feature{Type: dataset.Number, Optional: true})
	check("x  y", dataset.Feature{Type: dataset.Category, Optional: true})
	check("1 ? 3", dataset.Feature{Type: dataset.Category})
	check("1 ? 3", dataset.Feature{Type: dataset.Number, Optional: true}, "N/A", "?")
	check("1 \"\t?\u00a0\" 3", dataset.Feature{Type: dataset.Number, Optional: true}, "?")
	check(" ", dataset.Feature{Type: dataset.Number, Optional: true})
}

func TestInferLeavesOutTargetAndIgnoredColumns(t *testing.T) {
	s, err := infer("id,tenure, plan ,Churn\n7590-A,1,x,Yes\n5575-B,2,y,No\n", "Churn", []string{"id"}, []string{"?"})
	if err != nil {
		t.Fatal(err)
	}
	want := dataset.Schema{Format: dataset.Format, Target: dataset.Target{Name: "Churn", Positive: "Yes"},
		Ignore: []string{"id"}, MissingValues: []string{"?"},
		Features: []dataset.Feature{{Name: "tenure", Type: dataset.Number}, {Name: "plan", Type: dataset.Category}}}
	if got := public(s); !reflect.DeepEqual(got, want) {
		t.Errorf("Infer = %+v, want %+v", got, want)
	}
	if _, rows := accepted(t, s, "id,tenure, plan ,Churn\n7590-A,1,x,Yes\n5575-B,2,y,No\n",
		dataset.Limits{}); !slices.Equal(rows[1].Cells, []string{"2", "y", "No"}) {
		t.Errorf("its own file's second row is %q", rows[1].Cells)
	}
}

func TestInferRejects(t *testing.T) {
	check := func(text string, ignore []string, want string) {
		t.Helper()
		s, err := infer(text, "churn", ignore, nil)
		var invalid *dataset.ValidationError
		if !errors.As(err, &invalid) || invalid.Error() != want {
			t.Errorf("Infer(%q) = %+v, %v, want the error %q", text, s, err, want)
		}
	}
	check("", nil, "x.csv: the file is empty: it needs a header line")
	check("a,b\n1,2\n", nil, "x.csv:1: churn: the target column is missing: the file has a, b")
	check("a,b\n1,2\n", []string{"id", "no"},
		"x.csv:1: churn: the target column is missing: the file has a, b\nx.csv:1: id: "+
			"the column to ignore is missing: the file has a, b\n"+
			"x.csv:1: no: the column to ignore is missing: the file has a, b")
	check("a,a,churn\n1,2,1\n", nil,
		"x.csv:1: a: the column is there twice: leave out the second with --ignore '#2', or rename it")
	check("id,churn\n1,1\n", []string{"id"}, "x.csv: no column is left to predict from")
	check("a,churn\n1,1\n\"2\"3,1\nx,1\n", nil, `x.csv:3: not CSV: extraneous or missing " in quoted-field`)
}

// Invalid rows, which the scan reports, do not count.
func TestInferSkipsRaggedRows(t *testing.T) {
	s, err := infer("a,churn\n1,Yes\nx\ny,No,3\n2,No\n", "churn", nil, nil)
	if err != nil || s.Features[0].Type != dataset.Number {
		t.Errorf("Infer = %+v, %v, want a number", s, err)
	}
}

func TestLikelyTargets(t *testing.T) {
	check := func(header, want string, rows ...string) {
		t.Helper()
		text := header + "\n" + strings.Join(rows, "\n") + "\n"
		_, got, _ := LikelyTargets(Source{Reader: strings.NewReader(text), File: "x.csv"})
		if strings.Join(got, ",") != want {
			t.Errorf("%q: %q, want %s", text, got, want)
		}
	}
	check("sex,label,Churn", "Churn,label,sex", "f,a,1", "m,b,0")
	check("genre,departement,a_quitte_l_entreprise", "a_quitte_l_entreprise,genre,departement", "f,rh,Oui", "m,it,Non")
	check("성별,해지여부", "해지여부,성별", "남,유지", "여,해지")
	check("plan,Cancelou?", "Cancelou?", "a,Sim", "b,Não", "c,", ",") // a total, and a line of delimiters
	check("plan,status,reason", "status", "a,stayed,", "b,churned,price", "c,joined,", "d,stayed,")
	check("plan,status", "", "a,1", "b,2", "c,3", "d,4")
}

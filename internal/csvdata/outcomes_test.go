package csvdata

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"churn/internal/dataset"
)

// byID returns the outcomes by request_id.
func (o *Outcomes) byID() map[string]bool {
	all := map[string]bool{}
	for id := range o.numbers {
		if n, known := o.Number(id); known {
			all[id] = o.Positive[n]
		}
	}
	return all
}

func TestReadOutcomes(t *testing.T) {
	schema := dataset.Lab()
	check := func(text string, open, twice int, want string) {
		t.Helper()
		got, err := ReadOutcomes(t.Context(), Source{Reader: strings.NewReader(text), File: "o.csv"}, schema)
		if err != nil {
			t.Errorf("ReadOutcomes(%q): %v", text, err)
			return
		}
		if fmt.Sprint(got.byID()) != want || got.Open != open || got.Twice != twice {
			t.Errorf("ReadOutcomes(%q) = %v, %d open, %d twice, want %s, %d, %d", text, got.byID(), got.Open, got.Twice, want,
				open, twice)
		}
	}
	check("request_id,churn\na,1\nb,0\n", 0, 0, "map[a:true b:false]")
	check("\ufeffchurn,when,request_id\r\n1,monday,\" a \"\r\n 1.0 ,,b", 0, 0, "map[a:true b:true]")
	check("request_id,churn\na,\nb,0\n", 1, 0, "map[b:false]")
	check("request_id,churn\na,1\na,0\n", 0, 1, "map[a:false]")
	check("request_id,churn\nZoe\u0308,1\nZo\u00eb,0\n", 0, 1, "map[Zo\u00eb:false]") // composed
	check("request_id,churn\n", 0, 0, "map[]")
	check("request_id,churn\n\"x,y\",1\n", 0, 0, "map[x,y:true]")
}

func TestOutcomesRejected(t *testing.T) {
	check := func(text, want string) {
		t.Helper()
		_, err := ReadOutcomes(t.Context(), Source{Reader: strings.NewReader(text), File: "o.csv"}, dataset.Lab())
		var invalid *dataset.ValidationError
		if !errors.As(err, &invalid) || err.Error() != want {
			t.Errorf("ReadOutcomes(%q): %v, want %s", text, err, want)
		}
	}
	check("", "o.csv: the file is empty: it needs a header line")
	check("id,left\n", "o.csv: request_id: the column is missing: the file has id, left\no.csv: churn: the column is "+
		"missing: the file has id, left")
	check("a,b,c,d,e,f,g,h,i,request_id\n",
		"o.csv: churn: the column is missing: the file has a, b, c, d, e, f, g, h, …")
	check("request_id,churn\na,1\n,1\n ,0\n", "o.csv:3: request_id: a line without an id (2 times, lines 3, 4)")
	check("request_id,churn\na,1,2\n",
		"o.csv:2: 3 cells, the header has 2: if every line has one more, name that column in the header, too")
	check("request_id,churn\na,1\nb,0\nc,maybe\n",
		`o.csv: churn: more than two values ("0" in 1 row, "1" in 1 row, "maybe" in 1 row): the target has two`)
	check("request_id,churn\na,yes\nb,no\n",
		`o.csv: churn: no line has the positive value "1", but "no" in 1 row, "yes" in 1 row: write it as in the `+
			"training rows")
}

func TestOutcomesWarn(t *testing.T) {
	o := Outcomes{Open: 1, Twice: 2}
	if got := len(o.Warnings("o.csv")); got != 2 {
		t.Errorf("%d warnings, want 2", got)
	}
	if got := (&Outcomes{}).Warnings("o.csv"); got != nil {
		t.Errorf("warnings %q of nothing", got)
	}
}

// The result does not depend on the chunks.
func TestManyOutcomes(t *testing.T) {
	var b strings.Builder
	b.WriteString("request_id,churn\n")
	want := map[string]bool{}
	for i := range 200_000 {
		id := fmt.Sprintf("request-%d", i)
		fmt.Fprintf(&b, "%s,%d\n", id, i%3/2)
		want[id] = i%3 == 2
	}
	got, err := ReadOutcomes(t.Context(), Source{Reader: strings.NewReader(b.String()), File: "o.csv"}, dataset.Lab())
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(got.byID(), want) {
		t.Errorf("%d outcomes, want %d, and the same", len(got.Positive), len(want))
	}
}

func TestTheNearestColumnIsNamed(t *testing.T) {
	s := parse(t, schemaOf(`{"name":"Appels","type":"number"},{"name":"fee_1","type":"number"},`+
		`{"name":"fee_2","type":"number"}`))
	const has = ": the file has appel, fee_1, k, Chrn"
	rejected(t, s, "appel,fee_1,k,Chrn\n1,2,3,0\n", dataset.Limits{Known: true},
		"x.csv:1: Appels: the column is missing"+has+": did you mean appel?",
		"x.csv:1: fee_2: the column is missing"+has,
		"x.csv:1: churn: the target column is missing"+has+": did you mean Chrn?",
		"x.csv:1: appel: the model's schema does not know this column: remove it from the file",
		"x.csv:1: k: the model's schema does not know this column: remove it from the file",
		"x.csv:1: Chrn: the model's schema does not know this column: remove it from the file")
}

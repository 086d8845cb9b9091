package datacheck_test

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"churn/internal/csvdata"
	"churn/internal/datacheck"
	"churn/internal/dataset"
	"churn/internal/metric"
)

// findings infers the schema of a file with the target left and returns the findings.
func findings(t *testing.T, file string, target dataset.Target, ignore, missing []string) []dataset.Finding {
	t.Helper()
	schema, _, err := csvdata.Infer(t.Context(), csvdata.Source{Reader: strings.NewReader(file), File: "x.csv"},
		csvdata.Inference{Target: target, Ignore: ignore, MissingValues: missing})
	if err != nil {
		t.Fatal(err)
	}
	q, _, err := csvdata.Clean(t.Context(), csvdata.Source{Reader: strings.NewReader(file), File: "x.csv"}, nil, schema,
		dataset.Limits{MaxMissing: 1}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return datacheck.Check(q)
}

// planted returns a file of customers whose last column is made by a function of the
// row, the months and whether the customer left.
func planted(rows int, name string, cell func(rng *rand.Rand, row, months int, left bool) any) string {
	rng := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	fmt.Fprintf(&b, "months,fee,plan,left,%s\n", name)
	for i := range rows {
		months := rng.IntN(60)
		left := rng.Float64() < 0.1+0.3*float64(60-months)/60
		answer := "no"
		if left {
			answer = "yes"
		}
		fmt.Fprintf(&b, "%d,%.3f,%s,%s,%v\n", months, 20+10*rng.NormFloat64(), string("abc"[rng.IntN(3)]), answer,
			cell(rng, i, months, left))
	}
	return b.String()
}

var left = dataset.Target{Name: "left", Positive: "yes"}

func TestPlanted(t *testing.T) {
	check := func(name, want string, cell func(rng *rand.Rand, row, months int, left bool) any) {
		t.Helper()
		for _, rows := range []int{600, 25_000} { // all, and a sample
			var got []string
			for _, f := range findings(t, planted(rows, name, cell), left, nil, nil) {
				issue := f.Issue("x.csv")
				got = append(got, f.Kind+" "+issue.String())
			}
			if want == "" && got != nil || want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], want)) {
				t.Errorf("%s, %d rows: %q, want %q", name, rows, got, want)
			}
		}
	}
	if_ := func(condition bool, a, b any) any {
		if condition {
			return a
		}
		return b
	}
	check("noise", "", func(rng *rand.Rand, _, _ int, _ bool) any { return fmt.Sprintf("%.3f", rng.Float64()) })
	check("strong", "", func(rng *rand.Rand, _, _ int, left bool) any { // an AUC of 0.92
		return fmt.Sprintf("%.3f", rng.NormFloat64()+if_(left, 2.0, 0.0).(float64))
	})
	check("cities", "", func(rng *rand.Rand, _, _ int, _ bool) any { return fmt.Sprintf("c%d", rng.IntN(90)) })
	check("score", "leak x.csv: score: it alone ranks left with an AUC of", func(rng *rand.Rand, _, _ int, left bool) any {
		return fmt.Sprintf("%.3f", rng.NormFloat64()-if_(left, 4.0, 0.0).(float64))
	})
	check("status", "leak x.csv: status: it alone ranks left with an AUC of 1.0000: leave it out with prepare",
		func(rng *rand.Rand, _, _ int, left bool) any {
			return if_(left, fmt.Sprintf("closed%d", rng.IntN(5)), fmt.Sprintf("open%d", rng.IntN(5)))
		})
	check("code", "leak x.csv: code", func(rng *rand.Rand, _, _ int, left bool) any { // not monotone
		return if_(left, 5, 2+rng.IntN(2)*6)
	})
	check("reason", "leak x.csv: reason: which of its cells are missing alone ranks left",
		func(rng *rand.Rand, _, _ int, left bool) any { return if_(left, fmt.Sprint("r", rng.IntN(3)), "") })
	check("closed_on", "leak x.csv: closed_on: which of its cells",
		func(rng *rand.Rand, _, _ int, left bool) any { return if_(left, rng.IntN(365), "") })
	check("gone", `target x.csv: gone: it is left under another name: "1" where that is positive, else "0"`,
		func(_ *rand.Rand, _, _ int, left bool) any { return if_(left, 1, 0) })
	check("id", "identifier x.csv: id: whole numbers that are different in",
		func(_ *rand.Rand, row, _ int, _ bool) any { return 1000 + 7*row })
	check("number", "identifier x.csv: number", func(_ *rand.Rand, row, _ int, _ bool) any {
		return 10_000_000 + (row*7_368_787)%8_999_993
	})
	check("random", "identifier x.csv: random", func(_ *rand.Rand, row, _ int, _ bool) any { // of 6 to 9 digits
		return (row + 1) * 618_033_989 % 999_999_937
	})
	check("account", "identifier x.csv: account", func(rng *rand.Rand, row, _ int, _ bool) any { // dense, in another order
		return 100 + (row*7919)%26_003
	})
	check("balance", "", func(rng *rand.Rand, _, _ int, _ bool) any { return 1_000_000 + rng.IntN(8_000_000) })
	check("band", "leak x.csv: band: it alone ranks left with an AUC of", func(rng *rand.Rand, _, _ int, left bool) any {
		if left {
			return fmt.Sprintf("%.4f", 30+10*rng.Float64())
		}
		x := 90 * rng.Float64()
		if x > 30 {
			x += 10
		}
		return fmt.Sprintf("%.4f", x)
	})
	check("constant", "constant x.csv: constant: the same value in every row",
		func(*rand.Rand, int, int, bool) any { return "x" })
	check("age", "sentinel x.csv:", func(rng *rand.Rand, row, _ int, _ bool) any {
		return if_(row%30 == 2, -10000, 18+rng.IntN(60))
	})
	check("count", "text x.csv:", func(rng *rand.Rand, row, _ int, _ bool) any {
		return if_(row%50 == 7, "none", rng.IntN(5))
	})
	check("months_again", "alias x.csv: months, months_again: each says in every row what the other says",
		func(_ *rand.Rand, _, months int, _ bool) any { return fmt.Sprint("m", months) })
	check("days", "alias x.csv: months, days: each says in every row what the other says",
		func(_ *rand.Rand, _, months int, _ bool) any { return 30 * months })
	check("tenure", "collinear x.csv: months, tenure: other numbers determine",
		func(rng *rand.Rand, _, months int, _ bool) any {
			return fmt.Sprintf("%.3f", 30*float64(months)+rng.Float64())
		})
	check("new", "determined x.csv: new: follows from months",
		func(_ *rand.Rand, _, months int, _ bool) any { return if_(months < 12, "new", "old") })
}

// Of few rows a band is found too.
func TestBandOfFewRows(t *testing.T) {
	file := planted(250, "band", func(rng *rand.Rand, _, _ int, left bool) any {
		x := 80 * rng.Float64()
		if x > 30 {
			x += 20
		}
		if left {
			x = 30 + 20*rng.Float64()
		}
		return fmt.Sprintf("%.4f", x)
	})
	if got := findings(t, file, left, nil, nil); len(got) != 1 || got[0].Kind != "leak" {
		t.Errorf("%+v, want a leak", got)
	}
}

// With the positives in one half of the sample the other has no AUC, and there is no leak.
func TestPositivesOfOneHalf(t *testing.T) {
	rng, b := rand.NewPCG(1, 2), strings.Builder{} // that the halves are drawn by
	b.WriteString("x,left\n")
	for i := range 100 {
		answer := "no"
		if rng.Uint64()>>63 == 0 {
			answer = "yes"
		}
		fmt.Fprintf(&b, "%d,%s\n", i*i%97, answer)
	}
	for _, f := range findings(t, b.String(), left, nil, nil) {
		if f.Kind == "leak" {
			t.Error(f.Text)
		}
	}
}

func TestSentinelWords(t *testing.T) {
	file := planted(600, "age", func(rng *rand.Rand, row, _ int, _ bool) any {
		if row%100 == 2 {
			return 999
		}
		return 18 + rng.IntN(60)
	})
	got := findings(t, file, left, nil, nil)[0]
	issue := got.Issue("x.csv")
	const want = "x.csv:4: age: 999 in 6 rows is far beyond all other numbers: " +
		"if it means missing, --missing-values 999, which holds for every column"
	if issue.String() != want || got.Count != 6 || !slices.Equal(got.Lines, []int{4, 104, 204, 304, 404}) {
		t.Errorf("%s %+v, want %s", issue.String(), got, want)
	}
	if again := findings(t, file, left, nil, []string{"999"}); len(again) > 0 {
		t.Errorf("with the advice followed: %+v", again)
	}
}

// Copies are found where they are many more than by chance, in a sample by its estimate.
func TestCopies(t *testing.T) {
	for _, rows := range []int{600, 60_000} {
		file := planted(rows, "n", func(rng *rand.Rand, _, _ int, _ bool) any { return rng.IntN(1000) })
		lines := strings.SplitAfter(file, "\n")
		copied := rows / 3
		got := findings(t, file+strings.Join(lines[1:copied+1], ""), left, nil, nil)
		if len(got) != 1 || got[0].Kind != "copies" || float64(got[0].Count) < 0.97*float64(copied) ||
			float64(got[0].Count) > 1.03*float64(copied) {
			t.Errorf("%d rows: %+v, want %d copies", rows, got, copied)
		}
	}
}

// What prepare found holds for the rows that it wrote, by the same columns and target.
func TestClean(t *testing.T) {
	clean := func(change func(q *dataset.Quality)) bool {
		s := &dataset.Schema{Target: left, Features: []dataset.Feature{{Name: "age", Type: dataset.Number}}}
		q := &dataset.Quality{
			Target:   dataset.TargetQuality{Name: "left", Positive: "yes"},
			Columns:  []dataset.ColumnQuality{{Name: "age", Type: dataset.Number}},
			Findings: []dataset.Finding{{Kind: "constant"}},
		}
		change(q)
		return datacheck.Clean(q, s)
	}
	if !clean(func(*dataset.Quality) {}) {
		t.Error("prepared rows are checked again")
	}
	for name, change := range map[string]func(q *dataset.Quality){
		"another target": func(q *dataset.Quality) { q.Target.Name = "churn" },
		"another class":  func(q *dataset.Quality) { q.Target.Positive = "no" },
		"another column": func(q *dataset.Quality) { q.Columns[0].Name = "months" },
		"another type":   func(q *dataset.Quality) { q.Columns[0].Type = dataset.Category },
		"fewer columns":  func(q *dataset.Quality) { q.Columns = nil },
		"a leak":         func(q *dataset.Quality) { q.Findings[0].Kind = "leak" },
		"the target":     func(q *dataset.Quality) { q.Findings[0].Kind = "target" },
		"copies":         func(q *dataset.Quality) { q.Findings[0].Kind = "copies" },
	} {
		if clean(change) {
			t.Errorf("%s: the rows are not checked", name)
		}
	}
}

// Whole numbers are not called an identifier because a file is too small to repeat them.
func TestSmallFile(t *testing.T) {
	for seed := range uint64(10) {
		rng := rand.New(rand.NewPCG(3, seed))
		file := "income,postcode,debt,left\n"
		for _, postcode := range rng.Perm(90_000)[:80] {
			left := rng.IntN(2)
			file += fmt.Sprintf("%d,%d,%d,%d\n", int(30_000*math.Exp(0.7*rng.NormFloat64())), 10_000+postcode,
				int(100_000*rng.ExpFloat64())*(1+left), left)
		}
		if got := findings(t, file, dataset.Target{Name: "left", Positive: "1"}, nil, nil); got != nil {
			t.Errorf("seed %d: %+v", seed, got)
		}
	}
}

// Customers of whom little is known are alike.
func TestAlike(t *testing.T) {
	file := "plan,country,left\n"
	for i := range 300 {
		file += fmt.Sprintf("p%d,fr,%d\n", min(i%20, 1), i/7%2)
	}
	for _, ignored := range [][]string{nil, {"plan"}} {
		got := findings(t, file, dataset.Target{Name: "left", Positive: "1"}, ignored, nil)
		if len(got) != 1 || got[0].Kind != "constant" {
			t.Errorf("without %q: %+v", ignored, got)
		}
	}
}

// Few columns of levels, some of which follow from others, are equal in most rows. They are copies if numbers are too.
func TestFewLevels(t *testing.T) {
	target := dataset.Target{Name: "left", Positive: "1"}
	copies := func(header string, row func(rng *rand.Rand) string) (n int) {
		rng, file := rand.New(rand.NewPCG(5, 6)), header+",left\n"
		for range 1500 {
			file += fmt.Sprintf("%s,%d\n", row(rng), rng.IntN(5)/4)
		}
		for _, f := range findings(t, file, target, nil, nil) {
			n += metric.Indicator(f.Kind == "copies")
		}
		return n
	}
	check := func(header string, row func(rng *rand.Rand) string) {
		t.Helper()
		if copies(header, row) > 0 {
			t.Errorf("%s: rows that are equal by chance are called copies", header)
		}
	}
	check("plan,region", func(rng *rand.Rand) string { return fmt.Sprintf("p%d,r%d", rng.IntN(30), rng.IntN(20)) })
	check("plan,name,region,area", func(rng *rand.Rand) string {
		p, r := rng.IntN(30), rng.IntN(20)
		return fmt.Sprintf("p%d,plan %d,r%d,area %d", p, p, r, r)
	})
	check("city,region,plan", func(rng *rand.Rand) string {
		city := rng.IntN(90)
		return fmt.Sprintf("c%d,r%d,p%d", city, city/10, rng.IntN(4))
	})
	check("seats,price,total", func(rng *rand.Rand) string {
		seats, price := 1+rng.IntN(12), 9.9+10*float64(rng.IntN(4))
		return fmt.Sprintf("%d,%.1f,%.1f", seats, price, float64(seats)*price)
	})
	before := ""
	if copies("plan,name,spend,visits", func(rng *rand.Rand) string {
		if p := rng.IntN(30); before == "" || rng.IntN(10) > 0 {
			before = fmt.Sprintf("p%d,plan %d,%.3f,%.3f", p, p, rng.NormFloat64(), rng.NormFloat64())
		}
		return before
	}) == 0 {
		t.Error("copies are not found")
	}
}

// Answers that go together are equal in many rows; they are copies if whole rows were added again.
func TestSurvey(t *testing.T) {
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(4, seed))
		var rows []string
		for range 1000 {
			trait, row := rng.NormFloat64(), ""
			same := rng.IntN(10) == 0 // the same answer to all questions
			for range 8 {
				answer := 3 + 1.4*trait
				if !same {
					answer += (0.4 + 0.1*float64(seed)) * rng.NormFloat64()
				}
				row += fmt.Sprintf("%d,", int(math.Round(min(max(answer, 1), 5))))
			}
			rows = append(rows, fmt.Sprintf("%s%d\n", row, metric.Indicator(trait+rng.NormFloat64() > 1)))
		}
		header, target := "q1,q2,q3,q4,q5,q6,q7,q8,left\n", dataset.Target{Name: "left", Positive: "1"}
		if got := findings(t, header+strings.Join(rows, ""), target, nil, nil); got != nil {
			t.Errorf("seed %d: %+v", seed, got)
		}
		got := findings(t, header+strings.Join(rows, "")+strings.Join(rows, ""), target, nil, nil)
		if len(got) != 1 || got[0].Kind != "copies" {
			t.Errorf("seed %d, all rows twice: %+v", seed, got)
		}
	}
}

// Columns with two in common are told once, whatever the number of their values.
func TestOverlappingAliasesAreOneFinding(t *testing.T) {
	file := "a,b,c,d,left\n"
	for i := range 1200 {
		a, b, c := i%12, 999, 997
		if a < 8 {
			b, c = 100+a, 998
		}
		if a < 4 {
			c = 200 + a
		}
		file += fmt.Sprintf("%d,%d,%d,%d,%s\n", a, b, c, i%7, []string{"no", "yes"}[i/7%2])
	}
	var got []string
	for _, f := range findings(t, file, left, nil, nil) {
		if f.Kind == "alias" {
			got = append(got, strings.Join(f.Columns, ",")+": "+f.Text)
		}
	}
	want := []string{"a,b,c: 0 and 100 and 200, 1 and 101 and 201, 2 and 102 and 202 are the same 400 rows, " +
		"and so are other values of some of these columns"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// Telco, a public file, has no leak, and its aliases take few lines.
func TestTelco(t *testing.T) {
	path := os.Getenv("CHURN_TELCO_CSV")
	if path == "" {
		t.Skip("CHURN_TELCO_CSV is not set")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got := findings(t, string(b), dataset.Target{Name: "Churn", Positive: "Yes"}, []string{"customerID"}, nil)
	if len(got) != 3 {
		t.Fatalf("%+v", got)
	}
	const want = `"No" and "No internet service" (in 6 columns) are the same 1526 rows`
	if f := got[2]; f.Text != want || len(f.Columns) != 7 || f.Kind != "alias" {
		t.Errorf("%+v, want %s", f, want)
	}
}

package report

import (
	"encoding/xml"
	"html/template"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"churn/internal/drift"
	"churn/internal/strictjson"
)

func TestFigures(t *testing.T) {
	check := func(got template.HTML, want string) {
		t.Helper()
		if _, shown, _ := strings.Cut(strings.TrimSuffix(string(got), "</data>"), ">"); shown != want {
			t.Errorf("%s shows %q, want %q", got, shown, want)
		}
	}
	check(number(0.70642, 3), "0.706")
	check(number(-0.0004, 3), "0.000")
	check(number(-1.5, 1), "−1.5")
	check(number(-0.5, 0), "0")
	check(number(0.005, 2), "0.01")
	check(percent(-0.001, 0), "0 %")
	check(percent(0.125, 1), "12.5 %")
	check(percent(-0.125, 0), "−12 %")
	check(significant(1234.567, 3), "1,230")
	check(significant(-498_123.4, 4), "−498,100")
	check(significant(0.000123456, 3), "0.000123")
	check(significant(0, 3), "0")
	check(significant(-3e12, 3), "−3e+12")
	check(whole(0), "0")
	check(whole(999), "999")
	check(whole(-1000), "−1,000")
	check(whole(1234567), "1,234,567")
	check(pValue(0), "&lt; 0.0001")
	check(pValue(0.0123), "0.012")
	for _, c := range []struct {
		x, low, high float64
		want         string
	}{
		{0, 0, 1, "&lt; 0.001"},
		{0.606, 0.523, 0.699, "0.61"},
		{0.004, 0.001, 0.1, "0.004"},
		{1.4963, 1.4951, 1.4975, "1.4963"},
		{99.96, 40, 250, "100"},
		{1234, 500, 3000, "1234"},
		{math.MaxFloat64, 0, math.MaxFloat64, "&gt; 100,000"},
	} {
		check(odds(c.x, [2]float64{c.low, c.high}), c.want)
	}
	if got, want := number(1.0/3, 1), template.HTML(`<data value="0.3333333333333333">0.3</data>`); got != want {
		t.Errorf("number(1/3, 1) = %s, want %s", got, want)
	}
}

func TestTicksOfShares(t *testing.T) {
	for _, top := range []float64{0.003, 0.01, 0.051, 0.11, 0.4, 0.99, 1} {
		ticks := percentTicks(0, top)
		if len(ticks) < 2 || len(ticks) > 7 || ticks[0].Value != 0 || ticks[len(ticks)-1].Value > top {
			t.Errorf("percentTicks(0, %v) = %v", top, ticks)
		}
		seen := map[string]bool{}
		for _, tick := range ticks {
			if seen[tick.Label] {
				t.Errorf("percentTicks(0, %v) = %v: a label twice", top, ticks)
			}
			seen[tick.Label] = true
		}
	}
	for _, top := range []float64{1, 2, 7, 123, 9_999, 45_000, 3e6} {
		ticks := countTicks(0, top)
		if len(ticks) < 2 || len(ticks) > 7 || ticks[len(ticks)-1].Value > top {
			t.Errorf("countTicks(0, %v) = %v", top, ticks)
		}
	}
}

func TestTicksOfCuts(t *testing.T) {
	check := func(want string, cuts ...float64) {
		t.Helper()
		var got []string
		for _, tick := range cutTicks(cuts) {
			got = append(got, tick.Label)
		}
		if s := strings.Join(got, "|"); s != want {
			t.Errorf("cutTicks(%v) = %q, want %q", cuts, s, want)
		}
	}
	check("0|1|2", 0, 1, 2)
	check("20.1|45.4|102", 20.12, 45.4, 101.9)
	check("−893 k||−98.3 k", -893_211, -500_000, -98_300)
	check("1.5 M||3e+12", 1.5e6, 2e6, 3e12)
	check("0.337||0.435", 0.3371, 0.4, 0.435)
	check("1860|2520|3010", 1860, 2520, 3010)
}

// hostile is a name that would break a page that trusted it.
const hostile = `</svg><script>alert("1")</script>& #010000 $1 ` + "\u202e\x1b[31m\u0085"

func column(name string) drift.Distribution {
	mean, std := 1.0, 2.0
	return drift.Distribution{
		Column: name, Cuts: []float64{-1e6, 0.001, 1.25, 99999},
		Reference: drift.Side{Rows: 100, Mean: &mean, Std: &std, Shares: []float64{.2, .2, .2, .2, .2}},
		Live:      drift.Side{Rows: 50, Mean: &mean, Shares: []float64{0, 0, 0, 0, 1}},
	}
}

func TestDrawingKeepsNames(t *testing.T) {
	const name = "fill:#010000;font-family:a;font-variant:b;font-weight:c;font-style:d;"
	if out := string(binsPlot(column(name))); !strings.Contains(out, "shares of "+name+",") {
		t.Errorf("the label of a drawing has another name: %.200s", out)
	}
}

// A drawing is well-formed whatever the names are, and has only the page's colours.
func TestDrawing(t *testing.T) {
	out := binsPlot(column(hostile))
	d := xml.NewDecoder(strings.NewReader(strings.Map(strictjson.Visible, string(out)))) // as a page has it
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		if start, ok := token.(xml.StartElement); ok {
			switch start.Name.Local {
			case "svg", "g", "path", "text":
			default:
				t.Errorf("the drawing has an element %s", start.Name.Local)
			}
		}
	}
	_, drawn, _ := strings.Cut(string(out), ">") // the label is a text
	if found := regexp.MustCompile(`#[0-9A-Fa-f]{6}|font-family`).FindString(drawn); found != "" {
		t.Errorf("the drawing has %s of its own", found)
	}
	for _, role := range []string{"--text", "--grid", "--main", "--other", "--soft"} {
		if !strings.Contains(drawn, "var("+role+")") {
			t.Errorf("the drawing has nothing in %s", role)
		}
	}
}

func TestStyleHasEveryInk(t *testing.T) {
	for _, name := range variables[1:] {
		const palettes = 2 // light, which is paper's too, and dark
		if got := strings.Count(Base, name+":"); got != palettes {
			t.Errorf("base.css sets %s %d times, want %d", name, got, palettes)
		}
	}
}

func TestDriftPageTrustsNoName(t *testing.T) {
	category := drift.Distribution{
		Column: hostile, Levels: []string{hostile},
		Reference: drift.Side{Rows: 100, Shares: []float64{1}},
		Live:      drift.Side{Rows: 50, Unseen: 0.5, Shares: []float64{0.5}},
	}
	b, err := DriftPage(&drift.Result{
		Verdict: drift.Alert, Records: 50, Model: hostile, Columns: []drift.Distribution{category, column(hostile + "2")},
		Checks: []drift.Check{
			{Column: hostile, Kind: drift.Levels, DF: 1, Severity: drift.Alert},
			{Column: hostile, Kind: drift.Unseen, Severity: drift.Watch},
		},
		ReferenceZ: []drift.ReferenceZ{{Column: hostile + "2", Z: 3, Alert: true}},
		Windows:    []drift.WindowSummary{{Records: 30}, {Records: 30, AlertShare: 1}},
		Warnings:   []string{hostile},
	})
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	if strings.Contains(page, "<script") || strings.Count(page, "</svg>") != 3 {
		t.Errorf("a name is markup in %s", page)
	}
	control := func(c rune) bool { return unicode.IsControl(c) && c != '\n' && c != '\t' }
	if at := strings.IndexFunc(page, control); at >= 0 {
		t.Errorf("the page has a control character in %q", page[at:min(at+20, len(page))])
	}
	if got := strings.Count(page, "alert(&#34;1&#34;)"); got < 8 {
		t.Errorf("the name is shown %d times, want at least 8", got)
	}
}

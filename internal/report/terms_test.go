package report

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"

	"churn/internal/model"
)

func pointsOf(xs []float64, share []float64) []model.Point {
	var out []model.Point
	for i, x := range xs {
		out = append(out, model.Point{At: &x, Contribution: x / 10, StdError: 0.1, Share: share[i]})
	}
	return out
}

// A drawing ends where few values are far away, and says so.
func TestCrop(t *testing.T) {
	check := func(xs, share []float64, from, to float64, beyond ...float64) {
		t.Helper()
		v := &termView{}
		got := v.crop(pointsOf(xs, share))
		first, last := *got[0].At, *got[len(got)-1].At
		if first != from || last != to || fmt.Sprint(v.Beyond) != fmt.Sprint(beyond) {
			t.Errorf("crop(%v) is from %v to %v, beyond %v; want %v, %v, %v", xs, first, last, v.Beyond, from, to, beyond)
		}
		for _, p := range got {
			if math.Abs(p.Contribution-*p.At/10) > 1e-9 && xs[0] > -1e100 || math.Abs(p.StdError-0.1) > 1e-9 {
				t.Errorf("crop(%v) has %v at %v", xs, p.Contribution, *p.At)
			}
		}
	}
	even := []float64{.1, .2, .2, .2, .2, .1}
	check([]float64{0, 1, 2, 3, 4, 5}, even, 0, 5)
	check([]float64{0, 1}, []float64{.5, .5}, 0, 1)
	tails := []float64{.01, .24, .25, .25, .24, .01}
	check([]float64{0, 1, 2, 3, 4, 1e6}, tails, 0, 13, 1e6)
	check([]float64{-1e6, 1, 2, 3, 4, 1e6}, tails, -8, 13, -1e6, 1e6)
	check([]float64{-1e200, 1, 2, 3, 4, 5}, tails, -8, 5, -1e200)
	check([]float64{0, 1e6}, []float64{.99, .01}, 0, 1e6)
}

func TestCellNames(t *testing.T) {
	check := func(numbers bool, names, want string) {
		t.Helper()
		if got := strings.Join(cellNames(strings.Split(names, "|"), numbers), "|"); got != want {
			t.Errorf("cellNames(%s, %t) = %s, want %s", names, numbers, got, want)
		}
	}
	check(true, "-0.123456|999.95|999950|1234.5|(missing)", "−0.123|1000|1 M|1230|missing")
	check(true, "100001|100250", "100001|100250")
	check(false, "750011|750012|Infinity|-500000|(rest)", "750011|750012|Infinity|-500000|rest")
	check(false, "customers of the north|customers of the south", "customers…he north|customers…he south")
}

func TestRoundTicks(t *testing.T) {
	check := func(low, high float64, want string) {
		t.Helper()
		var got []string
		for _, tick := range roundTicks(low, high) {
			got = append(got, tick.Label)
		}
		if s := strings.Join(got, "|"); s != want {
			t.Errorf("roundTicks(%v, %v) = %q, want %q", low, high, s, want)
		}
	}
	check(0, 100, "0|20|40|60|80|100")
	check(2000, 2024, "2000|2005|2010|2015|2020")
	check(-1.2, 0.9, "−1|−0.5|0|0.5")
	check(1.6e9, 1.6e9+40, "1.6e+09||1.60000002e+09||1.60000004e+09")
	check(-1e200, 1e200, "−1e+200|−5e+199|0|5e+199|1e+200")
}

// The cells of a pair have as many rows as the document says, and names cannot be markup.
func TestTermsOnTheCard(t *testing.T) {
	grid := &model.Grid{
		Features: [2]string{hostile, "age"}, Names: [2][]string{{hostile, "(missing)"}, {"18", "40.123456", "90"}},
		Contribution: [][]float64{{.4, -.2, 0}, {0, .1, -3}}, Share: [][]float64{{.25, .2, .1}, {.3, .15, 0}},
	}
	number := pointsOf([]float64{18, 40, 90}, []float64{.3, .4, .2})
	number = append(number, model.Point{Level: "(missing)", Contribution: .7, StdError: .1, Share: .1})
	encoder := &model.Encoder{Levels: map[string][]string{hostile: {hostile}}}
	b, err := CardPage(Card{Model: &model.Model{Encoder: encoder}, Assessment: model.Assessment{
		Metrics: model.Metrics{Rows: 100, Positives: 30}, Training: model.Training{Rows: 1000}, Detail: &model.Detail{},
		Effects: []model.Effect{
			{Name: "age", Term: "curve", Std: .1, Points: number},
			{Name: hostile, Term: "levels", Std: .3, Points: []model.Point{{Level: hostile, Share: 1}}},
			{Name: hostile + " × age", Std: .2, Grid: grid},
		},
		Coefficients: []model.Coefficient{{Name: hostile + "=" + hostile, OddsRatio: 1, Unidentified: true}},
		LineTests:    []model.LineTest{{Name: hostile, DF: 3.2, P: 1e-9, Bends: true}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	if strings.Contains(page, "<script") {
		t.Error("a name is markup")
	}
	shown := map[string]bool{}
	for _, text := range regexp.MustCompile(`>([^<>]*)</text>`).FindAllStringSubmatch(page, -1) {
		shown[text[1]] = true
	}
	for _, want := range []string{"250", "200", "100", "300", "150", "missing", "40.1"} {
		if !shown[want] {
			t.Errorf("no drawing says %q, but %v", want, shown)
		}
	}
	if !strings.Contains(page, `<li>the strongest colour by <data value="0.4">0.40</data></li>`) {
		t.Error("an empty cell counts for the colours, or the legend is missing")
	}
	var order []int
	for _, std := range []string{"0.300", "0.200", "0.100"} {
		order = append(order, strings.Index(page, ">"+std+"</data>"))
	}
	if !(order[0] > 0 && order[0] < order[1] && order[1] < order[2]) {
		t.Errorf("the terms are not in the order of their importance: %v", order)
	}
	for _, want := range []string{"hardly identified beside the penalty", `<span class="mark">bends</span>`,
		"Missing cells, "} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if found := regexp.MustCompile(`(?:fill|stroke):#`).FindString(page); found != "" {
		t.Errorf("a drawing has %s of its own", found)
	}
}

// Terms that would make the page too large are listed.
func TestManyTerms(t *testing.T) {
	c := Card{Model: &model.Model{}, Assessment: model.Assessment{Training: model.Training{Rows: 1000},
		Metrics: model.Metrics{Rows: 100, Positives: 30}, Detail: &model.Detail{}}}
	for i := range 300 {
		c.Effects = append(c.Effects, model.Effect{Name: fmt.Sprint("number ", i), Std: float64(i), Term: "curve",
			Points: pointsOf([]float64{1, 2, 3, 4, 5, 6}, []float64{.1, .2, .2, .2, .2, .1})})
	}
	b, err := CardPage(c)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > 600_000 {
		t.Errorf("the page has %d bytes", len(b))
	}
	for i := range 300 {
		if !strings.Contains(string(b), fmt.Sprintf("number %d", i)) {
			t.Fatalf("number %d is not on the page", i)
		}
	}
}

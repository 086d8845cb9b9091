package onnx_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"churn/internal/dataset"
	"churn/internal/model"
)

func parse(t *testing.T, schema string) *dataset.Schema {
	t.Helper()
	s, err := dataset.ParseSchema([]byte(schema))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// withGaps empties some cells of a file, but none of its target.
func withGaps(csv string) string {
	rng := rand.New(rand.NewPCG(1, 1))
	var b strings.Builder
	for k, line := range strings.Split(strings.TrimSpace(csv), "\n") {
		cells := strings.Split(strings.TrimSpace(line), ",")
		for j := range cells[:len(cells)-1] {
			if k > 0 && rng.IntN(20) == 0 {
				cells[j] = ""
			}
		}
		fmt.Fprintln(&b, strings.Join(cells, ","))
	}
	return b.String()
}

func sigmoid(z float64) float64 { return 1 / (1 + math.Exp(-z)) }

// blankSchema has features with the names of the outputs and of what a graph has within.
const blankSchema = `{"format": 1, "target": {"name": "churn", "positive": "1"}, "ignore": [], "features": [
	{"name": "label", "type": "number", "optional": true},
	{"name": "Where", "type": "number"},
	{"name": "probability", "type": "category"}]}`

// blankThird is rows of a line whose missing third churns least.
func blankThird() string {
	rng := rand.New(rand.NewPCG(2, 2))
	var b strings.Builder
	fmt.Fprintln(&b, "label,Where,probability,churn")
	for range 3000 {
		x, y, churn := rng.NormFloat64(), rng.NormFloat64(), 0
		text, z := fmt.Sprintf("%.3f", x), 1.5*x+y
		if rng.IntN(3) == 0 {
			text, z = "", y-4
		}
		if rng.Float64() < sigmoid(z) {
			churn = 1
		}
		fmt.Fprintf(&b, "%s,%.3f,%c,%d\n", text, y, 'a'+rune(rng.IntN(3)), churn)
	}
	return b.String()
}

const telcoSchema = `{"format": 1, "target": {"name": "Churn", "positive": "Yes"}, "ignore": [],
	"missing_values": ["-999", "n/a"], "pairs": [["Monthly Charges", "contract"]], "features": [
	{"name": "tenure", "type": "number", "integer": true},
	{"name": "Monthly Charges", "type": "number", "optional": true},
	{"name": "senior", "type": "number", "term": "levels"},
	{"name": "calls", "type": "number", "term": "levels", "optional": true},
	{"name": "contract", "type": "category", "case": "lower", "optional": true},
	{"name": "town", "type": "category", "optional": true},
	{"name": "plan", "type": "category", "map": {"First": "p0", "Second": "p1", "gone": "n/a", "n/a": "p2"}},
	{"name": "shop", "type": "category", "case": "upper", "optional": true}]}`

// telcoPairs are besides those of the schema.
var telcoPairs = model.PairOptions{Named: []model.Pair{
	{"tenure", "Monthly Charges"}, {"town", "tenure"}, {"senior", "calls"}, {"plan", "shop"}, {"town", "shop"},
}}

// telco is rows of a curve, an interaction and cells that are missing. Town and shop have
// more levels than a pair, shop with so few missing cells that they are of the rest.
func telco() string {
	rng := rand.New(rand.NewPCG(5, 5))
	var b strings.Builder
	fmt.Fprintln(&b, "tenure,Monthly Charges,senior,calls,contract,town,plan,shop,Churn")
	for i := range 3000 {
		tenure, charges, senior, calls := rng.IntN(72), 20+100*rng.Float64(), rng.IntN(2), rng.IntN(6)
		contract := []string{"Month", "year", "two years", "n/a"}[rng.IntN(4)]
		town, plan, shop := fmt.Sprint("Town ", rng.IntN(12)), fmt.Sprint("p", rng.IntN(4)), fmt.Sprint("s", rng.IntN(9))
		z := math.Sin(float64(tenure)/12) - 0.5 + float64(calls%3)*float64(senior)
		if contract == "Month" {
			z += charges/40 - 1
		}
		chargesText, callsText, churn := fmt.Sprintf("%.2f", charges), fmt.Sprint(calls), "No"
		if rng.IntN(6) == 0 {
			chargesText = ""
		}
		if rng.IntN(9) == 0 {
			callsText = "-999"
		}
		if rng.IntN(5) == 0 {
			town = ""
		}
		if i%500 == 0 {
			shop = ""
		}
		if rng.Float64() < sigmoid(z) {
			churn = "Yes"
		}
		fmt.Fprintf(&b, "%d,%s,%d,%s,%s,%s,%s,%s,%s\n",
			tenure, chargesText, senior, callsText, contract, town, plan, shop, churn)
	}
	return b.String()
}

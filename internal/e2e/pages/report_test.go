package pages_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"churn/internal/testing/programs"
)

// A population describes random customers that the pages must be able to show.
type population struct {
	name    string
	columns []string                  // features, before the target
	row     func(*rand.Rand) []string // a customer's features
	drifted func(cells []string)      // changes of the later customers
	flags   []string                  // of evaluate
	leaves  func(*rand.Rand, []string) bool
}

// populations have the fewest and the most columns, and names with markup.
var populations = []population{
	{
		name: "two", columns: []string{"minutes", "plan"},
		row: func(rng *rand.Rand) []string {
			return []string{number1(35 + 12*rng.NormFloat64()), pickOne(rng, "basic", "premium")}
		},
		drifted: func(cells []string) { cells[0] = "61.5" },
	},
	{
		name: "nineteen", columns: columns(19, "a rather long name of a column "),
		row: func(rng *rand.Rand) []string {
			cells := []string{number1(3000 + 900*rng.NormFloat64()), number1(-1e6 * rng.Float64()), strconv.Itoa(rng.IntN(2)),
				number1(rng.ExpFloat64())}
			for i := len(cells); i < 19; i++ {
				cells = append(cells, pickOne(rng, "Yes", "No", "No internet service", "Bank transfer (automatic)"))
			}
			return cells
		},
		drifted: func(cells []string) { cells[0], cells[7] = "5100.5", "Weekly" },
	},
	{
		name: "levels", columns: []string{"minutes", `<b>"sixty" & more</b>`},
		row: func(rng *rand.Rand) []string {
			return []string{number1(35 + 12*rng.NormFloat64()), fmt.Sprintf("<script>alert(%d)</script> 世界 and more words",
				min(rng.IntN(60), rng.IntN(60)))}
		},
		drifted: func(cells []string) { cells[1] = "<img src=x onerror=alert(1)>" },
	},
	{
		name: "terms", columns: append(columns(8, "number <i>"), "contract", "region", "way of paying"),
		row:    termsRow,
		leaves: termsLeave,
		flags: []string{"--terms", "curve", "--pairs",
			"number <i>1*number <i>2,number <i>3*contract,contract*way of paying,number <i>8*region"},
		drifted: func(cells []string) { cells[0], cells[8] = "61.5", "Weekly" },
	},
}

// termsRow has numbers that are even, skewed, of few values, mostly missing, or a year.
func termsRow(rng *rand.Rand) []string {
	cells := []string{number1(100 * rng.Float64()), number1(35 + 12*rng.NormFloat64()), strconv.Itoa(1 + rng.IntN(4)),
		number1(math.Exp(8 + 2*rng.NormFloat64())), strconv.Itoa(2000 + rng.IntN(25)), number1(-1e6 * rng.Float64()),
		"0", number1(rng.ExpFloat64()),
		pickOne(rng, "Month-to-month", "One year", "Two year"), pickOne(rng, columns(30, "region number ")...),
		pickOne(rng, "Bank transfer (automatic)", "Credit card (automatic)", "Electronic check", "")}
	if rng.IntN(4) == 0 {
		cells[1] = ""
	}
	if rng.IntN(10) == 0 {
		cells[6] = number1(1000 * rng.ExpFloat64())
	}
	return cells
}

func termsLeave(rng *rand.Rand, cells []string) bool {
	x := make([]float64, 8)
	for i := range x {
		x[i], _ = strconv.ParseFloat(cells[i], 64)
	}
	z := math.Sin(x[0]/12) + math.Log(x[3])/4 - 3 + x[7]/3
	if cells[1] == "" {
		z += 0.8
	} else {
		z += (x[0] - 50) * (x[1] - 35) / 600
	}
	if x[2] > 2 && cells[8] == "Month-to-month" {
		z += 1.2
	}
	return rng.Float64() < 1/(1+math.Exp(-z))
}

func columns(n int, prefix string) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = prefix + strconv.Itoa(i+1)
	}
	return names
}

func number1(x float64) string { return strconv.FormatFloat(x, 'f', 1, 64) }

func pickOne(rng *rand.Rand, levels ...string) string { return levels[rng.IntN(len(levels))] }

// customers returns n customers as CSV, with or without the target, whose odds depend on
// the first number.
func (w population) customers(rng *rand.Rand, n int, target, drifted bool) string {
	var b strings.Builder
	out := csv.NewWriter(&b)
	header := w.columns
	if target {
		header = append(header[:len(header):len(header)], "left")
	}
	out.Write(header)
	for range n {
		cells := w.row(rng)
		if drifted && rng.IntN(3) > 0 {
			w.drifted(cells)
		}
		if target {
			x, _ := strconv.ParseFloat(cells[0], 64)
			if x > 1000 {
				x = (x-3000)*12/900 + 35
			}
			words := map[bool]string{true: "yes", false: "no"}
			if w.leaves != nil {
				cells = append(cells, words[w.leaves(rng, cells)])
			} else {
				cells = append(cells, pickOne(rng, "yes", "no", words[x < 35]))
			}
		}
		out.Write(cells)
	}
	out.Flush()
	return b.String()
}

// preparePopulation fills a folder with two models with their cards, a log without drift at
// its start and with drift at its end, and drift's page. It returns what prepare, evaluate
// and drift print with --json.
func preparePopulation(l *programs.Loop, w population) (profiled, evaluated, drifted []byte) {
	l.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	raw, labels := l.Path("customers.csv"), l.Path("outcomes.csv")
	programs.WriteFile(l.T, raw, w.customers(rng, 3000, true, false))
	profiled = []byte(l.Run("prepare", "--in", raw, "--target", "left", "--positive", "yes", "--max-missing", "0.5",
		"--html", l.Path("profile.html"), "--json"))
	l.Run("evaluate", "--gate-f1", "0", "--version", "first", "--c", "0.01")
	evaluated = []byte(l.Run("evaluate", append([]string{"--gate-f1", "0", "--version", "second", "--cost-fp", "10",
		"--cost-fn", "60", "--capacity", "100", "--segment", w.columns[1], "--value", "200", "--cost-contact", "1",
		"--cost-offer", "10", "--success-rate", "0.3", "--json"}, w.flags...)...))
	l.Start()
	for _, late := range []bool{false, false, false, true} {
		status, answer, err := programs.Request(l.Client, "POST", l.URL("/predict/batch"), "text/csv",
			w.customers(rng, 250, false, late))
		if err != nil || status != http.StatusOK {
			l.Fatalf("/predict/batch answers %d %s, %v", status, answer, err)
		}
	}
	l.Kill()
	programs.WriteFile(l.T, labels, writeOutcomes(l, rng))
	status, drifted, err := l.Exec("drift", "--html", l.Path("drift.html"), "--labels", labels, "--json")
	if status != 1 {
		l.Fatalf("drift: %v, want status 1", err)
	}
	return profiled, evaluated, drifted
}

// writeOutcomes returns random outcomes of every other customer of the log.
func writeOutcomes(l *programs.Loop, rng *rand.Rand) string {
	l.Helper()
	text, i := "request_id,left\n", 0
	for line := range strings.Lines(programs.ReadFile(l.T, l.Path("logs/predictions.log"))) {
		var r struct {
			ID          string `json:"request_id"`
			Probability float64
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			l.Fatal(err)
		}
		if i++; i%2 == 1 {
			text += fmt.Sprintf("%s,%s\n", r.ID, map[bool]string{true: "yes", false: "no"}[rng.Float64() < r.Probability])
		}
	}
	return text
}

// TestReports compares the numbers of the pages with the JSON of the same command, and
// verifies that the pages are small and load nothing.
func TestReports(t *testing.T) {
	bin := programs.Build(t)
	for _, w := range populations {
		t.Run(w.name, func(t *testing.T) {
			l := programs.EmptyLoop(t, bin)
			profiled, evaluated, drifted := preparePopulation(l, w)
			checkPage(t, l.Path("profile.html"), profiled, 40)
			checkPage(t, l.Path("drift.html"), drifted, 40)
			checkPage(t, l.Card(), evaluated, 60)
		})
	}
}

// TestReportPages opens the same pages in a real browser.
func TestReportPages(t *testing.T) {
	bin := programs.Build(t)
	whole := t
	b := startBrowser(t)
	needAxe(t)
	for _, w := range populations {
		t.Run(w.name, func(t *testing.T) {
			b.T = t // one after the other
			defer func() { b.T = whole }()
			l := programs.EmptyLoop(t, bin)
			preparePopulation(l, w)
			for name, path := range map[string]string{
				"card": l.Card(), "drift": l.Path("drift.html"), "profile": l.Path("profile.html"),
			} {
				least := 2 // drawings
				if name == "profile" {
					least = 1 // number
				}
				looks := screens
				if w.name == "nineteen" {
					looks = everyScreen
				}
				for _, by := range looks {
					p := b.open("file://"+path, by)
					p.fits(name + "-" + w.name + "-" + by.String())
					if drawn := eval[int](p, "document.querySelectorAll('svg').length"); drawn < least {
						t.Errorf("%s has %d drawings", name, drawn)
					}
					if empty := eval[[]string](p, emptySVG); len(empty) > 0 {
						t.Errorf("%s has empty drawings: %q", name, empty)
					}
					p.wantNoErrors()
					p.close()
				}
			}
		})
	}
}

// emptySVG is JavaScript for the visible drawings without lines or size.
const emptySVG = `[...document.querySelectorAll('svg')].filter(s => s.checkVisibility() &&
	(s.querySelectorAll('path').length < 3 || s.getBoundingClientRect().height < 50)).
	map(s => s.getAttribute('aria-label'))`

var (
	datum   = regexp.MustCompile(`<data value="([^"]*)">([^<]*)</data>`)
	drawing = regexp.MustCompile(`(?s)<svg.*?</svg>|<style>.*?</style>`)
	outside = regexp.MustCompile(
		`(?i)(?:src|href|action|data)\s*=\s*"(?:[^#"d]|d[^a])|url\(|@import|<script|<iframe|<link [^>]*stylesheet`)
)

// checkPage verifies that a page has at least so many numbers, all from the document.
func checkPage(t *testing.T, path string, document []byte, least int) {
	t.Helper()
	page := programs.ReadFile(t, path)
	const most = 600_000 // bytes
	if len(page) > most {
		t.Errorf("%s has %d bytes, at most %d", filepath.Base(path), len(page), most)
	}
	if found := outside.FindString(page); found != "" {
		t.Errorf("%s: %q loads something, or is unescaped markup", filepath.Base(path), found)
	}
	known := map[float64]bool{}
	var root any
	if err := json.Unmarshal(document, &root); err != nil {
		t.Fatal(err)
	}
	numbersOf(root, known)
	figures := datum.FindAllStringSubmatch(page, -1)
	for _, figure := range figures {
		x, err := strconv.ParseFloat(figure[1], 64)
		if err != nil || !known[x] {
			t.Errorf("%s shows %s for %s, which is not in the JSON", filepath.Base(path), figure[2], figure[1])
		}
		checkShown(t, x, figure[2])
	}
	if len(figures) < least {
		t.Errorf("%s has %d figures, want at least %d", filepath.Base(path), len(figures), least)
	}
	if strings.Contains(drawing.ReplaceAllString(page, ""), "NaN") || strings.Contains(page, "%!") ||
		strings.Contains(page, "ZgotmplZ") {
		t.Errorf("%s: a value is not formatted", filepath.Base(path))
	}
}

// numbersOf collects the numbers of a JSON document and the lengths of its lists.
func numbersOf(v any, into map[float64]bool) {
	switch v := v.(type) {
	case float64:
		into[v], into[-v] = true, true // a page may say "below" instead of a minus
	case []any:
		into[float64(len(v))] = true
		for _, each := range v {
			numbersOf(each, into)
		}
	case map[string]any:
		for _, each := range v {
			numbersOf(each, into)
		}
	}
}

// checkShown verifies that a text is the number, rounded.
func checkShown(t *testing.T, x float64, shown string) {
	t.Helper()
	text := strings.NewReplacer(",", "", "−", "-", "&lt; ", "", "&gt; ", "").Replace(shown)
	text, isShare := strings.CutSuffix(text, " %")
	got, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Errorf("%q is shown for %v", shown, x)
		return
	}
	if isShare {
		got /= 100
	}
	switch {
	case strings.HasPrefix(shown, "&lt;"):
		if x >= got {
			t.Errorf("%q is shown for %v", shown, x)
		}
	case strings.HasPrefix(shown, "&gt;"):
		if x < got {
			t.Errorf("%q is shown for %v", shown, x)
		}
	default:
		_, decimals, _ := strings.Cut(text, ".")
		unit := 1.0
		for range decimals {
			unit /= 10
		}
		if isShare {
			unit /= 100
		}
		if diff := max(got-x, x-got); diff > 0.51*unit && diff > 5e-3*max(x, -x) {
			t.Errorf("%q is shown for %v", shown, x)
		}
	}
}

// writeTable writes 600 rows to raw.csv.
func writeTable(l *programs.Loop, header string, row func(i int) string) {
	l.Helper()
	text := header + "\n"
	for i := range 600 {
		text += row(i) + "\n"
	}
	programs.WriteFile(l.T, l.Path("raw.csv"), text)
}

// trainOn trains a model on the table and makes it current.
func trainOn(l *programs.Loop, target, positive string, args ...string) {
	l.Helper()
	l.Run("prepare", append([]string{"--in", l.Path("raw.csv"), "--target", target, "--positive", positive}, args...)...)
	l.Force("evaluate")
}

package pages_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"churn/internal/testing/programs"

	browsing "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestPage uses the service's pages in a real browser.
func TestPage(t *testing.T) {
	bin := programs.Build(t)
	whole := t
	b := startBrowser(t)
	needAxe(t)
	l := programs.NewLoop(t, bin)
	l.Start()
	for _, part := range []struct {
		name string
		test func(*browser, *programs.Loop)
	}{{"predict", testForm}, {"looks", testLayouts}, {"tools", testTools}, {"docs", testDocs},
		{"no model", testNoModel}, {"key", testKey}} {
		t.Run(part.name, func(t *testing.T) {
			b.T, l.T = t, t // one after the other
			defer func() { b.T, l.T = whole, whole }()
			part.test(b, l)
		})
	}
}

// askJSON posts a customer and returns the probability in the format of the page.
func askJSON(l *programs.Loop, path, customer string) string {
	l.Helper()
	status, answer := l.Post(path, customer)
	var r struct{ Probability float64 }
	if err := json.Unmarshal([]byte(answer), &r); err != nil || status != http.StatusOK {
		l.Fatalf("%s: %d %s, %v", path, status, answer, err)
	}
	return strconv.FormatFloat(100*r.Probability, 'f', 1, 64) + "\u00a0%"
}

const shown = "document.getElementById('probability').textContent"

func testForm(b *browser, l *programs.Loop) {
	p := b.open(l.URL("/"), screens[0])
	first := func() string {
		p.until("!document.querySelector('.stale') && " + shown + " !== '–'")
		return eval[string](p, shown)
	}()
	for label, value := range map[string]string{"tenure_months": "2", "num_complaints": "5",
		"avg_session_minutes": "12.5", "plan_type": "basic", "region": "AF"} {
		p.fill(label, value)
	}
	customer := `{"tenure_months":2,"num_complaints":5,"avg_session_minutes":12.5,"plan_type":"basic","region":"AF"}`
	want := askJSON(l, "/what-if", customer)
	if want == first {
		l.Fatalf("both customers have %s: the test needs different ones", first)
	}
	p.until(fmt.Sprintf("%s === %q", shown, want))
	if log, _ := os.ReadFile(l.Path("logs/predictions.log")); len(log) > 0 {
		l.Errorf("what-if requests are in the log: %s", log)
	}
	if got := askJSON(l, "/predict", customer); got != want {
		l.Errorf("/predict answers %s, /what-if %s", got, want)
	}
	sum := eval[float64](p, "contributions.reduce((s, c) => s + c.contribution, 0)")
	if rows := eval[int](p, "document.querySelectorAll('#contributions li').length"); rows != 5 || sum == 0 {
		l.Errorf("%d contributions with the sum %v", rows, sum)
	}
	p.until("document.getElementById('announcement').textContent.startsWith(" + shown + ")") // for screen readers

	p.wantNoErrors()
	p.fill("num_complaints", "99")
	const fault = "document.querySelector('[data-name=num_complaints] .error').textContent"
	p.until(fault + " === 'Ensure this value is less than or equal to 50'")
	p.until("document.querySelector('[data-name=num_complaints] input').ariaInvalid === 'true'")
	p.fits("page-fault")
	p.fill("num_complaints", "")
	p.until(fault + " === 'Field required'")
	p.fill("num_complaints", "5")
	p.until(fmt.Sprintf("%s === %q && %s === ''", shown, want, fault))
	p.wantNoErrors("422") // Chromium reports each such answer

	const minutes = "document.querySelector('[data-name=avg_session_minutes] .error').textContent"
	for _, typed := range []string{"12,5", "1.012,5"} { // Chromium makes 125 and 1.0125 of them
		p.fill("avg_session_minutes", typed)
		p.until(minutes + ".startsWith('A comma was left out')")
	}
	p.fits("page-comma")
	p.fill("avg_session_minutes", "12.5")
	p.until(fmt.Sprintf("%s === %q && %s === ''", shown, want, minutes))

	testModelChange(b, p, l, customer)
	testDriftPage(b, l, customer)
	testKeyboard(b, l)
}

// testModelChange makes another model current while a field has the focus. The card of the
// first one has its style, but runs no script.
func testModelChange(b *browser, p *tab, l *programs.Loop, customer string) {
	old := l.Current()
	defer os.Remove(l.Card())
	programs.WriteFile(l.T, l.Card(),
		"<style>p{color:rgb(1,2,3)}</style><p>the card</p><script>document.title='ran'</script>")
	p.do(chromedp.Evaluate[chromedp.Void]("document.querySelector('[data-name=tenure_months] input').focus()"))
	l.Run("rollback", "--reason", "to see the page follow")
	name := l.Current()
	p.until(fmt.Sprintf("document.querySelector('tr[aria-current] small').textContent === %q", name))
	if name == old || p.focused() != "tenure_months" {
		l.Errorf("from %s to %s, the focus is at %q, want tenure_months", old, name, p.focused())
	}
	p.until(fmt.Sprintf("%s === %q", shown, askJSON(l, "/what-if", customer)))
	l.Run("rollback", old)
	p.until(fmt.Sprintf("document.querySelector('tr[aria-current] small').textContent === %q", old))

	const times = "[...document.querySelectorAll('tr[aria-current] small')].map((s) => s.textContent)"
	p.until(times + ".some((s) => /^current from .* to .*, by train/.test(s))")
	p.until(times + ".some((s) => s.endsWith('by rollback'))")
	p.wantNoErrors("422")
	c := b.open(eval[string](p, "document.querySelector('.pages a[href$=\"current.html\"]').href"), screens[0])
	if got := eval[string](c,
		"getComputedStyle(document.querySelector('p')).color + document.title"); got != "rgb(1, 2, 3)" {
		l.Errorf("the card has %q", got)
	}
}

// testDriftPage sends forty customers from another distribution: the page reports drift.
func testDriftPage(b *browser, l *programs.Loop, customer string) {
	many := strings.Repeat(strings.Replace(customer, `"tenure_months":2`, `"tenure_months":190`, 1)+"\n", 40)
	if status, answer, err := programs.Request(l.Client, "POST", l.URL("/predict/batch"), "application/x-ndjson",
		many); err != nil || status != http.StatusOK {
		l.Fatalf("%d %s, %v", status, answer, err)
	}
	for _, by := range screens {
		p := b.open(l.URL("/"), by)
		p.until("document.querySelector('#drift-verdict.alert') && " +
			"document.getElementById('drift-checks').textContent.includes('tenure_months')")
		p.until(shown + ".endsWith('%')")
		p.fits("page-drift-" + by.String())
	}
}

// testKeyboard verifies that the keyboard reaches every field in order and changes it.
func testKeyboard(b *browser, l *programs.Loop) {
	p := b.open(l.URL("/"), screens[0])
	p.until(shown + ".endsWith('%')")
	var order []string
	for range 14 { // at most four links, five fields, two buttons, the answer, a feature and a file
		p.do(chromedp.KeyEvent(kb.Tab))
		if label := p.focused(); label != "" && !slices.Contains(order, label) {
			order = append(order, label)
		}
	}
	if got := strings.Join(order, " "); got != "tenure_months num_complaints avg_session_minutes "+
		"plan_type region Feature CSV file with a header line" {
		l.Errorf("Tab goes to %q", got)
	}
	p.fill("tenure_months", "2")
	before := eval[string](p, shown)
	p.do(chromedp.KeyEvent(strings.Repeat(kb.ArrowUp, 20)))
	p.until(fmt.Sprintf("%s !== %q && document.activeElement.value === '22'", shown, before))
	p.wantNoErrors()
}

// testLayouts verifies the layout of small and large forms on all screens.
func testLayouts(b *browser, l *programs.Loop) {
	forms := map[string]func(*programs.Loop){
		"two": func(l *programs.Loop) {
			writeTable(l, "age,plan,left",
				func(i int) string { return fmt.Sprintf("%d,%s,%d", 18+i%60, []string{"a", "b"}[i%2], min(1, i%3)) })
			trainOn(l, "left", "1")
			schema := programs.ReadFile(l.T, l.Path("registry/schema.json"))
			labelled := regexp.MustCompile(`"name": ?"age",`).ReplaceAllString(schema,
				`$0 "label": "Age <b>", "unit": "years", "description": "At the last birthday",`)
			programs.WriteFile(l.T, l.Path("edited.json"), labelled)
			l.Run("prepare", "--in", l.Path("raw.csv"), "--schema", l.Path("edited.json"))
			l.Force("evaluate")
		},
		"pair": func(l *programs.Loop) {
			writeTable(l, "age,plan,left", func(i int) string {
				age, plan := strconv.Itoa(18+i%60), []string{"a", "b"}[i/7%2]
				if i%9 == 0 {
					age = ""
				}
				return fmt.Sprintf("%s,%s,%d", age, plan, min(1, i%60/30^i/7%2+i%2))
			})
			l.Run("prepare", "--in", l.Path("raw.csv"), "--target", "left", "--positive", "1", "--max-missing", "0.5")
			l.Force("evaluate", "--terms", "curve", "--pairs", "age*plan")
		},
		"nineteen": func(l *programs.Loop) {
			header, cells := "", ""
			for k := range 19 {
				header += fmt.Sprintf("Service number %d as sold,", k)
				cells += []string{"Yes", "No", "No internet service"}[k%3] + ","
			}
			writeTable(l, header+"MonthlyCharges,Optional note,Churn", func(i int) string {
				c := strings.Split(cells, ",")
				c[i%19] = "No"
				return strings.Join(c[:19], ",") + fmt.Sprintf(",%.2f,%s,%s", 20+float64(i%900)/9,
					[]string{"", "written", "spoken"}[min(2, i%60)], []string{"Yes", "No"}[min(1, i%4)])
			})
			trainOn(l, "Churn", "Yes", "--max-missing", "0.5")
		},
		"levels": func(l *programs.Loop) {
			writeTable(l, "<b>the name of a column that somebody exported "+
				"with_all_its_underscores_and_no_blank_anywhere_in_it</b>,city,amount in EUR per month,gone", func(i int) string {
				return fmt.Sprintf("level %d,Saint-Pierre-et-Miquelon & <i>%02d</i> %s,%d,%s", i%3, i%60,
					strings.Repeat("long", 8), 1_000_000*(i%97), []string{"definitely gone", "still here"}[min(1, i%3)])
			})
			trainOn(l, "gone", "definitely gone")
		},
	}
	lookAt := func(name string, l *programs.Loop) {
		looks := screens
		switch name {
		case "lab":
			looks = everyScreen
		case "levels": // the widest texts, on narrower screens too
			looks = append(slices.Clone(looks), screen{1000, 700, false}, screen{320, 568, true})
		}
		for _, by := range looks {
			p := b.open(l.URL("/"), by)
			p.until("!document.querySelector('.stale') && " + shown +
				" !== '–' && document.getElementById('drift-verdict').textContent")
			if name == "two" {
				p.until("document.querySelector('.field').textContent.startsWith('Age <b> (years)At the last birthday, training')")
			}
			if name == "pair" {
				const row = "[...document.querySelectorAll('#contributions li')].some((li) => li.textContent.startsWith(%q))"
				p.until(fmt.Sprintf(row, "age × plan48 × b"))
				p.fill("age", "")
				p.until(fmt.Sprintf(row, "age × plan(not given) × b"))
				p.until(fmt.Sprintf(row, "age(not given)"))
			}
			p.fits("page-" + name + "-" + by.String())
			p.wantNoErrors()
			p.close()
			for path, name := range map[string]string{"/models/current.html": "card-" + name, "/drift.html": "drift-" + name} {
				servedReport(b, l, path, name+"-"+by.String(), by)
			}
		}
	}
	lookAt("lab", l)
	for name, fill := range forms {
		l := programs.EmptyLoop(l.T, l.Bin)
		fill(l)
		l.Start()
		lookAt(name, l)
	}
}

// servedReport looks at a report as the service sends it, with the bar. Its policy lets nothing
// run, axe-core neither: so that is done on a copy.
func servedReport(b *browser, l *programs.Loop, path, name string, by screen) {
	status, text := l.Get(path)
	if status == http.StatusNotFound && strings.Contains(path, "models/") {
		return // by train, which writes no card
	}
	p := b.open(l.URL(path), by)
	p.wantNoErrors()
	want := 4
	if _, err := os.Stat(l.Card()); err != nil {
		want-- // to a card
	}
	const shownLinks = "document.querySelectorAll('.pages a:not([hidden])').length"
	if links := eval[int](p, shownLinks); links != want {
		l.Errorf("%s: %d %s has %d links, want %d", name, status, path, links, want)
	}
	p.close()
	copied := filepath.Join(l.TempDir(), "copy.html")
	programs.WriteFile(l.T, copied, text)
	p = b.open("file://"+copied, by)
	p.fits(name)
	p.close()
}

func testDocs(b *browser, l *programs.Loop) {
	for _, by := range everyScreen {
		p := b.open(l.URL("/docs"), by)
		p.until("document.querySelector('#operations-predictions-post_predict') && " +
			"document.querySelector('#operations-predictions-post_what_if')")
		p.fits("docs-" + by.String())
		p.do(chromedp.Evaluate[chromedp.Void](
			"document.querySelector('#operations-predictions-post_what_if button').click()"))
		p.until("document.querySelector('.btn.execute') && document.querySelector('textarea')?.value.length > 20")
		p.do(chromedp.Evaluate[chromedp.Void]("document.querySelector('.btn.execute').click()"))
		p.until("document.querySelector('.live-responses-table')")
		p.fits("docs-open-" + by.String())
		p.wantNoErrors()
		p.close()
	}
}

func testNoModel(b *browser, l *programs.Loop) {
	l = programs.EmptyLoop(l.T, l.Bin)
	l.Start()
	p := b.open(l.URL("/"), screens[3])
	p.until("document.getElementById('notice').textContent.includes('there is no current model yet: run train')")
	p.fits("page-none")
	if eval[bool](p, "document.getElementById('main').checkVisibility()") {
		l.Error("the form is visible without a model")
	}
	l.Run("generate")
	l.Run("prepare")
	l.Run("train", "--gate-f1", "0")
	p.until("document.getElementById('main').checkVisibility() && " + shown + ".endsWith('%')")

	// The next model has fewer fields: the values of the remaining fields are kept.
	answered := func() {
		p.until(fmt.Sprintf("%s === %q", shown, askJSON(l, "/what-if",
			eval[string](p, "JSON.stringify(Object.fromEntries(fields.map((f) => [f.name, f.value()])))"))))
	}
	p.fill("tenure_months", "7")
	answered() // the next model would reject the request
	l.Run("prepare", "--target", "churn", "--positive", "1", "--ignore", "region")
	l.Run("train", "--gate-f1", "0")
	p.until("fields.length === 4 && document.querySelectorAll('.field').length === 4")
	if got := eval[string](p, "document.querySelector('[data-name=tenure_months] input').value"); got != "7" {
		l.Errorf("tenure_months is %q, 7 was typed", got)
	}
	answered()
	p.wantNoErrors("503")
}

func testKey(b *browser, l *programs.Loop) {
	keys := filepath.Join(l.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte("a-secret-key\n"), 0o600); err != nil {
		l.Fatal(err)
	}
	card := l.Card()
	programs.WriteFile(l.T, card, "the card")
	l.Kill()
	l.Start("--api-key-file", keys)
	p := b.open(l.URL("/"), screens[0])
	p.until("document.getElementById('unlock').checkVisibility()")
	enter := func(key string) {
		p.fill("This service requires an API key", key)
		p.do(chromedp.KeyEvent(kb.Enter))
	}
	enter("another")
	p.until("document.getElementById('key-why').textContent === 'This key is not valid.'")
	p.fits("page-key")
	enter("a-secret-key")
	p.until("document.getElementById('main').checkVisibility() && " + shown + ".endsWith('%')")
	p.until("document.getElementById('key').value === ''")
	if kept := eval[string](p,
		"JSON.stringify([localStorage, sessionStorage, document.cookie, location.href, "+
			"document.documentElement.outerHTML])"); strings.Contains(kept, "a-secret-key") {
		l.Error("the key is stored in the page or the browser")
	}

	d := b.open(l.URL("/docs"), screens[3])
	d.until("document.querySelector('.btn.authorize')")
	d.do(chromedp.Evaluate[chromedp.Void]("document.querySelector('.btn.authorize').click()"))
	d.until("document.querySelector('.modal-ux')")
	d.fits("docs-key")
	d.close()

	// A link cannot send the key: the card is downloaded.
	folder := l.TempDir()
	if _, err := chromedp.CallBrowser(p.ctx, browsing.SetDownloadBehavior,
		browsing.SetDownloadBehaviorParams{Behavior: browsing.SetDownloadBehaviorBehaviorAllow,
			DownloadPath: folder}); err != nil {
		l.Fatal(err)
	}
	p.do(chromedp.Evaluate[chromedp.Void]("document.querySelector('.pages a[href$=\"current.html\"]').click()"))
	saved := filepath.Join(folder, filepath.Base(card))
	if !programs.Poll(programs.Patience,
		func() bool { text, _ := os.ReadFile(saved); return string(text) == "the card" }) {
		l.Fatalf("%s was not saved: errors of the page %q", saved, p.errors())
	}
	p.wantNoErrors("401")
}

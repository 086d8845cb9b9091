package pages_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"churn/internal/testing/programs"

	browsing "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
)

// testTools uses the curve, the command and a dropped file.
func testTools(b *browser, l *programs.Loop) {
	before, _ := os.ReadFile(l.Path("logs/predictions.log"))
	p := b.open(l.URL("/"), screens[0])
	p.until("document.querySelector('#drawn .here')")
	testCurve(l, p)
	testDroppedFile(l, p)
	if after, _ := os.ReadFile(l.Path("logs/predictions.log")); string(after) != string(before) {
		l.Errorf("the curve or the file is in the log: %s", after[len(before):])
	}

	p.do(chromedp.Evaluate[chromedp.Void]("document.getElementById('copy').click()"))
	p.until("document.getElementById('curl').textContent.startsWith('curl ')")
	out, err := exec.Command("sh", "-c", eval[string](p, "document.getElementById('curl').textContent")).Output()
	var r struct{ Probability float64 }
	if err != nil || json.Unmarshal(out, &r) != nil ||
		eval[string](p, shown) != eval[string](p, fmt.Sprintf("percent(%v)", r.Probability)) {
		l.Errorf("the command answers %s, %v, the page has %s", out, err, eval[string](p, shown))
	}
	p.fits("page-tools")
	p.wantNoErrors("422")
}

// testCurve verifies the points with the service, and that moving along the curve asks for nothing.
func testCurve(l *programs.Loop, p *tab) {
	const requests = "performance.getEntriesByType('resource').filter(e => e.name.endsWith('what-if/batch')).length"
	asked := eval[int](p, requests)
	p.fill("tenure_months", "50")
	p.until("document.getElementById('announcement').textContent.startsWith(" + shown + ")")
	if now := eval[int](p, requests); now != asked {
		l.Errorf("moving along the curve asked %d times", now-asked)
	}
	for _, i := range []string{"0", "20", "points.length-1"} {
		customer := eval[string](p, "JSON.stringify({...currentCustomer(), tenure_months: points["+i+"].value})")
		if want, got := askJSON(l, "/what-if", customer), eval[string](p, "percent(points["+i+"].p)"); got != want {
			l.Errorf("the curve has %s for %s, /what-if %s", got, customer, want)
		}
	}
	if n := eval[int](p, "points.length"); n != 41 {
		l.Errorf("%d points", n)
	}
	p.fill("Feature", "region")
	p.do(chromedp.Evaluate[chromedp.Void]("document.getElementById('along').dispatchEvent(new Event('change'))"))
	p.until("document.querySelectorAll('#drawn rect').length === 4 && document.querySelector('#drawn rect.chosen')")
	p.until("document.getElementById('curve-words').textContent.startsWith('Lowest ')")
	p.fits("page-curve")
}

// testDroppedFile drops files on the page; the list is saved.
func testDroppedFile(l *programs.Loop, p *tab) {
	folder := l.TempDir()
	if _, err := chromedp.CallBrowser(p.ctx, browsing.SetDownloadBehavior, browsing.SetDownloadBehaviorParams{
		Behavior: browsing.SetDownloadBehaviorBehaviorAllow, DownloadPath: folder}); err != nil {
		l.Fatal(err)
	}
	drop := func(name, text string) {
		p.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf("{const d = new DataTransfer(); "+
			"d.items.add(new File([%q], %q)); document.body.dispatchEvent("+
			"new DragEvent('drop', {dataTransfer: d, bubbles: true, cancelable: true}))}", text, name)))
	}
	const words = "document.getElementById('file-words').textContent"
	header := "customer,tenure_months,num_complaints,avg_session_minutes,plan_type,region\n"
	drop("list.csv", header+"Ann,48,0,40,premium,EU\nBo,2,5,12.5,basic,AF\nCy,2,5,12.5,basic,XX\n")
	saved := filepath.Join(folder, "list.scored.csv")
	if !programs.Poll(programs.Patience, func() bool {
		text, _ := os.ReadFile(saved)
		lines := strings.Split(string(text), "\n")
		return len(lines) == 5 && strings.HasPrefix(lines[1], "Ann,48,0,40,premium,EU,3,") &&
			strings.Contains(lines[2], "num_complaints 5")
	}) {
		l.Fatalf("the list is not saved: %q; errors of the page %q", eval[string](p, words), p.errors())
	}
	p.until(words + ".includes('is scored, and saved as list.scored.csv. Rows with a value unlike all training rows: 1.')")
	drop("<b>wrong.csv", header+"Ann,480,0,40,premium,EU\nBo,2,5,12.5,basic,AF\n")
	p.until(words + ".includes('<b>wrong.csv is not scored:row 1, tenure_months: ensure this value is less')")
	p.fits("page-file")
	drop("short.csv", "tenure_months,num_complaints,avg_session_minutes,plan_type\n48,0,40,premium\n")
	p.until(words + ".endsWith('short.csv is not scored:region: field required')")
	drop("ragged.csv", header+"Ann,48,0,40,premium,EU\nBo,2\n")
	p.until(words + ".endsWith('ragged.csv is not scored:line 3: not CSV: wrong number of fields')")
	drop("empty.csv", "")
	p.until(words + ".includes('empty.csv is not scored:the body is empty')")
}

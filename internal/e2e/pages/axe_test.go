package pages_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"churn/internal/testing/need"
	"churn/internal/testing/programs"

	"github.com/chromedp/chromedp"
)

// axe returns the accessibility checker axe-core, or "".
func axe(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(programs.Root(t), ".ci/tools/node_modules/axe-core/axe.min.js"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return string(text)
}

// needAxe says loudly that pages are not checked where axe-core is missing.
func needAxe(t *testing.T) {
	t.Helper()
	t.Run("axe-core", func(t *testing.T) {
		if axe(t) == "" {
			need.Missing(t, "axe-core: for pages to be checked, npm ci --prefix .ci/tools")
		}
	})
}

// violations is JavaScript for what axe-core finds, a line each. It would preload styles for a rule of
// orientation, which no page locks.
const violations = `axe.run(document, {resultTypes: ['violations'], preload: false}).then((r) =>
	r.violations.flatMap((v) =>
	v.nodes.map((n) => v.id + ': ' + n.target + ': ' + n.failureSummary.slice(0, 300))))`

// accessible fails the test for each violation that axe-core finds in the page as it is.
func (p *tab) accessible(name string) {
	p.Helper()
	checker := axe(p.T)
	if checker == "" {
		return // needAxe has said so
	}
	p.do(chromedp.Evaluate[chromedp.Void](checker + ";0"))
	ctx, cancel := context.WithTimeout(p.ctx, programs.Patience)
	defer cancel()
	found, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](violations, chromedp.EvalAwaitPromise))
	if err != nil {
		p.Fatalf("%s: axe-core: %v", name, err)
	}
	for _, v := range found {
		p.Errorf("%s: axe-core: %s", name, v)
	}
}

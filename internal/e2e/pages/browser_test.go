package pages_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"churn/internal/testing/need"
	"churn/internal/testing/programs"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// A browser is a headless Chromium.
type browser struct {
	*testing.T
	ctx context.Context
}

// startBrowser starts Chromium with a temporary profile until the test ends. Without
// Chromium the test is skipped, or fails in CI.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		need.Missing(t, "chromium: to run this test, apt-get install chromium")
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(path),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.WSURLReadTimeout(programs.Patience), chromedp.Flag("lang", "en-US"))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // root cannot use the sandbox
	}
	// t.Context() ends before the clean-up
	ctx, cancel := context.WithTimeout(context.Background(), 30*programs.Patience)
	ctx, stop := chromedp.NewExecAllocator(ctx, options...)
	// it reports events that are newer than the library
	ctx, closeAll := chromedp.NewContext(ctx, chromedp.WithErrorf(func(string, ...any) {}))
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil { // waits until the process has written its profile
			t.Errorf("closing chromium: %v", err)
		}
		closeAll()
		stop()
		cancel()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("%s does not start: %v", path, err)
	}
	return &browser{t, ctx}
}

// A screen is a size of the window and a colour scheme.
type screen struct {
	width, height int64
	dark          bool
}

func (l screen) String() string {
	if l.dark {
		return fmt.Sprint(l.width, "-dark")
	}
	return fmt.Sprint(l.width, "-light")
}

// screens are a desktop's and a telephone's, light and dark.
var screens = []screen{{1280, 900, false}, {1280, 900, true}, {390, 844, false}, {390, 844, true}}

// everyScreen has a tablet's, the narrowest and a wide one too: each kind of page is looked at on all.
var everyScreen = append(slices.Clone(screens), screen{700, 900, false}, screen{320, 568, false},
	screen{320, 568, true}, screen{1920, 1080, false}, screen{1920, 1080, true})

// A tab is an open page.
type tab struct {
	*testing.T
	ctx   context.Context
	close func()

	mu     sync.Mutex
	faults []string // errors, warnings and failed requests
	origin string
	by     screen
}

// open opens a URL in a new tab and waits until it is loaded.
func (b *browser) open(address string, l screen) *tab {
	b.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx)
	p := &tab{T: b.T, ctx: ctx, close: cancel, by: l}
	b.Cleanup(cancel)
	if u, err := url.Parse(address); err == nil {
		p.origin = u.Scheme + "://" + u.Host
	}
	urls := map[network.RequestID]string{}
	err := chromedp.Listen(ctx, func(event any) {
		p.mu.Lock()
		defer p.mu.Unlock()
		fault := func(format string, args ...any) { p.faults = append(p.faults, fmt.Sprintf(format, args...)) }
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			fault("exception: %v", e.ExceptionDetails)
		case *runtime.EventConsoleAPICalled:
			if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
				var words []string
				for _, a := range e.Args {
					words = append(words, string(a.Value)+a.Description)
				}
				fault("console.%s: %s", e.Type, strings.Join(words, " "))
			}
		case *log.EventEntryAdded:
			if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
				fault("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL)
			}
		case *network.EventRequestWillBeSent:
			urls[e.RequestID] = e.Request.URL
			if u, err := url.Parse(e.Request.URL); err != nil || u.Scheme != "data" && u.Scheme != "blob" &&
				u.Scheme+"://"+u.Host != p.origin {
				fault("request to another origin: %s", e.Request.URL)
			}
		case *network.EventLoadingFailed:
			fault("%s failed: %s", urls[e.RequestID], e.ErrorText)
		}
	})
	if err != nil {
		b.Fatal(err)
	}
	scheme := "light"
	if l.dark {
		scheme = "dark"
	}
	p.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, network.Enable, network.EnableParams{})
		_, errSize := chromedp.Call(ctx, emulation.SetDeviceMetricsOverride,
			emulation.SetDeviceMetricsOverrideParams{Width: l.width, Height: l.height, DeviceScaleFactor: 1})
		_, errMedia := chromedp.Call(ctx, emulation.SetEmulatedMedia,
			emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
				{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
			}})
		return errors.Join(err, errSize, errMedia)
	}), chromedp.Navigate(address))
	return p
}

// do runs actions in the tab.
func (p *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, programs.Patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		p.Fatalf("in the page: %v; its errors: %q", err, p.errors())
	}
}

// eval returns the value of a JavaScript expression.
func eval[T any](p *tab, expression string) T {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, programs.Patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		p.Fatalf("%s: %v; errors of the page: %q", expression, err, p.errors())
	}
	return value
}

// until waits for a JavaScript expression to become true.
func (p *tab) until(expression string) {
	p.Helper()
	if !programs.Poll(programs.Patience, func() bool { return eval[bool](p, "!!("+expression+")") }) {
		p.Fatalf("%s does not become true; errors of the page %q, its text %q", expression, p.errors(),
			eval[string](p, "document.body.innerText"))
	}
}

// fill types a value into the field with a label.
func (p *tab) fill(label, value string) {
	p.Helper()
	control := fmt.Sprintf("[...document.querySelectorAll('label')].find(l => l.textContent === %q)?.control", label)
	if eval[string](p, control+"?.tagName ?? ''") == "SELECT" {
		p.do(chromedp.Evaluate[chromedp.Void](
			fmt.Sprintf("{const c = %s; c.value = %q; c.dispatchEvent(new Event('input', {bubbles: true}))}", control, value)))
		return
	}
	p.do(chromedp.Evaluate[chromedp.Void](control+".focus(), "+control+".select()"), chromedp.KeyEvent(kb.Backspace))
	if value != "" {
		p.do(chromedp.KeyEvent(value))
	}
}

// errors returns the errors of the page so far.
func (p *tab) errors() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.faults)
}

// wantNoErrors fails the test for each error of the page that has none of the expected texts.
func (p *tab) wantNoErrors(expected ...string) {
	p.Helper()
	for _, fault := range p.errors() {
		if !slices.ContainsFunc(expected, func(part string) bool { return strings.Contains(fault, part) }) {
			p.Errorf("the page: %s", fault)
		}
	}
}

// cut is JavaScript for the elements whose text is cut off.
const cut = `[...document.querySelectorAll('body *')].filter(e => {
	const s = getComputedStyle(e);
	const clips = ['hidden', 'clip'].includes(s.overflowX) || ['INPUT', 'SELECT', 'BUTTON'].includes(e.tagName);
	return clips && !s.clipPath.includes('inset') && e.clientWidth > 0 && e.scrollWidth > e.clientWidth + 1;
}).map(e => e.tagName + '#' + e.id + ' ' + (e.value ?? e.textContent).slice(0, 60))`

// tooWide is JavaScript for the elements that are wider than the window.
const tooWide = `document.documentElement.scrollWidth <= innerWidth ? [] :
	['scrollWidth ' + document.documentElement.scrollWidth, ...[...document.querySelectorAll('body *')].filter(e =>
		e.getBoundingClientRect().right > innerWidth + 1).map(e => e.tagName + '#' + e.id + '.' + e.className)]`

// fits fails the test if the page is wider than the window or cuts a text off. It writes a
// screenshot into the folder CHURN_SCREENSHOTS, if that is set.
func (p *tab) fits(name string) {
	p.Helper()
	if folder := os.Getenv("CHURN_SCREENSHOTS"); folder != "" {
		picture, err := chromedp.Run(p.ctx, chromedp.FullScreenshot(100))
		if err != nil {
			p.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name+".png"), picture, 0o644); err != nil {
			p.Fatal(err)
		}
	}
	if found := eval[[]string](p, tooWide); len(found) > 0 {
		p.Errorf("%s is wider than the window: %q", name, found)
	}
	if found := eval[[]string](p, cut); len(found) > 0 {
		p.Errorf("%s cuts off: %q", name, found)
	}
	if found := eval[[]string](p, longLines); len(found) > 0 {
		p.Errorf("%s has long lines: %q", name, found)
	}
	p.speaks(name)
	if p.by == screens[0] || p.by == screens[3] { // one with each layout, and one with each scheme's colours
		p.accessible(name)
	}
}

// focused returns the label of the focused field, or "".
func (p *tab) focused() string {
	p.Helper()
	return eval[string](p, "document.activeElement.labels?.[0]?.textContent ?? ''")
}

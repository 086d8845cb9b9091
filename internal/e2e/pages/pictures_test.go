package pages_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"churn/internal/testing/programs"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// TestPictures draws the pictures of the documentation from the programs themselves, light and
// dark, into the folder CHURN_PICTURES: make pictures sets it.
func TestPictures(t *testing.T) {
	folder := os.Getenv("CHURN_PICTURES")
	if folder == "" {
		t.Skip("make pictures draws them")
	}
	bin := programs.Build(t)
	b := startBrowser(t)
	l := programs.EmptyLoop(t, bin)
	l.Run("generate")
	l.Run("prepare")
	l.Run("train")
	l.Run("evaluate", "--version", "v2")
	l.Start()
	l.Run("generate", "--rows", "200", "--seed", "8", "--shift", "avg_session_minutes=6", "--out", l.Path("live.csv"))
	_, live, _ := strings.Cut(programs.ReadFile(t, l.Path("live.csv")), "\n")
	for line := range strings.Lines(live) {
		cells := strings.Split(line, ",")
		l.Post("/predict", fmt.Sprintf(`{"tenure_months":%s,"num_complaints":%s,"avg_session_minutes":%s,`+
			`"plan_type":%q,"region":%q}`,
			cells[0], cells[1], cells[2], cells[3], cells[4]))
	}
	l.Exec("drift", "--html", l.Path("drift.html")) // its status says that there is drift
	for scheme, dark := range map[string]bool{"light": false, "dark": true} {
		shot := func(address string, width, height int64, ready string) image.Image {
			p := b.open(address, screen{width, height, dark})
			defer p.close()
			p.until(ready)
			return viewport(p)
		}
		below := func(heading string) string { // scrolls to a heading
			return fmt.Sprintf("(() => {const h = [...document.querySelectorAll('h2, h3')]."+
				"find(h => h.textContent.startsWith(%q)); h.scrollIntoView(); return !!h})()", heading)
		}
		card, drift := "file://"+l.Card(), "file://"+l.Path("drift.html")
		const scored = "!document.querySelector('.stale') && " + shown + " !== '–'"
		for name, pictures := range map[string][]image.Image{
			"loop":  {shot(card, 760, 880, "true"), shot(l.URL("/"), 1080, 880, scored)},
			"card":  {shot(card, 1080, 760, below("Discrimination"))},
			"drift": {shot(drift, 1080, 760, below("avg_session_minutes"))},
		} {
			writePicture(t, filepath.Join(folder, name+"-"+scheme+".png"), pictures)
		}
	}
}

// viewport returns what the window of a tab shows.
func viewport(p *tab) image.Image {
	var picture image.Image
	p.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		shot, err := chromedp.Call(ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{Format: "png"})
		if err != nil {
			return err
		}
		picture, err = png.Decode(bytes.NewReader(shot.Data))
		return err
	}))
	return picture
}

// writePicture writes pictures side by side, with a transparent gap, in at most 256 colours.
func writePicture(t *testing.T, path string, pictures []image.Image) {
	t.Helper()
	const gap = 24
	width, height := -gap, 0
	for _, p := range pictures {
		width, height = width+p.Bounds().Dx()+gap, max(height, p.Bounds().Dy())
	}
	whole := image.NewNRGBA(image.Rect(0, 0, width, height))
	x := 0
	for _, p := range pictures {
		draw.Draw(whole, p.Bounds().Add(image.Pt(x, 0)), p, p.Bounds().Min, draw.Src)
		x += p.Bounds().Dx() + gap
	}
	counts := map[color.Color]int{}
	for y := range height {
		for x := range width {
			counts[whole.At(x, y)]++
		}
	}
	often := func(a, b color.Color) int { return cmp.Compare(counts[b], counts[a]) }
	colours := slices.SortedFunc(maps.Keys(counts), often)
	small := image.NewPaletted(whole.Bounds(), colours[:min(256, len(colours))])
	draw.Draw(small, small.Bounds(), whole, image.Point{}, draw.Src)
	var text bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&text, small); err != nil {
		t.Fatal(err)
	}
	programs.WriteFile(t, path, text.String())
}

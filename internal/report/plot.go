package report

import (
	"fmt"
	"html/template"
	"image/color"
	"math"
	"regexp"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// An ink is a colour by its role. The plotting library writes colours as numbers; they
// are replaced by the page's variables, so that a drawing follows the page's light, dark
// and print styles.
type ink uint8

const (
	inkText  ink = iota + 1
	inkGrid      // grid lines
	inkMain      // the model, churners, live rows
	inkOther     // non-churners, the reference
	inkThird     // a third line
	inkSoft      // areas outlined by inkOther
)

// variables are the names that style.css has for the inks.
var variables = [...]string{
	inkText: "--text", inkGrid: "--grid", inkMain: "--main", inkOther: "--other", inkThird: "--third", inkSoft: "--soft",
}

// heatSteps is how many strengths an ink has; the strongest leaves texts on it readable.
const heatSteps = 8

// faint returns an ink of 1 to heatSteps strengths.
func (c ink) faint(strength uint8) ink { return c | ink(strength)<<4 }

// RGBA implements color.Color. The library omits black, so no ink is 0, and rounds down.
func (c ink) RGBA() (r, g, b, a uint32) {
	const half = 0x80
	r, g, b, a = color.RGBA{R: uint8(c), A: 255}.RGBA()
	return r + half, g, b, a
}

// A size is that of a drawing in points; the page scales it to the available width.
type size struct{ width, height vg.Length }

var (
	half = size{340, 235} // two side by side
	full = size{700, 210} // one by itself
	heat = size{340, 270} // a grid of cells
)

const fontSize = 10.5 // points

func face(points float64) font.Font {
	return font.Font{Typeface: "Liberation", Variant: "Sans", Size: font.Length(points)}
}

// newPlot returns an empty drawing with a grid and labelled axes.
func newPlot(x, y string) *plot.Plot {
	p := plainPlot(x, y)
	grid := plotter.NewGrid()
	grid.Horizontal = draw.LineStyle{Color: inkGrid, Width: 0.5}
	grid.Vertical = grid.Horizontal
	p.Add(grid)
	return p
}

// plainPlot returns one without a grid.
func plainPlot(x, y string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	p.X.Label.Text, p.Y.Label.Text = x, y
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.LineStyle.Width = 0
		axis.Tick.LineStyle.Width = 0
		axis.Tick.Length = 0
		axis.Padding = 4
		for _, style := range []*text.Style{&axis.Label.TextStyle, &axis.Tick.Label} {
			style.Font, style.Color = face(fontSize), inkText
		}
	}
	return p
}

// shares makes an axis run from 0 to 1 in steps of a fifth.
func shares(axes ...*plot.Axis) {
	for _, axis := range axes {
		axis.Min, axis.Max = 0, 1
		axis.Tick.Marker = plot.ConstantTicks(ticks(1, 0.2, func(at float64) string { return fmt.Sprintf("%.1f", at) }))
	}
}

// line draws a line through points.
func line(p *plot.Plot, c ink, dashed bool, points plotter.XYs) {
	l := &plotter.Line{XYs: points, LineStyle: draw.LineStyle{Color: c, Width: 1.8}}
	if dashed {
		l.LineStyle.Width, l.LineStyle.Dashes = 1.2, []vg.Length{4, 3}
	}
	p.Add(l)
}

// mark draws a dot.
func mark(p *plot.Plot, c ink, at plotter.XY) {
	dot := draw.GlyphStyle{Color: c, Radius: 4, Shape: draw.CircleGlyph{}}
	p.Add(&plotter.Scatter{XYs: plotter.XYs{at}, GlyphStyle: dot})
}

// A bar is a rectangle on the x axis.
type bar struct{ From, To, High float64 }

// bars draws rectangles.
func bars(p *plot.Plot, outline, fill ink, list []bar) {
	for _, b := range list {
		rectangle(p, outline, fill, b.From, 0, b.To, b.High)
	}
}

// rectangle draws one; a fill of 0 is none.
func rectangle(p *plot.Plot, outline, fill ink, left, bottom, right, top float64) {
	polygon := &plotter.Polygon{
		XYs:       []plotter.XYs{{{X: left, Y: bottom}, {X: left, Y: top}, {X: right, Y: top}, {X: right, Y: bottom}}},
		LineStyle: draw.LineStyle{Color: outline, Width: 1},
	}
	if fill != 0 {
		polygon.Color = fill
	}
	p.Add(polygon)
}

var (
	svgHead  = regexp.MustCompile(`(?s)^.*?<svg width="[^"]*" height="[^"]*" (viewBox="[^"]*")[^>]*>`)
	styles   = regexp.MustCompile(`style="[^"]*"`) // in no name, since those are escaped
	inkStyle = regexp.MustCompile(`(fill|stroke):#([0-8])([1-6])0000`)
	fontText = regexp.MustCompile(`font-family:[^;"]*;font-variant:[^;"]*;font-weight:[^;"]*;font-style:[^;"]*;`)
)

// svg returns a drawing as an element of a page. label is for those who do not see it.
func svg(p *plot.Plot, s size, label string) template.HTML {
	canvas := vgsvg.New(s.width, s.height)
	const margin = 8 // points: half of the last label extends beyond its axis
	p.Draw(draw.Crop(draw.New(canvas), 0, -margin, 0, -margin))
	var b strings.Builder
	canvas.WriteTo(&b) // fails only where its writer does, which this one never does
	label = strings.ReplaceAll(template.HTMLEscapeString(label), "$", "$$")
	head := fmt.Sprintf(`<svg $1 role="img" aria-label="%s">`, label)
	out := svgHead.ReplaceAllString(b.String(), head)
	out = styles.ReplaceAllStringFunc(out, func(style string) string {
		return inkStyle.ReplaceAllStringFunc(fontText.ReplaceAllString(style, ""), inPage)
	})
	return template.HTML(out) // the library escapes texts
}

// inPage returns the style of an ink as a page has it.
func inPage(style string) string {
	property, code, _ := strings.Cut(style, ":#")
	style = property + ":var(" + variables[code[1]-'0'] + ")"
	if strength := float64(code[0] - '0'); strength > 0 {
		const strongest = 0.55
		style += fmt.Sprintf(";%s-opacity:%.2f", property, strongest*strength/heatSteps)
	}
	return style
}

// short formats a number with three digits for an axis.
func short(x float64) string {
	x, _ = strconv.ParseFloat(strconv.FormatFloat(x, 'g', 3, 64), 64) // 999.9 is 1000
	switch size := math.Abs(x); {
	case size >= 1e9, size < 1e3:
		return minus(fmt.Sprintf("%.3g", x))
	case size >= 1e6:
		return minus(fmt.Sprintf("%.3g M", x/1e6))
	case size >= 1e4:
		return minus(fmt.Sprintf("%.3g k", x/1e3))
	}
	return minus(strconv.FormatFloat(x, 'f', -1, 64))
}

// tickStep returns a round distance between ticks from 0 to high, about five of them.
func tickStep(high float64) float64 {
	step := math.Pow10(int(math.Floor(math.Log10(high / 2))))
	for _, times := range []float64{1, 2, 5} {
		if high/(step*times) <= 5 {
			return step * times
		}
	}
	return 10 * step
}

// percentTicks labels an axis of shares from 0 with percentages.
func percentTicks(_, high float64) []plot.Tick {
	step := tickStep(high)
	decimals := max(0, int(math.Ceil(-math.Log10(step*100)-1e-9)))
	return ticks(high, step, func(at float64) string { return fmt.Sprintf("%.*f %%", decimals, 100*at) })
}

// countTicks labels an axis of counts from 0.
func countTicks(_, high float64) []plot.Tick {
	return ticks(high, max(1, tickStep(max(high, 1))), short)
}

// ticks labels an axis from 0 to high in steps.
func ticks(high, step float64, label func(float64) string) (out []plot.Tick) {
	for i := 0; float64(i)*step <= high; i++ {
		out = append(out, plot.Tick{Value: float64(i) * step, Label: label(float64(i) * step)})
	}
	return out
}

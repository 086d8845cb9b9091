package report

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"churn/internal/metric"
	"churn/internal/model"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
)

// A termView is a feature or a pair on the card.
type termView struct {
	model.Effect
	Plot    template.HTML
	Odds    []oddsView   // of levels, or of a line
	Missing *model.Point // of a number's missing cells
	Beyond  []float64    // smallest or largest value, where the drawing ends before it
	Most    float64      // of a pair: the largest contribution, without its sign
}

// addTerms fills in Terms, those that are drawn, and Rest.
func (v *cardView) addTerms() {
	const most = 350_000 // bytes of drawings and tables
	drawn, odds := 0, map[string][]oddsView{}
	for _, o := range v.Odds {
		o.Feature = ""
		odds[o.Of] = append(odds[o.Of], o)
	}
	for _, e := range model.ByImportance(v.Effects) {
		t := termView{Effect: e, Odds: odds[e.Name]}
		switch {
		case e.Grid != nil:
			t.drawPair(v.Training.Rows, v.Model.Encoder.Levels)
		case len(e.Points) > 0 && e.Points[0].At != nil:
			t.drawNumber()
		}
		const row = 800 // bytes of a level's row
		if drawn += len(t.Plot) + row*len(t.Odds); drawn > most {
			v.Rest = append(v.Rest, e)
		} else {
			v.Terms = append(v.Terms, t)
		}
	}
}

// Paired reports whether the model has pairs.
func (v cardView) Paired() bool {
	return slices.ContainsFunc(v.Effects, func(e model.Effect) bool { return e.Grid != nil })
}

// drawNumber draws the contribution of a number with its band over the shares of the rows,
// and that of missing cells on the right.
func (t *termView) drawNumber() {
	points := t.Points
	if last := len(points) - 1; points[last].At == nil {
		t.Missing, points = &points[last], points[:last]
	}
	points = t.crop(points)
	from, to := *points[0].At, *points[len(points)-1].At
	low, high := math.Inf(1), math.Inf(-1)
	shown := points
	if t.Missing != nil {
		shown = append(slices.Clone(points), *t.Missing)
	}
	for _, p := range shown {
		low, high = min(low, p.Contribution), max(high, p.Contribution)
	}
	const least, wide = 0.2, 1.5 // log-odds that an axis has, and how much wider than the curve bands may be
	room := wide * max(high-low, least)
	bottom, top := low, high // of the bands, as far as they are not much wider than the curve
	for _, p := range shown {
		bottom = min(bottom, max(p.Contribution-metric.Z95*p.StdError, low-room))
		top = max(top, min(p.Contribution+metric.Z95*p.StdError, high+room))
	}
	bottom -= 0.35 * max(top-bottom, least) // for the shares
	x := func(p *model.Point) float64 {
		if p.At == nil {
			return to + 0.12*(to-from)
		}
		return *p.At
	}
	p := newPlot("", "log-odds")
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = from-0.03*(to-from), to+0.03*(to-from), bottom, top
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.TickerFunc(roundTicks), plot.TickerFunc(roundTicks)
	if t.Missing != nil {
		p.X.Max = to + 0.2*(to-from)
		ticks := slices.DeleteFunc(roundTicks(from, to), func(at plot.Tick) bool { return at.Value > to-0.04*(to-from) })
		p.X.Tick.Marker = plot.ConstantTicks(append(ticks, plot.Tick{Value: to + 0.12*(to-from), Label: "missing"}))
	}
	t.shareBars(p, shown, x)
	line(p, inkThird, true, plotter.XYs{{X: p.X.Min}, {X: p.X.Max}})
	clamp := func(y float64) float64 { return min(max(y, low-room), high+room) }
	var curve, upper, lower plotter.XYs
	for i := range shown {
		q := &shown[i]
		at, above, below := x(q), clamp(q.Contribution+metric.Z95*q.StdError), clamp(q.Contribution-metric.Z95*q.StdError)
		if q.At == nil || t.Term == "levels" {
			line(p, inkMain.faint(6), false, plotter.XYs{{X: at, Y: below}, {X: at, Y: above}})
			mark(p, inkMain, plotter.XY{X: at, Y: q.Contribution})
			continue
		}
		curve = append(curve, plotter.XY{X: at, Y: q.Contribution})
		upper, lower = append(upper, plotter.XY{X: at, Y: above}), append(lower, plotter.XY{X: at, Y: below})
	}
	if curve != nil {
		slices.Reverse(lower)
		p.Add(&plotter.Polygon{XYs: []plotter.XYs{append(upper, lower...)}, Color: inkMain.faint(3)})
		line(p, inkMain, false, curve)
	}
	t.Plot = svg(p, half, "what "+t.Name+" adds to the log-odds, by its value")
}

// crop ends a drawing where a few values far from the others would squeeze them.
func (t *termView) crop(points []model.Point) []model.Point {
	const (
		tail = 0.05 // share of the rows on either side that need not be drawn
		far  = 3    // times the range of the others
	)
	var inner []float64
	below := 0.0
	for _, p := range points {
		if middle := below + p.Share/2; middle >= tail && middle <= 1-tail {
			inner = append(inner, *p.At)
		}
		below += p.Share
	}
	if len(inner) < 2 {
		return points
	}
	reach := far * (inner[len(inner)-1] - inner[0])
	from, to := inner[0]-reach, inner[len(inner)-1]+reach
	var kept []model.Point
	for i, p := range points {
		switch x := *p.At; {
		case x < from:
			t.Beyond = []float64{*points[0].At}
			if next := points[i+1]; *next.At >= from {
				kept = append(kept, between(p, next, from))
			}
		case x > to:
			t.Beyond = append(t.Beyond, *points[len(points)-1].At)
			return append(kept, between(points[i-1], p, to))
		default:
			kept = append(kept, p)
		}
	}
	return kept
}

// between interpolates between two points.
func between(a, b model.Point, x float64) model.Point {
	share := (x - *a.At) / (*b.At - *a.At)
	return model.Point{At: &x, Contribution: a.Contribution + share*(b.Contribution-a.Contribution),
		StdError: a.StdError + share*(b.StdError-a.StdError)}
}

// shareBars draws the distribution of the training rows along the bottom: where every row is at
// a point its share, else the density about each point, to half way to the next.
func (t *termView) shareBars(p *plot.Plot, points []model.Point, x func(*model.Point) float64) {
	const width, height = 0.009, 0.22 // of the drawing
	var list []bar
	most := 0.0
	for i := range points {
		at := x(&points[i])
		b := bar{at - width*(p.X.Max-p.X.Min), at + width*(p.X.Max-p.X.Min), points[i].Share}
		if !t.AtPoints && points[i].At != nil {
			b.From, b.To = at, at
			if i > 0 {
				b.From = (at + x(&points[i-1])) / 2
			}
			if i+1 < len(points) && points[i+1].At != nil {
				b.To = (at + x(&points[i+1])) / 2
			}
			b.High *= width * (p.X.Max - p.X.Min) / (b.To - b.From)
		}
		list, most = append(list, b), max(most, b.High)
	}
	for _, b := range list {
		if y, h := p.Y.Min, height*(p.Y.Max-p.Y.Min)*b.High/max(most, math.SmallestNonzeroFloat64); h > 0 {
			rectangle(p, inkOther, inkSoft, b.From, y, b.To, y+h)
		}
	}
}

// roundTicks labels an axis with about five round numbers.
func roundTicks(low, high float64) []plot.Tick {
	step := tickStep(high - low)
	if high-low < 3*step {
		step /= 2
	}
	var ticks []plot.Tick
	for at := math.Ceil(low/step) * step; at <= high && len(ticks) < 10; at += step {
		if math.Abs(at) < step/2 {
			at = 0
		}
		ticks = append(ticks, plot.Tick{Value: at, Label: short(at)})
	}
	for digits := 4; digits < 16; digits++ {
		seen := map[string]bool{}
		for _, tick := range ticks {
			seen[tick.Label] = true
		}
		if len(seen) == len(ticks) {
			break
		}
		for i := range ticks {
			ticks[i].Label = minus(strconv.FormatFloat(ticks[i].Value, 'g', digits, 64))
		}
	}
	const room = 8 // characters
	for i := 1; i < len(ticks); i += 2 {
		if utf8.RuneCountInString(ticks[i].Label) > room {
			ticks[i].Label = ""
		}
	}
	return ticks
}

// drawPair draws a pair as a heat map, with the number of training rows in each cell. The
// feature with the longer names is on the left.
func (t *termView) drawPair(rows int, levels map[string][]string) {
	g, at := t.Grid, func(i, j int) (contribution, share float64) {
		return t.Grid.Contribution[i][j], t.Grid.Share[i][j]
	}
	names, features := g.Names, g.Features
	for side, feature := range features {
		names[side] = cellNames(names[side], levels[feature] == nil)
	}
	if longest(names[1]) > longest(names[0]) {
		names, features = [2][]string{names[1], names[0]}, [2]string{features[1], features[0]}
		at = func(i, j int) (contribution, share float64) { return g.Contribution[j][i], g.Share[j][i] }
	}
	p := plainPlot(elide(features[1], 50), elide(features[0], 36))
	filled := func(share float64) bool { return math.Round(share*float64(rows)) > 0 }
	for i := range names[0] {
		for j := range names[1] {
			if c, share := at(i, j); filled(share) {
				t.Most = max(t.Most, math.Abs(c))
			}
		}
	}
	up := 1.0 // numbers rise
	if levels[features[0]] != nil {
		up = -1
	}
	labels := &plotter.Labels{}
	style := text.Style{Color: inkText, Font: face(8.5), XAlign: text.XCenter, YAlign: text.YCenter}
	style.Handler = plot.DefaultTextHandler
	for i := range names[0] {
		for j := range names[1] {
			c, share := at(i, j)
			x, y := float64(j), up*float64(i)
			fill, step := ink(0), math.Round(heatSteps*math.Abs(c)/max(t.Most, math.SmallestNonzeroFloat64))
			if filled(share) {
				if step > 0 {
					fill = map[bool]ink{true: inkMain, false: inkOther}[c > 0].faint(uint8(step))
				}
				labels.XYs = append(labels.XYs, plotter.XY{X: x, Y: y})
				labels.Labels = append(labels.Labels, short(math.Round(share*float64(rows))))
				labels.TextStyle = append(labels.TextStyle, style)
			}
			rectangle(p, inkGrid, fill, x-.5, y-.5, x+.5, y+.5)
		}
	}
	p.Add(labels)
	last := up * float64(len(names[0])-1)
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = -.5, float64(len(names[1]))-.5, min(0, last)-.5, max(0, last)+.5
	nameCells(&p.X, names[1], 1)
	nameCells(&p.Y, names[0], up)
	const room = 45 // characters below all columns
	if longest(names[1])*len(names[1]) > room {
		p.X.Tick.Label.Rotation, p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = math.Pi/2, text.XRight, text.YCenter
		p.X.Padding += wider * vg.Length(longest(names[1]))
	}
	p.Y.Padding += wider * vg.Length(longest(names[0]))
	p.Y.Label.Padding += wider * vg.Length(longest(names[0]))
	t.Plot = svg(p, heat, fmt.Sprintf("what %s add to the log-odds together", t.Name))
}

// wider is by how many points a character of a page's font may be wider than one of the drawing's.
const wider = 0.8

// nameCells labels an axis with names.
func nameCells(axis *plot.Axis, names []string, direction float64) {
	var ticks []plot.Tick
	for i, name := range names {
		ticks = append(ticks, plot.Tick{Value: direction * float64(i), Label: name})
	}
	axis.Tick.Marker, axis.Tick.Label.Font = plot.ConstantTicks(ticks), face(9.5)
}

// cellNames shortens the names of levels, or of a number's knots if three digits tell these apart.
func cellNames(names []string, numbers bool) []string {
	const most = 18 // characters
	full, rounded, seen := make([]string, len(names)), make([]string, len(names)), map[string]bool{}
	for i, name := range names {
		full[i] = elide(name, most)
		if name == "(missing)" || name == "(rest)" {
			full[i] = name[1 : len(name)-1]
		} else if numbers {
			full[i] = minus(full[i])
		}
		rounded[i] = full[i]
		if x, err := strconv.ParseFloat(name, 64); err == nil && len(name) > 5 {
			rounded[i] = short(x)
		}
		seen[rounded[i]] = true
	}
	if numbers && len(seen) == len(names) {
		return rounded
	}
	return full
}

// longest returns the length of the longest of names.
func longest(names []string) (n int) {
	for _, name := range names {
		n = max(n, utf8.RuneCountInString(name))
	}
	return n
}

// elide takes the middle out of a text of more than n characters: levels begin alike, and differ at the end.
func elide(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	tail := (n - 1) / 2
	return string(runes[:n-1-tail]) + "…" + string(runes[len(runes)-tail:])
}

package report

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"churn/internal/drift"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
)

// DriftPage returns the page about a window of the log.
func DriftPage(r *drift.Result) ([]byte, error) {
	view := driftView{Result: r}
	checks := map[string][]drift.Check{}
	for _, c := range r.All() {
		checks[c.Column] = append(checks[c.Column], c)
	}
	for i, c := range r.Columns {
		view.Sections = append(view.Sections, newColumnView(i, c, checks[c.Column]))
	}
	slices.SortStableFunc(view.Sections, func(a, b columnView) int { return b.Severity.Compare(a.Severity) })
	if len(r.Windows) > 1 {
		view.Trend, view.TrendNarrow = windowsPlot(r.Windows, full), windowsPlot(r.Windows, half)
		view.First, view.Last = r.Windows[0], r.Windows[len(r.Windows)-1]
	}
	return fill("drift.html", view)
}

// driftView is what the template sees.
type driftView struct {
	*drift.Result
	Sections    []columnView  // the most severe first
	Trend       template.HTML // over the windows
	TrendNarrow template.HTML // the same for a phone
	First, Last drift.WindowSummary
}

// columnView is a column's section.
type columnView struct {
	drift.Distribution
	ID       string
	Severity drift.Severity
	Checks   []drift.Check // the reference z score first
	Plot     template.HTML // numbers
	Bars     []levelBar    // categories
	More     bool          // there are rarer levels than those
}

// A levelBar is a level's shares.
type levelBar struct {
	Name            string
	Reference, Live float64
}

func newColumnView(i int, c drift.Distribution, checks []drift.Check) columnView {
	v := columnView{Distribution: c, ID: fmt.Sprintf("column-%d", i), Severity: drift.OK, Checks: checks}
	for _, check := range checks {
		if check.Severity.Compare(v.Severity) > 0 {
			v.Severity = check.Severity
		}
	}
	if c.Levels != nil {
		v.levelBars()
	} else {
		v.Plot = binsPlot(c)
	}
	return v
}

// class returns the class of style.css for a severity.
func class(s drift.Severity) string {
	return map[drift.Severity]string{drift.OK: "good", drift.Watch: "watch", drift.Alert: "bad"}[s]
}

const mostBars = 12 // levels shown one by one

// levelBars picks the levels to show: the most frequent on either side.
func (v *columnView) levelBars() {
	for i, name := range v.Levels {
		v.Bars = append(v.Bars, levelBar{name, v.Reference.Shares[i], v.Live.Shares[i]})
	}
	slices.SortStableFunc(v.Bars, func(a, b levelBar) int {
		return cmp.Compare(max(b.Reference, b.Live), max(a.Reference, a.Live))
	})
	if v.More = len(v.Bars) > mostBars; v.More {
		v.Bars = v.Bars[:mostBars]
	}
}

// Longest returns the largest share, whose bar fills its row.
func (v columnView) Longest() float64 {
	longest := v.Live.Unseen
	for _, b := range v.Bars {
		longest = max(longest, b.Reference, b.Live)
	}
	return longest
}

// binsPlot draws the shares of the bins, all equally wide, since each had about as
// many rows in training: the reference as bars, the live rows as a line of steps.
func binsPlot(c drift.Distribution) template.HTML {
	p := newPlot("", "")
	var reference []bar
	var steps plotter.XYs
	top, alt := 0.0, "shares of "+c.Column+", training and live:"
	for i := range c.Reference.Shares {
		left, right := float64(i), float64(i+1)
		reference = append(reference, bar{left, right, c.Reference.Shares[i]})
		steps = append(steps, plotter.XY{X: left, Y: c.Live.Shares[i]}, plotter.XY{X: right, Y: c.Live.Shares[i]})
		between := "above the last"
		if i < len(c.Cuts) {
			between = "up to " + short(c.Cuts[i])
		}
		alt += fmt.Sprintf(" %s: %.0f %% and %.0f %%;", between, 100*c.Reference.Shares[i], 100*c.Live.Shares[i])
		top = max(top, c.Reference.Shares[i], c.Live.Shares[i])
	}
	bars(p, inkOther, inkSoft, reference)
	line(p, inkMain, false, steps)
	p.X.Min, p.X.Max = 0, float64(len(reference))
	p.Y.Min, p.Y.Max = 0, max(1.05*top, 0.01)
	p.Y.Tick.Marker = plot.TickerFunc(percentTicks)
	p.X.Tick.Marker = plot.ConstantTicks(cutTicks(c.Cuts))
	return svg(p, half, strings.TrimSuffix(alt, ";"))
}

// cutTicks labels as many borders between bins as there is room for.
func cutTicks(cuts []float64) []plot.Tick {
	const room = 4 // characters below a bin
	longest := 1
	for _, cut := range cuts {
		longest = max(longest, utf8.RuneCountInString(short(cut)))
	}
	every := (longest + room - 1) / room
	var ticks []plot.Tick
	for i, cut := range cuts {
		label := ""
		if i%every == 0 {
			label = short(cut)
		}
		ticks = append(ticks, plot.Tick{Value: float64(i + 1), Label: label})
	}
	return ticks
}

// windowsPlot draws the share of the checks that alert, and beside it the share of
// customers predicted positive and the mean probability.
func windowsPlot(windows []drift.WindowSummary, s size) template.HTML {
	p := newPlot("end of each window (UTC)", "")
	var alerts []bar
	var positive, probability plotter.XYs
	for i, w := range windows {
		x := float64(i)
		alerts = append(alerts, bar{x - 0.4, x + 0.4, w.AlertShare})
		positive = append(positive, plotter.XY{X: x, Y: w.PositiveShare})
		if w.MeanProbability != nil {
			probability = append(probability, plotter.XY{X: x, Y: *w.MeanProbability})
		}
	}
	bars(p, inkMain, inkMain, alerts)
	line(p, inkOther, false, positive)
	line(p, inkThird, true, probability)
	p.X.Min, p.X.Max = -0.5, float64(len(windows))-0.5
	p.Y.Min, p.Y.Max = 0, 1
	p.Y.Tick.Marker = plot.TickerFunc(percentTicks)
	p.X.Tick.Marker = plot.ConstantTicks(timeTicks(windows, int(s.width/70))) // points of a label
	return svg(p, s, "share of checks that alert, share predicted positive, and mean predicted probability, by window")
}

// timeTicks labels the ends of at most so many windows: with times within two days, otherwise
// with dates.
func timeTicks(windows []drift.WindowSummary, most int) (ticks []plot.Tick) {
	const twoDays = 2 * 24 * 3600 // s
	format := "15:04"
	if windows[len(windows)-1].To-windows[0].To > twoDays {
		format = "2 Jan"
	}
	every := (len(windows) + most - 1) / most
	for i := (len(windows) - 1) % every; i < len(windows); i += every {
		ticks = append(ticks, plot.Tick{Value: float64(i), Label: time.Unix(int64(windows[i].To), 0).UTC().Format(format)})
	}
	return ticks
}

// utc shows a time of the log.
func utc(unix float64) template.HTML {
	t := time.UnixMilli(int64(math.Round(unix * 1000))).UTC()
	exact, shown := t.Format(time.RFC3339), t.Format("2 Jan 2006 15:04 UTC")
	return template.HTML(fmt.Sprintf(`<time datetime="%s">%s</time>`, exact, shown))
}

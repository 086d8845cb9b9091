package report

import (
	"cmp"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"churn/internal/drift"
	"churn/internal/metric"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
)

// A Drift is what the page about a window of the log shows. Its fields are those
// of the JSON that drift prints.
type Drift struct {
	Verdict      drift.Level
	Records      int
	ModelRecords int    // answered by the current model
	Model        string // the current one; "" without any
	ZThreshold   float64
	Lab          []drift.Lab
	Checks       []drift.Check
	Columns      []drift.Distribution
	Windows      []drift.Outcome // the oldest first
	Quality      *Quality        // nil without a model
	Warnings     []string
}

// A Quality is what a model's answers are worth.
type Quality struct {
	Reason   string // why nothing can be expected; "" if it can
	Rows     int    // answers of the window
	Figures  []QualityFigure
	Labelled *Labelled // nil without outcomes
}

// Labelled is what became of the customers whose outcome is known.
type Labelled struct {
	File                            string
	Outcomes, Rows, Others, Unknown int
	Reason                          string // why nothing can be said; "" if it can
	Figures                         []QualityFigure
}

// A QualityFigure is a figure when the model was trained, and now.
type QualityFigure struct {
	Name     string
	Test     float64
	Expected *metric.Estimate // nil if there is none
	Realised *float64         // nil if there is none
}

// WriteDrift writes the page.
func WriteDrift(w io.Writer, d Drift) error {
	view := driftView{Drift: d}
	for _, c := range d.Columns {
		section, err := newColumnView(c, d)
		if err != nil {
			return err
		}
		view.Sections = append(view.Sections, section)
		if section.Level != drift.OK {
			view.Findings = append(view.Findings, section)
		}
	}
	gravest := func(a, b columnView) int { return cmp.Compare(gravity(b.Level), gravity(a.Level)) }
	slices.SortStableFunc(view.Sections, gravest)
	slices.SortStableFunc(view.Findings, gravest)
	if len(d.Windows) > 1 {
		var err error
		if view.Moved, err = windowsPlot(d.Windows, full); err != nil {
			return err
		}
		if view.MovedNarrow, err = windowsPlot(d.Windows, half); err != nil {
			return err
		}
	}
	return write(w, "drift.html", view)
}

func gravity(l drift.Level) int {
	return slices.Index([]drift.Level{drift.OK, drift.Watch, drift.Alert}, l)
}

// driftView is what the template sees.
type driftView struct {
	Drift
	Sections []columnView // the gravest first
	Findings []columnView // those that are not ok
	Moved    template.HTML

	MovedNarrow template.HTML // the same for a phone
}

// First and Last return the ends of the windows.
func (v driftView) First() drift.Outcome { return v.Windows[0] }
func (v driftView) Last() drift.Outcome  { return v.Windows[len(v.Windows)-1] }

// columnView is a column's section.
type columnView struct {
	drift.Distribution
	ID     string
	Level  drift.Level
	Lab    *drift.Lab
	Checks []drift.Check
	Plot   template.HTML // numbers
	Bars   []levelBar    // categories
	More   bool          // there are rarer levels than those
}

// A levelBar is a level's shares.
type levelBar struct {
	Name            string
	Reference, Live float64
}

func newColumnView(c drift.Distribution, d Drift) (columnView, error) {
	v := columnView{Distribution: c, ID: fmt.Sprintf("column-%d", slices.IndexFunc(d.Columns, func(o drift.Distribution) bool { return o.Column == c.Column })), Level: drift.OK}
	for _, check := range d.Checks {
		if check.Column == c.Column {
			v.Checks = append(v.Checks, check)
			if gravity(check.Level) > gravity(v.Level) {
				v.Level = check.Level
			}
		}
	}
	for i := range d.Lab {
		if d.Lab[i].Column == c.Column {
			v.Lab = &d.Lab[i]
			if v.Lab.Alert {
				v.Level = drift.Alert
			}
		}
	}
	if c.Levels != nil {
		v.levelBars()
		return v, nil
	}
	var err error
	v.Plot, err = binsPlot(c)
	return v, err
}

// mostBars levels are shown each for itself.
const mostBars = 12

// levelBars picks the levels to show: the most frequent on either side.
func (v *columnView) levelBars() {
	order := make([]int, len(v.Levels))
	for i := range order {
		order[i] = i
	}
	size := func(i int) float64 { return max(v.Reference.Shares[i], v.Live.Shares[i]) }
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(size(b), size(a)) })
	if v.More = len(order) > mostBars; v.More {
		order = order[:mostBars]
	}
	for _, i := range order {
		v.Bars = append(v.Bars, levelBar{v.Levels[i], v.Reference.Shares[i], v.Live.Shares[i]})
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

// widths are the lengths of a level's bars in percent of a row.
type widths struct{ Reference, Live float64 }

func scaled(b levelBar, longest float64) widths {
	if longest == 0 {
		return widths{}
	}
	return widths{100 * b.Reference / longest, 100 * b.Live / longest}
}

// binsPlot draws the shares of the bins, all equally wide, since in training
// about as many rows were in each: the reference as bars, the live rows as a line
// of steps over it.
func binsPlot(c drift.Distribution) (template.HTML, error) {
	p := newPlot("", "")
	var reference []bar
	var steps plotter.XYs
	top := 0.0
	for i := range c.Reference.Shares {
		left, right := float64(i), float64(i+1)
		reference = append(reference, bar{left, right, 0, c.Reference.Shares[i]})
		steps = append(steps, plotter.XY{X: left, Y: c.Live.Shares[i]}, plotter.XY{X: right, Y: c.Live.Shares[i]})
		top = max(top, c.Reference.Shares[i], c.Live.Shares[i])
	}
	bars(p, inkOther, inkSoft, reference)
	line(p, inkMain, false, steps)
	p.X.Min, p.X.Max = 0, float64(len(reference))
	p.Y.Min, p.Y.Max = 0, max(1.05*top, 0.01)
	p.Y.Tick.Marker = plot.TickerFunc(percentTicks)
	p.X.Tick.Marker = plot.ConstantTicks(cutTicks(c.Cuts))
	return svg(p, half, "shares of the bins of "+c.Column+", in training and live")
}

// cutTicks labels the borders between bins, as many as there is room for.
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

// short writes a number with three digits for an axis.
func short(x float64) string {
	size := math.Abs(x)
	switch {
	case size >= 1e9:
		return minus(fmt.Sprintf("%.3g", x))
	case size >= 1e6:
		return minus(fmt.Sprintf("%.3g M", x/1e6))
	case size >= 1e4:
		return minus(fmt.Sprintf("%.3g k", x/1e3))
	case size >= 1e3:
		return minus(strconv.FormatFloat(math.Round(x/10)*10, 'f', -1, 64))
	}
	return minus(fmt.Sprintf("%.3g", x))
}

// percentTicks labels an axis of shares from 0 with percentages.
func percentTicks(low, high float64) []plot.Tick {
	step := math.Pow10(int(math.Floor(math.Log10(high / 2))))
	for _, times := range []float64{1, 2, 5, 10} {
		if high/(step*times) <= 5 {
			step *= times
			break
		}
	}
	decimals := max(0, int(math.Ceil(-math.Log10(step*100)-1e-9)))
	var ticks []plot.Tick
	for i := 0; float64(i)*step <= high; i++ {
		ticks = append(ticks, plot.Tick{Value: float64(i) * step, Label: fmt.Sprintf("%.*f %%", decimals, 100*float64(i)*step)})
	}
	return ticks
}

// windowsPlot draws how the share of the checks that alarm moved, and beside it
// what the customers were told.
func windowsPlot(windows []drift.Outcome, s size) (template.HTML, error) {
	p := newPlot("windows, the latest at the right", "")
	var alerts []bar
	var called, probability plotter.XYs
	for i, w := range windows {
		x := float64(i)
		alerts = append(alerts, bar{x - 0.4, x + 0.4, 0, w.AlertShare})
		called = append(called, plotter.XY{X: x, Y: w.CalledShare})
		if w.MeanProbability != nil {
			probability = append(probability, plotter.XY{X: x, Y: *w.MeanProbability})
		}
	}
	bars(p, inkMain, inkMain, alerts)
	line(p, inkOther, false, called)
	line(p, inkThird, true, probability)
	p.X.Min, p.X.Max = -0.5, float64(len(windows))-0.5
	p.Y.Min, p.Y.Max = 0, 1
	p.Y.Tick.Marker = plot.TickerFunc(percentTicks)
	p.X.Tick.Marker = plot.ConstantTicks(nil)
	return svg(p, s, "share of checks that alarm, of customers called, and the mean probability, by window")
}

// utc shows a time of the log.
func utc(unix float64) template.HTML {
	t := time.UnixMilli(int64(math.Round(unix * 1000))).UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s">%s</time>`, t.Format(time.RFC3339), t.Format("2 Jan 2006 15:04 UTC")))
}

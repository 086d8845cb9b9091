package report

import (
	"html/template"
	"io"
	"math"
	"strings"

	"churn/internal/metric"
	"churn/internal/model"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// A Card is what the page of a model shows. Its fields are those of the JSON that
// evaluate prints.
type Card struct {
	ModelFile    string
	ModelSHA256  string
	Version      string
	TrainedAtUTC string
	TrainedBy    string
	Program      string // that judged it, with its version
	DataFile     string // that the figures are from
	GateF1       float64
	PassedGate   bool
	MetricsOn    string // test, out-of-fold or all
	Metrics      model.Metrics
	Curves       metric.Curves
	Champion     *model.Champion // nil: there was no other current model
	Training     model.Training
	Data         model.Data
	Coefficients []model.Coefficient
	Categories   []string // features that are categories
	Warnings     []string
}

// WriteCard writes the page.
func WriteCard(w io.Writer, c Card) error {
	view := cardView{Card: c}
	for _, draw := range []struct {
		to   *template.HTML
		plot func(Card) (template.HTML, error)
	}{
		{&view.ROC, rocPlot}, {&view.PR, prPlot}, {&view.Calibration, calibrationPlot},
		{&view.Thresholds, thresholdsPlot}, {&view.Cost, costPlot}, {&view.Histogram, histogramPlot},
	} {
		var err error
		if *draw.to, err = draw.plot(c); err != nil {
			return err
		}
	}
	view.interval()
	return write(w, "card.html", view)
}

// cardView is what the template sees.
type cardView struct {
	Card
	ROC, PR, Calibration, Thresholds, Cost, Histogram template.HTML
	Odds                                              []oddsView
	Average                                           *model.Coefficient
}

// oddsView is a coefficient with its place on the scale of the table, in percent.
type oddsView struct {
	model.Coefficient
	Feature, Level string // of a category; Feature at its first level alone
	Low, At, Width float64
	Up             bool // the chance rises
}

// interval puts the intervals of the odds ratios on one logarithmic scale, 1 in its middle.
func (v *cardView) interval() {
	const most = 100 // odds ratio at the end of the scale; what is beyond ends there
	reach := math.Log(1.25)
	for _, c := range v.Coefficients {
		if c.Name != model.AverageCustomer {
			reach = max(reach, -logOdds(c.Interval[0]), logOdds(c.Interval[1]))
		}
	}
	reach = min(reach, math.Log(most))
	place := func(odds float64) float64 { return 50 + 50*min(max(logOdds(odds)/reach, -1), 1) }
	feature := ""
	for i, c := range v.Coefficients {
		if c.Name == model.AverageCustomer {
			v.Average = &v.Coefficients[i]
			continue
		}
		low, high := place(c.Interval[0]), place(c.Interval[1])
		row := oddsView{Coefficient: c, Low: low, At: place(c.OddsRatio), Width: high - low, Up: c.OddsRatio > 1}
		if c.Per == 0 {
			row.Feature, row.Level = v.category(c.Name)
			if row.Feature == feature {
				row.Feature = ""
			} else {
				feature = row.Feature
			}
		}
		v.Odds = append(v.Odds, row)
	}
}

// category divides the name of a level's coefficient into the feature and the level.
func (v *cardView) category(name string) (feature, level string) {
	for _, f := range v.Categories {
		if rest, ok := strings.CutPrefix(name, f+"="); ok && len(f) > len(feature) {
			feature, level = f, rest
		}
	}
	return feature, level
}

// Rival returns the figures of the current model, if they can be compared.
func (v cardView) Rival() *model.Metrics {
	if v.Champion == nil || !v.Champion.Comparable {
		return nil
	}
	return v.Champion.Metrics
}

// GateDecimals returns how many decimals F1 needs so that it is seen on which side
// of the gate it is: four, but for one that would look the same.
func (v cardView) GateDecimals() int {
	decimals := 4
	for ; decimals < 15; decimals++ {
		unit := math.Pow10(-decimals)
		if math.Round(v.Metrics.F1/unit) != math.Round(v.GateF1/unit) || v.Metrics.F1 == v.GateF1 {
			break
		}
	}
	return decimals
}

// A figureRow is a figure of both models.
type figureRow struct {
	Name       string
	Own, Rival float64
}

// FigureRows returns the figures that have one number each.
func (v cardView) FigureRows() []figureRow {
	own, rival := v.Metrics, model.Metrics{}
	if r := v.Rival(); r != nil {
		rival = *r
	}
	rows := []figureRow{
		{"F1", own.F1, rival.F1},
		{"F1 at 0.5", own.F1AtHalf, rival.F1AtHalf},
		{"precision", own.Precision, rival.Precision},
		{"recall", own.Recall, rival.Recall},
		{"accuracy", own.Accuracy, rival.Accuracy},
		{"ROC AUC", own.ROCAUC, rival.ROCAUC},
		{"average precision", own.AveragePrecision, rival.AveragePrecision},
		{"log loss", own.LogLoss, rival.LogLoss},
		{"Brier score", own.Brier, rival.Brier},
		{"threshold", own.Threshold, rival.Threshold},
	}
	return rows
}

// logOdds is the logarithm of an odds ratio, of 0 too, which is one that underflowed.
func logOdds(x float64) float64 { return math.Log(max(x, math.SmallestNonzeroFloat64)) }

// odds shows an odds ratio.
func odds(x float64) template.HTML {
	switch {
	case x >= 1e5:
		return datum(x, "&gt; 100,000")
	case x < 1e-3:
		return datum(x, "&lt; 0.001")
	case x >= 100:
		return number(x, 0)
	}
	return number(x, max(0, 2-int(math.Floor(math.Log10(x)))))
}

func rocPlot(c Card) (template.HTML, error) {
	p := newPlot("stayed, yet called", "left, and called")
	shares(&p.X, &p.Y)
	line(p, inkThird, true, plotter.XYs{{X: 0, Y: 0}, {X: 1, Y: 1}})
	var points plotter.XYs
	for _, at := range c.Curves.ROC {
		points = append(points, plotter.XY{X: at.FPR, Y: at.TPR})
	}
	line(p, inkMain, false, points)
	m := c.Metrics.Confusion
	if m.FP+m.TN > 0 {
		mark(p, inkText, plotter.XY{X: float64(m.FP) / float64(m.FP+m.TN), Y: c.Metrics.Recall})
	}
	return svg(p, half, "ROC curve: share of leavers called against share of stayers called")
}

func prPlot(c Card) (template.HTML, error) {
	p := newPlot("recall: leavers that are called", "precision: of the called, leavers")
	shares(&p.X, &p.Y)
	base := float64(c.Metrics.Positives) / float64(c.Metrics.Rows)
	line(p, inkThird, true, plotter.XYs{{X: 0, Y: base}, {X: 1, Y: base}})
	var points plotter.XYs
	for _, at := range c.Curves.PR {
		points = append(points, plotter.XY{X: at.Recall, Y: at.Precision})
	}
	line(p, inkMain, false, points)
	mark(p, inkText, plotter.XY{X: c.Metrics.Recall, Y: c.Metrics.Precision})
	return svg(p, half, "precision against recall")
}

func calibrationPlot(c Card) (template.HTML, error) {
	p := newPlot("predicted", "happened")
	shares(&p.X, &p.Y)
	line(p, inkThird, true, plotter.XYs{{X: 0, Y: 0}, {X: 1, Y: 1}})
	for _, bin := range c.Curves.Calibration {
		line(p, inkOther, false, plotter.XYs{{X: bin.MeanProbability, Y: bin.Interval[0]}, {X: bin.MeanProbability, Y: bin.Interval[1]}})
		mark(p, inkOther, plotter.XY{X: bin.MeanProbability, Y: bin.ObservedFrequency})
	}
	return svg(p, half, "calibration: share that left against the probability predicted")
}

func thresholdsPlot(c Card) (template.HTML, error) {
	p := newPlot("threshold", "")
	shares(&p.X, &p.Y)
	var precision, recall, f1 plotter.XYs
	for _, at := range c.Curves.Thresholds {
		if at.PredictedPositive > 0 { // else there is no precision
			precision = append(precision, plotter.XY{X: at.Threshold, Y: at.Precision})
		}
		recall = append(recall, plotter.XY{X: at.Threshold, Y: at.Recall})
		f1 = append(f1, plotter.XY{X: at.Threshold, Y: at.F1})
	}
	line(p, inkOther, false, precision)
	line(p, inkThird, true, recall)
	line(p, inkMain, false, f1)
	vertical(p, c.Metrics.Threshold)
	return svg(p, half, "precision, recall and F1 by threshold")
}

// costPlot draws the cost by threshold, if there are costs.
func costPlot(c Card) (template.HTML, error) {
	p := newPlot("threshold", "cost a customer")
	var cost plotter.XYs
	for _, at := range c.Curves.Thresholds {
		if at.Cost != nil {
			cost = append(cost, plotter.XY{X: at.Threshold, Y: *at.Cost})
		}
	}
	if cost == nil {
		return "", nil
	}
	line(p, inkMain, false, cost)
	top := p.Y.Max
	shares(&p.X)
	p.Y.Min, p.Y.Max = 0, max(1.05*top, 1e-9)
	vertical(p, c.Metrics.Threshold)
	return svg(p, half, "cost a customer by threshold")
}

// vertical marks a threshold on the x axis.
func vertical(p *plot.Plot, x float64) {
	if x <= 1 { // one above calls nobody
		l := &plotter.Line{XYs: plotter.XYs{{X: x, Y: p.Y.Min}, {X: x, Y: p.Y.Max}}}
		l.LineStyle = draw.LineStyle{Color: inkText, Width: 1, Dashes: []vg.Length{2, 2}}
		p.Add(l)
	}
}

func histogramPlot(c Card) (template.HTML, error) {
	p := newPlot("probability", "customers")
	var stayed, left []bar
	top := 1
	for _, bin := range c.Curves.Histogram {
		middle := (bin.From + bin.To) / 2
		stayed = append(stayed, bar{bin.From, middle, 0, float64(bin.Negatives)})
		left = append(left, bar{middle, bin.To, 0, float64(bin.Positives)})
		top = max(top, bin.Negatives, bin.Positives)
	}
	bars(p, inkOther, inkSoft, stayed)
	bars(p, inkMain, inkMain, left)
	shares(&p.X)
	p.Y.Min, p.Y.Max = 0, 1.05*float64(top)
	p.Y.Tick.Marker = plot.TickerFunc(countTicks)
	vertical(p, c.Metrics.Threshold)
	return svg(p, half, "customers by probability, those who stayed and those who left")
}

// countTicks labels an axis of counts from 0.
func countTicks(_, high float64) []plot.Tick {
	step := max(1, math.Pow10(int(math.Floor(math.Log10(max(high, 1)/2)))))
	for _, times := range []float64{1, 2, 5, 10} {
		if high/(step*times) <= 5 {
			step *= times
			break
		}
	}
	var ticks []plot.Tick
	for at := 0.0; at <= high; at += step {
		ticks = append(ticks, plot.Tick{Value: at, Label: short(at)})
	}
	return ticks
}

package report

import (
	"fmt"
	"html/template"
	"slices"

	"churn/internal/metric"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// A chart is a drawing on the card, with its title and what explains it.
type chart struct {
	Title   string
	Legend  []legend
	Caption template.HTML

	plot *plot.Plot
	alt  string // for those who do not see the drawing
}

// A legend explains a line or an area; Class is one of .k in style.css.
type legend struct{ Class, Text string }

// SVG returns the drawing.
func (c chart) SVG() template.HTML { return svg(c.plot, half, c.alt) }

// Charts returns the charts of the card's first section.
func (c Card) Charts() []chart {
	all := []chart{rocChart(c), prChart(c), thresholdsChart(c)}
	if c.Metrics.CostPerCustomer != nil {
		all = append(all, costChart(c))
	}
	return append(all, histogramChart(c))
}

// caption formats numbers that are elements of the page already.
func caption(format string, args ...any) template.HTML {
	return template.HTML(fmt.Sprintf(format, args...))
}

// dot says what the dot on a curve is.
func (c Card) dot() string {
	if c.MetricsOn == "out-of-fold" {
		return "the predictions, each fold at its own threshold"
	}
	return "the threshold"
}

// points returns the points of a curve.
func points[T any](list []T, at func(T) (x, y float64)) plotter.XYs {
	out := make(plotter.XYs, len(list))
	for i, each := range list {
		out[i].X, out[i].Y = at(each)
	}
	return out
}

func rocChart(c Card) chart {
	p := newPlot("false positive rate", "true positive rate")
	shares(&p.X, &p.Y)
	line(p, inkThird, true, plotter.XYs{{X: 0, Y: 0}, {X: 1, Y: 1}})
	line(p, inkMain, false, points(c.Curves.ROC, func(at metric.ROCPoint) (x, y float64) { return at.FPR, at.TPR }))
	if m := c.Metrics.Confusion; m.FP+m.TN > 0 {
		mark(p, inkText, plotter.XY{X: float64(m.FP) / float64(m.FP+m.TN), Y: c.Metrics.Recall})
	}
	return chart{
		Title: "ROC", plot: p, alt: "ROC curve: true positive rate against false positive rate",
		Caption: caption("The area under the curve is %s; the dashed line is chance, the dot %s.",
			number(c.Metrics.ROCAUC, metric.Decimals(c.Metrics.Intervals.ROCAUC)), c.dot()),
	}
}

func prChart(c Card) chart {
	p := newPlot("recall", "precision")
	shares(&p.X, &p.Y)
	base := float64(c.Metrics.Positives) / float64(c.Metrics.Rows)
	line(p, inkThird, true, plotter.XYs{{X: 0, Y: base}, {X: 1, Y: base}})
	line(p, inkMain, false, points(c.Curves.PR, func(at metric.PRPoint) (x, y float64) { return at.Recall, at.Precision }))
	mark(p, inkText, plotter.XY{X: c.Metrics.Recall, Y: c.Metrics.Precision})
	return chart{
		Title: "Precision and recall", plot: p, alt: "precision against recall",
		Caption: caption("Average precision %s; the dashed line is the always-positive baseline, the dot %s.",
			number(c.Metrics.AveragePrecision, metric.MeanDecimals(0.5, c.Metrics.Rows)), c.dot()),
	}
}

func thresholdsChart(c Card) chart {
	p := newPlot("threshold", "")
	shares(&p.X, &p.Y)
	defined := slices.DeleteFunc(slices.Clone(c.Curves.Thresholds), func(at metric.ThresholdMetrics) bool {
		return at.PredictedPositive == 0 // there is no precision
	})
	type at = metric.ThresholdMetrics
	line(p, inkOther, false, points(defined, func(t at) (x, y float64) { return t.Threshold, t.Precision }))
	line(p, inkThird, true, points(c.Curves.Thresholds, func(t at) (x, y float64) { return t.Threshold, t.Recall }))
	line(p, inkMain, false, points(c.Curves.Thresholds, func(t at) (x, y float64) { return t.Threshold, t.F1 }))
	vertical(p, c.Metrics.Threshold)
	return chart{
		Title: "By threshold", plot: p, alt: "precision, recall and F1 by threshold",
		Legend:  []legend{{"main", "F1"}, {"other", "precision"}, {"third", "recall"}},
		Caption: caption("The vertical line is the model’s threshold, %s.", number(c.Metrics.Threshold, 3)),
	}
}

func costChart(c Card) chart {
	p := newPlot("threshold", "cost per customer")
	type at = metric.ThresholdMetrics
	line(p, inkMain, false, points(c.Curves.Thresholds, func(t at) (x, y float64) { return t.Threshold, *t.Cost }))
	top := p.Y.Max
	shares(&p.X)
	p.Y.Min, p.Y.Max = 0, max(1.05*top, 1e-9)
	vertical(p, c.Metrics.Threshold)
	return chart{
		Title: "Cost", plot: p, alt: "cost per customer by threshold",
		Caption: caption("With %s per false positive and %s per false negative, the predictions cost %s per customer.",
			significant(c.Training.CostFP, 6), significant(c.Training.CostFN, 6), significant(*c.Metrics.CostPerCustomer, 4)),
	}
}

func histogramChart(c Card) chart {
	p := newPlot("predicted probability", "customers")
	var negatives, positives []bar
	top := 1
	for _, bin := range c.Curves.Histogram {
		middle := (bin.From + bin.To) / 2
		negatives = append(negatives, bar{bin.From, middle, float64(bin.Negatives)})
		positives = append(positives, bar{middle, bin.To, float64(bin.Positives)})
		top = max(top, bin.Negatives, bin.Positives)
	}
	bars(p, inkOther, inkSoft, negatives)
	bars(p, inkMain, inkMain, positives)
	shares(&p.X)
	p.Y.Min, p.Y.Max = 0, 1.05*float64(top)
	p.Y.Tick.Marker = plot.TickerFunc(countTicks)
	vertical(p, c.Metrics.Threshold)
	return chart{
		Title: "Predicted probabilities", plot: p, alt: "customers by predicted probability, churners and non-churners",
		Legend:  []legend{{"soft", "non-churners"}, {"main", "churners"}},
		Caption: "Those right of the vertical line are predicted positive.",
	}
}

// ActionCharts returns the charts of what to do.
func (c Card) ActionCharts() []chart {
	if len(c.Curves.Gains) == 0 {
		return nil
	}
	gain := newPlot("fraction of the customers called", "fraction of the churners found")
	shares(&gain.X, &gain.Y)
	line(gain, inkThird, true, plotter.XYs{{X: 0, Y: 0}, {X: 1, Y: 1}})
	at := func(g metric.Gain) (x, y float64) { return g.Called, g.Gain.Value }
	line(gain, inkMain, false, append(plotter.XYs{{}}, points(c.Curves.Gains, at)...))
	first := c.Curves.Gains[0]
	charts := []chart{{
		Title: "Cumulative gain", plot: gain, alt: "fraction of the churners found by fraction of the customers called",
		Caption: caption("The first %s of the customers have %s of the churners; the dashed line is calling at random.",
			percent(first.Called, 0), percent(first.Gain.Value, 0)),
	}}
	if p := c.Profit; p != nil {
		profit := newPlot("fraction of the customers called", "profit per customer")
		at := func(x metric.ProfitPoint) (float64, float64) { return x.Called, x.Profit }
		line(profit, inkMain, false, points(p.Curve, at))
		low, high := profit.Y.Min, max(profit.Y.Max, 1e-9)
		shares(&profit.X)
		profit.Y.Min, profit.Y.Max = low, high+(high-low)/20
		line(profit, inkThird, true, plotter.XYs{{X: p.Called, Y: low}, {X: p.Called, Y: p.Maximum.Value}})
		charts = append(charts, chart{
			Title: "Profit", plot: profit, alt: "profit per customer by fraction of the customers called",
			Caption: caption("With a value of %s, costs of %s a call and %s an offer and a success rate of %s: at most %s per "+
				"customer (%s to %s at 95 %%, of this threshold), calling %s from a probability of %s; "+
				"%s at the model’s threshold, %s calling everybody. "+
				"The expected maximum profit over success rates around that one is %s, calling %s.",
				significant(p.Value, 6), significant(p.CostContact, 6), significant(p.CostOffer, 6), significant(p.SuccessRate, 6),
				significant(p.Maximum.Value, 3),
				significant(p.Maximum.Interval[0], 3), significant(p.Maximum.Interval[1], 3),
				percent(p.Called, 0), significant(p.Threshold, 3), significant(p.AtOwn, 3), significant(p.AtAll, 3),
				significant(p.Expected, 3), percent(p.ExpectedCalled, 0)),
		})
	}
	return charts
}

// Calibration returns the chart of the card's second section.
func (c Card) Calibration() chart {
	p := newPlot("predicted probability", "observed frequency")
	shares(&p.X, &p.Y)
	line(p, inkThird, true, plotter.XYs{{X: 0, Y: 0}, {X: 1, Y: 1}})
	for _, bin := range c.Curves.Calibration {
		x := bin.MeanProbability
		line(p, inkOther, false, plotter.XYs{{X: x, Y: bin.Interval[0]}, {X: x, Y: bin.Interval[1]}})
		mark(p, inkOther, plotter.XY{X: x, Y: bin.ObservedFrequency})
	}
	return chart{
		plot: p, alt: "calibration: observed frequency against predicted probability",
		Caption: caption("The dashed line is perfect calibration, the bars are 95 %% intervals; the expected error is %s.",
			number(c.Curves.CalibrationError, 3)),
	}
}

// vertical marks a threshold on the x axis.
func vertical(p *plot.Plot, x float64) {
	if x <= 1 { // with one above 1 nobody is predicted positive
		style := draw.LineStyle{Color: inkText, Width: 1, Dashes: []vg.Length{2, 2}}
		p.Add(&plotter.Line{XYs: plotter.XYs{{X: x, Y: p.Y.Min}, {X: x, Y: p.Y.Max}}, LineStyle: style})
	}
}

package report

import (
	"cmp"
	"html/template"
	"math"

	"churn/internal/metric"
	"churn/internal/model"
)

// A Card is what the page of a model shows.
type Card struct {
	Model    *model.Model
	Program  string // that evaluated it, with its version
	DataFile string // that the metrics are from
	model.Assessment
}

// CardPage returns the page of a model.
func CardPage(c Card) ([]byte, error) {
	view := cardView{Card: c}
	view.addOdds()
	view.addTerms()
	return fill("card.html", view)
}

// cardView is what the template sees.
type cardView struct {
	Card
	Odds    []oddsView
	Average *model.Coefficient
	Terms   []termView     // in the order of importance
	Rest    []model.Effect // less important ones
}

// oddsView is a coefficient with its place on the scale of the table, in percent.
type oddsView struct {
	model.Coefficient
	Of, Level      string // the feature, and a category's level
	Feature        string // Of, at a category's first level alone
	Low, At, Width float64
	Up             bool // the odds rise
}

// addOdds fills in Odds and Average. The intervals of the odds ratios are on one
// logarithmic scale, 1 in its middle.
func (v *cardView) addOdds() {
	const most = 100 // largest odds ratio on the scale; larger ones are drawn at its end
	limit := math.Log(1.25)
	for _, c := range v.Coefficients {
		if c.Name != model.AverageCustomer {
			limit = max(limit, -logOdds(c.Interval[0]), logOdds(c.Interval[1]))
		}
	}
	limit = min(limit, math.Log(most))
	place := func(odds float64) float64 { return 50 + 50*min(max(logOdds(odds)/limit, -1), 1) }
	feature := ""
	for i, c := range v.Coefficients {
		if c.Name == model.AverageCustomer {
			v.Average = &v.Coefficients[i]
			continue
		}
		low, high := place(c.Interval[0]), place(c.Interval[1])
		row := oddsView{Coefficient: c, Of: c.Name, Low: low, At: place(c.OddsRatio), Width: high - low, Up: c.OddsRatio > 1}
		if c.Per == 0 {
			if row.Of, row.Level = v.category(c.Name); row.Of != feature {
				row.Feature, feature = row.Of, row.Of
			}
		}
		v.Odds = append(v.Odds, row)
	}
}

// category divides the name of a level's coefficient into the feature and the level.
func (v *cardView) category(name string) (feature, level string) {
	for at, c := range name {
		if c == '=' && v.Model.Encoder.Levels[name[:at]] != nil {
			feature, level = name[:at], name[at+1:] // the longest
		}
	}
	return feature, level
}

// Class returns the style of the word for a difference.
func (v cardView) Class(d metric.F1Difference) string {
	return cmp.Or(map[string]string{metric.Better: "good", metric.Worse: "bad"}[d.Verdict], "watch")
}

// Digits returns how many decimals the metrics deserve that have no interval: that of a rate of so
// many customers is at most 1/√n to either side.
func (v cardView) Digits() int { return metric.MeanDecimals(0.5, v.Metrics.Rows) }

// Comparable reports whether there are metrics of the current model on the same rows.
func (v cardView) Comparable() bool { return v.Champion != nil && v.Champion.Comparable }

// A metricRow is a metric of both models.
type metricRow struct {
	Name         string
	Own, Current float64
}

// MetricRows returns the table of metrics; Current is to be shown only if the models are
// comparable.
func (v cardView) MetricRows() []metricRow {
	own, current := v.Metrics, model.Metrics{}
	if v.Comparable() {
		current = *v.Champion.Metrics
	}
	return []metricRow{
		{"F1", own.F1, current.F1},
		{"F1 at 0.5", own.F1AtHalf, current.F1AtHalf},
		{"precision", own.Precision, current.Precision},
		{"recall", own.Recall, current.Recall},
		{"accuracy", own.Accuracy, current.Accuracy},
		{"ROC AUC", own.ROCAUC, current.ROCAUC},
		{"average precision", own.AveragePrecision, current.AveragePrecision},
		{"log loss", own.LogLoss, current.LogLoss},
		{"Brier score", own.Brier, current.Brier},
	}
}

// logOdds is the logarithm of an odds ratio; one that underflowed to 0 has one too.
func logOdds(x float64) float64 { return math.Log(max(x, math.SmallestNonzeroFloat64)) }

// odds shows an odds ratio, or an end of its interval, with the decimals that the interval deserves.
func odds(x float64, interval [2]float64) template.HTML {
	switch {
	case x >= 1e5:
		return datum(x, "&gt; 100,000")
	case x < 1e-3:
		return datum(x, "&lt; 0.001")
	}
	return number(x, max(metric.Decimals(interval), -int(math.Floor(math.Log10(x)))))
}

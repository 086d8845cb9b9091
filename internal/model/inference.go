package model

import (
	"context"
	"math"

	"churn/internal/dataset"
	"churn/internal/logreg"

	"gonum.org/v1/gonum/mat"
)

// A Coefficient is an effect on the log-odds with its standard error. A number's is that
// of one standard deviation more. Without a dropped level only differences between the
// levels of a feature are identified, so a level's is the contrast with the feature's
// mean over the training rows. Neither these nor the average customer's log-odds are
// the weights and the intercept of the document, which depend on the encoder.
type Coefficient struct {
	Name      string     `json:"name"`
	Per       float64    `json:"per,omitzero"` // numbers: one standard deviation, in the column's unit
	Estimate  float64    `json:"estimate"`     // change of the log-odds
	StdError  float64    `json:"std_error"`
	Z         float64    `json:"z"`
	P         float64    `json:"p"` // two-sided
	OddsRatio float64    `json:"odds_ratio"`
	Interval  [2]float64 `json:"odds_ratio_95"`
}

// AverageCustomer is the name of the coefficient that is the log-odds of a
// customer with the mean of everything.
const AverageCustomer = "(average customer)"

// infer fills m.Coefficients: from the inverse Hessian, or from the sandwich with the
// score covariance if the classes are weighted.
func (m *Model) infer(ctx context.Context, rows Source, f *fit, moments *moments) error {
	var scoreCov *logreg.Sums
	if m.Training.ClassWeight == WeightBalanced {
		var err error
		if scoreCov, err = rows.ScoreCovariance(ctx, f.design, m.weights); err != nil {
			return err
		}
	}
	cov, err := logreg.Covariance(f.fitted.Sums, m.Training.C, m.Encoder.penalty, scoreCov)
	if err != nil {
		return err
	}
	n := len(m.weights)
	contrast := mat.NewVecDense(n, nil) // of the weights, of which the estimate is
	add := func(c Coefficient) {
		c.Estimate = mat.Dot(contrast, mat.NewVecDense(n, m.weights))
		c.StdError = math.Sqrt(max(0, mat.Inner(contrast, cov, contrast)))
		c.P = 1
		if c.StdError > 0 {
			c.Z = c.Estimate / c.StdError
			c.P = math.Erfc(math.Abs(c.Z) / math.Sqrt2)
		}
		c.OddsRatio = odds(c.Estimate)
		const z95 = 1.959963984540054 // 97.5 % quantile of the normal
		c.Interval = [2]float64{odds(c.Estimate - z95*c.StdError), odds(c.Estimate + z95*c.StdError)}
		m.Coefficients = append(m.Coefficients, c)
	}
	for j, f := range m.Schema.Features {
		if b := &m.Encoder.bases[j]; b.line {
			contrast.Zero()
			contrast.SetVec(m.Encoder.first(j), 1)
			add(Coefficient{Name: f.Name, Per: b.scaling.Std})
		}
	}
	average := mat.NewVecDense(n, nil) // shares of all levels, and 1 for the intercept
	average.SetVec(n-1, 1)
	for _, share := range m.Encoder.shares(f.described) {
		mean := mat.NewVecDense(n, share)
		average.AddVec(average, mean)
		for k, s := range share {
			if s > 0 {
				contrast.ScaleVec(-1, mean)
				contrast.SetVec(k, contrast.AtVec(k)+1)
				add(Coefficient{Name: m.Encoder.names[k]})
			}
		}
	}
	contrast.CopyVec(average)
	if moments != nil {
		contrast.CopyVec(mat.NewVecDense(n, moments.means))
	}
	add(Coefficient{Name: AverageCustomer})
	return nil
}

// odds returns exp(x), or the largest number where that overflows: JSON has no infinity.
func odds(x float64) float64 { return min(math.Exp(x), math.MaxFloat64) }

// shares returns for each category the share of the rows that have each weight on.
func (e *Encoder) shares(d *dataset.Description) [][]float64 {
	var all [][]float64
	for j := range e.schema.Features {
		if e.schema.Features[j].Type != dataset.Category {
			continue
		}
		s, b, first := &d.Columns[j], &e.bases[j], e.first(j)
		share := make([]float64, e.Width()+1)
		for level, n := range s.Levels {
			share[first+int(b.level[level])] = float64(n) / float64(d.Rows)
		}
		if b.missing >= 0 {
			share[first+int(b.missing)] = float64(s.Missing) / float64(d.Rows)
		}
		all = append(all, share)
	}
	return all
}

package model

import (
	"context"

	"churn/internal/dataset"
	"churn/internal/metric"
)

// Figures judge a model on rows that it was not fitted to.
type Figures struct {
	Rows      int              `json:"rows"`
	Positives int              `json:"positives"`
	Threshold float64          `json:"threshold"` // at which the answers were counted
	Confusion metric.Confusion `json:"confusion"`

	Accuracy         float64 `json:"accuracy"`
	Precision        float64 `json:"precision"`
	Recall           float64 `json:"recall"`
	F1               float64 `json:"f1"`
	F1AtHalf         float64 `json:"f1_threshold_05"`
	ROCAUC           float64 `json:"roc_auc"`
	AveragePrecision float64 `json:"average_precision"`
	LogLoss          float64 `json:"log_loss"`
	Brier            float64 `json:"brier"`

	// What a constant answer reaches on the same rows.
	BaselineF1       float64  `json:"baseline_f1"`                // no to everyone: 0 whatever the rows
	BaselineF1All    float64  `json:"baseline_f1_always_1"`       // yes to everyone
	BaselineAccuracy float64  `json:"baseline_accuracy"`          // the more frequent class
	CostPerCustomer  *float64 `json:"cost_per_customer,omitzero"` // with the costs of Options
}

// Judge computes the figures of probabilities against the truth, at one threshold.
func Judge(probabilities []float64, positive []bool, threshold float64) Figures {
	return judge(probabilities, positive, metric.Confuse(probabilities, positive, threshold), threshold)
}

// judge is Judge for answers that were counted already.
func judge(probabilities []float64, positive []bool, c metric.Confusion, threshold float64) Figures {
	n, positives := len(positive), c.TP+c.FN
	all := metric.Confusion{TP: positives, FP: n - positives}
	none := metric.Confusion{FN: positives, TN: n - positives}
	ranking := metric.Rank(probabilities, positive)
	return Figures{
		Rows: n, Positives: positives, Threshold: threshold, Confusion: c,
		Accuracy: c.Accuracy(), Precision: c.Precision(), Recall: c.Recall(), F1: c.F1(),
		F1AtHalf:         metric.Confuse(probabilities, positive, 0.5).F1(),
		ROCAUC:           ranking.AUC(),
		AveragePrecision: ranking.AveragePrecision(),
		LogLoss:          metric.LogLoss(probabilities, positive),
		Brier:            metric.Brier(probabilities, positive),
		BaselineF1:       none.F1(), BaselineF1All: all.F1(),
		BaselineAccuracy: max(all.Accuracy(), none.Accuracy()),
	}
}

// Passed tells whether the figures pass a gate: F1 at least gateF1, and at least
// that of answering no to everyone.
func (f Figures) Passed(gateF1 float64) bool { return f.F1 >= gateF1 && f.F1 >= f.BaselineF1 }

// Judge computes the model's figures on rows of a table of its schema, at its own threshold.
func (m *Model) Judge(ctx context.Context, t *dataset.Table, rows []int32) (Figures, error) {
	p, err := m.Encoder.Rows(t, rows).Probabilities(ctx, m.weights)
	if err != nil {
		return Figures{}, err
	}
	f := Judge(p, pick(t.Positive, rows), m.Threshold)
	m.addCost(&f)
	return f, nil
}

// addCost fills in what the answers cost, if the threshold was picked for that.
func (m *Model) addCost(f *Figures) {
	if m.Training.Tune == TuneCost {
		o := Options{CostFP: m.Training.CostFP, CostFN: m.Training.CostFN}
		cost := o.cost(f.Confusion) / float64(f.Rows)
		f.CostPerCustomer = &cost
	}
}

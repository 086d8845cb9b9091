package model

import "churn/internal/metric"

// Rows that figures are on.
const (
	OnTest  = "test"        // held out from the fit
	OnFolds = "out-of-fold" // all, each with the probability of a model that was not fitted to it
	OnAll   = "all"         // all of a file, whether the model was fitted to them or not
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
	c := metric.ConfusionAt(probabilities, positive, threshold)
	return figures(counted(probabilities, positive), c, threshold)
}

// counts are probabilities and labels as far as they were ranked and added up already.
type counts struct {
	ranking        metric.Ranking
	atHalf         metric.Confusion // the answers at a threshold of 0.5
	logLoss, brier float64
}

func counted(p []float64, y []bool) counts {
	return counts{metric.Rank(p, y), metric.ConfusionAt(p, y, 0.5), metric.LogLoss(p, y), metric.Brier(p, y)}
}

// figures is Judge for what was counted, and the answers c.
func figures(n counts, c metric.Confusion, threshold float64) Figures {
	positives, negatives := c.TP+c.FN, c.FP+c.TN
	all := metric.Confusion{TP: positives, FP: negatives}
	none := metric.Confusion{FN: positives, TN: negatives}
	return Figures{
		Rows: positives + negatives, Positives: positives, Threshold: threshold, Confusion: c,
		Accuracy: c.Accuracy(), Precision: c.Precision(), Recall: c.Recall(), F1: c.F1(),
		F1AtHalf:         n.atHalf.F1(),
		ROCAUC:           n.ranking.AUC(),
		AveragePrecision: n.ranking.AveragePrecision(),
		LogLoss:          n.logLoss,
		Brier:            n.brier,
		BaselineF1:       none.F1(), BaselineF1All: all.F1(),
		BaselineAccuracy: max(all.Accuracy(), none.Accuracy()),
	}
}

// Passed tells whether the figures pass a gate: F1 at least gateF1, and at least
// that of answering no to everyone.
func (f Figures) Passed(gateF1 float64) bool { return f.F1 >= gateF1 && f.F1 >= f.BaselineF1 }

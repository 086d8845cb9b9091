package metric

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// A Campaign is an offer to those called: what it costs and brings, per customer.
type Campaign struct {
	Value       float64 `json:"value"`        // of a churner who is kept
	CostContact float64 `json:"cost_contact"` // of each call
	CostOffer   float64 `json:"cost_offer"`   // of the offer, to those who accept it: every non-churner does
	SuccessRate float64 `json:"success_rate"` // fraction of the churners called who accept and stay, above 0 and below 1
}

// A Profit is what calling all customers above a threshold brings, per customer of all. With the success
// rate g a churner called brings g(Value−CostOffer) − CostContact, a non-churner costs CostOffer+CostContact.
// The maximum over the thresholds is the maximum profit measure of Verbeke, Dejaeger, Martens, Hur & Baesens
// (2012), "New insights into churn prediction in the telecommunication sector". Expected is the expected
// maximum profit measure of Verbraken, Verbeke & Baesens (2013), "A novel profit maximizing metric":
// ∫ max over t of profit(t; g) h(g) dg, with h the beta distribution of the mean SuccessRate and their α+β.
type Profit struct {
	Campaign
	Curve          []ProfitPoint `json:"curve"` // from nobody called to all
	Threshold      float64       `json:"threshold"`
	Called         float64       `json:"fraction"`         // called of the customers
	Maximum        Estimate      `json:"maximum"`          // the interval is that of the profit at Threshold
	AtOwn          float64       `json:"at_own_threshold"` // the model's
	AtAll          float64       `json:"at_all"`           // everybody called
	Expected       float64       `json:"expected_maximum"`
	ExpectedCalled float64       `json:"expected_fraction"` // fraction of the customers, where Expected is reached
}

// A ProfitPoint is the profit of calling a fraction of the customers.
type ProfitPoint struct {
	Called float64 `json:"fraction"`
	Profit float64 `json:"profit"`
}

// perCall is what calling a churner brings, and what calling another customer costs.
func (o Campaign) perCall() (gain, cost float64) {
	return o.SuccessRate*(o.Value-o.CostOffer) - o.CostContact, o.CostOffer + o.CostContact
}

// Calls is the profit of so many calls, if so many of those called are churners.
func (o Campaign) Calls(calls int, churners float64) float64 {
	gain, cost := o.perCall()
	return churners*gain - (float64(calls)-churners)*cost
}

const betaStrength = 20 // α+β of the success rate: 6+14 in Verbraken et al., a standard deviation of 0.10 at 0.3

// Profit returns the profit of a campaign; own are the predictions at the model's threshold.
func (r Ranking) Profit(o Campaign, own Confusion) *Profit {
	n := float64(r.rows())
	gain, cost := o.perCall()
	profit := func(c Confusion) float64 { return (float64(c.TP)*gain - float64(c.FP)*cost) / n }
	p := &Profit{Campaign: o, AtOwn: profit(own), AtAll: profit(Confusion{TP: r.positives, FP: r.negatives})}
	var best Confusion
	if p.Threshold, p.Maximum.Value = r.BestThreshold(profit); p.Maximum.Value > 0 {
		best = r.confusionsAt([]float64{p.Threshold})[0]
	} else { // nobody is called
		p.Threshold, p.Maximum.Value = math.Nextafter(1, 2), 0
	}
	p.Called = Ratio(best.TP+best.FP, r.rows())
	squares := (float64(best.TP)*gain*gain + float64(best.FP)*cost*cost) / n
	half := Z95 * math.Sqrt(max(squares-p.Maximum.Value*p.Maximum.Value, 0)/n)
	p.Maximum.Interval = [2]float64{p.Maximum.Value - half, p.Maximum.Value + half}

	curve, scale := []ProfitPoint{{}}, max(math.Abs(gain), cost)
	for _, c := range r.samples() {
		curve = append(curve, ProfitPoint{Ratio(c.TP+c.FP, r.rows()), profit(c)})
	}
	p.Curve = thinned(curve, func(p ProfitPoint) point { return point{p.Called, p.Profit / scale} })
	r.expect(p)
	return p
}

// expect fills in Expected. The best threshold for a success rate is a corner of the convex hull of the
// ROC curve, and each of its segments pays from some rate on, the later the higher.
func (r Ranking) expect(p *Profit) {
	hull := []Confusion{{}}
	for c := range r.cutoffs() {
		for k := len(hull); k > 1; k-- { // drop corners that are not above the line past them
			a, b := hull[k-2], hull[k-1]
			if float64(b.TP-a.TP)*float64(c.FP-b.FP) > float64(c.TP-b.TP)*float64(b.FP-a.FP) {
				break
			}
			hull = hull[:k-1]
		}
		hull = append(hull, c)
	}
	n, value := float64(r.rows()), p.Value-p.CostOffer
	alpha, beta := p.SuccessRate*betaStrength, (1-p.SuccessRate)*betaStrength
	for i, c := range hull[1:] {
		tp, cost := float64(c.TP-hull[i].TP), float64(c.FP-hull[i].FP)*(p.CostOffer+p.CostContact)
		from := (cost/tp + p.CostContact) / value // the rate from which calling this segment pays
		if !(from < 1) {
			break
		}
		rate := 1 - mathext.RegIncBeta(alpha, beta, from) // that g exceeds from
		mean := p.SuccessRate * (1 - mathext.RegIncBeta(alpha+1, beta, from))
		p.Expected += (tp*(value*mean-p.CostContact*rate) - cost*rate) / n
		p.ExpectedCalled += float64(c.TP-hull[i].TP+c.FP-hull[i].FP) * rate / n
	}
}

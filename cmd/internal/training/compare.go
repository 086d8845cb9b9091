package training

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"churn/internal/cli"
	"churn/internal/metric"
	"churn/internal/model"
	"churn/internal/registry"
)

// Detail is what evaluate reports beside the metrics, of the same rows.
type Detail struct {
	Curves   metric.Curves   `json:"curves"`
	Champion *model.Champion `json:"champion"` // null: there was no other current model
}

// Compare compares m, which was evaluated on some rows (on: model.OnTest or one of the
// others), with the current model unless that is self. It never fails: a current model
// that cannot be used is one that cannot be compared.
func Compare(ctx context.Context, r *registry.Registry, m *model.Model, e *model.Evaluation, on, self string) *Detail {
	d := &Detail{Curves: e.Curves()}
	name, err := r.Current()
	if errors.Is(err, registry.ErrNoCurrent) || err == nil && name == self {
		return d
	}
	var champion *model.Model
	if err == nil {
		champion, err = model.Read(name, r.ReadModel)
	}
	var c model.Champion
	if err == nil {
		c, err = m.Compare(ctx, e, on, champion)
	}
	if err != nil {
		c = model.Champion{Reason: "it cannot be used: " + r.Relative(err.Error())}
	}
	c.ModelFile = cmp.Or(name, "the current model")
	d.Champion = &c
	return d
}

// PrintChampion prints the comparison with the current model, if there was one.
func PrintChampion(w io.Writer, c *model.Champion) {
	if c == nil {
		return
	}
	name := cli.Printable(c.ModelFile)
	if !c.Comparable {
		fmt.Fprintf(w, "\nnot compared with %s: %s\n", name, c.Reason)
		return
	}
	d := c.Difference
	switch {
	case d.Differ == 0:
		fmt.Fprintf(w, "\nevery answer is the same as that of %s\n", name)
	default:
		how, size, verdict := "better", d.F1, "better"
		if d.F1 < 0 {
			how, size, verdict = "worse", -d.F1, "worse"
		}
		if !d.Distinguishable {
			verdict = "not significant"
		}
		fmt.Fprintf(w, "\n%.4f %s in F1 than %s on the same rows, 95 %% %+.4f to %+.4f: %s\n",
			size, how, name, d.Interval[0], d.Interval[1], verdict)
	}
	if c.Reason != "" {
		fmt.Fprintf(w, "of %s: %s\n", name, c.Reason)
	}
}

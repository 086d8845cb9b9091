package training

import (
	"context"
	"errors"
	"fmt"
	"io"

	"churn/internal/cli"
	"churn/internal/dataset"
	"churn/internal/metric"
	"churn/internal/model"
	"churn/internal/registry"
)

// Detail is what evaluate says beside the figures, of the same rows.
type Detail struct {
	Curves   metric.Curves   `json:"curves"`
	Champion *model.Champion `json:"champion"` // null: there was no other current model
}

// Examine compares m, which was judged on rows of the table (on: model.OnTest or
// one of the others), with the current model unless that is self. It never fails: a
// current model that cannot be used is one that cannot be compared. The current
// model is read at once; the rest is done when the returned function returns.
func Examine(ctx context.Context, reg *registry.Registry, t *dataset.Table, m *model.Model, j *model.Judgement, on, self string) func() *Detail {
	d := &Detail{Curves: j.Curves}
	name, err := reg.Current()
	if errors.Is(err, registry.ErrNoCurrent) || err == nil && name == self {
		return func() *Detail { return d }
	}
	var b []byte
	if err == nil {
		b, err = reg.ReadModel(name)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var champion *model.Model
		if err == nil {
			champion, err = model.Parse(b)
		}
		var c model.Champion
		if err == nil {
			c, err = m.Compare(ctx, t, j, on, champion)
		}
		if err != nil {
			c = model.Champion{Reason: "it cannot be used: " + reg.Relative(err.Error())}
		}
		c.ModelFile = name
		d.Champion = &c
	}()
	return func() *Detail {
		<-done
		return d
	}
}

// PrintChampion prints the comparison with the current model, if there was one.
func PrintChampion(w io.Writer, c *model.Champion) {
	if c == nil {
		return
	}
	name := "the current model"
	if c.ModelFile != "" {
		name = cli.Printable(c.ModelFile)
	}
	if !c.Comparable {
		fmt.Fprintf(w, "\nnot compared with %s: %s\n", name, c.Reason)
		return
	}
	d := c.Difference
	switch {
	case d.Differ == 0:
		fmt.Fprintf(w, "\nanswers the same rows as %s does, every one\n", name)
	default:
		how, size, verdict := "better", d.F1, "better"
		if d.F1 < 0 {
			how, size, verdict = "worse", -d.F1, "worse"
		}
		if !d.Distinguishable {
			verdict = "cannot be told apart"
		}
		fmt.Fprintf(w, "\n%.4f %s in F1 than %s on the same rows, 95 %% %+.4f to %+.4f: %s\n", size, how, name, d.Interval[0], d.Interval[1], verdict)
	}
	if c.Reason != "" {
		fmt.Fprintf(w, "of %s: %s\n", name, c.Reason)
	}
}

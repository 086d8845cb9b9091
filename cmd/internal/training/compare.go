package training

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"churn/internal/cli"
	"churn/internal/model"
	"churn/internal/registry"
)

// Compare compares m, which was evaluated on some rows (on: model.OnTest or one of the
// others), with the current model unless that is self. It never fails: a current model
// that cannot be used is one that cannot be compared.
func Compare(
	ctx context.Context, r *registry.Registry, m *model.Model, e *model.Evaluation, on, self string,
) *model.Detail {
	d := &model.Detail{Curves: e.Curves()}
	name, err := r.Current()
	now := time.Now().UTC()
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
	c.ModelFile, c.ComparedAt = cmp.Or(name, "the current model"), now.Format(time.RFC3339)
	if champion != nil {
		c.TrainedAtUTC = champion.TrainedAtUTC
	}
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
		fmt.Fprintf(w, "\nF1 less that of %s on the same rows: %+.4f, 95 %% %+.4f to %+.4f: %s\n",
			name, d.F1, d.Interval[0], d.Interval[1], d.Verdict)
	}
	if c.Reason != "" {
		fmt.Fprintf(w, "of %s: %s\n", name, c.Reason)
	}
}

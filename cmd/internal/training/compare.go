package training

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"churn/internal/cli"
	"churn/internal/model"
	"churn/internal/modelstore"
	"churn/internal/registry"
	"churn/internal/status"
)

// Compare compares m, which was evaluated on some rows (on: model.OnTest or one of the
// others), with the current model unless that is self. Dates are counted back from asOf unless
// it is "". It never fails: a current model that cannot be used is one that cannot be compared.
func Compare(
	ctx context.Context, r *registry.Registry, m *model.Model, e *model.Evaluation, on, self, asOf string,
) *model.Detail {
	d := &model.Detail{Curves: e.Curves()}
	name, err := r.Current()
	now := time.Now().UTC() // at which that is current
	if errors.Is(err, registry.ErrNoCurrent) || err == nil && name == self {
		return d
	}
	var champion *model.Model
	if err == nil {
		champion, err = model.Read(name, r.ReadModel)
	}
	if err == nil && asOf != "" {
		err = champion.CountTo(asOf)
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

// printChampion prints the comparison with the current model, if there was one.
func printChampion(w io.Writer, c *model.Champion) {
	if c == nil {
		return
	}
	name := cli.Printable(c.ModelFile)
	if !c.Comparable {
		fmt.Fprintf(w, "\nnot compared with %s: %s\n", name, c.Reason)
		return
	}
	if d := c.Difference; d.Differ == 0 {
		fmt.Fprintf(w, "\nevery answer is the same as that of %s\n", name)
	} else {
		fmt.Fprintf(w, "\nF1 less that of %s on the same rows: %+.4f, 95 %% %+.4f to %+.4f: %s\n",
			name, d.F1, d.Interval[0], d.Interval[1], d.Verdict)
	}
	if c.Reason != "" {
		fmt.Fprintf(w, "of %s: %s\n", name, c.Reason)
	}
}

// CheckTarget rejects a target that is not the current model's. A current model that cannot be
// read is no obstacle.
func CheckTarget(dir, target string) error {
	reg := modelstore.Open(dir)
	name, err := reg.Current()
	if err != nil {
		return nil
	}
	current, err := model.Read(name, reg.ReadModel)
	if err != nil || strings.EqualFold(current.Schema.Target.Name, target) {
		return nil
	}
	return status.Reject("%s is current and predicts %s, not %s: one folder is for one target: name another "+
		"with --dir, or train with --force", name, cli.Printable(current.Schema.Target.Name), cli.Printable(target))
}

// current says which model is current, where that is not the new one.
func (r *Result) current() string {
	switch {
	case r.Current != "":
		return r.Current + " stays current"
	case r.pointerErr != nil:
		return r.pointerErr.Error()
	}
	return "there is still no current model"
}

package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"churn/internal/dataset"
	"churn/internal/model"
	"churn/internal/modelstore"
	"churn/internal/status"
)

// Evidence is how many of the last logged customers a candidate with other columns has to score.
const Evidence = 200

// Promotion returns in words what changes for the clients of the current model, from, if
// candidate becomes current: the columns, with the last logged customers as evidence. If the
// service would refuse them all, the error has status 1, and with force it is one of the
// warnings. to is as the name for Run. logs are patterns as in On: one that finds no log is an error.
func Promotion(ctx context.Context, dir, from, to string, candidate *model.Model, logs []string, force bool,
) (warnings []string, err error) {
	old, err := model.Read(from, modelstore.Open(dir).ReadModel)
	if err != nil {
		return nil, nil // nobody is served by an invalid model
	}
	differ := differences(old.Schema, candidate.Schema)
	if differ == nil {
		return nil, nil
	}
	warnings = []string{fmt.Sprintf("other columns than those of %s: %s", from, strings.Join(differ, "; "))}
	r, err := Run(ctx, dir, to, candidate, On{Evidence, logs}, io.Discard)
	switch {
	case ctx.Err() != nil:
		return warnings, ctx.Err()
	case errors.Is(err, ErrNoRecords):
		return append(warnings, "no customers are logged to try that on"), nil
	case err != nil && logs != nil:
		return warnings, err
	case err != nil: // an emergency must not depend on the log
		return append(warnings, "that was not tried on logged customers: "+err.Error()), nil
	}
	refused, of := r.NotScorable+r.UnknownFields, r.NotScorable+r.Compared+r.OtherTarget
	said := fmt.Sprintf("of the last %d customers that other models answered, the new one would refuse %d", of, refused)
	if len(r.Unscorable) > 0 {
		said += " (" + r.Unscorable[0].text() + ")"
	}
	switch {
	case refused == 0:
		return warnings, nil
	case refused < of, force:
		return append(warnings, said), nil
	}
	return warnings, status.Reject("%s", said)
}

// differences returns in which ways a schema asks for more than another, or refuses what that
// one accepts.
func differences(old, candidate *dataset.Schema) (differ []string) {
	if candidate.Target.Name != old.Target.Name {
		differ = append(differ, fmt.Sprintf("it predicts %s, not %s", candidate.Target.Name, old.Target.Name))
	}
	days := candidate.DaysAfter(old)
	for _, f := range candidate.Features {
		i := old.Index(f.Name)
		switch {
		case i < 0 && !f.Optional:
			differ = append(differ, f.Name+" is required")
		case i < 0:
		case old.Features[i].Type != f.Type:
			differ = append(differ, fmt.Sprintf("%s is a %s", f.Name, f.Type))
		case old.Features[i].Optional && !f.Optional:
			differ = append(differ, f.Name+" is not optional")
		case f.Validate != "" && f.Validate != old.Features[i].Validate:
			differ = append(differ, fmt.Sprintf("%s has the rule %q", f.Name, f.Validate))
		case f.Integer && !old.Features[i].Integer:
			differ = append(differ, f.Name+" is whole numbers")
		case f.Part != "" && f.Part != old.Features[i].Part:
			differ = append(differ, fmt.Sprintf("%s is the %s of a date", f.Name, f.Part))
		case days[f.Name] != 0:
			differ = append(differ, fmt.Sprintf("in JSON %s is days before %s", f.Name, f.AsOf))
		}
	}
	required := slices.ContainsFunc(candidate.Features, func(f dataset.Feature) bool { return !f.Optional })
	for _, mark := range candidate.MissingValues {
		if required && !slices.Contains(old.MissingValues, mark) {
			differ = append(differ, fmt.Sprintf("%q means missing", mark))
		}
	}
	for _, f := range old.Features {
		if candidate.Index(f.Name) < 0 && !candidate.Skips(f.Name) {
			differ = append(differ, f.Name+" is refused, being neither used nor ignored")
		}
	}
	return differ
}

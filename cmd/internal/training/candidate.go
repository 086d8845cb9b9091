package training

import (
	"strings"

	"churn/internal/dataset"
	"churn/internal/model"
	"churn/internal/modelstore"
	"churn/internal/status"
)

// checkTarget refuses to train for another target than the current model's. A current model
// that cannot be read is no obstacle.
func (o *Options) checkTarget(schema *dataset.Schema) error {
	reg := modelstore.Open(o.Dir)
	name, err := reg.Current()
	if err != nil || o.Force {
		return nil
	}
	current, err := model.Read(name, reg.ReadModel)
	if err != nil || strings.EqualFold(current.Schema.Target.Name, schema.Target.Name) {
		return nil
	}
	return status.Reject("%s is current and predicts %s, not %s: one folder is for one target: name another "+
		"with --dir, or add --force", name, current.Schema.Target.Name, schema.Target.Name)
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

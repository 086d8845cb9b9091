package training

import (
	"strings"

	"churn/internal/model"
	"churn/internal/modelstore"
	"churn/internal/status"
)

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
		"with --dir, or train with --force", name, current.Schema.Target.Name, target)
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

package training

import (
	"fmt"
	"strings"

	"churn/internal/dataset"
	"churn/internal/model"
	"churn/internal/modelstore"
	"churn/internal/status"
)

// checkTarget refuses to train for another target than the current model's.
func (o *Options) checkTarget(schema *dataset.Schema) error {
	if text := OtherTarget(o.Dir, schema.Target.Name); text != "" && !o.Force {
		return status.Reject("%s, or add --force", text)
	}
	return nil
}

// OtherTarget says in words that the current model of dir predicts another column than target, and
// what to do, or "". A current model that cannot be read is no obstacle.
func OtherTarget(dir, target string) string {
	reg := modelstore.Open(dir)
	name, err := reg.Current()
	if err != nil {
		return ""
	}
	current, err := model.Read(name, reg.ReadModel)
	if err != nil || strings.EqualFold(current.Schema.Target.Name, target) {
		return ""
	}
	return fmt.Sprintf("%s is current and predicts %s, not %s: one folder is for one target: name another with --dir",
		name, current.Schema.Target.Name, target)
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

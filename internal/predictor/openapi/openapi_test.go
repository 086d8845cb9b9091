package openapi

import "testing"

func TestPathParametersAreDescribed(t *testing.T) {
	o := operation{method: "GET", path: "/models/{name}/versions/{v}"}
	d := o.describe()
	if d.OperationID != "get_models_name_versions_v" || d.Parameters.GetByInAndName("path", "name") == nil ||
		d.Parameters.GetByInAndName("path", "v") == nil {
		t.Errorf("%s has %d parameters", d.OperationID, len(d.Parameters))
	}
}

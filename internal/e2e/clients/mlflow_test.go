package clients_test

import (
	"strings"
	"testing"

	"churn/internal/testing/need"
	"churn/internal/testing/programs"
)

// MLflow's client. It looks for scipy, of which mlflow-skinny needs nothing: it finds an empty one.
const mlflow = `
import importlib.util, math, sys, types
if not importlib.util.find_spec("scipy"):
    sys.modules["scipy"] = types.ModuleType("scipy")
    sys.modules["scipy"].__path__ = []
import pandas
import requests
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

client = ScoringServerClient(*sys.argv[1].split(":"))
client.ping()
assert client.get_version()
table = pandas.DataFrame({"tenure_months": [6, 60], "num_complaints": [3, 0], "avg_session_minutes": [21.5, 40],
                          "plan_type": ["basic", "premium"], "region": ["NA", "EU"]})
proba = {"predict_method": "predict_proba"}
def predict(table, params=None):
    return client.invoke(table, params)["predictions"]

assert predict(table) == [1, 0], predict(table)
first, second = predict(table, proba)
assert 0.5 < first < 1 and 0 < second < 0.5, (first, second)
assert client.invoke(table).get_predictions().shape == (2, 1)
missing = table.assign(avg_session_minutes=[math.nan, math.inf])  # written as NaN and Infinity
assert predict(missing) == [1, 0]
absent = [requests.post(client.url_prefix + "/predict", json=row).json()["probability"]
          for row in table.drop(columns="avg_session_minutes").to_dict("records")]
assert predict(missing, proba) == absent, (predict(missing, proba), absent)
assert predict(table.assign(nickname=["x", math.nan]), proba) == [first, second]
assert predict(table[::-1].reset_index(), proba) == [second, first]
assert predict(table[["region", "plan_type", "avg_session_minutes", "num_complaints", "tenure_months"]]) == [1, 0]
for wrong, text in (table.drop(columns="region"), "region: field required"), (missing.assign(tenure_months=math.nan),
                                                                              "none is not an allowed value"):
    try:
        predict(wrong)
        raise SystemExit("no error")
    except Exception as e:
        assert text in str(e), e
try:
    predict(table, {"predict_method": "predict_log_proba"})
    raise SystemExit("no error")
except Exception as e:
    assert "neither predict nor predict_proba" in str(e), e
print("ok")
`

func TestMLflow(t *testing.T) {
	python := need.Python(t, "mlflow.pyfunc.scoring_server")
	s := start(t)
	schema := s.Loop.Path("registry/schema.json")
	text := strings.Replace(programs.ReadFile(t, schema), `"clip_min"`, `"optional": true, "clip_min"`, 1)
	programs.WriteFile(t, schema, text)
	s.Loop.Run("train", "--gate-f1", "0")
	if out := run(t, "", python, "-c", mlflow, s.Addr); out != "ok\n" {
		t.Error(out)
	}
}

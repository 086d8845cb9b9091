package clients_test

import (
	"path/filepath"
	"testing"

	"churn/internal/testing/need"
)

// Triton's client, with its defaults: binary tensors in both directions.
const triton = `
import sys
import numpy
import tritonclient.http as http

client = http.InferenceServerClient(sys.argv[1])
assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("churn")
metadata = client.get_model_metadata("churn")
cells = {"tenure_months": 6, "num_complaints": 3, "avg_session_minutes": 21.5, "plan_type": b"basic", "region": b"NA"}
kinds = {"INT64": numpy.int64, "FP64": numpy.float64, "BYTES": numpy.object_}
inputs = []
for tensor in metadata["inputs"]:
    data = numpy.array([cells[tensor["name"]]] * 2, dtype=kinds[tensor["datatype"]])
    inputs.append(http.InferInput(tensor["name"], data.shape, tensor["datatype"]))
    inputs[-1].set_data_from_numpy(data)
for options in {}, {"request_compression_algorithm": "gzip"}, {"model_version": "1"}:
    answer = client.infer("churn", inputs, **options)
    assert answer.as_numpy("predict").tolist() == [1, 1], answer.get_response()
    assert 0.5 < answer.as_numpy("predict_proba")[0] < 1, answer.get_response()
try:
    client.infer("churn", inputs[1:])
    raise SystemExit("no error")
except http.InferenceServerException as e:
    assert "tenure_months" in e.message(), e
print("ok")
`

func TestTriton(t *testing.T) {
	python := need.Python(t, "tritonclient.http")
	s := start(t)
	if out := run(t, "", python, "-c", triton, s.Addr); out != "ok\n" {
		t.Error(out)
	}
}

// A client that openapi-python-client generates predicts.
const generated = `
import sys
from client import Client
from client.api.predictions import post_predict
from client.models import Customer, HTTPValidationError, Prediction

client = Client(base_url=sys.argv[1])
cells = dict(num_complaints=3, avg_session_minutes=21.5, plan_type="basic", region="NA")
answer = post_predict.sync(client=client, body=Customer(tenure_months=6, **cells), explain=True)
assert isinstance(answer, Prediction) and answer.prediction == 1 and answer.explanation.contributions, answer
answer = post_predict.sync(client=client, body=Customer(tenure_months=6000, **cells))
assert isinstance(answer, HTTPValidationError) and answer.detail[0].loc == ["body", "tenure_months"], answer
print("ok")
`

func TestOpenAPIPythonClient(t *testing.T) {
	python := need.Python(t, "openapi_python_client")
	s := start(t)
	dir := t.TempDir()
	path := document(s)
	run(t, dir, python, "-m", "openapi_python_client", "generate", "--path", path, "--meta", "none", "--output-path",
		filepath.Join(dir, "client"))
	if out := run(t, dir, python, "-c", generated, "http://"+s.Addr); out != "ok\n" {
		t.Error(out)
	}
}

// Schemathesis sends what the document allows and what it does not, and finds no crash, no answer
// that is not as documented, no method or header that is treated wrongly. Two of its checks are left
// out: the document cannot say which tensors and columns belong together, or that texts have no
// control characters; and the service takes more than it says, as true where a level spells it.
func TestSchemathesis(t *testing.T) {
	python := need.Python(t, "schemathesis")
	s := start(t)
	run(t, t.TempDir(), python, "-m", "schemathesis.cli", "run", document(s), "--url", "http://"+s.Addr, "--checks", "all",
		"--exclude-checks", "positive_data_acceptance,negative_data_rejection", "--max-examples", "10", "--seed", "1",
		"--phases", "coverage,fuzzing,stateful") // the examples have tests of their own
}

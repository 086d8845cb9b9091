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

// KServe's client, with its defaults for version 2: binary tensors to the service, JSON from it. The
// package around it would load all that a server of models needs, such as a client of Kubernetes.
const kserve = `
import asyncio, importlib.util, sys, types
import httpx
import numpy

folders = importlib.util.find_spec("kserve").submodule_search_locations
sys.modules["kserve"] = types.ModuleType("kserve")
sys.modules["kserve"].__path__ = folders
from kserve.inference_client import InferenceRESTClient, RESTConfig
from kserve.protocol.infer_type import InferInput, InferRequest

def request(binary_data=True, left_out=0, **options):
    inputs = []
    for name, datatype, cells in [
        ("tenure_months", "INT64", numpy.array([6, 60])),
        ("num_complaints", "INT32", numpy.array([3, 0], dtype=numpy.int32)),
        ("avg_session_minutes", "FP32", numpy.array([21.5, 40], dtype=numpy.float32)),
        ("plan_type", "BYTES", numpy.array(["basic", "premium"], dtype=numpy.object_)),
        ("region", "BYTES", numpy.array(["NA", "EU"], dtype=numpy.object_)),
    ][left_out:]:
        inputs.append(InferInput(name, [2], datatype))
        inputs[-1].set_data_from_numpy(cells, binary_data=binary_data)
    return InferRequest("churn", inputs, **options)

async def use(url):
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        assert await client.is_server_live(url) and await client.is_server_ready(url)
        assert await client.is_model_ready(url, "churn")
        for sent in request(), request(parameters={"binary_data_output": True}), request(binary_data=False):
            answer = await client.infer(url, sent, model_name="churn")
            outputs = {output.name: output.as_numpy() for output in answer.outputs}
            assert outputs["predict"].tolist() == [1, 0], answer
            assert 0.5 < outputs["predict_proba"][0] < 1, answer
        try:
            await client.infer(url, request(left_out=1), model_name="churn")
            raise SystemExit("no error")
        except httpx.HTTPStatusError as e:
            assert "tenure_months: field required" in str(e), e
    async with InferenceRESTClient(RESTConfig(protocol="v1")) as client:  # the default
        assert await client.is_model_ready(url, "churn")
        row = dict(tenure_months=6, num_complaints=3, avg_session_minutes=21.5, plan_type="basic", region="NA")
        loyal = row | dict(tenure_months=60, num_complaints=0, plan_type="premium", region="EU")
        answer = await client.infer(url, {"instances": [row, loyal]}, model_name="churn")
        assert answer == {"predictions": [1, 0]}, answer

asyncio.run(use("http://" + sys.argv[1]))
print("ok")
`

func TestKServe(t *testing.T) {
	python := need.Python(t, "grpc, orjson, importlib.metadata as m; m.version('kserve')")
	s := start(t)
	if out := run(t, "", python, "-c", kserve, s.Addr); out != "ok\n" {
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

package clients_test

import (
	"path/filepath"
	"testing"

	"churn/internal/testing/need"
	"churn/internal/testing/programs"
)

// All checks are made of all operations, but for what no schema can say.
const schemathesisConfig = `
hooks = "hooks"
checks.negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 429, "5xx"]

[parameters]
"path.name" = "churn"
"path.version" = "1"

# Which columns a table has, and which tensors there are beside each other, is named by their data.
[[operations]]
include-path = ["/invocations", "/v1/models/{name}:predict", "/v2/models/{name}/infer",
    "/v2/models/{name}/versions/{version}/infer"]
checks.positive_data_acceptance.enabled = false
`

// Of a CSV file or lines of JSON the document says no more than that they are text: these are some. A
// boolean is no number in the document, and yet taken for 1 or 0, as pandas writes such columns.
const schemathesisHooks = `
import json
import schemathesis
from hypothesis import strategies as st

numbers = ["tenure_months", "num_complaints", "avg_session_minutes"]
header = numbers + ["plan_type", "region"]
customer = st.tuples(st.integers(0, 200), st.integers(0, 50), st.floats(0, 500), st.sampled_from(["basic", "premium"]),
                     st.sampled_from(["NA", "EU"]))

def text(lines):
    return "\n".join(lines).encode()

def csv(rows):
    return text(",".join(map(str, row)) for row in [header, *rows])

def objects(rows):
    return text(json.dumps(dict(zip(header, row))) for row in rows)

schemathesis.openapi.media_type("text/csv", st.lists(customer).map(csv))
schemathesis.openapi.media_type("application/x-ndjson", st.lists(customer).map(objects))

@schemathesis.hook
def filter_case(context, case):
    rows = case.body if isinstance(case.body, list) else [case.body]
    return not any(isinstance(row, dict) and isinstance(row.get(name), bool) for row in rows for name in numbers)
`

// Schemathesis sends what the document allows and what it does not. What is allowed is answered as
// documented, what is not is rejected, and nothing crashes the service.
func TestSchemathesis(t *testing.T) {
	python := need.Python(t, "schemathesis")
	s := start(t)
	dir := t.TempDir()
	programs.WriteFile(t, filepath.Join(dir, "schemathesis.toml"), schemathesisConfig)
	programs.WriteFile(t, filepath.Join(dir, "hooks.py"), schemathesisHooks)
	run(t, dir, python, "-m", "schemathesis.cli", "run", document(s), "--url", "http://"+s.Addr,
		"--max-examples", "10", "--seed", "1", "--phases",
		"coverage,fuzzing,stateful") // the examples have tests of their own
}

#!/bin/sh
# Requests per second and latency of serve against bare net/http and, if installed,
# against FastAPI with scikit-learn and pandas. All run on the loopback interface of one
# machine, alternating, five times; the table has the medians. Then serve alone answers batches
# as CSV, as JSON, and as tensors of the Open Inference Protocol in JSON and in binary.
#
#   apt-get install wrk python3-fastapi python3-uvicorn python3-sklearn python3-pandas
set -eu
cd "$(dirname "$0")/../.."
command -v wrk >/dev/null || { echo "bench-serve: wrk is not installed: apt-get install wrk" >&2; exit 2; }
here=internal/bench
seconds=${SECONDS_EACH:-4}
rounds=${ROUNDS:-5}
rows=${BATCH_ROWS:-2000} # per request
python=${PYTHON:-python3}

dir=$(mktemp -d)
pids=
trap 'kill $pids 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"' EXIT

CGO_ENABLED=0 go build -trimpath -tags validator_novalidatefn -o "$dir/" \
	./cmd/generate ./cmd/prepare ./cmd/train ./cmd/serve "./$here/bare"
"$dir/generate" --dir "$dir" >"$dir/out"
"$dir/prepare" --dir "$dir" >"$dir/out"
"$dir/train" --dir "$dir" --gate-f1 0 >"$dir/out" 2>&1

"$dir/bare" 127.0.0.1:18080 310 & pids="$pids $!"
"$dir/serve" --dir "$dir" --addr 127.0.0.1:18081 --log-max-size 200000000 --log-keep 1GB 2>"$dir/serve.err" &
pids="$pids $!"
services="bare:18080 serve:18081"
if "$python" -c 'import fastapi, uvicorn, sklearn, pandas, joblib' 2>/dev/null; then
	mkdir "$dir/peer"
	"$python" $here/service_peer.py "$dir/data/processed.csv" "$dir/peer" 18082 2>"$dir/peer.err" & pids="$pids $!"
	services="$services fastapi:18082"
else
	echo "bench-serve: FastAPI, scikit-learn and pandas are not installed for $python: without that peer"
fi

for service in $services; do
	i=0
	until curl -so /dev/null "http://127.0.0.1:${service#*:}/health"; do
		i=$((i + 1))
		[ $i -lt 200 ] || { echo "bench-serve: $service does not answer" >&2; exit 2; }
		sleep 0.1
	done
done

for round in $(seq "$rounds"); do
	for service in $services; do
		wrk -t 2 -c 16 -d "${seconds}s" -s $here/predict.lua "http://127.0.0.1:${service#*:}/predict" |
			tail -n 1 >>"$dir/${service%:*}.runs"
	done
done

# median FILE K prints the median of column K.
median() { cut -d ' ' -f "$2" "$1" | sort -n | awk '{ x[NR] = $1 } END { print x[int((NR + 1) / 2)] }'; }

base=$(median "$dir/bare.runs" 1)
base50=$(median "$dir/bare.runs" 2)
printf '%-8s %12s %8s %8s %8s %10s %8s\n' service requests/s p50_us p99_us errors of_bare p50_ratio
for service in $services; do
	runs="$dir/${service%:*}.runs"
	awk -v name="${service%:*}" -v rps="$(median "$runs" 1)" \
		-v p50="$(median "$runs" 2)" -v p99="$(median "$runs" 3)" \
		-v errors="$(cut -d ' ' -f 4 "$runs" | awk '{ s += $1 } END { print s }')" -v base="$base" -v base50="$base50" \
		'BEGIN { printf "%-8s %12.0f %8.0f %8.0f %8d %10.3f %8.2f\n", name, rps, p50, p99, errors, rps / base, p50 / base50 }'
done
answered=$(cat "$dir"/logs/predictions*.log | wc -l)
echo "$answered records in the log of serve"

# The same customers again and again: their model is the one above.
"$dir/generate" --dir "$dir" --rows "$rows" --out "$dir/raw.csv" >"$dir/out"
"$dir/prepare" --dir "$dir/batch" --in "$dir/raw.csv" >"$dir/out"
kinds="csv:/predict/batch json:/predict/batch tensors:/v2/models/churn/infer binary:/v2/models/churn/infer"
for round in $(seq "$rounds"); do
	for kind in $kinds; do
		wrk -t 1 -c 4 -d "$(((seconds + 1) / 2))s" -s $here/predict.lua "http://127.0.0.1:18081${kind#*:}" \
			-- "${kind%:*}" "$dir/batch/data/processed.csv" | tail -n 1 >>"$dir/${kind%:*}.runs"
	done
done
printf '\n%-8s %12s %10s %10s %8s   batches of %d\n' batch rows/s least most errors "$rows"
for kind in $kinds; do
	cut -d ' ' -f 1,4 "$dir/${kind%:*}.runs" | sort -n | awk -v name="${kind%:*}" -v rows="$rows" '
		{ x[NR] = $1 * rows; errors += $2 }
		END { printf "%-8s %12.0f %10.0f %10.0f %8d\n", name, x[int((NR + 1) / 2)], x[1], x[NR], errors }'
done

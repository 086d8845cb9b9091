#!/bin/sh
# The whole loop on this folder: two models, a service, predictions, drift, a
# rollback. It prints what it runs, and stops what it starts. Needs curl and awk.
set -eu
addr=$1
# Its drift is nobody's alert, and its folder and flags are its own.
unset MONITORING_URL MONITORING_URL_FILE $(env | sed -n 's/^\(CHURN_[A-Z0-9_]*\)=.*/\1/p')

lot= serve=
trap 'rm -rf "$lot"; [ -z "$serve" ] || { kill $serve 2>/dev/null && wait $serve; } || true' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

say() { printf '\n== %s\n' "$*"; }

# run COMMAND...: prints a command as it can be copied, and runs it.
run() {
	printf '$'
	for word in "$@"; do
		case $word in
		*[!A-Za-z0-9_./:=-]*) printf " '%s'" "$word" ;;
		*) printf ' %s' "$word" ;;
		esac
	done
	echo
	"$@"
}

# score FILE [ID]: posts the first 200 customers of a CSV file to /predict, with one curl;
# their request ids are ID and the number of the line.
score() {
	awk -F, -v url="http://$addr/predict" -v id="${2-}" 'NR > 1 && NR <= 201 {
		if (NR > 2) print "next"
		printf "silent\nfail\noutput = \"/dev/null\"\nurl = \"%s\"\n", url
		request = id == "" ? "" : "\\\"request_id\\\":\\\"" id NR "\\\","
		printf "data = \"{" request "\\\"tenure_months\\\":%s,\\\"num_complaints\\\":%s,\\\"avg_session_minutes\\\":%s,\\\"plan_type\\\":\\\"%s\\\",\\\"region\\\":\\\"%s\\\"}\"\n", $1, $2, $3, $4, $5
	}' "$1" | curl --config -
}

customer='{"tenure_months":6,"num_complaints":3,"avg_session_minutes":21.5,"plan_type":"basic","region":"NA"}'

say "1,200 synthetic customers, cleaned"
run bin/generate
run bin/prepare

say "a model of labels that were drawn by lot: the gate rejects it"
lot=$(mktemp -d)
awk -F, 'BEGIN { OFS = ","; srand(1) } NR > 1 { $6 = rand() < 0.5 } 1' data/raw.csv >"$lot/raw.csv"
bin/prepare --dir "$lot" --in "$lot/raw.csv" >"$lot/out"
status=0
echo "$ bin/train --dir $lot"
bin/train --dir "$lot" >"$lot/out" || status=$?
[ $status -eq 1 ] || { echo "train ended with status $status, not 1" >&2; exit 1; }

say "a model with the threshold 0.5, and one with its own"
run bin/train --version v1
run bin/evaluate --version v2

say "the service"
# Whoever answers there already would log these customers as its own.
bin/serve --addr "$addr" --check >/dev/null || { echo "try make demo DEMO_ADDR=127.0.0.1:8766" >&2; exit 1; }
printf '$ %s\n' "bin/serve --addr $addr &"
bin/serve --addr "$addr" &
serve=$!
i=0
until curl -fs "http://$addr/health"; do
	kill -0 $serve 2>/dev/null || { echo "try make demo DEMO_ADDR=127.0.0.1:8766" >&2; exit 1; }
	i=$((i + 1))
	[ $i -lt 100 ] || { echo "no answer from $addr" >&2; exit 1; }
	sleep 0.1
done
run curl -fsS "http://$addr/predict" -d "$customer"

say "200 customers like those of the training: no drift"
run bin/generate --rows 200 --seed 7 --out data/live.csv
score data/live.csv
run bin/drift

say "the same 200, with outcomes that turned: those predicted to leave stay, and the other way round"
score data/live.csv turned
awk -F, 'NR == 1 { print "request_id,churn" } NR > 1 && NR <= 201 { print "turned" NR "," 1 - $6 }' data/live.csv >data/outcomes.csv
status=0
run bin/drift --labels data/outcomes.csv || status=$?
[ $status -eq 1 ] || { echo "drift ended with status $status, not 1" >&2; exit 1; }

say "200 customers who stay six minutes longer: drift"
run bin/generate --rows 200 --seed 8 --shift avg_session_minutes=6 --out data/live.csv
score data/live.csv
status=0
run bin/drift --html logs/drift.html || status=$?
[ $status -eq 1 ] || { echo "drift ended with status $status, not 1" >&2; exit 1; }

say "back to the model before, and the next answer comes from it"
run bin/rollback --reason "drift in the demo"
run curl -fsS "http://$addr/predict" -d "$customer"
run bin/rollback --list

say "done: see registry/, models/ with a card of v2, logs/ and logs/drift.html"

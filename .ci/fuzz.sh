#!/bin/sh
# Runs every fuzz target for TIME, JOBS at once with one worker each:
#
#	fuzz.sh TIME JOBS
#
# A failing input is written to the package's testdata/fuzz, where go test runs it
# from then on. Inputs that reach new code are kept between runs in Go's cache,
# $(go env GOCACHE)/fuzz, until go clean -fuzzcache.
set -eu

# one PACKAGE TARGET prints a line of the table, and the log if the target failed.
one() {
	log=$dir/${1##*/}.$2
	ulimit -v 8388608 2>/dev/null || true # KiB: unbounded memory is a failure, where the system supports limits
	# 100x: minimising by time would take up to a minute for each new input.
	if go test -run '^$' -fuzz "^$2\$" -fuzztime "$TIME" -fuzzminimizetime 100x -parallel 1 "$1" >"$log" 2>&1; then
		result=ok
	else
		result=FAILED
	fi
	awk -v package="${1#*/}" -v target="$2" -v result=$result '
		match($0, /elapsed: [^,]*/) { elapsed = substr($0, RSTART + 9, RLENGTH - 9) }
		match($0, /coverage: [0-9]+/) { inputs = substr($0, RSTART + 10, RLENGTH - 10) } # corpus of earlier runs
		match($0, /execs: [0-9]+/) { inputs = substr($0, RSTART + 7, RLENGTH - 7) }
		match($0, /interesting: [0-9]+/) { fresh = substr($0, RSTART + 13, RLENGTH - 13) }
		END {
			if (result == "ok" && inputs + 0 == 0) result = "FAILED" # a run without inputs is no pass
			printf "%-20s %-26s %8s %12d %6d  %s\n", package, target, elapsed, inputs, fresh, result
		}' "$log" | tee "$log.line"
	grep -q ' ok$' "$log.line" || grep -v '^fuzz: elapsed' "$log" | cut -c1-400 | head -n 60
}

if [ "$1" = one ]; then
	one "$2" "$3"
	exit
fi

TIME=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
export TIME dir
go test -list '^Fuzz' ./... >"$dir/list"
awk '/^Fuzz/ { names[n++] = $1 } /^ok/ { for (i = 0; i < n; i++) print $2, names[i]; n = 0 }' \
	"$dir/list" >"$dir/targets"
printf '%-20s %-26s %8s %12s %6s\n' package target time inputs new
xargs -P "$2" -n 2 sh "$0" one <"$dir/targets"
cat "$dir"/*.line | awk -v targets="$(wc -l <"$dir/targets")" '
	{ inputs += $4 } / ok$/ { ok++ }
	END {
		printf "%d targets, %d inputs tried, %d failures\n", targets, inputs, targets - ok
		exit targets == 0 || ok < targets
	}'

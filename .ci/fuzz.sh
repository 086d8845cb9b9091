#!/bin/sh
# Fuzzes every target there is, TIME each, JOBS at once with one worker each:
#
#	fuzz.sh TIME JOBS
#
# An input that fails is kept below the package's testdata/fuzz, where plain go test
# finds it from then on. Inputs that reach new code are kept between runs in Go's own
# cache, $(go env GOCACHE)/fuzz, until go clean -fuzzcache.
set -eu

# one PACKAGE TARGET: a line of the table, and what failed.
one() {
	log=$dir/${1##*/}.$2
	ulimit -v 8388608 2>/dev/null || true # KiB: memory without bound is a failure, where the system can tell
	# The limit for minimising is of runs: by default it takes up to a minute for each new input.
	if go test -run '^$' -fuzz "^$2\$" -fuzztime "$TIME" -fuzzminimizetime 100x -parallel 1 "$1" >"$log" 2>&1; then
		result=ok
	else
		result=FAILED
	fi
	awk -v package="${1#*/}" -v target="$2" -v result=$result '
		match($0, /elapsed: [^,]*/) { elapsed = substr($0, RSTART + 9, RLENGTH - 9) }
		match($0, /coverage: [0-9]+/) { inputs = substr($0, RSTART + 10, RLENGTH - 10) } # those that were kept
		match($0, /execs: [0-9]+/) { inputs = substr($0, RSTART + 7, RLENGTH - 7) }
		match($0, /interesting: [0-9]+/) { fresh = substr($0, RSTART + 13, RLENGTH - 13) }
		END {
			if (result == "ok" && inputs + 0 == 0) result = "FAILED" # nothing was tried: such a pass is none
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
awk '/^Fuzz/ { names[n++] = $1 } /^ok/ { for (i = 0; i < n; i++) print $2, names[i]; n = 0 }' "$dir/list" >"$dir/targets"
printf '%-20s %-26s %8s %12s %6s\n' package target time inputs new
xargs -P "$2" -n 2 sh "$0" one <"$dir/targets"
cat "$dir"/*.line | awk -v targets="$(wc -l <"$dir/targets")" '
	{ inputs += $4 } / ok$/ { ok++ }
	END {
		printf "%d targets, %d inputs tried, %d failures\n", targets, inputs, targets - ok
		exit targets == 0 || ok < targets
	}'

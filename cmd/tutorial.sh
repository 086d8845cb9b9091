#!/bin/sh
# Walks through docs/tutorial.md: prints what it says, shows each command, waits for Enter, and
# runs it. Without a terminal it does not wait. What it starts it stops.
set -eu
page=docs/tutorial.md
# Its drift is nobody's alert, and its folder and flags are its own.
unset MONITORING_URL MONITORING_URL_FILE $(env | sed -n 's/^\(CHURN_[A-Z0-9_]*\)=.*/\1/p')
unset MAKELEVEL MAKEFLAGS # make says less

# Each piece of the page is a file: NN.say is prose, NN.run commands. Shown outputs are left out.
pieces=$(mktemp -d)
service=
trap 'rm -r "$pieces"; [ -z "$service" ] || kill "$service" 2>/dev/null || true' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
awk -v dir="$pieces" '
	function open(kind) { if (file) close(file); file = sprintf("%s/%02d.%s", dir, ++n, kind) }
	BEGIN { open("say") }
	/^```sh$/ { open("run"); next }
	/^```text$/ { open("shown"); next }
	/^```$/ { open("say"); next }
	{ print >file }' "$page"

if [ -t 1 ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); else bold= plain=; fi
for piece in "$pieces"/*; do
	case $piece in
	*.say)
		sed -e 's/\[\([a-z]*\.md\)\]([^)]*)/docs\/\1/g' -e 's/\[\([^]]*\)\](\([^)]*\.md\)[^)]*)/\1 (docs\/\2)/g' \
			-e "s/^#* \(.*\)/$bold\1$plain/;t" -e 's/[`*]//g' "$piece" | cat -s
		;;
	*.run)
		sed "s/^/    $bold|$plain /" "$piece"
		if [ -t 0 ]; then
			printf '\n[Enter runs it, Ctrl-C ends the tutorial] '
			read -r _
		fi
		echo
		. "$piece"
		;;
	esac
done
echo "The files of the tutorial are in $PWD."

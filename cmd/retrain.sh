#!/bin/sh
# Looks for drift, and where there is some makes a new model of the same columns.
#
#   IN      customers to train on; data/raw.csv if it is not set
#   LABELS  outcomes of logged customers, which drift compares, and who then join those of IN
#
# Arguments go to evaluate; flags of prepare are in the environment, such as CHURN_PREPARE_MAX_MISSING=0.3.
# The status is drift's, but for 1, which is what it is for: then it is that of the step that ended it.
# Where there is flock, a second one waits for the first: between two steps customers are in data/processed.csv.
set -eu
PATH="$PWD/bin:$PATH"
dir=${CHURN_DIR:+$CHURN_DIR/}
if [ -z "${RETRAIN_LOCKED-}" ] && [ -d "${dir}data" ] && command -v flock >/dev/null; then
	RETRAIN_LOCKED=1 exec flock "${dir}data/retrain.lock" sh "$0" "$@"
fi

status=0
compare=${LABELS-}
[ "$compare" != - ] && [ ! -p "$compare" ] || compare= # a pipe is read once, by prepare
drift ${compare:+--labels "$compare"} || status=$?
case $status in
0) echo "no drift, so there is nothing to be done"; exit 0 ;;
1) ;;
*) exit "$status" ;;
esac

log= # that of CHURN_PREPARE_LOG
if [ -z "${LABELS-}" ]; then
	unset CHURN_PREPARE_LOG # prepare takes none without outcomes
elif [ -z "${CHURN_PREPARE_LOG-}" ]; then
	log=$(printf %s "${dir}logs" | sed 's/[][*?\\]/\\&/g')/predictions*.log # a folder's name is no pattern
fi
prepare --in "${IN:-${dir}data/raw.csv}" --schema "${dir}registry/schema.json" \
	${log:+--log "$log"} ${LABELS:+--labels "$LABELS"}
evaluate "$@"

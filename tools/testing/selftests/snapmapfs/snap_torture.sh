#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# vm: --mem 1G
# timeout: 900
#
# A short run of torture in each of its kinds; see torture.c. scripts/soak has the
# long ones. SNAP_SECONDS says how long each may take (6).

torture=$(cd "$(dirname "$0")" && pwd)/torture
seconds=${SNAP_SECONDS:-6}
number=0
failed=0

# run NAME OPTION...
run() {
	name=$1
	shift
	number=$((number + 1))
	if "$torture" "$@" >"$log" 2>&1; then
		grep ' operations in ' "$log" | sed 's/^/# /'
		echo "ok $number snap_torture.$name"
	else
		echo "# status $?: torture $*"
		tail -n 70 "$log" | sed 's/^/# /'
		failed=1
		echo "not ok $number snap_torture.$name"
	fi
}

log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
echo "TAP version 13"
echo "1..8"
for seed in 1 2; do
	run model.$seed --model --seed $seed --ops 2500 --seconds $((seconds * 5))
done
# Bytes of few pages change over and over, with a seed of its own each time.
run model.small --model --files 2 --pages 3 --maps 6 --seconds "$seconds"
run plain --seconds "$seconds"
run kill --seconds "$seconds" --procs 3 --kill 300
run full --seconds "$seconds" --mount size=400k
run small --seconds "$seconds" --files 1 --pages 4 --threads 4
run moving --seconds "$seconds" --compact --drop-caches --files 2
exit $failed

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# vm: --mem 1G
# timeout: 900
#
# A short run of torture; see torture.c. scripts/soak has its other kinds, and the
# long ones. SNAP_SECONDS says how long one may take (6).

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
echo "1..2"
run model --model --seed 1 --ops 3000 --seconds $((seconds * 5))
run plain --seconds "$seconds"
exit $failed

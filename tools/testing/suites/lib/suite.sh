# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What each outside suite starts with. A suite is an executable with a function
# `prepare DIR`, which gets and builds it on the build side, in the root that
# lib/make-root made, and a function `run DIR`, which runs it in the guest, in the
# same root, on the file system that is mounted on DIR. There /suite is what
# prepare left in its DIR. Both may write anywhere.
#
# In the first lines `vm: ...` has options for scripts/vm, and `timeout: N` the
# seconds that the suite may take on each file system.

set -euo pipefail
export LC_ALL=C.UTF-8
lib=$(dirname "${BASH_SOURCE[0]}")

# ok, fail, skip: report a case. All else that a suite prints is for the log.
ok() {
	printf '\n@ ok %s\n' "$1"
}

fail() {
	printf '\n@ fail %s %s\n' "$1" "${2-}"
}

skip() {
	printf '\n@ skip %s %s\n' "$1" "${2-}"
}

# verdict NAME STATUS: report a case whose exit status is that of a selftest.
verdict() {
	case $2 in
	0) ok "$1" ;;
	4) skip "$1" ;;
	*) fail "$1" "exit status $2" ;;
	esac
}

# tap NAME STATUS FILE: report the cases of a program that printed FILE as TAP, or
# the program if it printed none or died.
tap() {
	cat "$3"
	echo
	if ! grep -qE '^(not )?ok [0-9]' "$3"; then
		verdict "$1" "$2"
		return
	fi
	python3 "$lib/tap.py" "$1" <"$3"
	case $2 in
	0 | 1 | 4) ;;
	*) fail "$1" "exit status $2" ;;
	esac
}

# try NAME COMMAND...: a case that is one command.
try() {
	local name=$1 status=0
	shift
	"$@" </dev/null || status=$?
	verdict "$name" $status
}

# libtest DIR: run the tests of a crate, in DIR.
libtest() {
	local program status

	mkdir -p "$1/tmp" "$1/work"
	cd "$1/work"
	for program in /suite/tests/*; do
		status=0
		TMPDIR=$1/tmp "$program" --test-threads=2 >/tmp/out 2>&1 </dev/null || status=$?
		cat /tmp/out
		sed -nE "
			s/^test ([^ ]+)( - should panic)? \\.\\.\\. ok\$/@ ok ${program##*/}::\\1/p
			s/^test ([^ ]+)( - should panic)? \\.\\.\\. FAILED\$/@ fail ${program##*/}::\\1/p
			s/^test ([^ ]+)( - should panic)? \\.\\.\\. ignored.*/@ skip ${program##*/}::\\1/p
		" /tmp/out
		# 101: some failed, and have a line.
		((status == 0 || status == 101)) || fail "${program##*/}" "exit status $status"
	done
}

# suite COMMAND DIR
suite() {
	case $1 in
	prepare)
		# shellcheck source=tools/testing/suites/lib/fetch.sh
		. "$(dirname "$0")/lib/fetch.sh"
		prepare "$2"
		;;
	run) run "$2" ;;
	*)
		echo "usage: ${0##*/} prepare|run DIR" >&2
		exit 2
		;;
	esac
}

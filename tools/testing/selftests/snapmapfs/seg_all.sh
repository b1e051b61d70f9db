#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# timeout: 900
#
# Other tests, on a mount with segments of two pages: their files have several, and so
# have many of their mappings. And torture.c, which makes mounts of its own.

here=$(cd "$(dirname "$0")" && pwd)
tests="win_io win_map win_stale snap_write snap_trunc snap_hole snap_store snap_life
	snap_size snap_grow snap_gen snap_order fs_io fs_mmap fs_file"
mnt=$(mktemp -d) || exit 1
log=$(mktemp) || exit 1

echo "TAP version 13"
# shellcheck disable=SC2086 # words
set -- $tests
echo "1..$(($# + 6))"
mounted=0
number=0
failed=0

# remount SIZE: another one, with segments of that size.
remount() {
	[ $mounted = 0 ] || umount "$mnt" || failed=1
	mounted=0
	mount -t "${SNAP_FSTYPE:-snapmapfs}" -o "segment=$1" seg "$mnt" && mounted=1
	chmod 1777 "$mnt"
}

# run NAME PROGRAM OPTION...
run() {
	name=$1 program=$2
	shift 2
	number=$((number + 1))
	if [ $mounted = 1 ] && SNAP_DIR=$mnt "$here/$program" "$@" >"$log" 2>&1; then
		echo "ok $number seg_all.$name"
	else
		echo "# $program $*"
		grep -v '^ok' "$log" | tail -n 70 | sed 's/^/# /'
		echo "not ok $number seg_all.$name"
		failed=1
	fi
}

# What goes by the offset of a mapping, or lets a shared one grow, has to be within a segment.
remount 8k
for test in "$@"; do
	case $test in
	win_map) run "$test" "$test" -T grown -T remapped -T map_files ;;
	fs_mmap) run "$test" "$test" -T remap -T far_out ;;
	*) run "$test" "$test" ;;
	esac
done
remount 64k
run win_map_64k win_map -t grown -t remapped -t map_files
run fs_mmap_64k fs_mmap -t remap -t far_out
for size in 4k 64k; do
	run "torture_model_$size" torture --mount "segment=$size" --model --seed 1 --ops 1500 \
		--seconds 60
	run "torture_$size" torture --mount "segment=$size" --seconds "${SNAP_SECONDS:-6}"
done
[ $mounted = 0 ] || umount "$mnt" || failed=1
rm -rf "$mnt" "$log"
exit $failed

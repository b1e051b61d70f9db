#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# guest.sh RUNS PATTERNS [FS...]: mount the file systems and run the benchmarks on
# them. In the guest.

set -e

runs=$1 patterns=$2
shift 2
list=
for fs in "$@"; do
	dir=/mnt/bench-${fs%=*}
	mkdir "$dir"
	case $fs in
	snapmapfs) mount -t snapmapfs -o size=0 none "$dir" ;;
	private=live) mount -t snapmapfs -o size=0,private=live none "$dir" ;;
	tmpfs) mount -t tmpfs -o size=0 none "$dir" ;;
	ramfs) mount -t ramfs none "$dir" ;;
	xfs | btrfs)
		modprobe "$fs"
		[ -e /dev/ram0 ] || modprobe brd rd_nr=2 rd_size=1572864
		disk=/dev/ram0
		[ "$fs" = xfs ] || disk=/dev/ram1
		mkfs."$fs" -q $disk >/dev/null
		mount -t "$fs" $disk "$dir"
		;;
	esac
	list="$list $fs=$dir"
done
# shellcheck disable=SC2086 # a list
exec /add/bench "$runs" "$patterns" $list

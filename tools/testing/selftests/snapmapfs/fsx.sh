#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# timeout: 900
#
# 200,000 random operations on files, with mmap enabled, each read checked
# against what must be there. The program is the crate fsx (see fsx.build);
# a failed line tells how to repeat it. (Its posix_fallocate asks for 0 bytes at
# times and takes the EINVAL for a failure; fs_model.c has fallocate. It never
# unmaps what it read through a mapping: many short runs are faster than one.)

fsx=$(cd "$(dirname "$0")" && pwd)/fsx
dir=${SNAP_DIR:-/mnt/snap}/fsx.$$
# 4 kinds of 5 results of 4 runs at a time; fewer where the kernel is slow.
operations=$((${FSX_OPERATIONS:-2500} / ${SNAP_SLOW:-1}))

echo "TAP version 13"
if [ ! -x "$fsx" ]; then
	echo "1..1"
	echo "not ok 1 fsx # $fsx is missing: fsx.build makes it"
	exit 1
fi
echo "1..20"
mkdir -p "$dir" || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$dir" "$work"' EXIT

# configure FLEN MAX ALIGN NOMSYNC: the kinds of operations are the same for
# all, their sizes and alignment differ.
configure() {
	cat >"$work/config" <<-EOF
		flen = $1
		nomsyncafterwrite = $4
		[opsize]
		max = $2
		min = 0
		align = $3
		[weights]
		close_open = 1
		read = 10
		write = 10
		mapread = 8
		mapwrite = 10
		invalidate = 1
		truncate = 5
		fsync = 1
		fdatasync = 1
		punch_hole = 4
		sendfile = 3
		posix_fadvise = 1
		copy_file_range = 4
	EOF
}

number=0
failed=0
seed=0
for kind in bytes pages sectors tiny; do
	case $kind in
	bytes) configure 131072 8192 1 false ;;
	pages) configure 262144 32768 4096 true ;;
	sectors) configure 131072 8192 512 false ;;
	tiny) configure 20000 3000 1 true ;;
	esac
	for part in 1 2 3 4 5; do
		number=$((number + 1))
		for at_once in 1 2 3 4; do
			seed=$((seed + 1))
			(
				"$fsx" -f "$work/config" -N $operations -S $seed \
					-P "$work" "$dir/$at_once" \
					>"$work/log.$at_once" 2>&1 && exit
				echo "seed $seed, status $?" >"$work/failed.$at_once"
			) &
		done
		wait
		good=1
		for at_once in 1 2 3 4; do
			[ -e "$work/failed.$at_once" ] || continue
			good=0
			echo "# $(cat "$work/failed.$at_once"), $operations operations:"
			sed 's/^/#   /' "$work/config"
			tail -n 40 "$work/log.$at_once" | sed 's/^/# /'
		done
		rm -f "$dir"/* "$work"/failed.* "$work"/log.*
		if [ $good = 1 ]; then
			echo "ok $number fsx.$kind.$part"
		else
			failed=1
			echo "not ok $number fsx.$kind.$part"
		fi
	done
done
exit $failed

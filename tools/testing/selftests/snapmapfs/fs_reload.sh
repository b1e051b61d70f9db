#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# vm: --no-mount --mem 1G
# timeout: 600
#
# A hundred module loads and unloads: unloading is refused while it must be, and
# leaves nothing behind when it is not.

module=${SNAP_MODULE:-/snapmapfs.ko}
# Fewer where the kernel is slow.
cycles=$((100 / ${SNAP_SLOW:-1}))
number=0
failed=0

result() {
	number=$((number + 1))
	if [ "$1" = 0 ]; then
		echo "ok $number fs_reload.$2"
	else
		failed=1
		echo "not ok $number fs_reload.$2"
	fi
}

# check NAME COMMAND...: the command must succeed.
check() {
	name=$1
	shift
	"$@"
	result $? "$name"
}

refused() {
	! "$@" 2>/dev/null
}

# Nothing of the module is left anywhere.
gone() {
	left=0
	[ ! -e /sys/module/snapmapfs ] || left="/sys/module"
	! grep -q '^snapmapfs ' /proc/modules || left="/proc/modules"
	! grep -qw snapmapfs /proc/filesystems || left="/proc/filesystems"
	! grep -q '^snapmapfs' /proc/slabinfo || left="/proc/slabinfo"
	! grep -q '\[snapmapfs\]' /proc/kallsyms || left="/proc/kallsyms"
	! grep -qw snapmapfs /proc/vmallocinfo 2>/dev/null ||
		left="/proc/vmallocinfo"
	[ "$left" = 0 ] && return
	echo "# snapmapfs is still in $left"
	return 1
}

# KiB of free memory once all that is merely cached is dropped.
memory_free() {
	for _ in 1 2 3; do
		sync
		echo 3 >/proc/sys/vm/drop_caches
		usleep 200000
	done
	awk '/^MemFree:/ { print $2 }' /proc/meminfo
}

# One life of the module, with use of all that it may have to clean up.
cycle() {
	insmod "$module" || return
	mount -t snapmapfs -o size=4m reload /tmp/reload || return
	mkdir /tmp/reload/d || return
	head -c 100000 /dev/zero >/tmp/reload/d/f || return
	ln -s d/f /tmp/reload/l && ln /tmp/reload/d/f /tmp/reload/g || return
	cmp -s /tmp/reload/l /tmp/reload/g || return
	rm /tmp/reload/d/f || return
	umount /tmp/reload || return
	rmmod snapmapfs
}

echo "TAP version 13"
if [ "${SNAP_FSTYPE:-snapmapfs}" != snapmapfs ]; then
	echo "1..0 # SKIP $SNAP_FSTYPE is not a module to be loaded"
	exit 4
fi
echo "1..9"
mkdir -p /tmp/reload
# An earlier test in the same machine may have loaded it.
[ ! -e /sys/module/snapmapfs ] || rmmod snapmapfs

# In use in one way or another: the module stays, and works.
check load insmod "$module"
check load_twice_refused refused insmod "$module"
mount -t snapmapfs -o size=4m reload /tmp/reload
check rmmod_refused_while_mounted refused rmmod snapmapfs
echo text >/tmp/reload/f
check works_after_refusal grep -q text /tmp/reload/f
# A file that outlives its mount.
exec 3</tmp/reload/f
umount -l /tmp/reload
check rmmod_refused_while_open refused rmmod snapmapfs
read -r line <&3
check open_file_works [ "$line" = text ]
exec 3<&-
usleep 200000
rmmod snapmapfs
check nothing_left gone

i=0
while [ $i -lt 5 ] && cycle; do
	i=$((i + 1))
done
before=$(memory_free)
i=0
while [ $i -lt $cycles ] && cycle; do
	i=$((i + 1))
done
[ $i = $cycles ] || echo "# cycle $i of $cycles failed"
[ $i = $cycles ] && gone
result $? hundred_times

# A leak of 40 KiB each would be 4 MiB. MemFree goes up and down by more than
# that, but only a leak takes as much every time.
less() {
	tries=0
	while [ $tries -lt 3 ]; do
		tries=$((tries + 1))
		after=$(memory_free)
		echo "# MemFree $before kB before, $after kB after"
		[ $((before - after)) -lt $((i * 40)) ] && return 1
		before=$after
		i=0
		while [ $i -lt $((cycles * 2 / 5)) ] && cycle; do
			i=$((i + 1))
		done
	done
}

less
result $((! $?)) memory_free_again
exit $failed

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# run.sh [DIR DIR]: do the same on tmpfs and on snapmapfs (or in two other
# directories) and show side by side what a private mapping makes of it.
#
# The exit status is that of the second directory: 0 if its mappings were as
# they should be.

here=$(dirname "$0")
left=${1:-/mnt/tmpfs} right=${2:-/mnt/snap}
kept=0

# line TEXT LEFT RIGHT
line() {
	printf '%-46s  %-24s  %s\n' "$@"
}

# row TEXT COMMAND...: run `COMMAND... DIR` in both directories.
row() {
	text=$1
	shift
	was=$("$@" "$left")
	is=$("$@" "$right") || kept=1
	line "$text" "$was" "$is"
}

# What killed a process, by its exit status.
signal() {
	case $1 in
	132) echo SIGILL ;;
	133) echo SIGTRAP ;;
	134) echo SIGABRT ;;
	135) echo SIGBUS ;;
	139) echo SIGSEGV ;;
	*) echo "signal $(($1 - 128))" ;;
	esac
}

# library DIR: a program has a library of DIR loaded while that is overwritten.
library() {
	cp "$here/librate-1.so" "$1/librate.so"
	rm -f "$1/flag"
	{
		"$here/service" "$1/librate.so" "$1/flag" &
		service=$!
		until [ -e "$1/flag" ]; do
			kill -0 "$service" || return 2
			sleep 0.01
		done
		cp "$here/librate-2.so" "$1/librate.so"
		rm "$1/flag"
		wait "$service"
	} 2>/dev/null
	status=$?
	[ "$status" -lt 128 ] || printf '%s' "dies of $(signal "$status")"
	rm -f "$1/librate.so"
	return "$status"
}

echo "$(uname -sr): a file is mapped with mmap(MAP_PRIVATE), then it is changed."
echo "What does the mapping show?"
echo
line "what was done to the file" "${1:-tmpfs}" "${2:-snapmapfs}"
line "----------------------------------------------" "------------------------" "------------------------"
row "overwritten with write()" "$here/change" overwrite
row "overwritten through a shared mapping" "$here/change" store
row "punched with fallocate()" "$here/change" punch
row "truncated to nothing" "$here/change" truncate
row "truncated and written anew, as cp does" "$here/change" rewrite
row "truncated; the mapping has stores of its own" "$here/change" own
row "a library, overwritten while a program runs" library
echo
echo "What does that cost? A file of 16 pages is mapped 200 times, then overwritten"
echo "twice, then unmapped. The pages that statfs() counts more than before:"
echo
row "mapped, overwritten, unmapped" "$here/change" cost
echo
if [ $kept = 0 ]; then
	echo "snapmapfs kept every mapping as it was."
else
	echo "snapmapfs did NOT keep every mapping as it was." >&2
fi
exit $kept

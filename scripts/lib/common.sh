# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What every script here starts with: strict mode, paths, messages and the
# cache of finished steps.

set -euo pipefail
umask 022

lib=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
scripts=$(dirname "$lib")
# shellcheck disable=SC2034 # for those who include this
checkout=$(dirname "$scripts")

cache=${SNAPMAPFS_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/snapmapfs}
cache=$(realpath -m -- "$cache")

# Present only in our build root: a script that runs there needs no chroot.
inside_mark=/etc/snapmapfs-root

info() {
	printf '[snapmapfs] %s\n' "$*" >&2
}

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# To make, Kbuild and QEMU a path ends there.
[[ $checkout$cache != *[[:space:]:,]* ]] ||
	die "no space, colon or comma may be in the path of the checkout or the cache: $checkout, $cache"

inside() {
	[[ -e $inside_mark ]]
}

need_root() {
	((EUID == 0)) || die "must run as root: it makes a build root and mounts into it"
}

# in_root CMD...: run CMD in the build root, in the checkout: the directory that a
# script was called from may not be there.
in_root() {
	(cd "$checkout" && exec "$scripts/chroot" "$@")
}

# key FILE...: a short name for the contents of FILEs and of stdin.
key() {
	{
		cat -- "$@"
		cat
	} | sha256sum | cut -c1-12
}

# step WHAT DIR MIB CMD...: make DIR by running `CMD... DIR`, once.
#
# DIR counts only when it holds .done, so an interrupted run leaves nothing
# that a later one would take for finished. (No rename at the end: a kernel
# build tree knows its own path.) Runs that need the same DIR wait for it.
step() {
	local what=$1 dir=$2 mib=$3 free
	shift 3

	if [[ -e $dir/.done ]]; then
		# prune() goes by this time stamp.
		inside || touch "$dir/.done"
		return
	fi
	inside && die "$what is missing: run scripts/prepare outside the build root first"
	need_root
	mkdir -p "$cache" || die "cannot create the cache directory $cache"

	(
		if ! flock -n 9; then
			info "waiting for another run that makes the $what"
			flock 9
		fi
		[[ ! -e $dir/.done ]] || exit 0

		rm -rf --one-file-system "$dir"
		free=$(df --output=avail -m "$cache" | tail -n 1)
		((free >= mib)) || die "$what needs $mib MiB in $cache, only $((free)) MiB are free"

		# A signal must end in the EXIT trap, not past it.
		trap 'exit 130' INT TERM HUP
		trap 'rm -rf --one-file-system "$dir"' EXIT
		info "making the $what"
		SECONDS=0
		mkdir -p "$dir"
		"$@" "$dir" 9>&-
		touch "$dir/.done"
		trap - EXIT
		info "made the $what in $SECONDS s"
	) 9>"$dir.lock"
}

# logged LOG CMD...: run CMD with its output in LOG; show the end of it if CMD
# fails.
logged() {
	local log=$1 status=0
	shift

	mkdir -p "$(dirname "$log")"
	"$@" >"$log" 2>&1 </dev/null || status=$?
	if ((status)); then
		tail -n 25 "$log" >&2
		info "failed; the whole log is $log"
	fi
	return "$status"
}

# Forget what no run has used for three weeks: each change of the package list
# leaves some GiB behind.
prune() {
	local done_file

	for done_file in "$cache"/*/.done; do
		[[ -n $(find "$done_file" -mtime +21 2>/dev/null) ]] || continue
		info "removing ${done_file%/.done}, unused for three weeks"
		rm -rf --one-file-system "${done_file%/.done}"{,.lock}
	done
	# And what a killed run could not clean up.
	find "$cache" "$cache/tmp" -mindepth 1 -maxdepth 1 -type d \
		\( -name '*.??????' -o -name 'tests.????????' \) -mtime +1 \
		-exec rm -rf --one-file-system {} + 2>/dev/null || true
}

# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The build root: a Debian with the compilers that built its own kernel, and
# that kernel's packages beside them in /srv/kernel.

# shellcheck source=scripts/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# Where image, source, headers and rustc may agree, best first. See pick-kernel.
suites=(forky sid trixie-backports)

root=$cache/root-$(key "$lib/packages" "$lib/make-root" "$lib/pick-kernel" </dev/null)

need_mmdebstrap() {
	command -v mmdebstrap >/dev/null && return
	info "installing mmdebstrap"
	mkdir -p "$cache/log"
	# Some source that has nothing to do with it may be out of reach.
	apt-get -o Acquire::Check-Valid-Until=false update >"$cache/log/apt.log" 2>&1 || true
	logged "$cache/log/apt.log" env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y --no-install-recommends mmdebstrap ||
		die "cannot install mmdebstrap"
}

# make_root DIR
make_root() {
	local dir=$1 suite log reasons=()

	need_mmdebstrap
	for suite in "${suites[@]}"; do
		log=$cache/log/root-$suite.log
		mkdir -p "$cache/log"
		info "build root from $suite"
		rm -rf --one-file-system "$dir"
		mkdir -p "$dir"
		# In a mount namespace of its own nothing can stay mounted.
		if unshare --mount "$lib/make-root" "$suite" "$dir" >"$log" 2>&1 </dev/null; then
			touch "$dir$inside_mark"
			return
		fi
		reasons+=("$suite: $(why "$log")")
		info "${reasons[-1]}"
	done
	die "no Debian suite gave a build root with a kernel to match; logs in $cache/log"
}

# why LOG: the line of mmdebstrap's log that says what went wrong.
why() {
	grep -oP '^pick-kernel: \K.*' "$1" && return
	if grep -qE 'Could not resolve|Could not connect|Temporary failure|Network is unreachable' "$1"; then
		echo "Debian's mirror cannot be reached"
		return
	fi
	grep -m 1 '^E: ' "$1" || tail -n 1 "$1"
}

# What a 32-bit guest runs, and its selftests are linked with. Nothing of it is run
# here, so it is unpacked and not installed.
packages32=busybox-static,libc6,libgcc-s1,e2fsprogs,liburing-dev
# shellcheck disable=SC2034 # for those who include this
root32=$cache/root32-$(key <<<"$packages32 ${suites[*]}")

# make_root32 DIR
make_root32() {
	local suite

	need_mmdebstrap
	for suite in "${suites[@]}"; do
		rm -rf --one-file-system "$1"
		mkdir -p "$1"
		unshare --mount mmdebstrap --aptopt='Acquire::Check-Valid-Until "false"' \
			--architectures=i386 --mode=root --variant=extract \
			--include="$packages32" "${suite%-backports}" "$1" \
			>"$cache/log/root32-$suite.log" 2>&1 </dev/null && return
	done
	die "no Debian suite has the 32-bit programs; logs in $cache/log"
}

root_ready() {
	step "build root" "$root" 4500 make_root
}

# add_packages PACKAGE...: install what no kernel is built with, so that the
# kernels need not be built again for it.
add_packages() {
	local package missing=() info=$root/var/lib/dpkg/info

	for package; do
		# A library that may be there for several architectures has its own in the name.
		[[ -e $info/$package.list ]] || compgen -G "$info/$package:*.list" >/dev/null || missing+=("$package")
	done
	((${#missing[@]})) || return 0
	inside && die "${missing[*]} is missing in the build root"
	info "installing ${missing[*]} in the build root"
	(
		flock 9
		# shellcheck disable=SC2016 # expanded by the inner shell
		logged "$cache/log/add-packages.log" in_root sh -c '
			export DEBIAN_FRONTEND=noninteractive
			dpkg --configure -a &&
				apt-get -o Acquire::Check-Valid-Until=false update &&
				exec apt-get install -y --no-install-recommends "$@"
		' sh "${missing[@]}" 9>&-
	) 9>"$root.lock" || die "cannot install ${missing[*]}"
}

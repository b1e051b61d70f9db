# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The build root: a Debian with the compilers that built its own kernel, and
# that kernel's packages beside them in /srv/kernel.

# shellcheck source=scripts/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# Where image, source, headers and rustc may agree, best first. See pick-kernel.
suites=(forky sid trixie-backports)

root=$cache/root-$(key "$lib/packages" "$lib/root.sh" "$lib/pick-kernel" </dev/null)

# make_root_from SUITE DIR
make_root_from() {
	local suite=$1 dir=$2 include options

	include=$(grep -v '^#' "$lib/packages" | paste -sd,)
	options=(
		# A frozen mirror's index is past its date and still the one to use.
		--aptopt='Acquire::Check-Valid-Until "false"'
		--aptopt='Acquire::Retries "3"'
		--dpkgopt='path-exclude=/usr/share/man/*'
		--dpkgopt='path-exclude=/usr/share/locale/*'
		--dpkgopt=force-unsafe-io
		--mode=root
		--variant=minbase
		--include="$include"
		--extract-hook="$lib/pick-kernel choose \"\$1\""
		--customize-hook="$lib/pick-kernel download \"\$1\""
	)
	if [[ $suite == *-backports ]]; then
		options+=(
			--setup-hook="cd \"\$1\"/etc/apt && sed -n 's/ ${suite%-backports} / $suite /p' \
				sources.list > sources.list.d/backports.list"
			# The kernel alone: it was built with the compilers of the release.
			--setup-hook="printf 'Package: src:linux*\nPin: release n=$suite\nPin-Priority: 900\n' \
				> \"\$1\"/etc/apt/preferences.d/kernel"
		)
	fi
	# In a mount namespace of its own nothing can stay mounted.
	unshare --mount mmdebstrap "${options[@]}" "${suite%-backports}" "$dir"
}

# make_root DIR
make_root() {
	local dir=$1 suite log reasons=()

	if ! command -v mmdebstrap >/dev/null; then
		info "installing mmdebstrap"
		logged "$cache/log/apt.log" apt-get -o Acquire::Check-Valid-Until=false update ||
			die "apt-get update failed, and mmdebstrap has to be installed"
		logged "$cache/log/apt.log" env DEBIAN_FRONTEND=noninteractive \
			apt-get install -y --no-install-recommends mmdebstrap ||
			die "cannot install mmdebstrap"
	fi

	for suite in "${suites[@]}"; do
		log=$cache/log/root-$suite.log
		mkdir -p "$cache/log"
		info "build root from $suite"
		rm -rf --one-file-system "$dir"
		mkdir -p "$dir"
		if make_root_from "$suite" "$dir" >"$log" 2>&1 </dev/null; then
			echo "$suite" >"$dir/srv/kernel/suite"
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

root_ready() {
	step "build root" "$root" 9000 make_root
}

# Facts about the kernel that goes with the root.
kernel_fact() {
	cat "$root/srv/kernel/$1"
}

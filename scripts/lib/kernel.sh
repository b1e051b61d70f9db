# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Test kernels. Each has a file scripts/kernel/NAME that builds its tree; what
# they share is here. Comments in that file may say:
#
#	inputs: FILE...	what else the tree is made from
#	slow: N		how many times slower than the stock kernel it runs

# shellcheck source=scripts/lib/root.sh
. "$(dirname "${BASH_SOURCE[0]}")/root.sh"

source_dir=$cache/linux-$(key "$lib/unpack-source" <<<"$root")

# use_kernel NAME: sets kdir, the build tree of the test kernel NAME, and slow.
use_kernel() {
	local inputs

	kernel=$1
	kernel_script=$scripts/kernel/$kernel
	[[ $kernel =~ ^[a-z0-9]+$ && -x $kernel_script ]] ||
		die "there is no test kernel '$kernel'; there is: $(ls "$scripts/kernel")"
	read -ra inputs < <(sed -n 's/^# inputs: //p' "$kernel_script") || true
	kdir=$cache/kernel-$kernel-$(
		cd "$checkout"
		# How long tests may take has no part in it.
		key <(grep -v "^# slow: " "$kernel_script") ${inputs[@]+"${inputs[@]}"} <<<"$source_dir"
	)
	slow=$(sed -n 's/^# slow: //p' "$kernel_script")
	: "${slow:=1}"
}

# unpack_source DIR
unpack_source() {
	logged "$cache/log/source.log" in_root "$lib/unpack-source" "$1" ||
		die "cannot unpack the kernel source"
}

source_ready() {
	root_ready
	step "kernel source" "$source_dir" 2500 unpack_source
}

# build_kernel DIR
build_kernel() {
	logged "$cache/log/kernel-$kernel.log" \
		in_root "$kernel_script" "$source_dir" "$1" ||
		die "cannot make the $kernel kernel"
}

kernel_ready() {
	use_kernel "$1"
	source_ready
	step "$kernel kernel" "$kdir" 2500 build_kernel
}

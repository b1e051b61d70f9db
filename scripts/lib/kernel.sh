# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Test kernels. Each has a file scripts/kernel/NAME that builds its tree; what
# they share is here.

# shellcheck source=scripts/lib/root.sh
. "$(dirname "${BASH_SOURCE[0]}")/root.sh"

source_dir=$cache/linux-$(key "$lib/unpack-source" <<<"$root")

# use_kernel NAME: sets kdir, the build tree of the test kernel NAME.
use_kernel() {
	kernel=$1
	kernel_script=$scripts/kernel/$kernel
	[[ $kernel =~ ^[a-z0-9]+$ && -x $kernel_script ]] ||
		die "there is no test kernel '$kernel'; there is: $(ls "$scripts/kernel")"
	kdir=$cache/kernel-$kernel-$(key "$kernel_script" <<<"$source_dir")
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
	step "$kernel kernel" "$kdir" 1500 build_kernel
}

# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Test kernels. Each has a file scripts/kernel/NAME that builds its tree; what
# they share is here. Comments in that file may say:
#
#	inputs: FILE...	what else the tree is made from
#	slow: N		how many times slower than the stock kernel it runs
#	patches: DIR	what its source is patched with
#	bits: 32	it runs 32-bit programs
#	mem: SIZE	memory of the machine, if not told otherwise
#	cpu: MODEL	its processor, likewise; with page tables of five levels, one boot
#			in eight of a kernel with KASAN complains of itself

# shellcheck source=scripts/lib/root.sh
. "$(dirname "${BASH_SOURCE[0]}")/root.sh"

source_dir=$cache/linux-$(key "$lib/unpack-source" <<<"$root")

# use_kernel NAME: sets kdir, the build tree of the test kernel NAME,
# kernel_source, what that is made from, tests_dir, where its selftests are
# built, slow, and kernel_* for the other comments.
use_kernel() {
	local inputs name

	kernel=$1
	kernel_script=$scripts/kernel/$kernel
	[[ $kernel =~ ^[a-z0-9]+$ && -x $kernel_script ]] ||
		die "there is no test kernel '$kernel'; there is: $(ls "$scripts/kernel")"
	for name in slow patches bits mem cpu; do
		printf -v "kernel_$name" %s "$(sed -n "s/^# $name: //p" "$kernel_script")"
	done
	# shellcheck disable=SC2034 # for those who include this
	slow=${kernel_slow:-1}
	# shellcheck disable=SC2034
	tests_dir=$checkout/build/tests${kernel_bits:+-$kernel}
	kernel_source=$source_dir
	[[ -z $kernel_patches ]] || kernel_source=$cache/linux-$kernel-$(key "$checkout/$kernel_patches"/*.patch <<<"$source_dir")
	read -ra inputs < <(sed -n 's/^# inputs: //p' "$kernel_script") || true
	kdir=$cache/kernel-$kernel-$(
		cd "$checkout"
		# How the machine is run has no part in it.
		key <(grep -vE "^# (slow|mem|cpu): " "$kernel_script") ${inputs[@]+"${inputs[@]}"} <<<"$kernel_source"
	)
}

# unpack_source DIR
unpack_source() {
	logged "$cache/log/source.log" in_root "$lib/unpack-source" "$1" ||
		die "cannot unpack the kernel source"
}

# patch_source DIR: the source of a kernel with its patches. Links will do: a file
# that is patched is written anew.
patch_source() {
	cp -al "$source_dir/." "$1"
	rm -f "$1/.done"
	# shellcheck disable=SC2016 # expanded by the inner shell
	logged "$cache/log/source-$kernel.log" in_root sh -c 'cd "$1" && shift && GIT_CEILING_DIRECTORIES=/ git apply --verbose "$@"' \
		sh "$1" "$checkout/$kernel_patches"/*.patch || die "cannot patch the kernel source"
}

source_ready() {
	root_ready
	step "kernel source" "$source_dir" 2500 unpack_source
}

# build_kernel DIR
build_kernel() {
	logged "$cache/log/kernel-$kernel.log" \
		in_root "$kernel_script" "$kernel_source" "$1" ||
		die "cannot make the $kernel kernel"
}

kernel_ready() {
	use_kernel "$1"
	source_ready
	[[ -z $kernel_patches ]] || step "$kernel kernel's source" "$kernel_source" 300 patch_source
	step "$kernel kernel" "$kdir" 2500 build_kernel
	[[ -z $kernel_bits ]] || step "32-bit programs" "$root32" 300 make_root32
}

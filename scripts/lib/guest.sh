# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What every guest has, whatever is run in it: the part of its initramfs that
# can be made once for a kernel.

# shellcheck source=scripts/lib/kernel.sh
. "$(dirname "${BASH_SOURCE[0]}")/kernel.sh"

# make_guest DIR
make_guest() {
	logged "$cache/log/guest-$kernel.log" \
		in_root "$scripts/guest/make-base" "$kdir" "$1/base.cpio" ${kernel_bits:+"$root32"} ||
		die "cannot make the $kernel kernel's guest"
}

# guest_ready KERNEL: sets guest to a directory with base.cpio.
guest_ready() {
	kernel_ready "$1"
	guest=$cache/guest-$kernel-$(key "$scripts/guest/make-base" "$scripts/guest/init" <<<"$kdir${kernel_bits:+ $root32}")
	step "$kernel kernel's guest" "$guest" 200 make_guest
}

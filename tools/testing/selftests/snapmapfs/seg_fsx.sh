#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# timeout: 900
#
# fsx.sh on a mount with small segments: fewer operations, each of which goes
# over several borders.

here=$(cd "$(dirname "$0")" && pwd)
mnt=$(mktemp -d) || exit 1
if ! mount -t "${SNAP_FSTYPE:-snapmapfs}" -o segment=16k seg "$mnt"; then
	rmdir "$mnt"
	echo "TAP version 13"
	echo "1..1"
	echo "not ok 1 seg_fsx # cannot mount with segment=16k"
	exit 1
fi
SNAP_DIR=$mnt FSX_OPERATIONS=${FSX_OPERATIONS:-500} sh "$here/fsx.sh"
status=$?
umount "$mnt" && rmdir "$mnt" || status=1
exit $status

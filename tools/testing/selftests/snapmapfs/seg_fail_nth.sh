#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# timeout: 1200
#
# fail_nth on a mount with small segments: its file has five.

here=$(cd "$(dirname "$0")" && pwd)
exec "$here/fail_nth" --mount segment=8k

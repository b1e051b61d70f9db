#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
echo "WARNING: made up" >/dev/kmsg

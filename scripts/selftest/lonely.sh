#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# vm: --smp 1 --mem 512M
# The machine it asked for, and nobody who was left behind elsewhere.
[ "$(nproc)" = 1 ] && ! pgrep -f 'sleep 1000'

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs after panics.sh, so on another boot, and finds no process of others.
! pgrep -f 'sleep 1000'

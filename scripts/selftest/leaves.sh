#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Leaves a process behind that must neither stop the run nor live on.
setsid sleep 1000 &
printf 'no newline here'

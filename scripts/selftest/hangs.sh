#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# timeout: 2
echo "TAP version 13"
echo "ok 1 before"
sleep 1000

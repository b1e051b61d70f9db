#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
echo "what went wrong"
exit 3

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A program made by its .build, and TAP lines as scripts write them.
echo "1..5"
echo "ok 1 - $(./made)"
echo "not ok 2 reason # /no/such/file"
echo "ok 3 skip # skip no such thing"
echo "not ok 4 later # TODO some day"
echo "ok 5 reasons.own_name # took 3 s"

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# tap.py NAME: turn the TAP on stdin into the case lines of suite.sh. A case is
# named by its text if that is one word, and else by its number: what is skipped
# often has another text.

import re
import sys

RESULT = re.compile(r'\s*(not )?ok (\d+)(?: -)? *([^#]*)(?:# *(skip|todo|xfail)\S* *(.*))?', re.IGNORECASE)

for line in sys.stdin.buffer:
    found = RESULT.match(line.decode(errors='replace'))
    if not found:
        continue
    bad, number, text, directive, why = found.groups()
    text = text.strip()
    case = text if re.fullmatch(r'[\w-]+\.[\w.-]+', text) else number
    word = 'skip' if directive else 'fail' if bad else 'ok'
    print(f'@ {word} {sys.argv[1]}.{case} {text if case != text else ""} {why or ""}'.rstrip())

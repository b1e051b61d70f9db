#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# compare.py DIFFERENCES LOG...: say of each suite, whose output is in LOG.log,
# how its cases came out on snapmapfs and on tmpfs. Each case that came out
# differently must be in the file DIFFERENCES, which has the reason.

import fnmatch
import os
import sys

# Of what is not as expected, show so many lines.
MOST = 30


class Run:
    """A suite on one file system."""

    def __init__(self):
        self.cases = {}
        self.why = {}
        self.status = None
        self.seconds = 0

    def counts(self):
        values = list(self.cases.values())
        return ' '.join(f'{values.count(v)} {v}' for v in ('ok', 'fail', 'skip') if v in values)


def read_log(path):
    runs, version, machine = {}, '?', None
    run = None
    with open(path, errors='replace') as log:
        for line in log:
            words = line.split()
            if line.startswith('== version '):
                version = line[11:].strip()
            elif line.startswith('== begin '):
                run = runs[words[2]] = Run()
            elif line.startswith('== end ') and len(words) == 5:
                run.status, run.seconds = int(words[3]), int(words[4])
                run = None
            elif line.startswith('== machine '):
                machine = int(words[2])
            elif line.startswith('@ ') and run and len(words) > 2 and words[1] in ('ok', 'fail', 'skip'):
                # The worse word counts if a case is named twice.
                order = ('ok', 'skip', 'fail')
                old = run.cases.get(words[2], 'ok')
                run.cases[words[2]] = max(old, words[1], key=order.index)
                run.why[words[2]] = ' '.join(words[3:])
    return runs, version, machine


def read_differences(path):
    """Lines `SUITE CASE TMPFS SNAPMAPFS REASON`; CASE is a pattern."""
    known = []
    with open(path) as file:
        for line in file:
            words = line.split(None, 4)
            if words and not line.startswith('#'):
                known.append(words)
    return known


def main():
    known = read_differences(sys.argv[1])
    passed = failed = skipped = 0
    for path in sys.argv[2:]:
        name = os.path.basename(path)
        runs, version, machine = read_log(path + '.log')
        bad = []
        if machine != 0:
            bad.append(f'the machine ended with {machine}: see {path}.kernel')
        for kind in ('tmpfs', 'snap'):
            run = runs.setdefault(kind, Run())
            if run.status != 0:
                bad.append(f'{kind}: ended with {run.status}')
            if not run.cases:
                bad.append(f'{kind}: no case')
        tmpfs, snap = runs['tmpfs'], runs['snap']
        print(f'\n{name}: {version}')
        print(f'  snapmapfs  {snap.counts()}, {snap.seconds} s')
        print(f'  tmpfs      {tmpfs.counts()}, {tmpfs.seconds} s')
        explained = 0
        for case in sorted(tmpfs.cases.keys() | snap.cases.keys()):
            there = tmpfs.cases.get(case, 'none')
            here = snap.cases.get(case, 'none')
            if here == there:
                passed += here == 'ok'
                skipped += here != 'ok'
                continue
            for suite, pattern, t, s, reason in known:
                if suite == name and fnmatch.fnmatchcase(case, pattern) and t == there and s == here:
                    print(f'  {case}: {there} on tmpfs, {here} here: {reason.strip()}')
                    explained += 1
                    passed += 1
                    break
            else:
                why = snap.why.get(case) or tmpfs.why.get(case) or ''
                bad.append(f'{case}: {there} on tmpfs, {here} here {why}'.rstrip())
        print(f'  differences: {explained} with a reason, {len(bad)} without')
        for line in bad[:MOST]:
            print(f'  NOT AS EXPECTED: {line}')
        if len(bad) > MOST:
            print(f'  ... and {len(bad) - MOST} more')
        failed += len(bad)
    # What fails or is skipped on both says nothing about us.
    print(f'\n{passed} passed, {failed} failed, {skipped} skipped')
    sys.exit(failed != 0 or passed == 0)


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Run selftests in virtual machines and print their results as one TAP.

Tests that ask for the same kind of machine share a boot. A machine that dies or
hangs is replaced by another one for the tests that are left. The last line is
`N passed, N failed, N skipped`.
"""

import argparse
import concurrent.futures
import fnmatch
import os
import queue
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

# What a machine may take to boot where much else is going on, and a stuck test beyond
# its own limit.
BOOT_SECONDS = 600
GRACE_SECONDS = 120
# For one program; a comment line `timeout: SECONDS` in its head overrides it.
TEST_SECONDS = 240

KSFT_SKIP = 4
RESULT = re.compile(
    r"(ok|not ok)\b\s*(?:\d+\b)?\s*(?:-\s+)?([^#]*?)\s*(?:#\s*(?:(SKIP|XFAIL|TODO)\b)?\s*(.*))?$",
    re.IGNORECASE,
)
RUNNING = re.compile(r"#\s+RUN\s+(\S+) \.\.\.$")
PLAN = re.compile(r"1\.\.(\d+)\s*(?:#\s*SKIP\s*(.*))?$", re.IGNORECASE)


class Test:
    """One program of the suite and what its source says about running it."""

    def __init__(self, file, source, slow):
        self.file = file
        self.name = file.removesuffix(".sh")
        self.vm = ""
        self.seconds = TEST_SECONDS
        self.bits = 0
        with open(source, encoding="utf-8", errors="replace") as file:
            for line in [line for _, line in zip(range(20), file)]:
                if match := re.match(r"\s*(?://|#|/?\*)\s*vm:\s*(.*?)\s*(?:\*/)?$", line):
                    self.vm = match[1]
                if match := re.match(r"\s*(?://|#|/?\*)\s*timeout:\s*(\d+)", line):
                    self.seconds = int(match[1])
                if match := re.match(r"\s*(?://|#|/?\*)\s*bits:\s*(\d+)", line):
                    self.bits = int(match[1])
        self.seconds *= slow


class Report:
    """Results, as they come, on stdout; the figures at the end."""

    def __init__(self, wanted):
        self.wanted = wanted
        self.number = 0
        self.passed = self.failed = self.skipped = 0
        self.failures = []
        self.lock = threading.RLock()

    def selects(self, name):
        """Patterns name programs or single results."""
        return not self.wanted or any(
            fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(name, pattern + ".*")
            for pattern in self.wanted
        )

    def line(self, good, name, directive, details=()):
        with self.lock:
            self.remark(*(f"  {detail}" for detail in details))
            self.number += 1
            print(f"{'ok' if good else 'not ok'} {self.number} {name}{directive}", flush=True)

    def remark(self, *lines):
        with self.lock:
            for line in lines:
                print(f"# {line}", flush=True)

    def ok(self, name):
        if self.selects(name):
            with self.lock:
                self.passed += 1
            self.line(True, name, "")

    def skip(self, name, reason):
        if self.selects(name):
            with self.lock:
                self.skipped += 1
            self.line(True, name, f" # SKIP {reason}".rstrip())

    def fail(self, name, reason="", details=()):
        # What is wrong with a whole program is never left out, whatever was asked for.
        with self.lock:
            self.failed += 1
            self.failures.append(name)
        self.line(False, name, f" # {reason}" if reason else "", details)

    def fail_one(self, name, details):
        if self.selects(name):
            self.fail(name, details=details)

    def close(self):
        print(f"1..{self.number}")
        self.remark(*(f"failed: {name}" for name in self.failures))
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped", flush=True)
        return self.failed == 0 and self.passed > 0


class ControlReport(Report):
    """The tests of control.list have to fail."""

    def __init__(self, wanted, listed):
        super().__init__(wanted)
        self.unseen = {name for name in listed if self.selects(name)}

    def leave_out(self, test):
        """It skips itself on such a machine, so it claims nothing there either."""
        self.unseen = {name for name in self.unseen if not name.startswith(test.name + ".")}
        super().skip(test.name, f"is for {test.bits} bits")

    def seen(self, name):
        with self.lock:
            if name not in self.unseen:
                return False
            self.unseen.discard(name)
            return True

    def ok(self, name):
        if self.seen(name):
            Report.fail(self, name, "passes on tmpfs, so it proves nothing")

    def skip(self, name, reason):
        if self.seen(name):
            Report.fail(self, name, f"is skipped on tmpfs: {reason}")

    def fail_one(self, name, details):
        if self.seen(name):
            with self.lock:
                self.passed += 1
            self.line(True, name, " # fails on tmpfs, as it must")

    def fail(self, name, reason="", details=()):
        # A program that dies or complains has not shown that its tests can fail; those of
        # them that are listed turn up as unseen.
        self.remark(f"{name}: {reason}")

    def close(self):
        for name in sorted(self.unseen):
            Report.fail(self, name, "was not run to its end on tmpfs")
        return super().close()


class Program:
    """Reads the output of one running test."""

    def __init__(self, test, report):
        self.test = test
        self.report = report
        self.started = time.monotonic()
        self.details = []
        self.results = 0
        self.failures = 0
        self.planned = None
        self.running = None
        self.over = None

    def full(self, name):
        name = name.strip().removeprefix("global.").removeprefix(f"{self.test.name}.")
        return f"{self.test.name}.{name}" if name else f"{self.test.name}.{self.results}"

    def feed(self, line):
        if line.startswith(("ok", "not ok")) and (match := RESULT.match(line)):
            self.result(*match.groups())
        elif match := PLAN.match(line):
            self.planned = int(match[1])
            if self.planned == 0:
                self.over = match[2] or "no tests"
        elif match := RUNNING.match(line):
            self.running = match[1]
        elif line.startswith("Bail out!"):
            self.details.append(line)
            self.planned = None
            self.over = None
            self.fail_program("bailed out")
        elif line and not line.startswith("TAP version") and not self.is_noise(line):
            self.details.append(line.removeprefix("# "))
            del self.details[:-60]

    @staticmethod
    def is_noise(line):
        return re.match(r"# (Starting \d+ tests|PASSED: |FAILED: |Totals: |\s+OK  )", line)

    def result(self, verdict, name, directive, reason):
        directive = (directive or "").upper()
        self.results += 1
        name = self.full(name)
        if verdict == "not ok" and directive != "TODO":
            self.failures += 1
            self.report.fail_one(name, [*self.details, reason] if reason else self.details)
        elif directive:
            self.report.skip(name, reason or "")
        else:
            self.report.ok(name)
        self.details = []
        self.running = None

    def fail_program(self, reason):
        self.failures += 1
        name = self.full(self.running) if self.running else self.test.name
        self.report.fail(name, reason, self.details)
        self.details = []

    def end(self, status):
        """The program ended with `status`: a number as the shell gives it, or what befell it."""
        if not status.isdigit():
            self.fail_program(status)
        elif int(status) > 128:
            self.fail_program(f"killed by {signal.Signals(int(status) - 128).name}")
        elif self.over is not None or (int(status) == KSFT_SKIP and not self.results):
            why = self.over or (self.details[-1] if self.details else "")
            self.report.skip(self.test.name, why)
        elif self.planned is not None and self.results != self.planned:
            self.fail_program(f"gave {self.results} of {self.planned} results")
        elif int(status) and not self.failures:
            self.fail_program(f"exit status {status}")
        elif not int(status) and not self.results:
            self.report.ok(self.test.name)
        seconds = time.monotonic() - self.started
        self.report.remark(f"{self.test.name}: {self.results} results in {seconds:.1f} s")


class Machine:
    """One boot: runs `tests` until they or the machine end."""

    running = set()

    def __init__(self, options, tests, args, report):
        self.tests = tests
        self.report = report
        self.mark = f"@{secrets.token_hex(4)}"
        self.boot = BOOT_SECONDS * args.slow
        self.grace = GRACE_SECONDS * args.slow
        self.complaints = 0
        self.kernel_log = []
        self.scratch = tempfile.mkdtemp(prefix="tests.", dir=args.scratch)
        self.log = os.path.join(self.scratch, "console")
        self.stderr_path = os.path.join(self.scratch, "stderr")
        add = os.path.join(self.scratch, "add")
        os.mkdir(add)
        shutil.copy(args.guest_script, os.path.join(add, "run-tests"))
        shutil.copy(args.complaints, os.path.join(add, "complaints"))
        shutil.copy(args.filter, os.path.join(add, "filter"))
        with open(os.path.join(add, "list"), "w", encoding="utf-8") as file:
            file.writelines(f"{test.file} {test.seconds}\n" for test in tests)
        places = (
            "SNAP_DIR=/mnt/tmpfs PEER_DIR=/mnt/peer SNAP_FSTYPE=tmpfs"
            if args.control
            else "SNAP_DIR=/mnt/snap PEER_DIR=/mnt/tmpfs SNAP_FSTYPE=snapmapfs"
        )
        limit = self.boot + sum(test.seconds + self.grace for test in tests)
        self.command = [
            *args.vm.split(), "--timeout", str(limit), "--log", self.log, "--add", add,
            *options.split(), "--",
            f"export {places}; sh /add/run-tests {self.mark} /add/complaints /add/filter </add/list",
        ]  # fmt: skip

    def run(self):
        """Returns the tests that were not begun."""
        left = list(self.tests)
        program = None
        lines = queue.Queue()
        with open(self.stderr_path, "wb") as stderr:
            process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr,
                start_new_session=True,
            )  # fmt: skip

        def read():
            for line in process.stdout:
                lines.put(line.decode(errors="replace").rstrip("\r\n"))
            lines.put(None)

        Machine.running.add(self)
        self.process = process
        threading.Thread(target=read, daemon=True).start()
        started = time.monotonic()
        deadline = started + self.boot
        try:
            while True:
                try:
                    line = lines.get(timeout=max(0.1, deadline - time.monotonic()))
                except queue.Empty:
                    # The guest's own time limit did not help: the machine is stuck.
                    os.killpg(process.pid, signal.SIGTERM)
                    if program:
                        program.details += self.stderr_tail()
                        program.end("hung the machine")
                        program = None
                        return left
                    break
                if line is None:
                    break
                if not line.startswith(self.mark):
                    if program:
                        program.feed(line)
                    continue
                event, _, rest = line[len(self.mark) + 1 :].partition(" ")
                if event == "begin":
                    program = Program(left.pop(0), self.report)
                    deadline = time.monotonic() + program.test.seconds + self.grace
                elif event == "dmesg":
                    self.kernel_log.append(rest)
                elif event == "complaint":
                    self.complaints += 1
                    self.report.fail(f"{program.test.name}.dmesg", rest, self.kernel_log)
                    self.kernel_log = []
                elif event == "end":
                    program.end("ran out of time" if rest == "timeout" else rest)
                    program = None
                    deadline = time.monotonic() + self.grace
            status = process.wait(timeout=self.grace)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait()
        if program:
            program.details += self.stderr_tail()
            program.end("brought the machine down")
        elif len(left) == len(self.tests):
            # The machine is of no use at all: do not try again.
            names = ", ".join(test.name for test in left)
            seconds = time.monotonic() - started
            self.report.fail(
                "vm", f"no machine after {seconds:.0f} s for {names}", self.stderr_tail()
            )
            return []
        elif status and not self.complaints:
            self.report.fail("dmesg", "the machine ended badly", self.stderr_tail())
        return left

    def stderr_tail(self):
        with open(self.stderr_path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()[-40:]

    def close(self):
        Machine.running.discard(self)
        shutil.rmtree(self.scratch, ignore_errors=True)


def interrupted(number, _frame):
    for machine in list(Machine.running):
        os.killpg(machine.process.pid, signal.SIGTERM)
        machine.close()
    os._exit(128 + number)


def find_tests(args, report):
    """The suite's tests, in order; those that were not built count as failed."""
    tests = []
    for file in sorted(os.listdir(args.source)):
        path = os.path.join(args.source, file)
        name, extension = os.path.splitext(file)
        program = file
        if extension == ".c":
            program = name
            with open(path, encoding="utf-8", errors="replace") as text:
                if not re.search(r"\bTEST_HARNESS_MAIN\b|\bksft_\w+\(", text.read()):
                    continue
        elif extension != ".sh" or not os.access(path, os.X_OK):
            continue
        wanted = not report.wanted or any(
            fnmatch.fnmatchcase(name, pattern) or pattern.startswith(name + ".")
            for pattern in report.wanted
        )
        if not wanted:
            continue
        if not os.access(os.path.join(args.built, program), os.X_OK):
            report.fail(name, "does not compile")
            continue
        tests.append(Test(program, path, args.slow))
    return tests


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--from", dest="source", required=True)
    parser.add_argument("--built", required=True)
    parser.add_argument("--guest-script", required=True)
    parser.add_argument("--complaints", required=True)
    parser.add_argument("--filter", required=True)
    parser.add_argument("--scratch", required=True)
    parser.add_argument("--vm", required=True)
    parser.add_argument("--jobs", type=int, default=2)
    # How many times slower than usual the kernel is.
    parser.add_argument("--slow", type=int, default=1)
    # Of its programs; a comment line `bits: 64` says that a test skips itself with fewer.
    parser.add_argument("--bits", type=int, default=64)
    parser.add_argument("--control", action="store_true")
    parser.add_argument("patterns", nargs="*")
    args = parser.parse_args()

    print("TAP version 13")
    if args.control:
        with open(os.path.join(args.source, "control.list"), encoding="utf-8") as file:
            names = [line.split("#")[0].strip() for line in file]
        listed = {name.replace(".global.", ".", 1) for name in names if name}
        report = ControlReport(args.patterns, listed)
        programs = {name.split(".")[0] for name in listed}
        tests = [test for test in find_tests(args, report) if test.name in programs]
        for test in [test for test in tests if test.bits > args.bits]:
            report.leave_out(test)
            tests.remove(test)
    else:
        report = Report(args.patterns)
        tests = find_tests(args, report)

    groups = {}
    for test in tests:
        groups.setdefault(test.vm, []).append(test)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    os.makedirs(args.scratch, exist_ok=True)

    # A machine for each processor, whatever the kinds of machines are.
    parts = [
        (options, group[part :: args.jobs])
        for options, group in groups.items()
        for part in range(min(args.jobs, len(group)))
    ]

    def run(part):
        options, left = part
        while left:
            report.remark(f"machine: {options or 'as usual'}, {len(left)} programs")
            machine = Machine(options, left, args, report)
            try:
                left = machine.run()
            finally:
                machine.close()

    # Programs mostly wait or use one processor.
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for _ in pool.map(run, parts):
            pass
    sys.exit(0 if report.close() else 1)


if __name__ == "__main__":
    main()

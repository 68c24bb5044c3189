"""One thread a test process, seeded examples, and no more skipped tests in CI than `tests/allowed_skips.json` says.

Processes run side by side, and small tensors gain nothing from more threads.
"""

import json
import os
import signal
from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import settings

settings.register_profile("seeded", derandomize=True)
settings.load_profile("seeded")

torch.set_num_threads(int(os.environ.get("MEDKIT_TEST_THREADS", "1")))

# A shell's background job ignores interrupts, and so would every process that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ALLOWED = json.loads((Path(__file__).parent / "tests" / "allowed_skips.json").read_text(encoding="utf-8"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List skipped tests and blocks by reason, with how many of each may be; in CI also allowances not used up."""
    counts = _skips(terminalreporter)
    in_ci = os.environ.get("CI") == "true"
    if listed := {*counts, *(ALLOWED if in_ci else ())}:
        terminalreporter.section("skipped tests, and blocks of the docs that are not run")
        for reason in sorted(listed):
            fewer = " (lower it, if all tests ran)" if in_ci and counts[reason] < ALLOWED.get(reason, 0) else ""
            terminalreporter.line(f"{counts[reason]:4} of {ALLOWED.get(reason, 0)} allowed: {reason}{fewer}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Make a green run red in CI where more was skipped than is allowed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") != "true" or hasattr(session.config, "workerinput") or reporter is None:
        return
    if any(number > ALLOWED.get(reason, 0) for reason, number in _skips(reporter).items()) and not session.exitstatus:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _skips(reporter: pytest.TerminalReporter) -> Counter[str]:
    """Return how many tests were skipped, by allowed reason: the longest that is a part of theirs, else their own.

    The longest, so that a skip is counted under what is said of it in particular, in whatever order the file has them.
    """
    reports = [report for report in reporter.stats.get("skipped", []) if isinstance(report.longrepr, tuple)]
    said = [f"{report.longrepr[2].removeprefix('Skipped: ')} ({_where(report.longrepr[0])})" for report in reports]
    return Counter(max((reason for reason in ALLOWED if reason in text), key=len, default=text) for text in said)


def _where(file: str) -> str:
    """Return who skipped; pytest names a file of its own for unittest's way, which is the conformance kit's."""
    return "medkit.testing" if file.endswith("_pytest/unittest.py") else file

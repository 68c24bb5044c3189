"""One thread a test process; seeded examples; and what was skipped, in CI not more than `tests/allowed_skips.json` says.

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
    """List skipped tests and blocks by reason, with how many of each may be."""
    counts = _skips(terminalreporter)
    if counts:
        terminalreporter.section("skipped tests, and blocks of the docs that are not run")
        for reason, number in sorted(counts.items()):
            terminalreporter.line(f"{number:4} of {ALLOWED.get(reason, 0)} allowed: {reason}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Make a green run red in CI where more was skipped than is allowed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") != "true" or hasattr(session.config, "workerinput") or reporter is None:
        return
    if any(number > ALLOWED.get(reason, 0) for reason, number in _skips(reporter).items()) and not session.exitstatus:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _skips(reporter: pytest.TerminalReporter) -> Counter[str]:
    """Return how many tests were skipped, by the allowed reason that is a part of theirs, else by their own."""
    reports = [report for report in reporter.stats.get("skipped", []) if isinstance(report.longrepr, tuple)]
    said = [f"{report.longrepr[2].removeprefix('Skipped: ')} ({report.longrepr[0]})" for report in reports]
    return Counter(next((reason for reason in ALLOWED if reason in text), text) for text in said)

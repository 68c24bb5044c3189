"""Workers die, hang and take memory, and the other files must not notice. Tasks are Python text, read by eval."""

import multiprocessing
import time

import pytest
from medkit_dicom_ingest.ingest.workers import outcomes

GIB = 2**30


def run(tasks, workers=2, seconds=20.0, memory=GIB):
    return dict(outcomes(eval, tasks, workers, seconds, memory))


@pytest.mark.parametrize(
    ("task", "how"),
    [
        ("__import__('os')._exit(7)", "exit code 7"),
        ("__import__('os').kill(__import__('os').getpid(), 9)", "signal 9"),
        ("__import__('ctypes').string_at(0)", "signal 11"),
    ],
)
def test_a_dead_worker_costs_its_own_file_alone(task, how):
    good = [f"{n} + 0" for n in range(40)]
    found = run([*good[:20], task, *good[20:]])
    assert {task: found.pop(task).reason} == {task: f"ended the process that read it ({how})"}
    assert found == {f"{n} + 0": n for n in range(40)}


def test_a_worker_that_dies_late_costs_no_good_file():
    mine = "__import__('threading').Timer(0.2, lambda: __import__('os')._exit(3)).start() or 1"
    slow = [f"__import__('time').sleep(0.1) or {n}" for n in range(8)]
    found = run([mine, *slow], workers=1)
    assert found == {mine: 1, **{task: n for n, task in enumerate(slow)}}


def test_large_tasks_and_answers_do_not_block_each_other():
    large = [f"'x' * {10**6 + n}  # " + "y" * 10**6 for n in range(6)]
    assert {len(answer) for answer in run(large).values()} == {10**6 + n for n in range(6)}


def test_a_file_that_takes_too_long_is_given_up():
    began = time.monotonic()
    found = run(["1", "__import__('time').sleep(60)", "2"], seconds=0.5)
    assert (found["1"], found["2"]) == (1, 2)
    assert found["__import__('time').sleep(60)"].code == "time_limit"
    assert time.monotonic() - began < 20


def test_a_file_that_takes_too_much_memory_is_given_up():
    greedy = "len(bytearray(2 * 10**9))"
    found = run(["1", greedy, "2"])
    assert (found["1"], found["2"]) == (1, 2)
    assert found[greedy].code == "memory_limit"


def test_what_an_earlier_file_left_in_memory_does_not_count():
    kept = "globals().setdefault('kept', []).append(bytearray(600 * 2**20)) or 1"
    found = list(outcomes(eval, [kept, kept, kept], 1, 20.0, GIB))
    assert [outcome for _, outcome in found] == [1, 1, 1]


def test_an_unexpected_error_is_reported_without_its_text():
    (outcome,) = run(["int('DOE^JOHN')"]).values()
    assert (outcome.status, outcome.code, outcome.reason) == (
        "failed", "crashed", "unexpected ValueError: please report it")  # fmt: skip


def test_few_tasks_are_drawn_ahead():
    drawn = []

    def tasks():
        for n in range(400):
            drawn.append(n)
            yield f"{n}"

    ahead = []
    for done, _ in enumerate(outcomes(eval, tasks(), 2, 20.0, GIB)):
        ahead.append(len(drawn) - done)
    assert max(ahead) <= 10


def test_no_process_is_left():
    run(["1"])
    assert not multiprocessing.active_children()

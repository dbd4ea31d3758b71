from __future__ import annotations

import os
import signal
import threading

import pytest

from alexnet import stopping
from alexnet.training.preemption import SIGNALS, Interruption


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_requests_a_stop_and_kills_nothing(number: signal.Signals) -> None:
    with Interruption() as interruption:
        assert not interruption.wanted(1)
        os.kill(os.getpid(), number)
        assert interruption.wanted(2)
        assert interruption.reason == f"by {number.name}"


def test_handlers_come_back() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with Interruption():
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_a_second_ctrl_c_stops_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), Interruption():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)


def test_outside_of_commands_no_ctrl_c_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "IMPATIENT_SECONDS", -1)
    with Interruption() as interruption:
        os.kill(os.getpid(), signal.SIGINT)
        assert interruption.wanted(1)  # it is saved now
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    with Interruption() as interruption:
        assert not interruption.wanted(1)


def test_time_is_up() -> None:
    with Interruption(minutes=0) as interruption:
        assert interruption.wanted(1)
        assert interruption.reason == "after 0 minutes"
    with Interruption(minutes=60) as interruption:
        assert not interruption.wanted(1)


def test_processes_agree_only_every_few_steps() -> None:
    with Interruption(minutes=0, agree_every_steps=3) as interruption:
        assert [interruption.wanted(step) for step in (1, 2, 3)] == [False, False, True]


def test_in_another_thread_it_changes_no_handlers() -> None:
    seen: list[object] = []

    def inside() -> None:
        with Interruption():
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [before]

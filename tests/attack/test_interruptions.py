"""Many Ctrl-C in a row: at most one line, the right exit code, and what is being saved is saved."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

STORMS = 25
COMMANDS = """
import importlib, json, os, random, signal, sys, time
from types import SimpleNamespace
import alexnet.cli.main
from alexnet import stopping
from alexnet.__main__ import main
from alexnet.errors import Stopped
if KIND == "training":
    from alexnet.training.preemption import Interruption


take_over = stopping.take_over
signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it is ignored


class Destroyed:
    def __del__(self):
        sum(range(200))


def work():
    # Code in which an exception is easily lost.
    for _ in range(20):
        Destroyed()
        sys.modules.pop("colorsys", None)
        importlib.import_module("colorsys")
        try:
            sum(range(200))
        except Exception:
            pass


def plain():
    while True:
        work()


def short():
    work()


def translated():
    try:
        plain()
    except BaseException as error:
        raise ImportError("a missing module") from error


def dropped():
    while True:
        try:
            work()
        except BaseException:
            pass


def preparing():
    try:
        with stopping.Stopping("again"):
            plain()
    finally:
        work()


def training():
    with Interruption() as interruption:
        step = 0
        while not interruption.wanted(step):
            work()
            step += 1
            if step % 5 == 0:
                save(step)
        save(step)
        raise Stopped("saved")


def save(step):
    with stopping.Shield():
        with open(FILE, "w") as file:
            file.write("begun,")
            work()
            file.write("ended")


def reporting(begin, function):
    # The storm begins after the first lines of the program, or when the command begins its work.
    def call():
        if function is take_over:
            stopping.take_over = take_over
            take_over()
            os.write(begin, b".")
        else:
            os.write(begin, b".")
            function()

    return call


def storm(seed):
    chance = random.Random(seed)
    errors, output = os.pipe()
    begun, begin = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(output, 2)
        sys.argv = ["alexnet", "recipes"]
        command = globals()[KIND]
        if seed % 2:
            command = reporting(begin, command)
        else:
            stopping.take_over = reporting(begin, take_over)
        sys.modules["alexnet.cli.recipes"] = SimpleNamespace(command=command)
        sys.exit(main())
    os.close(output)
    os.read(begun, 1)
    os.close(begun)
    os.close(begin)
    time.sleep(chance.uniform(0, 0.04))
    longest = chance.choice((0.004, 0.04))
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        os.kill(child, signal.SIGINT)
        time.sleep(chance.uniform(0, longest))
    with os.fdopen(errors) as file:
        return os.waitstatus_to_exitcode(status), file.read()


print(json.dumps([storm(seed) for seed in range(STORMS)]), file=sys.__stdout__, flush=True)
"""


def storms(kind: str, file: Path) -> list[tuple[int, str]]:
    """The exit code and the error output of a command in each storm."""
    values = f"KIND, FILE, STORMS = {kind!r}, {str(file)!r}, {STORMS}\n"
    done = subprocess.run([sys.executable, "-c", values + COMMANDS], check=True, capture_output=True)
    return [(code, text) for code, text in json.loads(done.stdout)]


INTERRUPTED, STOPPED = (130, "alexnet: interrupted\n"), (75, "alexnet: stopped by SIGINT; again\n")


@pytest.mark.parametrize(
    ("kind", "allowed"),
    [
        ("plain", {INTERRUPTED}),
        ("short", {INTERRUPTED, (0, "")}),
        ("translated", {INTERRUPTED}),
        ("dropped", {INTERRUPTED}),
        ("preparing", {INTERRUPTED, STOPPED}),
        ("training", {INTERRUPTED, (75, "alexnet: saved\n")}),
    ],
)
def test_many_interruptions_end_in_one_line(kind: str, allowed: set[tuple[int, str]], tmp_path: Path) -> None:
    file = tmp_path / "checkpoint"
    found = storms(kind, file)
    assert len(found) == STORMS
    assert set(found) <= allowed
    if kind == "training":
        assert not file.exists() or file.read_text() == "begun,ended"

"""`python -m tools.results [NAME...] --data DATA`: makes missing and stale results under `results/`."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from pathlib import Path

import torch

from alexnet.errors import AlexNetError, CommandError
from alexnet.io import exclusive_lock
from tools import documents
from tools.record import Recorder
from tools.recorded_run import Recorded
from tools.recorded_runs import find, names
from tools.recorded_state import Budget, expected_budgets, to_make


def main() -> int:
    """Exit code 0 if all wanted results are recorded, 75 if the time was up."""
    parser = argparse.ArgumentParser(prog="python -m tools.results", description=__doc__)
    parser.add_argument(
        "name", nargs="*", help="results to make again; by default those that are not up to date"
    )
    parser.add_argument("--list", action="store_true", help="print all names and exit")
    parser.add_argument("--dry", action="store_true", help="print what would be made and exit")
    parser.add_argument(
        "--print-commands", action="store_true", help="print a command for each result and exit"
    )
    parser.add_argument(
        "--minutes",
        type=float,
        help="save and exit with code 75 after this many minutes; run it again to resume",
    )
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder that holds the data sets")
    parser.add_argument(
        "--work", type=Path, default=Path(), help="folder in which stores/ and runs/ are made"
    )
    parser.add_argument("--root", type=Path, default=Path(), help="the project's folder")
    arguments = parser.parse_args()
    try:
        if arguments.list:
            print("\n".join(names()))
            return 0
        results = arguments.root / "results"
        wanted = [(find(name), "named") for name in arguments.name] or to_make(results)
        if arguments.print_commands:
            for recorded, _ in wanted:
                print(shlex.join([*_again(arguments), recorded.name]))
            return 0
        _announce(wanted, results, arguments.work)
        if not arguments.dry:
            _make(wanted, arguments, results)
    except AlexNetError as error:
        print(f"alexnet: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _announce(wanted: list[tuple[Recorded, str]], results: Path, work: Path) -> None:
    here = "a GPU" if torch.cuda.is_available() else "CPUs"
    budgets = expected_budgets([recorded for recorded, _ in wanted], results, work)
    for (recorded, why), each in zip(wanted, budgets, strict=True):
        print(f"{recorded.name} ({why}): {each}")
    if not wanted:
        print("all recorded results are up to date")
        return
    total = Budget.of_all(budgets)
    print(f"{len(wanted)} to make: {total}, at the rates of the recorded runs; here on {here}")


def _make(wanted: list[tuple[Recorded, str]], arguments: argparse.Namespace, results: Path) -> None:
    if wanted and not arguments.data.is_dir():
        raise CommandError(f"no folder {arguments.data}: type --data with the folder of the data sets")
    deadline = None if arguments.minutes is None else time.monotonic() + 60 * arguments.minutes
    recorder = Recorder(arguments.data, arguments.work, results, deadline)
    for recorded, _ in wanted:
        recorder.record(recorded)
        with exclusive_lock(results, wait=True):  # several processes may record
            documents.refresh(arguments.root)


def _again(arguments: argparse.Namespace) -> list[str]:
    """The command without names, to which the name of a result is added; results are made independently."""
    places = {"--data": arguments.data, "--work": arguments.work, "--root": arguments.root}
    options = [word for option, place in places.items() for word in (option, str(place))]
    return ["python", "-m", "tools.results", *options]


if __name__ == "__main__":
    sys.exit(main())

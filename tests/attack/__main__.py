"""`python -m tests.attack --minutes N`: attacks with new seeds, and a table of how they ended.

The exit code is 1 if the program failed once; each failure is printed with the seed that repeats it. Ctrl-C
and SIGTERM end it early.
"""

from __future__ import annotations

import argparse
import itertools
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from attack.input_attack import InputAttack
from attack.kill_attack import COMMANDS, KillAttack
from attack.mutation_attack import MutationAttack
from attack.outcomes import Trial
from attack.rank_attack import RankAttack
from attack.request_attack import RequestAttack
from attack.storm_attack import StormAttack
from attack.subject import OBSERVED_OF_MODELS, Subject

from alexnet.hardware import cpu_count
from tools import attacks
from tools.attacks import GROUPS, Row

MUTATIONS, REQUESTS = 2, 50
"""Mutations of each part, and requests, with each seed."""


def trials(scratch: Path, seed: int, kinds: Sequence[str], killed: Sequence[str]) -> Iterator[Trial]:
    """Trials without end, from this seed on: attacks of these kinds in turns, kills of these commands."""
    subject = Subject.make(scratch / "subject")
    makers: dict[str, Callable[[], Callable[[int], Iterable[Trial]]]] = {
        "mutation": lambda: partial(
            _mutations,
            [
                MutationAttack.on(subject, scratch),
                MutationAttack.on(Subject.make_models(scratch / "models"), scratch, OBSERVED_OF_MODELS),
            ],
        ),
        "kill": lambda: partial(_kills, KillAttack.on(subject, scratch, killed)),
        "input": lambda: InputAttack.on(subject, scratch).trials,
        "request": lambda: partial(_requests, stack.enter_context(RequestAttack.on(subject))),
        "storm": lambda: StormAttack.on(subject, scratch).trials,
        "rank": lambda: RankAttack.on(subject, scratch).trials,
    }
    with ExitStack() as stack:
        attacks = [makers[kind]() for kind in kinds]
        for number in itertools.count(seed):
            for attack in attacks:
                yield from attack(number)


def _mutations(attacks: Sequence[MutationAttack], seed: int) -> Iterator[Trial]:
    for attack in attacks:
        for part, chance in itertools.product(attack.observed, range(MUTATIONS)):
            yield from attack.trials(part, MUTATIONS * seed + chance)


def _kills(attack: KillAttack, seed: int) -> Iterator[Trial]:
    for name in attack.moments:
        yield attack.trial(name, seed)


def _requests(attack: RequestAttack, seed: int) -> list[Trial]:
    return attack.trials(seed, REQUESTS)


def main() -> int:
    """Attacks for the given time."""
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description="Attack the program.")
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", type=int, help="the first seed [default: the next one in the record, or 0]")
    parser.add_argument("--only", choices=GROUPS, action="append", help="attacks of this kind, and no others")
    parser.add_argument("--killed", choices=COMMANDS, action="append", help="kills of this command alone")
    parser.add_argument("--record", type=Path, metavar="DIR", help="add the numbers to the table in DIR")
    options = parser.parse_args()
    before = attacks.read(options.record) if options.record else []
    kinds: Sequence[str] = options.only or [*GROUPS]
    first: int = options.seed
    if first is None:
        seeds = [row.last_seed for row in before if row.attack.split()[0] in kinds]
        first = max(seeds, default=-1) + 1
    end = time.monotonic() + 60 * options.minutes
    found: list[Trial] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as scratch, suppress(KeyboardInterrupt):
        for trial in trials(Path(scratch), first, kinds, options.killed or [*COMMANDS]):
            found.append(trial)
            if not trial.held:
                print(f"{trial.outcome}: {trial.attack}, seed {trial.seed}: {trial.what}: {trial.detail}")
            if time.monotonic() >= end:
                break
    only = f' ONLY="{" ".join(kinds)}"' if options.only else ""
    killed = f' KILLED="{" ".join(options.killed)}"' if options.killed else ""
    command = f"make attack MINUTES={options.minutes:g} SEED={first}{only}{killed}"
    rows = _rows(found, command, first)
    print(attacks.by_attack(rows).text(), end="")
    if options.record:
        attacks.add(options.record, rows)
    return 0 if all(trial.held for trial in found) else 1


def _rows(found: list[Trial], command: str, first: int) -> list[Row]:
    """A row for each attack."""
    seeds = [trial.seed // (MUTATIONS if trial.attack.startswith("mutation") else 1) for trial in found]
    call = (_commit(), command, first, max(seeds), _machine())
    rows: list[Row] = []
    for attack in sorted({trial.attack for trial in found}):
        of_it = [trial for trial in found if trial.attack == attack]
        outcomes = [trial.outcome for trial in of_it]
        held = sum(trial.held for trial in of_it)
        failed = (outcomes.count(each) for each in ("silent wrong", "traceback", "unexpected", "left over"))
        rows.append(Row(*call, attack, len(outcomes), held, *failed, of_it[0].moments))
    return rows


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = (line.partition(": ")[2] for line in lines if line.startswith("model name"))
    name = next(names, "unknown processor").replace("(R)", "").replace("(TM)", "")
    return f"{cpu_count()} cores of an {name}"


if __name__ == "__main__":
    sys.exit(main())

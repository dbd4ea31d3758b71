"""`python -m tests.attack --minutes N`: attacks with new seeds, and a table of how they ended.

The exit code is 1 if the program failed once; each failure is printed with the seed that repeats it.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from attack.kill_attack import COMMANDS, KillAttack
from attack.mutation_attack import MutationAttack
from attack.outcomes import Trial, table
from attack.subject import OBSERVED, Subject


def attacks(scratch: Path, seed: int) -> Iterator[Trial]:
    """Trials without end, from this seed on: kills and mutations in turns."""
    subject = Subject.make(scratch / "subject")
    mutations, kills = MutationAttack.on(subject, scratch), KillAttack.on(subject, scratch)
    for number in itertools.count(seed):
        for part in OBSERVED:
            yield from mutations.trials(part, number)
        for name in COMMANDS:
            yield kills.random_trial(name, number)


def main() -> int:
    """Attacks for the given time."""
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description="Attack the program.")
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    options = parser.parse_args()
    end = time.monotonic() + 60 * options.minutes
    trials: list[Trial] = []
    with tempfile.TemporaryDirectory() as scratch:
        for trial in attacks(Path(scratch), options.seed):
            trials.append(trial)
            if not trial.held:
                print(f"{trial.outcome}: {trial.attack}, seed {trial.seed}: {trial.what}: {trial.detail}")
            if time.monotonic() >= end:
                break
    print("\n".join(table(trials)))
    return 0 if all(trial.held for trial in trials) else 1


if __name__ == "__main__":
    sys.exit(main())

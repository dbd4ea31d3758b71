"""The README of one recorded result: what it is, and how to make it again."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from pathlib import Path

from tools.recorded_run import Recorded, RecordedEnsemble, RecordedRun
from tools.recorded_runs import run_named

_FILES = {
    "evaluation.json": "the errors, as fractions, with 95 % intervals",
    "wrong.json": "the validation images whose most probable class was wrong, by number",
    "metrics.jsonl": "every logged step and event",
    "config.json": "the whole configuration",
    "environment.json": "versions, device, commit, digest of the store",
}
_PICTURES = {
    "curves.png": "training loss and validation error",
    "filters.png": "the first layer",
    "misread.png": "images it misread, 200 at most",
    "confusions.png": "the classes it confuses most",
}


def readme(
    recorded: Recorded,
    training: Callable[[RecordedRun, Path, Path], list[list[str]]],
    testing: Callable[[Recorded, Path], list[list[str]]],
    commit: str,
) -> str:
    """What the result is, its commands (given by the two functions) and its files."""
    here, data = Path(os.curdir), Path("DATA")
    if isinstance(recorded, RecordedEnsemble):
        runs = [run_named(name) for name in recorded.members]
        made_of = "Its members, each recorded beside it:\n\n" + "".join(f"- `{run.name}`\n" for run in runs)
        commands, number = testing(recorded, here), "One run each."
        files = {name: _FILES[name] for name in list(_FILES)[:2]}
    else:
        runs = _with_all_before(recorded)
        made_of = f"It begins with the recorded run `{recorded.init_from}`.\n" if recorded.init_from else ""
        commands = [*(words for run in runs for words in training(run, data, here)), *testing(recorded, here)]
        files = _FILES | {name: _PICTURES[name] for name in recorded.pictures}
        number = "One run, seed in `config.json`."
    begun = [run_named(run.init_from) for run in runs if run.init_from]
    needed = " and ".join(f"`{file}`" for file in dict.fromkeys(run.source.file for run in [*runs, *begun]))
    lines = "\n".join(dict.fromkeys(map(shlex.join, commands)))
    table = "\n".join(f"| `{name}` | {what} |" for name, what in files.items())
    return f"""# {recorded.name}

{recorded.shows}

{number} Made by

```
python -m tools.results {recorded.name} --data DATA
```

where `DATA` is the folder that holds {needed}; that is

```
{lines}
```

{made_of and made_of + chr(10)}| file | what |
|---|---|
{table}
{f"{chr(10)}Commit {commit}.{chr(10)}" if commit else ""}"""


def _with_all_before(run: RecordedRun) -> list[RecordedRun]:
    """The run, after the one that it begins with, after what that begins with."""
    before = _with_all_before(run_named(run.init_from)) if run.init_from else []
    return [*before, run]

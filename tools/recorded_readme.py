"""The README of one recorded result: what it is, and how to make it again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from tools.recorded_run import Recorded, RecordedEnsemble
from tools.recorded_runs import members_of, with_all_before

_FILES = {
    "evaluation.json": "the errors, as fractions, with 95 % intervals",
    "wrong.json": "indices of the misclassified validation images",
    "metrics.jsonl": "every logged step and event",
    "config.json": "the whole configuration",
    "environment.json": "versions, device, commit, digest of the store",
}
_PICTURES = {
    "curves.png": "training loss and validation error",
    "filters.png": "the first layer",
    "misread.png": "misclassified images, 200 at most",
    "confusions.png": "the most frequent confusions",
}


def readme(recorded: Recorded, commands: Sequence[Sequence[str]], commit: str) -> str:
    """A description of the result, the commands that make it, and its files."""
    if isinstance(recorded, RecordedEnsemble):
        made_of = "Its members, each recorded in a separate directory:\n\n"
        made_of += "".join(f"- `{name}`\n" for name in recorded.members)
        number = "One run each."
        files = {name: _FILES[name] for name in list(_FILES)[:2]}
    else:
        init = recorded.init_from
        made_of = f"It is initialized from the recorded run `{init}`.\n" if init else ""
        number = "One run, seed in `config.json`."
        files = _FILES | {name: _PICTURES[name] for name in recorded.pictures}
    runs = [each for run in members_of(recorded) for each in reversed(with_all_before(run))]
    needed = " and ".join(f"`{file}`" for file in dict.fromkeys(run.source.file for run in runs))
    lines = "\n".join(dict.fromkeys(map(shlex.join, commands)))
    table = "\n".join(f"| `{name}` | {what} |" for name, what in files.items())
    return f"""# {recorded.name}

{recorded.shows}

{number} Made by

```
python -m tools.results {recorded.name} --data DATA
```

where `DATA` is the folder with {needed}. These are the single commands:

```
{lines}
```

{made_of and made_of + chr(10)}| file | what |
|---|---|
{table}
{f"{chr(10)}Commit {commit}.{chr(10)}" if commit else ""}"""

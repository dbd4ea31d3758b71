"""Makes one recorded run: prepare, train, test, and keep the evidence.

Each step is the command a reader would type, run as it is written in the result's README.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from alexnet.errors import WorkError
from alexnet.recorded.pictures import draw_curves_of, draw_filters_of
from alexnet.recorded.runs import RecordedRun

EVIDENCE = ("config.json", "evaluation.json", "metrics.jsonl")
ENVIRONMENT = (
    "started",
    "device",
    "processor",
    "cores",
    "processes",
    "python",
    "packages",
    "commit",
    "store_digest",
)
"""What is kept of a run's environment: nothing that is only true of one machine's folders."""


def commands(run: RecordedRun, data: Path, work: Path) -> list[list[str]]:
    """The commands that make the run, in order; a finished step finds itself done and is quick."""
    store, folder = str(work / "stores" / run.store), str(work / "runs" / run.name)
    train = ["alexnet", "train", run.recipe, "--store", store, "--run", folder, *run.settings]
    if (work / "runs" / run.name).exists():
        train.append("--resume")
    test = ["alexnet", "evaluate", folder, "--store", store, "--views"]
    prepare = ["alexnet", "prepare", str(data / run.source), store, "--side", str(run.side)]
    return [prepare, train, [*test, "centre"], [*test, "ten"]]


def record(run: RecordedRun, data: Path, work: Path, results: Path) -> Path:
    """The folder `results/<name>` with the run's evidence, made by running its commands.

    Stores and run folders are kept under `work`, so that a stopped recording goes on where it was.
    WorkError when a command fails.
    """
    for command in commands(run, data, work):
        print("$ " + shlex.join(command), flush=True)
        code = subprocess.run([sys.executable, "-m", *command], check=False).returncode
        if code:
            raise WorkError(f"`{shlex.join(command)}` ended with exit code {code}")
    return keep(run, work / "runs" / run.name, results / run.name)


def keep(run: RecordedRun, folder: Path, result: Path) -> Path:
    """Copies a finished run's evidence from its folder to `result`, with a picture and a README."""
    result.mkdir(parents=True, exist_ok=True)
    for name in EVIDENCE:
        shutil.copyfile(folder / name, result / name)
    environment = json.loads((folder / "environment.json").read_text())
    if environment["uncommitted_changes"]:
        raise WorkError("the run was made with uncommitted changes: commit them and record it anew")
    kept = {name: environment[name] for name in ENVIRONMENT}
    (result / "environment.json").write_text(json.dumps(kept, indent=1) + "\n")
    draw_curves_of([folder], result / "curves.png")
    draw_filters_of(folder, result / "filters.png")
    (result / "README.md").write_text(readme(run, result))
    return result


def readme(run: RecordedRun, result: Path) -> str:
    """What the result is, how to make it again, and where its numbers stand."""
    environment = json.loads((result / "environment.json").read_text())
    steps = "\n".join(shlex.join(command) for command in commands(run, Path("DATA"), Path(os.curdir)))
    return f"""# {run.name}

{run.shows}

One run, seed in `config.json`. Made by

```
python -m alexnet.recorded {run.name} --data DATA
```

where `DATA` is the folder that holds `{run.source}`; that is

```
{steps}
```

| file | what |
|---|---|
| `evaluation.json` | the errors, as fractions, with 95 % intervals |
| `metrics.jsonl` | every logged step and event |
| `config.json` | the whole configuration |
| `environment.json` | versions, device, commit, digest of the store |
| `curves.png`, `filters.png` | training loss and validation error; the first layer |

Commit {environment.get("commit") or "unknown"}.
"""

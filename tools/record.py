"""Makes one recorded result: prepare, train, test, and keep the evidence.

Each step is the command a reader would type, run as it is written in the result's README.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from alexnet.errors import Stopped, WorkError
from alexnet.evaluation import ensemble
from alexnet.evaluation.metrics import true_ranks
from alexnet.io import file_sha256, write_json, write_whole
from alexnet.runs import predictions
from alexnet.runs.metrics_log import has_finished
from alexnet.runs.run_dir import RunDir, find_weights
from alexnet.training.resume import differences
from tools.recorded_pictures import draw
from tools.recorded_readme import readme
from tools.recorded_run import Recorded, RecordedEnsemble, RecordedRun
from tools.recorded_runs import run_named

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

MinutesLeft = Callable[[], float | None]
"""How many minutes of training are left; None is as many as it takes."""


def training_commands(run: RecordedRun, data: Path, work: Path) -> list[list[str]]:
    """The commands that make the run's store, of photos and then of scenes, and the last that trains it."""
    photos, store, folder = (
        str(work / place) for place in (f"stores/{run.photos}", f"stores/{run.store}", f"runs/{run.name}")
    )
    begin = ["--init-from", str(work / "runs" / run.init_from)] if run.init_from else []
    train = ["alexnet", "train", run.recipe, "--store", store, "--run", folder, *begin, *run.settings]
    prepare = ["alexnet", "prepare", str(data / run.source.file), photos]
    scenes = ["--train", str(run.source.training_photos), "--side", str(run.source.scenes)]
    compose = [["alexnet", "compose", photos, store, *scenes]] if run.source.scenes else []
    return [[*prepare, "--side", str(run.side), *run.source.options], *compose, train]


def testing_commands(recorded: Recorded, work: Path) -> list[list[str]]:
    """The commands that test it, one for each of its views."""
    members = members_of(recorded)
    folders = [str(work / "runs" / run.name) for run in members]
    test = ["alexnet", "evaluate", *folders, "--store", str(work / "stores" / members[0].store), "--views"]
    out = [["--out", str(_out(recorded, views, work))] for views in recorded.views]
    return [
        [*test, *_typed(views), *(where if isinstance(recorded, RecordedEnsemble) else ())]
        for views, where in zip(recorded.views, out, strict=True)
    ]


def _typed(name: str) -> list[str]:
    """What a person types for a test of that name: `dense`, or `dense@256,384` with its scales."""
    views, _, scales = name.partition("@")
    return [views, "--scales", scales] if scales else [views]


def members_of(recorded: Recorded) -> list[RecordedRun]:
    """The runs of an ensemble, or the one run."""
    return list(map(run_named, recorded.members)) if isinstance(recorded, RecordedEnsemble) else [recorded]


def record(
    recorded: Recorded,
    data: Path,
    work: Path,
    results: Path,
    minutes_left: MinutesLeft = lambda: None,
) -> Path:
    """The folder `results/<name>` with the evidence, made by running the result's commands.

    Stores and run folders are kept under `work`, so that a stopped recording goes on where it was, and what
    was trained there before is not trained again. WorkError when a command fails, Stopped when time is up.
    """
    for run in members_of(recorded):
        _train(run, data, work, minutes_left)
    for command in testing_commands(recorded, work):
        _do(command)
    if isinstance(recorded, RecordedEnsemble):
        return _keep_ensemble(recorded, work, results)
    return keep(recorded, work, results)


def _train(run: RecordedRun, data: Path, work: Path, minutes_left: MinutesLeft) -> None:
    """Prepares its store and trains the run, and before it what it begins with, unless that was done."""
    folder = work / "runs" / run.name
    refuse_other(run, folder)
    *making, train = training_commands(run, data, work)
    for command in making:
        _do(command)
    if has_finished(folder / "metrics.jsonl"):
        return
    if run.init_from:
        _train(run_named(run.init_from), data, work, minutes_left)
    left = minutes_left()
    limit = [] if left is None else ["--minutes", f"{max(left, 0):.1f}"]
    _do([*train, *(["--resume"] if folder.exists() else []), *limit])


def refuse_other(run: RecordedRun, folder: Path) -> None:
    """WorkError where the folder holds a run that was trained with other settings than today's."""
    if not (folder / "config.json").is_file():
        return
    changed = differences(RunDir(folder).config(), run.config())
    if changed:
        raise WorkError(f"{folder} was trained otherwise ({'; '.join(changed)}): move it away")


def _do(command: Sequence[str]) -> None:
    print("$ " + shlex.join(command), flush=True)
    code = subprocess.run([sys.executable, "-m", *command], check=False).returncode
    if code == Stopped.exit_code:
        raise Stopped("stopped and saved; the same command goes on")
    if code:
        raise WorkError(f"`{shlex.join(command)}` ended with exit code {code}")


def keep(run: RecordedRun, work: Path, results: Path) -> Path:
    """Copies a finished run's evidence from its folder, with pictures of the first seed and a README."""
    folder, result = work / "runs" / run.name, results / run.name
    environment = json.loads((folder / "environment.json").read_text())
    if environment["uncommitted_changes"]:
        raise WorkError("the run was made with uncommitted changes: commit them and record it anew")
    _begin_keeping(result)
    for name in ("config.json", "evaluation.json", "metrics.jsonl"):
        text = (folder / name).read_text()
        (result / name).write_text(text.replace(f"{work}/", ""))  # places as the README's commands have them
    kept = {name: environment[name] for name in ENVIRONMENT}
    kept["weights_sha256"] = file_sha256(find_weights(folder))
    write_json(result / "environment.json", kept)
    for picture in run.pictures:
        draw(folder, work / "stores" / run.store, result / picture)
    (result / "README.md").write_text(readme(run, training_commands, testing_commands, environment["commit"]))
    _keep_wrong(run, work, result)
    return result


def _keep_ensemble(recorded: RecordedEnsemble, work: Path, results: Path) -> Path:
    result = results / recorded.name
    entries = [json.loads(_out(recorded, views, work).read_text()) for views in recorded.views]
    for entry in entries:
        # The members' own evaluations are kept with them: their errors say which ones these were.
        found: list[dict[str, Any]] = entry["members"]
        entry["members"] = {member["runs"][0]["run"]: member["top1_errors"] for member in found}
    _begin_keeping(result)
    write_json(result / "evaluation.json", entries)
    (result / "README.md").write_text(readme(recorded, training_commands, testing_commands, ""))
    _keep_wrong(recorded, work, result)
    return result


def _begin_keeping(result: Path) -> None:
    """Makes the folder; without its `wrong.json`, which comes last, it counts as not recorded."""
    result.mkdir(parents=True, exist_ok=True)
    (result / "wrong.json").unlink(missing_ok=True)


def _keep_wrong(recorded: Recorded, work: Path, result: Path) -> None:
    """`wrong.json`: by views, the numbers of the validation images whose most probable class was wrong."""
    wrong: dict[str, list[int]] = {}
    for views in recorded.views:
        paths = [predictions.path_of(work / "runs" / run.name, "val", views) for run in members_of(recorded)]
        mean = ensemble.mean(list(map(predictions.load, paths)))
        wrong[views] = np.flatnonzero(true_ranks(mean.probabilities, mean.labels)).tolist()
    write_whole(result / "wrong.json", f"{json.dumps(wrong)}\n".encode())


def _out(recorded: Recorded, views: str, work: Path) -> Path:
    return work / "ensembles" / f"{recorded.name}-{views}.json"

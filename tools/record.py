"""Makes one recorded result: prepares the stores, trains and tests the runs, and keeps their files.

Runs are trained by the runner of all experiments; every other step is a command that a reader can type. The
result's README shows all commands.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from alexnet.checksum import without_checksum
from alexnet.cli.progress import progress_bar
from alexnet.errors import Stopped, WorkError
from alexnet.evaluation import ensemble
from alexnet.evaluation.metrics import true_ranks
from alexnet.experiments.runner import LOCKS, Runner
from alexnet.hardware import choose_device
from alexnet.io import exclusive_lock, file_sha256, write_json, write_whole
from alexnet.runs import predictions
from alexnet.runs.metrics_log import read_metrics
from alexnet.runs.results import ViewSet
from alexnet.runs.run_dir import find_weights
from tools.recorded_pictures import draw
from tools.recorded_readme import readme
from tools.recorded_run import Recorded, RecordedEnsemble, RecordedRun
from tools.recorded_runs import members_of, with_all_before

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
"""Fields of a run's environment that are recorded: nothing that depends on the folders of one machine."""


def preparing_commands(run: RecordedRun, data: Path, work: Path) -> list[list[str]]:
    """The commands that make the run's store: of photos, then of scenes."""
    photos, store = (str(work / "stores" / name) for name in (run.photos, run.store))
    prepare = ["alexnet", "prepare", str(data / run.source.file), photos]
    scenes = ["--train", str(run.source.training_photos), "--side", str(run.source.scenes)]
    compose = [["alexnet", "compose", photos, store, *scenes]] if run.source.scenes else []
    return [[*prepare, "--side", str(run.side), *run.source.options], *compose]


def training_command(run: RecordedRun, work: Path) -> list[str]:
    """The command that trains the run in the same way as the runner."""
    spec, folder = run.spec(work), work / "runs" / run.name
    init = ["--init-from", str(work / "runs" / run.init_from)] if run.init_from else []
    seed = f"training.seed={run.seed}"
    words = ["alexnet", "train", run.recipe, "--store", str(spec.store), "--run", str(folder), *init]
    return [*words, *run.overrides, seed]


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
    """The options for views of that name: `dense`, or `dense@256,384` with its scales."""
    views = ViewSet.parse(name)
    return [views.name, "--scales", ",".join(map(str, views.scales))] if views.scales else [views.name]


@dataclass(frozen=True)
class Recorder:
    """Makes and records results."""

    data: Path
    """Folder with the data sets."""
    work: Path
    """Folder in which `stores/` and `runs/` are made."""
    results: Path
    deadline: float | None = None
    """Training stops, after saving, when `time.monotonic()` reaches it."""

    def record(self, recorded: Recorded) -> Path:
        """Makes the result and returns its folder `results/<name>`.

        Stores and run directories are kept, so that a stopped recording can be resumed, and nothing is
        trained twice. Several processes share the work. WorkError when a command fails, CommandError if a run
        was trained with other settings, Stopped when the time is up.
        """
        members = members_of(recorded)
        for run in members:
            self._train(run)
        with ExitStack() as stack:
            for run in members:
                stack.enter_context(self._runner(run).claimed(run.spec(self.work), wait=True))
            for command in testing_commands(recorded, self.work):
                _do(command)
            if isinstance(recorded, RecordedEnsemble):
                return _keep_ensemble(recorded, self.work, self.results)
            return keep(recorded, self.work, self.results)

    def _train(self, run: RecordedRun) -> None:
        """Prepares the store and trains the run unless that was done, after the run that it is initialized
        from.
        """
        self._prepare(run)
        runner, spec = self._runner(run), run.spec(self.work)
        if not runner.pending([spec]):
            return
        for before in with_all_before(run):
            self._prepare(before)
        runner.train([spec], deadline=self.deadline)

    def _runner(self, run: RecordedRun) -> Runner:
        return Runner(
            self.work / "runs",
            tuple(each.spec(self.work) for each in with_all_before(run)),
            choose_device("auto", run.config().model.tower_devices),
            progress=lambda name: lambda total, done: progress_bar(name, total, done=done, unit="images"),
            log=lambda line: print(line, flush=True),
            locks=self.work / LOCKS,
        )

    def _prepare(self, run: RecordedRun) -> None:
        lock = self.work / LOCKS / run.store
        lock.mkdir(parents=True, exist_ok=True)
        with exclusive_lock(lock, wait=True):
            for command in preparing_commands(run, self.data, self.work):
                _do(command)


def _do(command: Sequence[str]) -> None:
    print("$ " + shlex.join(command), flush=True)
    code = subprocess.run([sys.executable, "-m", *command], check=False).returncode
    if code == Stopped.exit_code:
        raise Stopped("stopped and saved; run the same command again to resume")
    if code:
        raise WorkError(f"`{shlex.join(command)}` ended with exit code {code}")


def keep(run: RecordedRun, work: Path, results: Path) -> Path:
    """Copies the files of a finished run, and adds pictures of the first seed and a README."""
    folder, result = work / "runs" / run.name, results / run.name
    environment = json.loads((folder / "environment.json").read_text())
    if environment["uncommitted_changes"]:
        raise WorkError("the run was made with uncommitted changes: commit them and repeat the recording")
    _begin_keeping(result)
    for name in ("config.json", "evaluation.json", "metrics.jsonl"):
        text = _without_checksums(folder / name)
        (result / name).write_text(text.replace(f"{work}/", ""))  # paths as in the README's commands
    kept = {name: environment[name] for name in ENVIRONMENT}
    kept["weights_sha256"] = file_sha256(find_weights(folder))
    write_json(result / "environment.json", kept)
    for picture in run.pictures:
        draw(folder, work / "stores" / run.store, result / picture)
    (result / "README.md").write_text(readme_of(run, environment["commit"]))
    _keep_wrong(run, work, result)
    return result


def _without_checksums(file: Path) -> str:
    """The text of a file without the checksums, which would not fit to what is changed in it."""
    if file.suffix == ".jsonl":
        return "".join(json.dumps(line) + "\n" for line in read_metrics(file))
    return json.dumps(without_checksum(json.loads(file.read_text()), file), indent=2) + "\n"


def _keep_ensemble(recorded: RecordedEnsemble, work: Path, results: Path) -> Path:
    result = results / recorded.name
    entries = [json.loads(_out(recorded, views, work).read_text()) for views in recorded.views]
    for entry in entries:
        # The members' own evaluations are recorded with them: their errors identify them.
        found: list[dict[str, Any]] = entry["members"]
        entry["members"] = {member["runs"][0]["run"]: member["top1_errors"] for member in found}
    _begin_keeping(result)
    write_json(result / "evaluation.json", entries)
    (result / "README.md").write_text(readme_of(recorded, ""))
    _keep_wrong(recorded, work, result)
    return result


def readme_of(recorded: Recorded, commit: str) -> str:
    """The result's README, with the commands that make it in the working folder."""
    here, data = Path(), Path("DATA")
    runs = [] if isinstance(recorded, RecordedEnsemble) else with_all_before(recorded)
    making = [
        words for run in runs for words in (*preparing_commands(run, data, here), training_command(run, here))
    ]
    return readme(recorded, [*making, *testing_commands(recorded, here)], commit)


def _begin_keeping(result: Path) -> None:
    """Makes the folder; it counts as not recorded until `wrong.json` is written at the end."""
    result.mkdir(parents=True, exist_ok=True)
    (result / "wrong.json").unlink(missing_ok=True)


def _keep_wrong(recorded: Recorded, work: Path, result: Path) -> None:
    """`wrong.json`: for each set of views, the indices of the misclassified validation images."""
    wrong: dict[str, list[int]] = {}
    for views in recorded.views:
        paths = [predictions.path_of(work / "runs" / run.name, "val", views) for run in members_of(recorded)]
        mean = ensemble.mean(list(map(predictions.load, paths)))
        wrong[views] = np.flatnonzero(true_ranks(mean.probabilities, mean.labels)).tolist()
    write_whole(result / "wrong.json", f"{json.dumps(wrong)}\n".encode())


def _out(recorded: Recorded, views: str, work: Path) -> Path:
    return work / "ensembles" / f"{recorded.name}-{views}.json"

"""Kills commands at the moments at which they change the file system, and repeats them."""

from __future__ import annotations

import contextlib
import io
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import tiny
from attack.kills import count, killed_at
from attack.outcomes import Trial, judged
from attack.subject import (
    EXPORT,
    PHOTOS,
    RUN,
    STOPPED,
    STORE,
    Subject,
    digest_of,
    observe_export,
    observe_prepare,
    observe_resumed,
    observe_run,
    observe_store,
    train_here,
    without_times,
)

import alexnet
from alexnet.analysis.features import features_of
from alexnet.cli.main import main
from alexnet.data.prepare import prepare
from alexnet.data.prepare_parts import Part, prepare_part
from alexnet.data.sources import open_source
from alexnet.data.store import Store
from alexnet.errors import Interrupted, Stopped
from alexnet.evaluation.inference import InferenceOptions
from alexnet.experiments.claim_results import read_claim
from alexnet.fitting import candidates
from alexnet.interop.export import export
from alexnet.runs.fit_record import Fit
from alexnet.runs.metrics_log import read_metrics
from alexnet.runs.results import read_results
from alexnet.runs.run_dir import EnsembleDir, RunDir
from tools.attacks import moment_of

ENSEMBLE, CLAIMS, FIT, CLAIM = "ensemble", "claims", "fit", "lrn"
"""Folders that the commands make, and the claim that is tested."""
PARTS = 2
"""Of a store: `train` and `val`, which have a shard each."""
SETTINGS = tiny.PrepareSettings(side=tiny.SIDE_PIXELS, encoding="raw")


class Command(NamedTuple):
    """What is killed, and what must be the same when it is repeated."""

    before: Callable[[Subject], object]
    """Removes what the command would find done, or changes what it works on."""
    work: Callable[[Subject], object]
    observe: Callable[[Subject], Any]


class FailedAgainError(RuntimeError):
    """A command that was repeated after a kill did not end with the exit code 0."""


def _prepare(subject: Subject) -> None:
    prepare(open_source(subject.folder / PHOTOS), subject.folder / STORE, SETTINGS, workers=1)


def _prepare_parts(subject: Subject) -> None:
    source = open_source(subject.folder / PHOTOS)
    for number in range(1, PARTS + 1):
        prepare_part(source, subject.folder / STORE, Part(number, PARTS), SETTINGS, workers=1)


def _change_photos(subject: Subject) -> None:
    """A photo with other contents, a new and a missing one; their times are the same in each copy."""
    train, val = (subject.folder / PHOTOS / split for split in ("train", "val"))
    shutil.copy2(train / "class0" / "0.png", train / "class1" / "1.png")
    shutil.copy2(train / "class1" / "2.png", val / "class1" / "new.png")
    (val / "class2" / "0.png").unlink()


def _observe_prepared(subject: Subject) -> Any:
    """The store and its files, before and after it is prepared once more."""
    store = subject.folder / STORE
    files = sorted(str(path.relative_to(store)) for path in store.rglob("*"))
    return files, observe_store(subject), observe_prepare(subject)


def _evaluate(subject: Subject) -> None:
    alexnet.evaluate(subject.folder / RUN, Store.open(subject.folder / STORE), device="cpu")


def _features(subject: Subject) -> None:
    store = Store.open(subject.folder / STORE)
    features_of(RunDir(subject.folder / RUN), store, options=InferenceOptions(device="cpu"))


def _typed(*words: str) -> None:
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
        code = main([*words])
    if code in (Stopped.exit_code, Interrupted.exit_code):  # a signal to this program
        raise KeyboardInterrupt
    if code:
        raise FailedAgainError(f"exit code {code}: {shown.getvalue()[-1000:]}")


def _ensemble(subject: Subject) -> None:
    folder, store = str(subject.folder / ENSEMBLE), str(subject.folder / STORE)
    few = ("schedule.epochs=1", "training.checkpoint_every_minutes=0", "--nets", "2", "--device", "cpu")
    _typed("ensemble", tiny.RECIPE, "--store", store, "--out", folder, *tiny.SETTINGS, *few)
    _typed("evaluate", folder, "--store", store, "--device", "cpu")


def _observe_ensemble(subject: Subject) -> Any:
    folder = subject.folder / ENSEMBLE
    members = EnsembleDir(folder).members()
    runs = [RunDir(folder / each.name) for each in members]
    logs = [read_metrics(run.metrics_file) for run in runs]
    return (
        members,
        [digest_of(*alexnet.load(run.path, device="cpu").model.state_dict().values()) for run in runs],
        [[without_times(line) for line in log if line["event"] in ("train", "validation")] for log in logs],
        [[without_times(each.to_dict()) for each in read_results(folder)]],
    )


def _claims(subject: Subject) -> None:
    folder, store = str(subject.folder / CLAIMS), str(subject.folder / STORE)
    few = ("--seeds", "0", "--device", "cpu", "schedule.epochs=1", "training.batch_size=16")
    _typed("claims", CLAIM, "--store", store, "--run", folder, *tiny.TOWERS, *few)


def _observe_claims(subject: Subject) -> Any:
    folder = subject.folder / CLAIMS
    result = read_claim(folder / CLAIM)
    assert result is not None
    weights = [alexnet.load(run, device="cpu").model for run in sorted((folder / "runs").glob("*-seed-0"))]
    return (
        result.verdict,
        result.reason,
        result.seeds,
        [repr(each) for each in result.comparisons if each.measure != "update-seconds"],
        result.arms,
        [digest_of(*each.state_dict().values()) for each in weights],
        sorted(path.name for path in (folder / CLAIM).iterdir()),
    )


def _fit(subject: Subject) -> None:
    photos, folder = str(subject.folder / PHOTOS), str(subject.folder / FIT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates, "MAX_EPOCHS", 1)
        patch.setattr(candidates, "FISHER_SHARE", 0.0)  # no sift-fv, which takes longer
        few = ("--minutes", "60", "--device", "cpu", "--workers", "1", "--resume")
        _typed("fit", photos, "--run", folder, *few)


def _observe_fit(subject: Subject) -> Any:
    """What the first round made: after a kill in the last moments the repeated command makes a second one."""
    folder = subject.folder / FIT
    made = Fit.read(folder)
    tested = {(each.split, each.images) for each in read_results(folder)}
    assert made.chosen and alexnet.load(folder, device="cpu").calibration is not None
    assert ("test", made.splits["test"]) in tested
    first = [each for each in made.candidates if not each.name[-1].isdigit()]
    return (
        made.splits,
        made.store_digest,
        [(each.name, each.errors, each.updates) for each in first],
        [
            digest_of(*alexnet.load(folder / each.name, device="cpu").model.state_dict().values())
            for each in first
        ],
    )


def _removing(*names: str) -> Callable[[Subject], None]:
    def remove(subject: Subject) -> None:
        for name in names:
            shutil.rmtree(subject.folder / name, ignore_errors=True)

    return remove


COMMANDS = {
    "train": Command(_removing(), lambda it: train_here(it, STOPPED, resume=True), observe_resumed),
    "export": Command(_removing(), lambda it: export(it.folder / RUN, it.folder / EXPORT), observe_export),
    "evaluate": Command(_removing(f"{RUN}/predictions"), _evaluate, observe_run),
    "similar": Command(_removing(f"{RUN}/features"), _features, observe_run),
    "prepare": Command(_removing(STORE), _prepare, _observe_prepared),
    "prepare-part": Command(_removing(STORE), _prepare_parts, _observe_prepared),
    "prepare-update": Command(_change_photos, _prepare, _observe_prepared),
    "ensemble": Command(_removing(), _ensemble, _observe_ensemble),
    "claims": Command(_removing(), _claims, _observe_claims),
    "fit": Command(_removing(), _fit, _observe_fit),
}


@dataclass(frozen=True)
class KillAttack:
    """A subject, and for each command its moments and what is observed afterwards."""

    subject: Subject
    scratch: Path
    moments: dict[str, int]
    usual: dict[str, Any]

    @classmethod
    def on(cls, subject: Subject, scratch: Path, names: Iterable[str] = COMMANDS) -> KillAttack:
        """Runs each of these commands once, in a copy, to count the moments at which it can be killed."""
        moments: dict[str, int] = {}
        usual: dict[str, Any] = {}
        for name in names:
            command = COMMANDS[name]
            copy = subject.copy(scratch / "copy")
            command.before(copy)
            moments[name] = count(partial(command.work, copy))
            usual[name] = command.observe(copy)
            shutil.rmtree(copy.folder)
        return cls(subject, scratch, moments, usual)

    def trial(self, name: str, seed: int) -> Trial:
        """A kill of a command at the moment of the seed (see `moment_of`); then it is repeated."""
        command, copy = COMMANDS[name], self.subject.copy(self.scratch / "copy")
        moments = self.moments[name]
        moment = moment_of(seed, moments)
        try:
            command.before(copy)
            with killed_at(moment) as killer:
                command.work(copy)
            what = f"killed after {moment} of {moments} changes, the last {killer.names[-1:]}"

            def again() -> Any:
                command.work(copy)
                return command.observe(copy)

            outcome, detail = judged(again, self.usual[name])
            if outcome == "noticed":  # nothing that a kill leaves may be refused
                outcome = "unexpected"
            left = [
                path for path in copy.folder.rglob(".*") if path.suffix == ".part" or "temporary" in path.name
            ]
            if left and outcome == "harmless":
                outcome, detail = "left over", str(left[0])
            return Trial(f"kill of {name}", what, seed, outcome, detail, moments)
        finally:
            shutil.rmtree(copy.folder)

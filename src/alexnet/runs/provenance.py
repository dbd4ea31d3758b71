"""Origin of weights: the run that trained them, its progress, and its errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from alexnet import __version__
from alexnet.json_reader import as_object
from alexnet.runs.checkpoints import NetworkProgress, read_meta
from alexnet.runs.environment import Imported
from alexnet.runs.metrics_log import has_finished, initialized_from, read_metrics, training_end
from alexnet.runs.results import EvalResult, read_results
from alexnet.runs.run_dir import RunDir, find_weights, has_weights
from alexnet.serialization import from_dict
from alexnet.text import percentage


@dataclass(frozen=True, kw_only=True)
class MeasuredErrors:
    """Errors that `evaluate` found with these weights; fractions with their 95 % intervals."""

    split: str
    views: str
    images: int
    top1_error: float
    top1_interval: tuple[float, float] | None = None
    top5_error: float | None = None
    top5_interval: tuple[float, float] | None = None
    store: str = ""
    store_digest: str = ""


@dataclass(frozen=True)
class InitialWeights:
    """The weights that a run was initialized from."""

    path: str
    weights_sha256: str
    layers: tuple[str, ...] = ()
    """Those that were copied, if not all."""

    @property
    def name(self) -> str:
        """That of the run directory or of the file."""
        path = Path(self.path)
        in_run = len(path.parts) > 3 and path.parents[1].name == "checkpoints"
        return path.parents[2].name if in_run else path.name


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What is known about the weights in a model file; of imported ones, nothing of their training."""

    run: str
    """Name of its folder."""
    recipe: str
    checkpoint: str = "last"
    finished: bool = True
    """Whether the run was trained to its end."""
    alexnet: str = ""
    """Version of this program."""
    errors: tuple[MeasuredErrors, ...] = ()
    imported: Imported | None = None
    seed: int | None = None
    epochs: int | None = None
    """Done, as are the updates."""
    updates: int | None = None
    training_error: float | None = None
    """Of the last logged updates, on augmented images; None if it is unknown."""
    store: str = ""
    """Name of the store that it was trained on."""
    store_digest: str = ""
    init_from: InitialWeights | None = None
    members: tuple[Provenance, ...] = ()
    """Of an average, the models that are averaged; it has no seed, epochs and store of its own."""

    def to_dict(self) -> dict[str, Any]:
        """For JSON, as exported files hold it: `init_from` is called `began_with` there."""
        values = asdict(self)
        values["errors"] = [asdict(each) for each in self.errors]
        values["began_with"] = values.pop("init_from")
        values["members"] = [each.to_dict() for each in self.members]
        known = ("run", "recipe", "checkpoint", "finished", "alexnet", "errors")
        if self.imported is not None:
            return {name: values[name] for name in known} | {"imported": self.imported.to_dict()}
        if self.members:
            return {name: values[name] for name in (*known, "members")}
        return {name: value for name, value in values.items() if name not in ("imported", "members")}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Provenance:
        """From what `to_dict` of any version gave; keys that this version does not know are ignored."""
        known = _known(cls, values)
        known["errors"] = [_known(MeasuredErrors, as_object(each)) for each in values["errors"]]
        if imported := values.get("imported"):
            known["imported"] = asdict(Imported.from_dict(as_object(imported)))
        if begun := values.get("began_with"):
            known["init_from"] = _known(InitialWeights, as_object(begun))
        for name in ("store", "store_digest"):
            known[name] = values.get(name) or ""
        known.pop("members", None)
        members = tuple(cls.from_dict(as_object(each)) for each in values.get("members", []))
        return replace(from_dict(cls, known), members=members)


def _known(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of fields of the dataclass `kind`."""
    names = {each.name for each in fields(kind)}
    return {name: value for name, value in values.items() if name in names}


def provenance(run: RunDir, checkpoint: str = "last") -> Provenance:
    """What is known about the weights of a run's checkpoint; DataError if `evaluation.json` is broken."""
    config, environment = run.config(), run.environment()
    known = Provenance(
        run=run.path.resolve().name,
        recipe=config.recipe,
        checkpoint=checkpoint,
        finished=not training_progress(run),
        alexnet=__version__,
        errors=_errors(run, checkpoint),
        imported=environment.imported,
    )
    if environment.imported is not None:
        return known
    done = position(run, checkpoint)
    end = training_end(run.metrics_file, done.step)
    return replace(
        known,
        seed=config.training.seed,
        epochs=done.epoch,
        updates=done.step,
        training_error=None if end is None else end.error,
        store=environment.store,
        store_digest=environment.store_digest,
        init_from=_initialized_from(run),
    )


def provenance_of_average(average: RunDir, members: Sequence[RunDir], checkpoint: str = "last") -> Provenance:
    """What is known about the average of an ensemble's models; errors as `provenance`."""
    known = tuple(provenance(each, checkpoint) for each in members)
    weights = [(checkpoint, position(each, checkpoint).step) for each in members]
    results = [
        each
        for each in read_results(average.path)
        if [(run.checkpoint, run.updates) for run in each.runs] == weights
        and (each.mean, each.weights) == ("probabilities", None)
    ]
    return Provenance(
        run=average.path.resolve().name,
        recipe=", ".join(dict.fromkeys(each.recipe for each in known)),
        checkpoint=checkpoint,
        finished=all(each.finished for each in known),
        alexnet=__version__,
        errors=tuple(map(_measured, results)),
        members=known,
    )


_TERMS = {
    "weights_license": "license of the weights",
    "code_license": "license of the code",
    "data_terms": "training data",
}


def license_lines(terms: Mapping[str, str], known: Provenance | None) -> list[str]:
    """One line for each term, for the origin of the weights and for each error that was measured."""
    lines = [f"{label}: {terms[name]}" for name, label in _TERMS.items() if name in terms]
    if known is not None:
        lines += [f"origin: {_origin(each)}" for each in known.members or (known,)]
        lines += [f"evaluated: {_evaluated(each)}" for each in known.errors]
    return lines


def _origin(known: Provenance) -> str:
    if known.imported is not None:
        imported = known.imported
        return f"{imported.file} of {imported.program}, sha256 {imported.sha256}"
    trained = f"{known.epochs} epochs on" if known.epochs else "fitted to"
    return (
        f"run {known.run} of {known.recipe}, {trained} {known.store or known.store_digest[:12]}, "
        f"seed {known.seed}" + ("" if known.finished else ", unfinished")
    )


def _evaluated(each: MeasuredErrors) -> str:
    errors = percentage(each.top1_error)
    errors += "" if each.top5_error is None else f" / {percentage(each.top5_error)}"
    return f"{errors} error on {each.images:,} images of {each.store} {each.split}, views: {each.views}"


@dataclass(frozen=True)
class Position:
    """The progress of training at a checkpoint; None if unknown."""

    epoch: int | None = None
    step: int | None = None
    """Number of updates."""


def position(run: RunDir, checkpoint: str = "last") -> Position:
    """The position of a run's checkpoint; CommandError if there is none, DataError if it is damaged."""
    meta = read_meta(find_weights(run.path, checkpoint).parent)
    if meta is None:
        return Position()
    return Position(meta.training.epoch if isinstance(meta.training, NetworkProgress) else None, meta.step)


def stale_note(run: RunDir, tested: EvalResult) -> str:
    """A clause if a run was trained on since an evaluation of it; else empty.

    Empty too for the evaluation of several runs, and where the weights no longer exist.
    """
    if len(tested.runs) != 1 or not run.checkpoints.is_dir():
        return ""
    now, then = position(run, tested.runs[0].checkpoint).step, tested.runs[0].updates
    if now is None or then is None or now == then:
        return ""
    return f"{run.path.name} was evaluated at update {then:,} and has been trained to update {now:,} since"


def training_progress(run: RunDir) -> str:
    """The progress of an unfinished run, such as `epoch 3 of 40, update 1,200`; empty if it is finished.

    It is that of its last checkpoint, or of its log if there is none. Imported weights are finished.
    """
    if run.environment().imported is not None or has_finished(run.metrics_file):
        return ""
    reached = position(run) if has_weights(run) else Position()
    log = read_metrics(run.metrics_file)
    if reached.step is None and log:
        reached = Position(log[-1]["epoch"], log[-1]["step"])
    if reached.step is None:
        return "its beginning"
    schedule = run.config().schedule
    if schedule.minutes:
        return f"epoch {reached.epoch}, update {reached.step:,} of a run of {schedule.minutes:g} minutes"
    return f"epoch {reached.epoch} of {schedule.epochs}, update {reached.step:,}"


def unfinished_note(run: RunDir) -> str:
    """A line about a run that is not finished; empty for finished ones, and for files without a log."""
    has_log = run.config_file.is_file() and read_metrics(run.metrics_file)
    reached = training_progress(run) if has_log else ""
    if not reached:
        return ""
    return f"note: {run.path.name} is unfinished, at {reached}; alexnet train with --resume continues it"


def _initialized_from(run: RunDir) -> InitialWeights | None:
    begun = initialized_from(run.metrics_file)
    if not begun:
        return None
    return InitialWeights(
        begun.get("path", ""), begun.get("weights_sha256", ""), tuple(begun.get("layers", ()))
    )


def _errors(run: RunDir, checkpoint: str) -> tuple[MeasuredErrors, ...]:
    """The contents of `RUN/evaluation.json` for these weights, without the errors of each class."""
    results, updates = read_results(run.path), position(run, checkpoint).step
    of_these = [
        each for each in results if (each.runs[0].checkpoint, each.runs[0].updates) == (checkpoint, updates)
    ]
    return tuple(map(_measured, of_these))


def _measured(result: EvalResult) -> MeasuredErrors:
    return MeasuredErrors(
        split=result.split,
        views=str(result.views),
        images=result.images,
        top1_error=result.top1.error,
        top1_interval=result.top1.interval,
        top5_error=result.top5 and result.top5.error,
        top5_interval=result.top5 and result.top5.interval,
        store=result.store,
        store_digest=result.store_digest,
    )

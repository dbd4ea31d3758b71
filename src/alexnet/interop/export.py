"""Export of a trained model, or of the average of several, with its metadata and licenses as one file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from alexnet.data.classes import check_same_classes
from alexnet.errors import CommandError, DataError
from alexnet.interop import onnx
from alexnet.interop.onnx import OnnxOptions
from alexnet.models import bundle
from alexnet.models.bundle import ModelBundle, refuse_without_packages
from alexnet.runs.calibration import Calibration, read_calibration
from alexnet.runs.fit_record import Fit
from alexnet.runs.provenance import Provenance, provenance, provenance_of_average, training_progress
from alexnet.runs.run_dir import RunDir, find_weights, is_fit, located, members_of, why_no_run
from alexnet.tasks.config import task_info

PRECISIONS = {".safetensors": ("float32", "bfloat16"), ".onnx": ("float32", "int8")}
"""How the weights can be stored, by the suffix of the file. In bfloat16, biases and the statistics of batch
normalization stay float32."""


def export(
    source: Path,
    target: Path,
    checkpoint: str = "last",
    license: str = "",
    data_terms: str = "",
    unfinished: bool = False,
    precision: str = "float32",
    graph: OnnxOptions = onnx.DEFAULTS,
    log: Callable[[str], None] = lambda line: None,
) -> ModelBundle:
    """Writes the model of a run directory, of an ensemble or of an exported file to `target`.

    It returns what was written, of an ensemble the first model with the metadata of the average. Of a fit
    that averages several models, a file of weights has the run that `run_to_export` returns. `license` (of
    the weights) and `data_terms` replace those of `source`. `precision` is one of `PRECISIONS`; of bfloat16,
    the model that is returned has the rounded weights. `graph` is for .onnx, and `log` receives what was
    measured. `target` is replaced atomically.
    CommandError if its suffix is not in `PRECISIONS`, where there is nothing to export or the file cannot
    hold it; DataError if the run is unfinished, unless `unfinished` is set, or `graph.store` does not fit;
    WorkError if the disk is full or not writable, or if ONNX Runtime does not reproduce the model's output.
    """
    _check(target.suffix, target, precision, graph)
    best, source = run_to_export(source), located(source)
    runs = members_of([source]) if target.suffix == ".onnx" or not is_fit(source) else [best]
    members = [_loaded(run, checkpoint, unfinished) for run in runs]
    net = members[0]
    if checkpoint == "last" and (calibration := _calibration_of_fit(source)):
        net = replace(net, calibration=calibration)
    if len(members) > 1:
        _refuse_no_average(source, target, runs, members)
        net = _average(source, runs, members, checkpoint)
    given = {"weights_license": license, "data_terms": data_terms}
    net = replace(net, terms={**net.terms, **{name: text for name, text in given.items() if text}})
    if target.suffix == ".onnx":
        _refuse_no_graph(source, runs, members, graph)
        onnx.write_onnx(target, net, members if len(members) > 1 else (), graph, log)
        return net
    bundle.save(target, net, weights=torch.bfloat16 if precision == "bfloat16" else None)
    return net if precision == "float32" else bundle.load(target, "cpu")


def _check(suffix: str, target: Path, precision: str, graph: OnnxOptions) -> None:
    if suffix not in PRECISIONS:
        raise CommandError(f"{target} has an unknown suffix: its name must end in {' or '.join(PRECISIONS)}")
    known = list(dict.fromkeys(each for named in PRECISIONS.values() for each in named))
    if precision not in known:
        raise CommandError(f"no precision {precision!r}; it must be {', '.join(known[:-1])} or {known[-1]}")
    if precision not in PRECISIONS[suffix]:
        others = [each for each, held in PRECISIONS.items() if precision in held]
        raise CommandError(
            f"only a file of type {' or '.join(others)} can hold {precision}: omit --precision"
        )
    if suffix != ".onnx" and (graph.takes, graph.views) != ("crops", ""):
        raise CommandError("--input and --views apply only to .onnx: omit them")
    if (precision == "int8") != (graph.store is not None):
        raise CommandError(
            "int8 needs photos, to calibrate with and to measure the errors: add --store STORE"
            if precision == "int8"
            else "--store applies only to --precision int8: add that, or omit --store"
        )
    if suffix == ".onnx":
        refuse_without_packages(onnx.ONNX_PACKAGES)


def _loaded(run: Path, checkpoint: str, unfinished: bool) -> ModelBundle:
    """The model of a run or a file, with its provenance and its calibration."""
    net = bundle.load(find_weights(run, checkpoint), "cpu", needs_weights=True)
    if not run.is_dir():
        return net
    opened = RunDir.open(run)
    calibration = read_calibration(opened) if checkpoint == "last" else None
    return replace(net, provenance=_provenance(opened, checkpoint, unfinished), calibration=calibration)


def _average(
    source: Path, runs: Sequence[Path], members: Sequence[ModelBundle], checkpoint: str
) -> ModelBundle:
    """The first model with the provenance, the calibration and the terms of the average."""
    terms = {name: [each.terms[name] for each in members if name in each.terms] for name in members[0].terms}
    return replace(
        members[0],
        provenance=provenance_of_average(RunDir(source), list(map(RunDir, runs)), checkpoint),
        calibration=read_calibration(RunDir(source)) if checkpoint == "last" else None,
        terms={name: "; ".join(dict.fromkeys(texts)) for name, texts in terms.items()},
    )


def _refuse_no_average(
    source: Path, target: Path, runs: Sequence[Path], members: Sequence[ModelBundle]
) -> None:
    """CommandError for a file of weights, and for models that predict boxes; DataError for other classes."""
    named = ", ".join(map(str, runs))
    if target.suffix != ".onnx":
        raise CommandError(
            f"{source} is the average of {len(runs)} models, and a {target.suffix} file has the weights of "
            f"one: type a name that ends in .onnx, or export one of {named}"
        )
    for member in members:
        if task_info(member.config.training.loss).predicts_boxes:
            raise CommandError(
                f"{source} has models that predict boxes, which have no mean: export one of {named}"
            )
        check_same_classes(members[0].classes, member.classes, f"classes of the models of {source}")


def _refuse_no_graph(
    source: Path, runs: Sequence[Path], members: Sequence[ModelBundle], graph: OnnxOptions
) -> None:
    """CommandError for what ONNX cannot represent, and for class probabilities that there are none of."""
    for run, member in zip(runs, members, strict=True):
        if member.config.classic is not None:
            others = [
                str(other) for other, each in zip(runs, members, strict=True) if each.config.classic is None
            ]
            others = others or [str(other) for other in _networks_of_fit(source)[:1]]
            instead = " or ".join([f"export {each}" for each in others] or ["export to .safetensors"])
            name = member.config.recipe if len(runs) == 1 else str(run)
            raise CommandError(f"{name} is not a network, so ONNX cannot represent it: {instead}")
        if graph.takes == "photo" and not task_info(member.config.training.loss).classifies:
            raise CommandError(f"{run} was not trained to predict classes: omit --input photo")


def _networks_of_fit(source: Path) -> list[Path]:
    """The candidates of a fit that are networks, the one with the lowest loss first; none for others."""
    tried = sorted(Fit.read(source).candidates, key=lambda each: each.nll) if is_fit(source) else []
    return [source / each.name for each in tried if RunDir.open(source / each.name).config().classic is None]


def run_to_export(source: Path) -> Path:
    """The run directory or the file that is exported: of a fit, the best of its chosen runs.

    The average of several runs has no weights of its own. CommandError for a fit that is not finished; errors
    of `located`.
    """
    source = located(source)
    if not is_fit(source):
        return source
    members = Fit.read(source).members
    if not members:
        raise CommandError(why_no_run(source))
    return source / members[0]


def _calibration_of_fit(source: Path) -> Calibration | None:
    """That of the only chosen run of a fit, which is in the directory of the fit; else None."""
    alone = is_fit(source) and len(Fit.read(source).members) == 1
    return read_calibration(RunDir(source)) if alone else None


def _provenance(run: RunDir, checkpoint: str, unfinished: bool) -> Provenance:
    reached = training_progress(run)
    if reached and not unfinished:
        recipe = run.config().recipe
        raise DataError(
            f"{run.path} is unfinished, at {reached}: resume it with alexnet train {recipe} --store STORE "
            f"--run {run.path} --resume, or add --unfinished to export it as it is"
        )
    return provenance(run, checkpoint)

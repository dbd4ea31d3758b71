"""Export of a trained model with its metadata, origin and licenses as one file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from alexnet.errors import CommandError, DataError
from alexnet.fitting.record import Fit
from alexnet.interop import onnx
from alexnet.models import bundle
from alexnet.models.bundle import ModelBundle, refuse_without_packages
from alexnet.runs.calibration import Calibration, read_calibration
from alexnet.runs.provenance import Provenance, provenance, training_progress
from alexnet.runs.run_dir import RunDir, find_weights, is_fit, located, why_no_run

WRITERS: dict[str, Callable[[Path, ModelBundle], None]] = {
    ".safetensors": bundle.save,
    ".onnx": onnx.write_onnx,
}
"""Functions that write a model, by the suffix of the file."""
PRECISIONS = ("float32", "bfloat16")
"""How the weights can be stored; biases and the statistics of batch normalization stay float32."""


def export(
    source: Path,
    target: Path,
    checkpoint: str = "last",
    license: str = "",
    data_terms: str = "",
    unfinished: bool = False,
    precision: str = "float32",
) -> ModelBundle:
    """Writes the model of a run directory, or of an exported file, to `target`; returns what was written.

    Of a fit, it is the run that `run_to_export` returns. `license` (of the weights) and `data_terms` replace
    those of `source`. `precision` is one of `PRECISIONS`; the model that is returned has the rounded weights.
    `target` is replaced atomically.
    CommandError if its suffix is not in `WRITERS`, where there is nothing to export or ONNX cannot
    represent it; DataError if the run is unfinished, unless `unfinished` is set; WorkError if the disk
    refuses, or if ONNX Runtime does not reproduce the model's output.
    """
    if target.suffix not in WRITERS:
        raise CommandError(f"{target} has an unknown suffix: its name must end in {' or '.join(WRITERS)}")
    if target.suffix == ".onnx":
        refuse_without_packages(onnx.ONNX_PACKAGES)
    if precision not in PRECISIONS:
        raise CommandError(f"no precision {precision!r}; it must be {' or '.join(PRECISIONS)}")
    if precision != "float32" and target.suffix != ".safetensors":
        raise CommandError(f"only a .safetensors file can hold {precision}: omit --precision")
    source, fit = run_to_export(source), source
    weights = find_weights(source, checkpoint)
    net = bundle.load(weights, "cpu", needs_weights=True)
    if target.suffix == ".onnx" and net.config.classic is not None:
        raise CommandError(
            f"{net.config.recipe} is not a network, so ONNX cannot represent it: export to .safetensors"
        )
    if source.is_dir():
        run = RunDir.open(source)
        calibration = (_calibration_of_fit(fit) or read_calibration(run)) if checkpoint == "last" else None
        net = replace(net, provenance=_provenance(run, checkpoint, unfinished), calibration=calibration)
    given = {"weights_license": license, "data_terms": data_terms}
    net = replace(net, terms={**net.terms, **{name: text for name, text in given.items() if text}})
    if precision == "bfloat16":
        bundle.save(target, net, weights=torch.bfloat16)
        return bundle.load(target, "cpu")
    WRITERS[target.suffix](target, net)
    return net


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

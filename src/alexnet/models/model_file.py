"""One trained net as one safetensors file: weights, preprocessing, classes, configuration, terms.

Tensors are named `model.<parameter>` and `preprocessing.<tensor>`; the metadata are JSON texts:
`format_version`, `config`, `classes` (`[{wnid, name}]`), `preprocessing`, `terms`, and `provenance` (which
run it was and what errors it has; only in files that `alexnet export` wrote).
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from alexnet.config import RunConfig, from_dict, to_dict
from alexnet.data.classes import Class
from alexnet.data.preprocessing import Preprocessing
from alexnet.errors import CommandError, DataError
from alexnet.files import CannotWrite, replacing
from alexnet.models.misfit import first_misfit
from alexnet.models.registry import build_run

FORMAT_VERSION = 1
_METADATA = ("format_version", "config", "classes", "preprocessing", "terms")
TERMS = {
    "code_licence": "BSD-3-Clause",
    "weights_licence": "its maker's choice; none is given here",
    "data_terms": "the photos it was trained on keep their own terms (ImageNet: research and teaching only)",
}


@dataclass(frozen=True)
class Loaded:
    """What a model file holds."""

    model: nn.Module
    config: RunConfig
    classes: list[Class]
    preprocessing: Preprocessing
    terms: dict[str, str]
    """`code_licence`, `weights_licence`, `data_terms`: what may be done with it."""
    provenance: dict[str, Any] = field(default_factory=dict[str, Any])
    """As `alexnet.runs.provenance` describes a run; empty where the file is a checkpoint."""


def metadata(net: Loaded) -> dict[str, str]:
    """All that travels with the weights but tensors, as JSON texts by their names in the file."""
    values = {
        "format_version": FORMAT_VERSION,
        "config": to_dict(net.config),
        "classes": [{"wnid": each.wnid, "name": each.name} for each in net.classes],
        "preprocessing": net.preprocessing.state()[0],
        "terms": net.terms,
        "provenance": net.provenance,
    }
    return {key: json.dumps(value) for key, value in values.items()}


def save(
    path: Path,
    model: nn.Module,
    config: RunConfig,
    classes: Sequence[Class],
    preprocessing: Preprocessing,
    terms: Mapping[str, str] = TERMS,
) -> None:
    """Writes the file under a temporary name, syncs it and renames it; WorkError where the disk refuses.

    `classes` are in label order. What was at `path` stays whole until the new file is.
    """
    write(path, Loaded(model, config, list(classes), preprocessing, dict(terms)))


def write(path: Path, net: Loaded) -> None:
    """`save`, of what `load` gave or what has been put together like it."""
    named = {f"model.{name}": tensor for name, tensor in net.model.state_dict().items()}
    named |= {f"preprocessing.{name}": tensor for name, tensor in net.preprocessing.state()[1].items()}
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in named.items()}
    _write(path, whole, metadata(net))


def load(path: Path, device: torch.device | str = "cpu") -> Loaded:
    """The net, in evaluation mode on `device`, and all that travels with it.

    CommandError where there is no such file; DataError where it is no model file, of a newer version, or does
    not fit the net its configuration names.
    """
    texts, tensors = _read(path)
    config = from_dict(RunConfig, texts["config"])
    classes = [Class(**each) for each in texts["classes"]]
    with torch.device("meta"):  # no time spent on first weights
        model = build_run(config, len(classes))
    weights = _under("model.", tensors)
    unfit = first_misfit(weights, model.state_dict())
    if unfit:
        raise DataError(f"{path} is of another architecture than its configuration: {unfit}")
    model.to_empty(device=device).load_state_dict(weights)
    preprocessing = Preprocessing.from_state(texts["preprocessing"], _under("preprocessing.", tensors))
    travelled = texts["terms"], texts.get("provenance", {})
    return Loaded(model.eval(), config, classes, preprocessing, *travelled)


def load_metadata(path: Path) -> dict[str, Any]:
    """What `metadata` wrote, as values; the weights are not read. Errors as for `load`."""
    with _opened(path) as opened:
        return checked_texts(path, opened.metadata() or {})


def _write(path: Path, tensors: dict[str, torch.Tensor], texts: dict[str, str]) -> None:
    try:
        with replacing(path) as unfinished:
            unfinished.touch()
            mode = unfinished.stat().st_mode
            save_file(tensors, unfinished, texts)
            unfinished.chmod(mode)  # it leaves files that nobody else may read
    except SafetensorError as error:  # so it reports a full disk
        raise CannotWrite(
            f"cannot write {path} ({error}): free some space, or choose another place"
        ) from error


def _read(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    with _opened(path) as opened:
        values = checked_texts(path, opened.metadata() or {})
        return values, {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118


@contextmanager
def _opened(path: Path) -> Generator[Any]:
    """The file as safetensors reads it; what goes wrong meanwhile is one line."""
    if not path.is_file():
        raise CommandError(f"no model file at {path}: give a run folder or a .safetensors file")
    with path.open("rb") as opened:
        start = opened.read(2)
    if path.suffix == ".onnx":
        raise DataError(f"{path} is for running only: give the run, or the .safetensors file exported of it")
    if start in (b"PK", b"\x80\x02"):
        raise DataError(
            f"{path} is a pickle, which can run code when opened: only safetensors files are read"
        )
    try:
        with safe_open(path, framework="pt") as opened:
            yield opened
    except (SafetensorError, ValueError) as error:
        raise DataError(
            f"{path} is not a whole safetensors file ({error}): give one that this program wrote"
        ) from error


def checked_texts(path: Path, texts: Mapping[str, str]) -> dict[str, Any]:
    """What `metadata` made these texts of; DataError where one is missing, or of a newer version."""
    missing = [name for name in _METADATA if name not in texts]
    if missing:
        raise DataError(
            f"{path} holds weights but no {', '.join(missing)}: give a file that this program wrote"
        )
    version = json.loads(texts["format_version"])
    if version > FORMAT_VERSION:
        raise DataError(
            f"{path} has format version {version}, this program reads {FORMAT_VERSION}: update alexnet"
        )
    return {key: json.loads(text) for key, text in texts.items()}


def _under(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}

"""Steps common to all imports: weights of another framework become a model bundle and a run directory."""

from __future__ import annotations

import codecs
from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from alexnet.config import RunConfig
from alexnet.data.classes import Class, classes_from_wnids, imagenet_classes
from alexnet.data.preprocessing import Preprocessing
from alexnet.errors import AlreadyExists, CommandError, DataError, WorkError
from alexnet.io import atomic_dir, file_sha256
from alexnet.models import bundle, convert
from alexnet.models.bundle import ModelBundle, default_terms
from alexnet.models.layers.init import shapes_only
from alexnet.models.registry import build
from alexnet.runs.checkpoints import NetworkProgress
from alexnet.runs.environment import Environment, Imported
from alexnet.runs.run_dir import RunDir
from alexnet.text import suggestion
from alexnet.training import checkpoint

IMPORTED_LICENSE = "unknown: the file does not contain it; see its publisher"
NO_COLOR_STATISTICS: Mapping[str, Any] = {"eigenvalues": torch.zeros(3), "eigenvectors": torch.eye(3)}
"""Placeholders: only training needs them, and computes them from its own photos."""


def make_bundle(
    path: Path,
    config: RunConfig,
    preprocessing: Preprocessing,
    weights: Mapping[str, Tensor],
    classes: Sequence[Class],
) -> ModelBundle:
    """The model with `weights` from the file `path` and with `classes`, or ImageNet's if empty.

    CommandError if the number of classes is not that of the outputs; DataError if the weights do not
    fit.
    """
    with prefixed_errors(path):
        last = [weights[name] for name in ("fc8.bias", "fc8.weight") if name in weights]
        outputs = len(last[0]) if last else len(imagenet_classes())
        names = _classes(path, outputs, classes)
        with shapes_only():
            model = build(config.model, len(names), config.data.input_size)
        convert.fill(model, weights)
    terms = default_terms(names) | {"weights_license": IMPORTED_LICENSE}
    return ModelBundle(model.eval(), config, names, preprocessing, terms)


_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_class_list(path: Path) -> list[Class]:
    """Classes in label order from a text file with one `wnid` or `wnid<TAB>name` per line.

    UTF-8, or UTF-16 with a byte order mark, which is no part of the first class.

    CommandError if there is no such file; DataError if it is not text or has a class twice.
    """
    try:
        data = path.read_bytes()
        lines = data.decode("utf-16" if data.startswith(_UTF_16) else "utf-8-sig").splitlines()
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not a text file: it must have one wnid or wnid<TAB>name per line"
        ) from error
    parts = [line.strip().partition("\t") for line in lines if line.strip()]
    wnids = [wnid.strip() for wnid, _, _ in parts]
    if not wnids:
        raise DataError(f"{path} has no classes: it must have one wnid or wnid<TAB>name per line")
    twice = next((wnid for wnid, count in Counter(wnids).items() if count > 1), None)
    if twice:
        raise DataError(f"{path} has {twice} twice: each class must have one line")
    known = classes_from_wnids(wnids)
    names = [name.strip() for _, _, name in parts]
    return [Class(each.wnid, name or each.name) for each, name in zip(known, names, strict=True)]


def parse_renames(words: Iterable[str]) -> dict[str, str]:
    """`OLD=NEW` as a mapping; CommandError for anything else."""
    renames: dict[str, str] = {}
    for word in words:
        old, _, new = word.partition("=")
        if not old or not new or old in renames or new in renames.values():
            raise CommandError(f"--rename {word}: expected OLD=NEW, each layer once")
        renames[old] = new
    return renames


def renamed_layers(path: Path, layers: Sequence[str], renames: Mapping[str, str]) -> dict[str, str]:
    """The new name of each layer. CommandError for a layer that is not there, or two of the same name."""
    for old, new in renames.items():
        if old not in layers:
            raise CommandError(f"{path} has no layer {old!r} to rename; {suggestion(old, layers)}")
        if new in layers and new not in renames:
            raise CommandError(f"{path} has a layer {new!r} already: rename that one too")
    return {layer: renames.get(layer, layer) for layer in layers}


@contextmanager
def prefixed_errors(path: Path) -> Generator[None]:
    """Prefixes the message of a DataError with `path`."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _classes(path: Path, count: int, given: Sequence[Class]) -> list[Class]:
    known = list(given) or imagenet_classes()
    if len(known) == count:
        return known
    if given:
        raise CommandError(f"{len(given)} classes were given, but {path} has {count} outputs")
    raise CommandError(
        f"{path} has {count} outputs, not ImageNet's 1000 classes: type --classes FILE, with one wnid or "
        "wnid<TAB>name per line, in the order of the outputs"
    )


def refuse_taken(run: Path) -> None:
    """AlreadyExists if `run` is a file or a non-empty directory."""
    if run.is_file() or (run.is_dir() and any(run.iterdir())):
        raise AlreadyExists(f"{run} exists: choose another directory for the imported model")


def write_run(run: Path, net: ModelBundle, source: Path, framework: str, command: Sequence[str]) -> RunDir:
    """Writes the run directory of `net`, read from the file `source` of `framework`, atomically.

    `command` is the command line, for `environment.json`, which also has the file's name and SHA-256.
    CommandError if `run` exists; WorkError if the disk is full or not writable.
    """
    refuse_taken(run)
    imported = Imported(source.name, file_sha256(source), framework)
    try:
        with atomic_dir(run) as unfinished:
            folder = RunDir.create(unfinished, net.config)
            folder.write_environment(replace(Environment.of_this_process("", command), imported=imported))
            write = partial(bundle.save, bundle=net)
            checkpoint.write(folder.checkpoints, 0, write, {}, NetworkProgress(epoch=0), best=True)
    except WorkError as error:
        raise WorkError(
            f"cannot write {run} ({_reason(error)}): free some space, or choose another path"
        ) from error
    return RunDir(run)


def _reason(error: BaseException) -> object:
    """The first cause; later messages contain the path of a temporary directory."""
    while error.__cause__ is not None:
        error = error.__cause__
    return getattr(error, "strerror", None) or error

"""What nets of other programs have in common when they become ours."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
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
from alexnet.errors import CommandError, DataError, WorkError
from alexnet.io import atomic_dir, file_sha256
from alexnet.models import bundle, convert
from alexnet.models.bundle import TERMS, ModelBundle
from alexnet.models.registry import build
from alexnet.runs.environment import Environment, Imported
from alexnet.runs.run_dir import RunDir
from alexnet.training import checkpoint

FOREIGN_TERMS = {**TERMS, "weights_license": "that of whoever trained them; the file does not say"}
NO_COLOR_STATISTICS: Mapping[str, Any] = {"eigenvalues": torch.zeros(3), "eigenvectors": torch.eye(3)}
"""Only training asks for them, and it takes those of its own photos."""


def put_together(
    path: Path,
    config: RunConfig,
    preprocessing: Preprocessing,
    weights: Mapping[str, Tensor],
    classes: Sequence[Class],
) -> ModelBundle:
    """The net of `weights`, which are from the file `path`, with `classes`, or ImageNet's if empty.

    CommandError where there are not as many classes as answers; DataError where the weights do not fit.
    """
    with about(path):
        answers = len(weights["fc8.bias"]) if "fc8.bias" in weights else len(imagenet_classes())
        names = _classes(path, answers, classes)
        with torch.device("meta"):
            model = build(config.model, len(names), config.data.input_size)
        convert.fill(model, weights)
    return ModelBundle(model.eval(), config, names, preprocessing, dict(FOREIGN_TERMS))


def read_classes(path: Path) -> list[Class]:
    """Classes in label order from a text of one `wnid` or `wnid<TAB>name` a line.

    CommandError where there is no such file; DataError where it is no text or names a class twice.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text: give one wnid, or wnid<TAB>name, a line") from error
    parts = [line.strip().partition("\t") for line in lines if line.strip()]
    wnids = [wnid.strip() for wnid, _, _ in parts]
    if not wnids:
        raise DataError(f"{path} names no class: give one wnid, or wnid<TAB>name, a line")
    twice = next((wnid for wnid in wnids if wnids.count(wnid) > 1), None)
    if twice:
        raise DataError(f"{path} names {twice} twice: each class has one line")
    known = classes_from_wnids(wnids)
    names = [name.strip() for _, _, name in parts]
    return [Class(each.wnid, name or each.name) for each, name in zip(known, names, strict=True)]


@contextmanager
def about(path: Path) -> Generator[None]:
    """A DataError raised meanwhile begins with `path`."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _classes(path: Path, count: int, given: Sequence[Class]) -> list[Class]:
    known = list(given) or imagenet_classes()
    if len(known) == count:
        return known
    if given:
        raise CommandError(f"{len(given)} classes were given, and {path} tells {count} apart")
    raise CommandError(
        f"{path} tells {count} classes apart, not ImageNet's 1000: name them with --classes FILE, "
        "one wnid or wnid<TAB>name a line, in the net's order"
    )


_POSITION: Mapping[str, Any] = {"epoch": 0, "errors": {}, "store_digest": ""}


def refuse_taken(run: Path) -> None:
    """CommandError where `run` is a file or a folder that holds something."""
    if run.is_file() or (run.is_dir() and any(run.iterdir())):
        raise CommandError(f"{run} exists: give another folder for the imported net")


def write_run(run: Path, net: ModelBundle, source: Path, form: str, command: Sequence[str]) -> RunDir:
    """The run folder of `net`, read from the file `source` of the program `form`; whole or not there.

    `command` is the command line, for `environment.json`, which also names the file and its SHA-256.
    CommandError where `run` is taken; WorkError where the disk refuses.
    """
    refuse_taken(run)
    imported = Imported(source.name, file_sha256(source), form)
    try:
        with atomic_dir(run) as unfinished:
            folder = RunDir.create(unfinished, net.config)
            folder.write_environment(replace(Environment.of_this_process("", command), imported=imported))
            write = partial(bundle.write, net=net)
            checkpoint.write(folder.checkpoints, 0, write, {}, dict(_POSITION), best=True)
    except WorkError as error:
        raise WorkError(
            f"cannot write {run} ({_reason(error)}): free some space, or choose another place"
        ) from error
    return RunDir(run)


def _reason(error: BaseException) -> object:
    """What was first said; the places named since then are those of a folder that nobody has heard of."""
    while error.__cause__ is not None:
        error = error.__cause__
    return getattr(error, "strerror", None) or error

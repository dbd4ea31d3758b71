"""Published weights: where they are, their licenses, and a run directory of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from alexnet.data.download import BytesReceived, RemoteFile, fetch_files
from alexnet.runs.run_dir import RunDir

if TYPE_CHECKING:
    from alexnet.models.bundle import ModelBundle

_IMAGENET = "ImageNet's photos, which are for research and teaching only (https://image-net.org/download)"
_BVLC = ("http://dl.caffe.berkeleyvision.org/",)
_UNRESTRICTED = "unrestricted use (BVLC/caffe, models/{}/readme.md)"


@dataclass(frozen=True)
class PublishedWeights:
    """One file of trained weights."""

    file: RemoteFile
    framework: str
    """`torchvision` or `caffe`."""
    terms: dict[str, str]
    """The publisher's licenses, with the keys of model files."""
    variant: str = ""
    """The variant, for Caffe's two models."""


PUBLISHED_WEIGHTS = {
    "torchvision-alexnet": PublishedWeights(
        RemoteFile(
            "alexnet-owt-7be5be79.pth",
            244_408_911,
            "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
            ("https://download.pytorch.org/models/",),
        ),
        "torchvision",
        {
            "code_license": "BSD-3-Clause",
            "weights_license": "BSD-3-Clause is torchvision's; none is given for the weights alone",
            "data_terms": _IMAGENET,
        },
    ),
    "bvlc-alexnet": PublishedWeights(
        RemoteFile(
            "bvlc_alexnet.caffemodel",
            243_862_414,
            "4bff209a9837298157915ef50a4831a59636a6ca1a6b8ebacd990c3a5f3053e0",
            _BVLC,
        ),
        "caffe",
        {
            "code_license": "BSD-3-Clause",
            "weights_license": _UNRESTRICTED.format("bvlc_alexnet"),
            "data_terms": _IMAGENET,
        },
        "caffe",
    ),
    "caffenet": PublishedWeights(
        RemoteFile(
            "bvlc_reference_caffenet.caffemodel",
            243_862_418,
            "4c8d77deb20ea792f84eb5e6d0a11ca0a8660a46",
            _BVLC,
        ),
        "caffe",
        {
            "code_license": "BSD-3-Clause",
            "weights_license": _UNRESTRICTED.format("bvlc_reference_caffenet"),
            "data_terms": _IMAGENET,
        },
        "caffenet",
    ),
}
"""Published weights by their names for `alexnet fetch`."""


def fetch_weights(
    name: str, folder: Path, location: str | None, progress: BytesReceived, command: Sequence[str]
) -> RunDir:
    """The run directory `folder / name` of published weights; fetches, verifies and imports them if missing.

    `location` replaces the publisher, as for `fetch`. `command` is the command line, for the run's
    environment. Errors as of `fetch`; CommandError if `folder / name` is something else.
    """
    from alexnet.interop.importers import refuse_taken, write_run

    published, run = PUBLISHED_WEIGHTS[name], RunDir(folder / name)
    imported = run.environment().imported
    if imported is not None and imported.file == published.file.name:
        return run
    refuse_taken(run.path)
    # Disk space for the file, and for the run of the same size.
    fetch_files([published.file], folder, location, progress, copies=2)
    file = folder / published.file.name
    net = replace(_read(published, file), terms=dict(published.terms))
    return write_run(run.path, net, file, published.framework, command)


def _read(published: PublishedWeights, file: Path) -> ModelBundle:
    from alexnet.interop import caffe, torchvision

    if published.framework == "caffe":
        return caffe.read_caffe(file, variant=published.variant)
    return torchvision.read_torchvision(file)

"""A net in an ONNX file that `alexnet export` wrote: it answers, by ONNX Runtime, and cannot be trained."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from alexnet.config import RunConfig, from_dict
from alexnet.data.classes import Class
from alexnet.data.preprocessing import Preprocessing
from alexnet.errors import CommandError, DataError
from alexnet.models.model_file import Loaded, checked_texts

INPUT, OUTPUT = "images", "logits"


class OnnxNet(nn.Module):
    """(N, 3, crop, crop) RGB crops in grey levels 0..255 -> (N, K) logits: the mean is in its graph."""

    layer_names = (OUTPUT,)

    def __init__(self, path: Path) -> None:
        super().__init__()
        import onnxruntime

        self._session: Any = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self.register_buffer("device", torch.empty(0), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, K), on the CPU."""
        return torch.from_numpy(self._session.run([OUTPUT], {INPUT: images.contiguous().numpy()})[0])

    def activations(self, images: Tensor) -> dict[str, Tensor]:
        """The logits: an ONNX file says nothing of the layers before."""
        return {OUTPUT: self(images)}


def load(path: Path) -> Loaded:
    """The net on the CPU, and all that travels with it.

    CommandError where there is no such file or ONNX Runtime is missing; DataError where `alexnet export` did
    not write it.
    """
    values = load_metadata(path)
    classes = [Class(**each) for each in values["classes"]]
    travelled = values["terms"], values.get("provenance", {})
    config = from_dict(RunConfig, values["config"])
    return Loaded(OnnxNet(path).eval(), config, classes, _outside(values["preprocessing"]), *travelled)


def load_metadata(path: Path) -> dict[str, Any]:
    """What `model_file.metadata` gave, as values; errors as for `load`."""
    refuse_without_packages(("onnx", "onnxruntime"))
    if not path.is_file():
        raise CommandError(f"no model file at {path}: give a run folder or an exported file")
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(path)
    except DecodeError as error:
        raise DataError(f"{path} is not a whole ONNX file ({error}): copy it again") from error
    texts = {each.key: each.value for each in model.metadata_props}
    return checked_texts(path, {name: text for name, text in texts.items() if _is_json(text)})


def _outside(values: dict[str, Any]) -> Preprocessing:
    """What is left of a net's preprocessing where mean, deviations and order of channels are in the graph."""
    data: dict[str, Any] = {**values["data"], "normalization": "channel-mean", "mean_position": "centre"}
    channels = "RGB" if values["channels"] == "BGR" else values["channels"]
    count = data.get("channels", 3)
    nothing = {"mean": torch.zeros(count), "std": torch.ones(count)}
    colors = {"eigenvalues": torch.zeros(count), "eigenvectors": torch.eye(count)}
    return Preprocessing.from_state({**values, "data": data, "channels": channels}, nothing | colors)


def refuse_without_packages(names: Iterable[str]) -> None:
    """CommandError that says what to install, where ONNX files cannot be used."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise CommandError(f"an .onnx file needs {', '.join(missing)}: type pip install 'alexnet[onnx]'")


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True

"""Whether weights fit a net, and how it is said that they do not."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from alexnet import old_names
from alexnet.config import RunConfig, from_dict, to_dict
from alexnet.data.classes import Class
from alexnet.data.preprocessing import Preprocessing
from alexnet.errors import CommandError, DataError
from alexnet.io import CannotWrite, atomic_write
from alexnet.models.registry import build_run


def first_misfit(weights: Mapping[str, Tensor], net: Mapping[str, Tensor]) -> str:
    """How `weights` and the tensors of `net` first differ in name or shape; empty where they fit."""
    return next(filter(None, (misfit(name, weights, net) for name in [*net, *weights])), "")


def misfit(name: str, weights: Mapping[str, Tensor], net: Mapping[str, Tensor]) -> str:
    """`conv1.weight is 64x3x11x11 in these weights, missing in this net`; empty where it is alike."""
    found, wanted = _shape(weights, name), _shape(net, name)
    return "" if found == wanted else f"{name} is {found} in these weights, {wanted} in this net"


def _shape(tensors: Mapping[str, Tensor], name: str) -> str:
    return ("x".join(map(str, tensors[name].shape)) or "scalar") if name in tensors else "missing"


FORMAT_VERSION = 1
_METADATA = ("format_version", "config", "classes", "preprocessing", "terms")
TERMS = {
    "code_license": "BSD-3-Clause",
    "weights_license": "its maker's choice; none is given here",
    "data_terms": "the photos it was trained on keep their own terms (ImageNet: research and teaching only)",
}


@dataclass(frozen=True)
class ModelBundle:
    """What a model file holds."""

    model: nn.Module
    config: RunConfig
    classes: list[Class]
    preprocessing: Preprocessing
    terms: dict[str, str]
    """`code_license`, `weights_license`, `data_terms`: what may be done with it."""
    provenance: dict[str, Any] = field(default_factory=dict[str, Any])
    """As `alexnet.runs.provenance` describes a run; empty where the file is a checkpoint."""


def metadata(net: ModelBundle) -> dict[str, str]:
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
    write(path, ModelBundle(model, config, list(classes), preprocessing, dict(terms)))


def write(path: Path, net: ModelBundle) -> None:
    """`save`, of what `load` gave or what has been put together like it."""
    named = {f"model.{name}": tensor for name, tensor in net.model.state_dict().items()}
    named |= {f"preprocessing.{name}": tensor for name, tensor in net.preprocessing.state()[1].items()}
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in named.items()}
    _write(path, whole, metadata(net))


def load_safetensors(path: Path, device: torch.device | str = "cpu") -> ModelBundle:
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
    return ModelBundle(model.eval(), config, classes, preprocessing, *travelled)


def load_safetensors_metadata(path: Path) -> dict[str, Any]:
    """What `metadata` wrote, as values; the weights are not read. Errors as for `load`."""
    with _opened(path) as opened:
        return checked_texts(path, opened.metadata() or {})


def _write(path: Path, tensors: dict[str, torch.Tensor], texts: dict[str, str]) -> None:
    try:
        with atomic_write(path) as unfinished:
            unfinished.touch()
            mode = unfinished.stat().st_mode
            save_file(tensors, unfinished, texts)
            unfinished.chmod(mode)  # it leaves files that nobody else may read
    except SafetensorError as error:  # so it reports a full disk
        raise CannotWrite(
            f"cannot write {path} ({error}): free some space, or choose another path"
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
    values: dict[str, Any] = {key: json.loads(text) for key, text in texts.items()}
    preprocessing = values["preprocessing"]
    return values | {
        "config": old_names.new_config(values["config"]),
        "preprocessing": preprocessing | {"data": old_names.new_data(preprocessing["data"])},
        "terms": old_names.new_terms(values["terms"]),
    }


def _under(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


INPUT, OUTPUT = "images", "logits"


class OnnxNet(nn.Module):
    """(N, 3, crop, crop) RGB crops in gray levels 0..255 -> (N, K) logits: the mean is in its graph."""

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


def load_onnx(path: Path) -> ModelBundle:
    """The net on the CPU, and all that travels with it.

    CommandError where there is no such file or ONNX Runtime is missing; DataError where `alexnet export` did
    not write it.
    """
    values = load_onnx_metadata(path)
    classes = [Class(**each) for each in values["classes"]]
    travelled = values["terms"], values.get("provenance", {})
    config = from_dict(RunConfig, values["config"])
    return ModelBundle(OnnxNet(path).eval(), config, classes, _outside(values["preprocessing"]), *travelled)


def load_onnx_metadata(path: Path) -> dict[str, Any]:
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
    data: dict[str, Any] = {**values["data"], "normalization": "channel-mean", "mean_position": "center"}
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


def load(path: Path, device: torch.device | str = "cpu") -> ModelBundle:
    """The net in a file; one of ONNX is on the CPU. Errors as in `model_file` and `onnx_net`."""
    return load_onnx(path) if _is_onnx(path) else load_safetensors(path, device)


def load_metadata(path: Path) -> dict[str, Any]:
    """All that travels with a net but tensors, as values."""
    return load_onnx_metadata(path) if _is_onnx(path) else load_safetensors_metadata(path)


def classes_of(path: Path) -> list[Class]:
    """The classes of the net in a file, in label order, without reading its weights."""
    return [Class(**each) for each in load_metadata(path)["classes"]]


def _is_onnx(path: Path) -> bool:
    return path.suffix == ".onnx"

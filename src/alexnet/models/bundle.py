"""Model files: weights and everything that is needed to use them, as safetensors or ONNX.

A safetensors file holds the tensors `model.*` and `preprocessing.*`, and as JSON texts in its metadata:
format version, configuration, classes, preprocessing, license terms, provenance and calibration, two digests
of the tensors and a checksum of these texts. An ONNX file holds a graph that includes the preprocessing, and
the same texts with digests of the graph and of the file.

`load` reads no weights unchecked: a checkpoint's are compared with its `meta.json`, the weights or the graph
of other files with the digest that they carry. That is XXH3, which costs as little as reading the weights
once; `verify` compares the SHA-256, and `load` does where there is no other. Files of earlier versions have
none.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import math
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xxhash
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from alexnet import old_names
from alexnet.checksum import CHECKSUM, Damaged, FileVersion, with_checksum
from alexnet.config import RunConfig, config_from_dict, from_dict, to_dict
from alexnet.data.classes import Class, are_custom, different_classes
from alexnet.data.preprocessing import Preprocessing
from alexnet.errors import AlexNetError, DataError, MissingPackage, NotFound, WorkError
from alexnet.hardware import choose_device, cpu_count
from alexnet.io import CannotWrite, atomic_write
from alexnet.json_reader import as_object, check_version, parse_json, refusing
from alexnet.models.layers.init import give_weights, shapes_only
from alexnet.models.registry import build_run
from alexnet.runs.calibration import Calibration
from alexnet.runs.checkpoints import TENSORS_XXH3, check_weights, damaged_weights, recorded_tensors
from alexnet.runs.provenance import Provenance
from alexnet.text import counted

MODEL_FORMAT_VERSION = 1
INPUT, OUTPUT = "images", "logits"
"""Names in an ONNX graph that takes crops."""
PHOTO, PROBABILITIES = "photo", "probabilities"
"""Names in an ONNX graph that takes a photo."""
TERMS: Mapping[str, str] = {
    "code_license": "BSD-3-Clause",
    "weights_license": "not stated (set it with --license)",
    "data_terms": "the training photos keep their own terms",
}
"""License terms of a model for which none were specified."""
_IMAGENET_TERMS = "the training photos keep their own terms (ImageNet: research and teaching only)"
_EXPORT_AGAIN = "copy or export it again"
TENSORS_DIGEST = "tensors_sha256"
"""In the metadata: `tensors_digest`, or `onnx_digest`."""
FILE_XXH3 = "file_xxh3_128"
"""In the metadata of an ONNX file: `onnx_xxh3`. Others have `tensors_xxh3` under `TENSORS_XXH3`."""
_REQUIRED = ("format_version", "config", "classes", "preprocessing", "terms")
_OPTIONAL = ("provenance", "calibration", TENSORS_DIGEST)


@dataclass(frozen=True)
class ModelBundle:
    """A model, and everything needed to use it on photos."""

    model: nn.Module
    config: RunConfig
    classes: list[Class]
    """In label order."""
    preprocessing: Preprocessing
    terms: dict[str, str] = field(default_factory=lambda: dict(TERMS))
    """`code_license`, `weights_license` and `data_terms`."""
    provenance: Provenance | None = None
    """How it was trained; None in checkpoints, where the run folder shows it."""
    calibration: Calibration | None = None
    """Of its probabilities, if it was calibrated; None in checkpoints, as for `provenance`."""

    def __repr__(self) -> str:
        """`ModelBundle(alexnet-modern: AlexNet of 3 classes, Preprocessing(...))`."""
        kind, classes = type(self.model).__name__, counted(len(self.classes), "class")
        return f"ModelBundle({self.config.recipe}: {kind} of {classes}, {self.preprocessing!r})"


@dataclass(frozen=True)
class Metadata:
    """The contents of a model file besides tensors."""

    config: RunConfig
    classes: list[Class]
    """In label order."""
    preprocessing: Mapping[str, Any]
    """The description that `Preprocessing.state` returns."""
    terms: dict[str, str]
    provenance: Provenance | None
    calibration: Calibration | None


def default_terms(classes: Sequence[Class]) -> dict[str, str]:
    """`TERMS`, with those of ImageNet's photos if the classes are ImageNet's."""
    return dict(TERMS) if not classes or are_custom(classes) else {**TERMS, "data_terms": _IMAGENET_TERMS}


def save(path: Path, bundle: ModelBundle, weights: torch.dtype | None = None) -> str:
    """Writes a safetensors file under a temporary name, syncs it and renames it; returns its `tensors_xxh3`.

    Weights, which have two dimensions or more, are rounded to `weights` if it is given; `load` makes float32
    of them. An existing file at `path` remains intact until then. WorkError if the disk is full or not
    writable, or a weight is not finite.
    """
    state = bundle.model.state_dict()
    if weights is not None:
        state = {name: tensor.to(weights) if tensor.ndim > 1 else tensor for name, tensor in state.items()}
    if name := _not_finite(state):
        raise WorkError(f"cannot write {path}: {name} has values that are not finite")
    tensors = {f"model.{name}": tensor for name, tensor in state.items()}
    tensors |= {f"preprocessing.{name}": tensor for name, tensor in bundle.preprocessing.state()[1].items()}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    xxh3 = tensors_xxh3(tensors)
    try:
        with atomic_write(path) as unfinished:
            unfinished.touch()
            mode = unfinished.stat().st_mode
            texts = metadata_texts(bundle, tensors_digest(tensors)) | {TENSORS_XXH3: json.dumps(xxh3)}
            save_file(tensors, unfinished, texts)
            unfinished.chmod(mode)  # safetensors makes it unreadable for other users
    except SafetensorError as error:  # raised when the disk is full
        raise CannotWrite(
            f"cannot write {path} ({error}): free some space, or choose another path"
        ) from error
    return xxh3


def load(path: Path, device: torch.device | str = "auto", needs_weights: bool = False) -> ModelBundle:
    """The model in evaluation mode, with everything that is saved with it.

    A safetensors file's model is on `device` (errors as `choose_device`), an ONNX file's on the CPU.
    NotFound if there is no such file, MissingPackage if ONNX Runtime is not installed; DataError where it is
    not a model file, is damaged, is of a newer version, does not fit its own configuration, or, with
    `needs_weights`, is an ONNX file.
    """
    if _is_onnx(path) and not needs_weights:
        return _load_onnx(path)
    metadata, texts, tensors = _read(path)
    compared = _compared(path, texts, tensors)
    model = _filled(path, metadata, _under("model.", tensors), choose_device(device), compared)
    with _refusing(path):
        preprocessing = Preprocessing.from_state(metadata.preprocessing, _under("preprocessing.", tensors))
    return _bundle(model, metadata, preprocessing)


def _read(path: Path) -> tuple[Metadata, dict[str, str], dict[str, Tensor]]:
    """The contents of a safetensors file, its texts, and its tensors, which are read when they are used."""
    with _opened(path) as opened:
        texts: dict[str, str] = opened.metadata() or {}
        metadata = _parsed(path, texts)
        return metadata, texts, {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118


def _filled(
    path: Path, metadata: Metadata, weights: Mapping[str, Tensor], device: torch.device, compared: bool
) -> nn.Module:
    """The model on the device, with these weights; DataError if they are not those of its configuration.

    Weights that were not `compared` with a digest may be of any program: DataError if one is not finite.
    """
    with _refusing(path), shapes_only():
        model = build_run(metadata.config, len(metadata.classes))
    expected = model.state_dict()
    found = first_mismatch(weights, expected)
    if found:
        raise DataError(f"{path} has another architecture than its configuration: {found}")
    for name, tensor in weights.items():
        if tensor.is_floating_point() != expected[name].is_floating_point() or tensor.is_complex():
            raise DataError(f"{path} is not a valid model file ({name} is {tensor.dtype})")
    if not compared and (name := _not_finite(weights)):
        raise DataError(f"{path} is not a valid model file ({name} has values that are not finite)")
    give_weights(model, weights, device)
    return model


def _not_finite(weights: Mapping[str, Tensor]) -> str:
    """The first weight with a value that is not finite; empty without one."""
    for name, tensor in weights.items():
        # A finite sum, which is the fastest to compute, has finite terms; that of float16 may overflow.
        if not math.isfinite(float(tensor.sum())) and not tensor.isfinite().all():
            return name
    return ""


_digests: dict[tuple[FileVersion, str], str] = {}
"""The digests that were computed in this process, with which a file is compared whenever it is loaded."""


def _compared(path: Path, texts: Mapping[str, str], tensors: Mapping[str, Tensor]) -> bool:
    """Whether a digest of a file's tensors is recorded; Damaged if it differs from theirs.

    Of several, the one that is fastest to compute is compared, and it is computed once in a process.
    """
    if wanted := recorded_tensors(path):
        if _digest_of(path, TENSORS_XXH3, partial(tensors_xxh3, tensors)) != wanted:
            raise damaged_weights(path)
        return True
    if check_weights(path):
        return True
    for name, digest in ((TENSORS_XXH3, tensors_xxh3), (TENSORS_DIGEST, tensors_digest)):
        if name in texts:
            if _digest_of(path, name, partial(digest, tensors)) != _text(path, texts, name):
                raise Damaged(
                    f"{path} is damaged: its weights differ from the digest that it carries", _EXPORT_AGAIN
                )
            return True
    return False


def _digest_of(path: Path, name: str, compute: Callable[[], str]) -> str:
    key = FileVersion.of(path), name
    if key not in _digests:
        _digests[key] = compute()
    return _digests[key]


def _text(path: Path, texts: Mapping[str, str], name: str) -> Any:
    with _refusing(path):
        return parse_json(texts[name])


def verify(path: Path) -> bool:
    """Whether a file could be compared with the SHA-256 of its contents; earlier versions recorded none.

    Errors as `load`; Damaged if a digest differs.
    """
    load(path, "cpu")
    if _is_onnx(path):
        model, _ = _read_onnx(path)
        return _compared_graph(path, model)
    _, texts, tensors = _read(path)
    if check_weights(path):
        return True
    if TENSORS_DIGEST not in texts:
        return False
    if tensors_digest(tensors) != _text(path, texts, TENSORS_DIGEST):
        raise Damaged(f"{path} is damaged: its weights differ from their SHA-256", _EXPORT_AGAIN)
    return True


def load_metadata(path: Path) -> Metadata:
    """The contents of a model file besides its tensors, which are not read; errors as `load`."""
    if _is_onnx(path):
        return _parsed(path, _onnx_texts(_read_onnx(path)[0]))
    with _opened(path) as opened:
        return _parsed(path, opened.metadata() or {})


def tensors_xxh3(tensors: Mapping[str, Tensor]) -> str:
    """XXH3 of 128 bits, hexadecimal, of tensors on the CPU, in ascending order of names.

    Of each it covers the text "name dtype shape", such as `model.conv1.bias torch.float32 64`, a line break,
    and its bytes in C order. It notices damage, not intent.
    """
    digest = xxhash.xxh3_128()
    for name in sorted(tensors):
        digest.update(_title(name, tensors[name]))
        digest.update(_bytes(tensors[name]))
    return digest.hexdigest()


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256, hexadecimal, of tensors on the CPU: of the SHA-256 of each, in ascending order of names.

    That of a tensor is over the same text and bytes as in `tensors_xxh3`. Several threads compute them.
    """
    with ThreadPoolExecutor(min(len(tensors), cpu_count()) or 1) as pool:
        names = sorted(tensors)
        digests = list(pool.map(lambda name: _tensor_digest(name, tensors[name]), names))
    return hashlib.sha256(b"".join(digests)).hexdigest()


def _tensor_digest(name: str, tensor: Tensor) -> bytes:
    digest = hashlib.sha256(_title(name, tensor))
    digest.update(_bytes(tensor))
    return digest.digest()


def _title(name: str, tensor: Tensor) -> bytes:
    return f"{name} {tensor.dtype} {'x'.join(map(str, tensor.shape))}\n".encode()


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data


def metadata_texts(bundle: ModelBundle, digest: str = "") -> dict[str, str]:
    """The metadata that is saved with the tensors, as JSON texts by their names in the file.

    `digest` is the SHA-256 of the tensors or the graph. The last text is a checksum of the others.
    """
    values = {
        "format_version": MODEL_FORMAT_VERSION,
        "config": to_dict(bundle.config),
        "classes": [{"wnid": each.wnid, "name": each.name} for each in bundle.classes],
        "preprocessing": bundle.preprocessing.state()[0],
        "terms": bundle.terms,
        "provenance": {} if bundle.provenance is None else bundle.provenance.to_dict(),
        **({} if bundle.calibration is None else {"calibration": bundle.calibration.to_dict()}),
    }
    texts = {key: json.dumps(value) for key, value in values.items()}
    texts |= {TENSORS_DIGEST: json.dumps(digest)} if digest else {}
    return texts | {CHECKSUM: json.dumps(_checksum(texts))}


def _checksum(texts: Mapping[str, str]) -> str:
    """The checksum of all texts that are read, whatever their order; other programs may add their own."""
    return with_checksum({name: texts.get(name) for name in (*_REQUIRED, *_OPTIONAL)})[CHECKSUM]


def first_mismatch(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str:
    """First difference between two state_dicts in name or shape, as `mismatch`; empty if there is none."""
    return next(filter(None, (mismatch(name, weights, expected) for name in [*expected, *weights])), "")


def mismatch(name: str, weights: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str:
    """`conv1.weight is 64x3x11x11 in these weights, missing in this model`; empty if both are alike."""
    found, wanted = _shape(weights, name), _shape(expected, name)
    return "" if found == wanted else f"{name} is {found} in these weights, {wanted} in this model"


def refuse_without_packages(names: Iterable[str]) -> None:
    """MissingPackage with what to install, if packages for ONNX files are missing."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingPackage(f"an .onnx file needs {', '.join(missing)}: type pip install 'alexnet[onnx]'")


class OnnxModel(nn.Module):
    """(N, C, crop, crop) crops in gray levels 0..255, RGB or gray -> (N, K) logits; it subtracts the mean
    itself.

    Runs on the CPU, and has no weights that could be trained.
    """

    layer_names = (OUTPUT,)

    def __init__(self, path: Path, num_classes: int) -> None:
        """DataError if ONNX Runtime cannot run the graph, or its inputs and outputs are others.

        That it has `num_classes` outputs is checked in `forward`.
        """
        super().__init__()
        import onnxruntime

        self._path, self._num_classes = path, num_classes
        with self._refusing():
            self._session: Any = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        names = [
            [each.name for each in ends] for ends in (self._session.get_inputs(), self._session.get_outputs())
        ]
        if names[0] == [PHOTO]:
            raise DataError(
                f"{path} takes whole photos, for other programs: use the run, or export it without "
                "--input photo"
            )
        if names != [[INPUT], [OUTPUT]]:
            raise DataError(f"{path} has a graph from {names[0]} to {names[1]}, not from {INPUT} to {OUTPUT}")
        self.register_buffer("device", torch.empty(0), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, K), on the CPU. DataError if the graph fails or has outputs of another shape."""
        with self._refusing():
            found = self._session.run([OUTPUT], {INPUT: images.contiguous().numpy()})[0]
        if found.shape != (len(images), self._num_classes) or found.dtype != np.float32:
            raise DataError(f"{self._path} has outputs {found.dtype} {found.shape} for {len(images)} images")
        return torch.from_numpy(found)

    @contextmanager
    def _refusing(self) -> Generator[None]:
        errors = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
        kinds = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NotImplemented")
        kinds += ("NoSuchFile", "NotFound", "RuntimeException", "NoModel", "EPFail", "EngineError")
        try:
            yield
        except tuple(getattr(errors, kind) for kind in kinds) as error:
            reason = str(error).partition("\n")[0][:300]
            raise DataError(
                f"{self._path} cannot be run by ONNX Runtime ({reason}): export it again"
            ) from error

    def activations(self, images: Tensor) -> dict[str, Tensor]:
        """The logits alone: an ONNX file has no outputs of other layers."""
        return {OUTPUT: self(images)}


def _bundle(model: nn.Module, metadata: Metadata, preprocessing: Preprocessing) -> ModelBundle:
    return ModelBundle(
        model=model.eval(),
        config=metadata.config,
        classes=metadata.classes,
        preprocessing=preprocessing,
        terms=metadata.terms,
        provenance=metadata.provenance,
        calibration=metadata.calibration,
    )


def _parsed(path: Path, texts: Mapping[str, str]) -> Metadata:
    """Parses `metadata_texts` of this or an earlier version.

    DataError if a text is missing, damaged, or of a newer version.
    """
    missing = [name for name in _REQUIRED if name not in texts]
    if missing:
        raise DataError(f"{path} has weights but no {', '.join(missing)}: use a file that this program wrote")
    with _refusing(path):
        if CHECKSUM in texts and parse_json(texts[CHECKSUM]) != _checksum(texts):
            raise Damaged(f"{path} is damaged: its metadata differ from their checksum", _EXPORT_AGAIN)
        check_version(parse_json(texts["format_version"]), MODEL_FORMAT_VERSION)
        preprocessing = as_object(parse_json(texts["preprocessing"]))
        known = as_object(parse_json(texts.get("provenance", "{}")))
        calibrated = as_object(parse_json(texts.get("calibration", "{}")))
        return Metadata(
            config=config_from_dict(as_object(parse_json(texts["config"]))),
            classes=different_classes(
                [from_dict(Class, as_object(each)) for each in parse_json(texts["classes"])]
            ),
            preprocessing={**preprocessing, "data": old_names.new_data(as_object(preprocessing["data"]))},
            terms=_texts(old_names.new_terms(as_object(parse_json(texts["terms"])))),
            provenance=Provenance.from_dict(known) if known else None,
            calibration=Calibration.from_dict(calibrated) if calibrated else None,
        )


def _refusing(path: Path) -> AbstractContextManager[None]:
    return refusing(path, "is not a valid model file", "use one that this program wrote")


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    if not all(isinstance(value, str) for value in values.values()):
        raise ValueError("terms that are not text")
    return dict(values)


@contextmanager
def _opened(path: Path) -> Generator[Any]:
    """The open safetensors file; errors while it is read become one line."""
    if not path.is_file():
        raise NotFound(f"no model file at {path}: use a run directory or a .safetensors file")
    if _is_onnx(path):
        raise DataError(
            f"{path} is an ONNX file, which can only be run: use the run directory, or the .safetensors file "
            "exported from it"
        )
    with path.open("rb") as opened:
        start = opened.read(2)
    if start in (b"PK", b"\x80\x02"):
        raise DataError(
            f"{path} is a pickle, which can run code when opened: only safetensors files are read"
        )
    try:
        with safe_open(path, framework="pt") as opened:
            yield opened
    except AlexNetError:
        raise
    except (SafetensorError, ValueError) as error:
        raise DataError(
            f"{path} is not a complete safetensors file ({error}): use one that this program wrote"
        ) from error


def _load_onnx(path: Path) -> ModelBundle:
    model, data = _read_onnx(path)
    texts = _onnx_texts(model)
    metadata = _parsed(path, texts)
    wanted = _text(path, texts, FILE_XXH3) if FILE_XXH3 in texts else ""
    digits = wanted if isinstance(wanted, str) else ""
    if not digits or _digest_of(path, FILE_XXH3, partial(onnx_xxh3, data, digits)) != digits:
        _compared_graph(path, model)  # another program may have changed the rest
    with _refusing(path):
        preprocessing = outside_the_graph(metadata.preprocessing)
    return _bundle(OnnxModel(path, len(metadata.classes)), metadata, preprocessing)


def _compared_graph(path: Path, model: Any) -> bool:
    """Whether a digest of the graph is recorded; Damaged if it differs."""
    texts = _onnx_texts(model)
    if TENSORS_DIGEST not in texts:
        return False
    if _digest_of(path, TENSORS_DIGEST, partial(onnx_digest, model)) != _text(path, texts, TENSORS_DIGEST):
        hint = f"{_EXPORT_AGAIN}; if another program changed it, remove its metadata {TENSORS_DIGEST}"
        raise Damaged(f"{path} is damaged: its graph differs from the digest that it carries", hint)
    return True


def onnx_xxh3(data: bytes, digits: str) -> str:
    """XXH3 of 128 bits, hexadecimal, of an ONNX file without the last `digits` in it, the digest itself."""
    view, place = memoryview(data), data.rindex(digits.encode())
    digest = xxhash.xxh3_128(view[:place])
    digest.update(view[place + len(digits) :])
    return digest.hexdigest()


def onnx_digest(model: Any) -> str:
    """SHA-256, hexadecimal, of an ONNX `ModelProto` without its metadata, serialized deterministically."""
    bare = type(model)()
    bare.CopyFrom(model)
    del bare.metadata_props[:]
    return hashlib.sha256(bare.SerializeToString(deterministic=True)).hexdigest()


def _onnx_texts(model: Any) -> dict[str, str]:
    return {each.key: each.value for each in model.metadata_props}


def _read_onnx(path: Path) -> tuple[Any, bytes]:
    """The file as an ONNX `ModelProto`, and its bytes; errors as `load`."""
    refuse_without_packages(("onnx", "onnxruntime"))
    if not path.is_file():
        raise NotFound(f"no model file at {path}: use a run directory or an exported file")
    import onnx
    from google.protobuf.message import DecodeError

    try:
        data = path.read_bytes()
        model = onnx.load_model_from_string(data)
    except (DecodeError, ValueError) as error:
        raise DataError(f"{path} is not a complete ONNX file ({error}): copy it again") from error
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in _onnx_tensors(model)):
        raise DataError(f"{path} has tensors in other files: use a file that this program wrote")
    return model, data


def _onnx_tensors(message: Any) -> Iterator[Any]:
    """All `TensorProto`s in an ONNX message: of graphs, attributes, subgraphs, sparse tensors, functions."""
    if message.DESCRIPTOR.full_name == "onnx.TensorProto":
        yield message
        return
    for kind, value in message.ListFields():
        if kind.message_type is not None:
            for each in [value] if hasattr(value, "DESCRIPTOR") else value:
                yield from _onnx_tensors(each)


def outside_the_graph(values: Mapping[str, Any]) -> Preprocessing:
    """The preprocessing that an ONNX graph does not include: mean, standard deviations and BGR order are in
    the graph.
    """
    data: dict[str, Any] = {**values["data"], "normalization": "channel-mean", "mean_position": "center"}
    channels = "RGB" if values["channels"] == "BGR" else values["channels"]
    count = data.get("channels", 3)
    identity = {"mean": torch.zeros(count), "std": torch.ones(count)}
    colors = {"eigenvalues": torch.zeros(count), "eigenvectors": torch.eye(count)}
    return Preprocessing.from_state({**values, "data": data, "channels": channels}, identity | colors)


def _is_onnx(path: Path) -> bool:
    return path.suffix == ".onnx"


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _shape(tensors: Mapping[str, Tensor], name: str) -> str:
    return ("x".join(map(str, tensors[name].shape)) or "scalar") if name in tensors else "missing"

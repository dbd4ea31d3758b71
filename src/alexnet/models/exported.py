"""Nets in files that answer, whichever form they have: `.onnx`, or this program's own model files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from alexnet.data.classes import Class
from alexnet.models import model_file, onnx_net
from alexnet.models.model_file import Loaded


def load(path: Path, device: torch.device | str = "cpu") -> Loaded:
    """The net in a file; one of ONNX is on the CPU. Errors as in `model_file` and `onnx_net`."""
    return onnx_net.load(path) if _is_onnx(path) else model_file.load(path, device)


def load_metadata(path: Path) -> dict[str, Any]:
    """All that travels with a net but tensors, as values."""
    return onnx_net.load_metadata(path) if _is_onnx(path) else model_file.load_metadata(path)


def classes_of(path: Path) -> list[Class]:
    """The classes of the net in a file, in label order, without reading its weights."""
    return [Class(**each) for each in load_metadata(path)["classes"]]


def _is_onnx(path: Path) -> bool:
    return path.suffix == ".onnx"

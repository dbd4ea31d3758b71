"""Files of other frameworks, a local server with some of them, and runs as training leaves them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tiny
import torch
from torch import nn

from alexnet.data.store import Store
from alexnet.runs.run_dir import RunDir
from benchmarks.step import stock_model

_STOCK_NAMES = {
    **{f"{place}": f"features.{place}" for place in (0, 3, 6, 8, 10)},
    "15": "classifier.1",
    "18": "classifier.4",
    "20": "classifier.6",
}


@pytest.fixture
def large(tmp_path: Path) -> Iterator[Path]:
    """A folder whose large files are removed after the test."""
    yield tmp_path
    for file in tmp_path.rglob("*"):
        if file.is_file() and file.stat().st_size > 1 << 20:
            file.unlink()


@pytest.fixture(scope="session")
def stock() -> tuple[nn.Module, dict[str, torch.Tensor]]:
    """torchvision's AlexNet with random weights, and its state_dict with torchvision's names."""
    torch.manual_seed(3)
    net = stock_model().eval()
    with torch.no_grad():
        net[-1].weight.mul_(120)  # so that the predictions differ
    state = {}
    for name, tensor in net.state_dict().items():
        place, _, kind = name.partition(".")
        state[f"{_STOCK_NAMES[place]}.{kind}"] = tensor
    return net, state


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return tiny.store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def make_run(store: Store, tmp_path: Path) -> Callable[..., RunDir]:
    """Makes run directories as training leaves them, but with random weights."""

    def make(*settings: str, log: str = "") -> RunDir:
        run = tiny.run(tmp_path / "run", store, *settings)
        if log:
            run.metrics_file.write_text(log)
        return run

    return make

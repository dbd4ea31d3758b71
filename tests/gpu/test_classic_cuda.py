"""Classic pipelines and their estimators on a GPU, against the CPU."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny
import torch
from torch import nn

from alexnet import recipes
from alexnet.classic.svm import HingeSgd, scores
from alexnet.config import RunConfig, override
from alexnet.runs.run_dir import RunDir
from alexnet.training import classic_trainer
from alexnet.training.trainer import TrainOptions

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
DESCRIPTORS = ("root-sift", "color", "hog", "lbp", "sift")
ENCODINGS = ("fisher", "super-vector", "llc", "l1", "fisher")


def config(codes: str) -> RunConfig:
    channels = [
        {
            "descriptor": descriptor,
            "encoding": encoding,
            "step": 12,
            "patches": [16],
            "pca": 8,
            "codebook_size": 8,
        }
        for descriptor, encoding in zip(DESCRIPTORS, ENCODINGS, strict=True)
    ]
    small = ("data.image_size=72", "data.input_size=72", "training.batch_size=8", "schedule.epochs=4")
    given = (f"classic.channels={json.dumps(channels)}", f"classic.codes={codes}")
    return override(recipes.get("sift-fv"), [*small, "classic.sample_descriptors=900", *given])


@pytest.mark.parametrize("codes", ["float16", "pq"])
def test_a_pipeline_fitted_on_a_gpu_separates_classes_and_also_runs_on_a_cpu(
    tmp_path: Path, codes: str
) -> None:
    store, fitted = tiny.store(tmp_path), list[nn.Module]()

    def keep(model: nn.Module) -> dict[str, float]:
        fitted.append(model)
        return {"top1_error": 0.0}

    run, device = RunDir.create(tmp_path / "run", config(codes)), torch.device("cuda")
    classic_trainer.train_pipeline(
        config(codes), store, run, evaluate=keep, options=TrainOptions(device=device)
    )
    photos = 100 * torch.rand(4, 3, 72, 72) - 50
    on_gpu = fitted[0](photos.to(device)).exp().cpu()
    torch.testing.assert_close(fitted[0].cpu()(photos).exp(), on_gpu, atol=0.02, rtol=0)


def test_a_linear_svm_is_the_cpus() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 3, (200,), generator=generator)
    centers, noise = (torch.randn(number, 20, generator=generator) for number in (3, 200))
    rows = nn.functional.normalize(centers[labels] + noise)
    found: dict[str, torch.Tensor] = {}
    for device in ("cpu", "cuda"):
        own = rows.to(device)
        sgd = HingeSgd(3, 20, learning_rate=4.0, weight_decay=1e-3, batch_size=32).to(device)
        for _ in range(5):
            sgd.train_epoch(lambda photos, own=own: own[photos.to(own.device)], torch.arange(200), labels)
        found[device] = scores(
            sgd.classifiers(), lambda photos, own=own: own[photos.to(own.device)], torch.arange(200)
        ).cpu()
    torch.testing.assert_close(found["cuda"], found["cpu"], atol=1e-3, rtol=0)
    assert (found["cuda"].argmax(1) == found["cpu"].argmax(1)).float().mean() > 0.98

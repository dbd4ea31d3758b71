"""The constants of section 3.1 of VGG's paper, and its published rows."""

from __future__ import annotations

import pytest

from alexnet import published, recipes
from alexnet.config import changes as config_changes

NETS = ("a", "a-lrn", "b", "c", "d", "e")


@pytest.mark.parametrize("net", NETS)
def test_training_is_that_of_section_3_1(net: str) -> None:
    config = recipes.get(f"vgg-{net}")
    assert (config.model.name, config.model.variant, config.model.dropout) == ("vgg", net.upper(), 0.5)
    assert (config.training.batch_size, config.schedule.epochs) == (256, 74)
    updates = 74 * (published.imagenet.IMAGENET_TRAINING_IMAGES // 256)
    assert updates == pytest.approx(published.vgg.UPDATES, rel=0.002)
    optimizer = config.optimizer
    assert (optimizer.lr, optimizer.momentum, optimizer.weight_decay) == (0.01, 0.9, 5e-4)
    schedule = config.schedule
    assert (schedule.name, schedule.factor, schedule.max_drops) == ("plateau", 0.1, 3)
    data = config.data
    assert (data.input_size, data.cropping, data.mirror) == (224, "random", True)
    assert (data.normalization, data.pca_lighting, data.pca_lighting_strength) == (
        "channel-mean",
        "paper",
        0.1,
    )


@pytest.mark.parametrize("net", NETS)
def test_scales_and_first_weights_are_those_of_table_3(net: str) -> None:
    config = recipes.get(f"vgg-{net}")
    jittered = net in ("c", "d", "e")
    assert config.data.scales == ((256, 512) if jittered else (256, 256))
    assert config.data.test_scale == (384 if jittered else 256)
    assert config.training.fine_tuning == (not net.startswith("a"))


@pytest.mark.parametrize("net", ["a", "b", "d", "e"])
def test_batch_normalization_changes_only_the_model_and_its_initialization(net: str) -> None:
    plain, normalized = recipes.get(f"vgg-{net}"), recipes.get(f"vgg-{net}-batchnorm")
    changed = config_changes(plain, normalized)
    assert {key: new for key, (_, new) in changed.items() if key.startswith("model.")} == {
        "model.architecture.batchnorm": True,
        "model.architecture.initialization": "kaiming-convolutions",
    }
    assert (normalized.data, normalized.schedule) == (plain.data, plain.schedule)
    assert normalized.optimizer == plain.optimizer
    assert not normalized.training.fine_tuning


def test_the_papers_best_single_model_has_its_rows() -> None:
    rows = {row.views: row for row in published.rows_of("vgg-d") if row.system.endswith("[256; 512]")}
    assert {views: (row.top1, row.top5) for views, row in rows.items()} == {
        "dense": (0.256, 0.081),
        "dense@256,384,512": (0.248, 0.075),
        "multi-crop@256,384,512": (0.246, 0.075),
        "dense+multi-crop@256,384,512": (0.244, 0.072),
    }


def test_every_table_is_complete_and_decreases_as_in_the_paper() -> None:
    vgg = published.vgg
    assert [len(table) for table in (vgg.TABLE_3, vgg.TABLE_4, vgg.TABLE_5, vgg.TABLE_6)] == [12, 10, 4, 7]
    best = {net: min(row.top5 or 1 for row in vgg.ROWS if row.recipe == f"vgg-{net}") for net in NETS}
    assert list(best.values()) == [0.104, 0.105, 0.096, 0.082, 0.072, 0.070]
    assert {row.recipe for row in vgg.ROWS if row.recipe} <= set(recipes.names())
    assert all(0 < error < 0.5 for row in vgg.ROWS for error in (row.top1, row.top5) if error is not None)

"""The size at which claims are tested unless somebody says otherwise, and what it makes of an arm.

Chosen so that a run takes minutes on two cores: small photos, half of the 2012 net's maps and units, a
dozen passes through ten thousand photos. `key=value` of the command line changes it for all arms alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from alexnet import recipes
from alexnet.config import RunConfig, override, resolve
from alexnet.data.config import DataConfig, default_input_size
from alexnet.data.store import Store
from alexnet.errors import CommandError
from alexnet.experiments.claim_registry import for_small_photos, wider
from alexnet.experiments.claims import Arm
from alexnet.models.config import ALEXNET_VARIANTS, AlexNetArchitecture
from alexnet.training.plan import make_plan

RECIPE, NET = "alexnet-paper", "2012"
"""The training of the paper's text, which draws each photo's crop alone; the net as it was run."""
SIDE, CROP, WIDTH, EPOCHS = 72, 64, 0.5, 12
"""Pixels stored and seen; maps and units as a share of the 2012 net's; passes through all photos."""
SMALL_WIDTH, LEAST_SIDE = 0.25, 20
"""Of the net of smaller crops, whose maps are larger; of a store that can be used."""
FEW_BATCH = 32
"""Images in a batch where there are few of each class: 128 are more than some have."""


def common(settings: Sequence[str]) -> RunConfig:
    """The net and training that all arms change, with a person's `key=value` settings.

    CommandError where these set what the arms differ in, or do not fit together.
    """
    settings = resolve(recipes.get(RECIPE), settings)
    if any(setting.startswith("training.seed=") for setting in settings):
        raise CommandError("training.seed is what a claim's runs differ in: type --seeds 0,1,2")
    ours = (
        *(f"data.image_size={SIDE}", f"data.input_size={CROP}"),
        # The rate falls to 0 within the few passes; a plateau would not come to an end in them.
        *("schedule.name=cosine", f"schedule.epochs={EPOCHS}"),
    )
    base = override(recipes.get(RECIPE), ours)
    seen = ["data.pca_lighting=none", *(each for each in settings if each.startswith("data."))]
    data = override(base, seen).data
    noise = "source" if data.channels == 3 else "none"
    base = replace(base, model=replace(base.model, variant=NET, architecture=_net(data)))
    made = override(override(base, [f"data.pca_lighting={noise}"]), settings)
    if made.classic is not None or made.model.name != "alexnet":
        raise CommandError("the claims are about AlexNet: leave model.name out")
    return made


def _net(data: DataConfig) -> AlexNetArchitecture:
    """The 2012 model, with widths that suit its input."""
    net = ALEXNET_VARIANTS[NET]
    if data.input_size < CROP:
        return wider(SMALL_WIDTH)(for_small_photos(net, data), data)
    return wider(WIDTH)(net, data)


def config_of(arm: Arm, settings: Sequence[str], store: Store, whole: Store) -> RunConfig:
    """What an arm is trained with on `store`, with seed 0; `whole` is the store of the common net.

    CommandError where the store is too small for it.
    """
    base, made = common(settings), arm_config(arm, settings)
    photos = _photos(base, store)
    images = _few(arm, store) if arm.per_class else round(arm.share * photos)
    few = [f"training.batch_size={min(FEW_BATCH, base.training.batch_size, images)}"] if arm.per_class else []
    if images != photos:
        made = override(made, [f"data.max_images={images}", *few])
    updates = arm.longer * make_plan(base, _photos(base, whole)).total_steps
    epoch = make_plan(made, images).steps_per_epoch * _common_batches(made, base, arm)
    epochs = max(1, round(updates / epoch))
    every = max(1, round(epochs / (arm.longer * base.schedule.epochs)))
    return override(made, [f"schedule.epochs={epochs}", f"training.evaluate_every_epochs={every}"])


def _photos(config: RunConfig, store: Store) -> int:
    """Those that the net is trained on; CommandError where the store has not as many."""
    there = len(store.split("train"))
    if config.data.max_images > there:
        raise CommandError(
            f"data.max_images={config.data.max_images} are wanted of {there} training images: type fewer"
        )
    return config.data.max_images or there


def _few(arm: Arm, store: Store) -> int:
    """Training photos where there are as many of each class; CommandError where a class has not as many."""
    least = int(np.bincount(store.split("train").labels, minlength=len(store.classes)).min())
    if least < arm.per_class:
        raise CommandError(
            f"{arm.per_class} training photos of each class are wanted, {store.path} has {least} of one: "
            "prepare a store of more photos"
        )
    return arm.per_class * len(store.classes)


def arm_config(arm: Arm, settings: Sequence[str]) -> RunConfig:
    """What the arm changes of the common net and training; seed and durations are still those of `common`."""
    base = common(settings)
    made = override(_begin(arm, base, settings), arm.settings)
    if arm.net is None:
        return made
    return replace(made, model=replace(made.model, architecture=_changed(arm, made, base.data)))


def _begin(arm: Arm, base: RunConfig, settings: Sequence[str]) -> RunConfig:
    """The common net and training, or another recipe of that size with what is typed of data and training."""
    if not arm.recipe:
        return base
    data, mirror = base.data, "yes" if base.data.mirror else "no"
    kept = (
        *(
            f"data.image_size={data.image_size}",
            f"data.input_size={data.input_size}",
            f"data.channels={data.channels}",
        ),
        *(f"data.cropping={data.cropping}", f"data.mirror={mirror}"),
        f"schedule.epochs={base.schedule.epochs}",
    )
    typed = [each for each in settings if each.startswith(("data.", "training."))]
    return override(recipes.get(arm.recipe), [*kept, *typed])


def _changed(arm: Arm, made: RunConfig, data: DataConfig) -> AlexNetArchitecture:
    """The arm's model, changed from the common one."""
    before = made.model.architecture
    assert arm.net is not None and isinstance(before, AlexNetArchitecture)
    after = arm.net(before, data)
    if after == before:
        raise CommandError(
            f"model.variant={made.model.variant} has nothing that this would change: choose another model"
        )
    return after


def _common_batches(made: RunConfig, base: RunConfig, arm: Arm) -> float:
    """How many of the common net's updates an update stands for: of another recipe, by the photos it sees."""
    return made.training.batch_size / base.training.batch_size if arm.recipe else 1.0


def fitting(store: Store, settings: Sequence[str]) -> list[str]:
    """The settings with the store's side and channels where they do not say them.

    CommandError where its photos are too small.
    """
    settings = resolve(recipes.get(RECIPE), settings)
    named = {setting.partition("=")[0] for setting in settings}
    gray = [] if store.channels == 3 or "data.channels" in named else [f"data.channels={store.channels}"]
    if "data.image_size" in named or store.side == SIDE:
        return [*gray, *settings]
    if store.side < LEAST_SIDE:
        raise CommandError(
            f"{store.path} has photos of {store.side} pixels, the claims need {LEAST_SIDE} or more: "
            f"prepare a store with --side {SIDE}"
        )
    usual = default_input_size(store.side) if store.side >= CROP else 4 * (7 * store.side // 32)
    crop = [] if "data.input_size" in named else [f"data.input_size={usual}"]
    return [f"data.image_size={store.side}", *crop, *gray, *settings]

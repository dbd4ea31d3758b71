"""Arms: the ways to train that claims compare, each a change of the common model and training.

The common model has the size at which claims are tested by default, chosen so that a run takes minutes on two
cores: small photos, half of the 2012 model's maps and units, a dozen epochs of ten thousand photos.
`key=value` on the command line changes it for all arms.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch

from alexnet import recipes
from alexnet.config import RunConfig, override, resolve
from alexnet.data.config import DataConfig, scaled_input_size
from alexnet.data.store import Store
from alexnet.errors import CommandError
from alexnet.experiments.claim_results import ArmResult, ValidationResult
from alexnet.experiments.runner import diverged
from alexnet.experiments.spec import RunSpec
from alexnet.models.alexnet import READS_BOTH_TOWERS, AlexNet
from alexnet.models.config import ALEXNET_VARIANTS, AlexNetArchitecture
from alexnet.models.layers.init import shapes_only
from alexnet.models.summary import summarize_model
from alexnet.runs.metrics_log import has_finished, read_metrics, training_seconds
from alexnet.runs.run_dir import RunDir
from alexnet.training.plan import make_plan

RECIPE, BASE_VARIANT = "alexnet-paper", "2012"
"""The training as in the paper's text, which draws a crop for each photo; the model as it was run in 2012."""
SIDE, CROP, WIDTH, EPOCHS = 72, 64, 0.5, 12
"""Pixels of stored photos and of crops; maps and units as a fraction of the 2012 model's; epochs."""
SMALL_WIDTH, MIN_SIDE = 0.25, 20
"""Width of the model for smaller crops, whose maps are larger; smallest photos that can be used."""
FEW_BATCH = 32
"""Largest batch size for arms with few photos per class: some have fewer than 128 photos."""
SAME_COST = 0.03
"""Relative difference up to which multiply-adds count as equal."""
SMALL_KERNEL = 5
"""Size of conv1's filters for photos too small for filters of 11 pixels at a stride of 4."""

Change = Callable[[AlexNetArchitecture, DataConfig], AlexNetArchitecture]
PhotoSubset = Literal["all", "other", "target"]
"""What an arm is trained on: the whole store; other classes than those it is tested on; only the classes it
is tested on."""


@dataclass(frozen=True)
class Arm:
    """One way to train; trained once for all claims that compare it."""

    name: str
    """Name of its run directories, `<name>-seed-0`, and in tables and figures."""
    settings: tuple[str, ...] = ()
    """`key=value`, as `alexnet train` takes them."""
    change: Change | None = None
    """Changes the common model, given with its data configuration; None leaves it as it is."""
    recipe: str = ""
    """Another recipe instead of the common model's; it keeps its own update rule."""
    longer: float = 1.0
    """Number of updates as a multiple of the common one."""
    share: float = 1.0
    """Fraction of the training photos, balanced over classes. The number of updates is the same."""
    per_class: int = 0
    """Training photos of each class; 0 is all. The number of updates is the same."""
    photos: PhotoSubset = "all"


@dataclass(frozen=True, eq=False)
class ArmRun:
    """The run of an arm with a seed, trained or not."""

    arm: Arm
    spec: RunSpec
    run: RunDir
    store: Store
    """The store that it is trained on."""
    target: Store | None
    """The classes that a model of other classes is tested on."""
    device: torch.device

    @property
    def name(self) -> str:
        """Name of its run directory."""
        return self.spec.name

    @property
    def seed(self) -> int:
        """The seed, in which the runs of an arm differ."""
        return self.spec.seed

    @cached_property
    def config(self) -> RunConfig:
        """The configuration of the run."""
        return self.spec.config()

    @property
    def diverged(self) -> bool:
        """Whether training produced NaN or Inf; such a run has no errors."""
        return diverged(self.run)

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to train."""
        return self.diverged or has_finished(self.run.metrics_file)

    @cached_property
    def tests(self) -> list[dict[str, Any]]:
        """The log lines of all validations, oldest first."""
        return [line for line in read_metrics(self.run.metrics_file) if line["event"] == "validation"]

    @property
    def epochs(self) -> float:
        """Number of epochs that it is trained for."""
        return float(self.config.schedule.epochs)

    def result(self) -> ArmResult:
        """The recorded result of the run."""
        fields = ValidationResult.__dataclass_fields__
        lines = [] if self.diverged else self.tests
        tests = tuple(ValidationResult(**{name: line[name] for name in fields}) for line in lines)
        seconds = training_seconds(self.run.metrics_file)
        return ArmResult(self.name, self.arm.name, self.seed, self.diverged, seconds, tests)


def common(settings: Sequence[str]) -> RunConfig:
    """The model and training that all arms change, with the user's `key=value` settings.

    CommandError if these set something in which the arms differ, or do not fit together.
    """
    resolved = resolve(recipes.get(RECIPE), settings)
    settings = [f"{key}={text}" for key, text in resolved]
    if any(key == "training.seed" for key, _ in resolved):
        raise CommandError("a claim's runs differ in training.seed: type --seeds 0,1,2")
    ours = (
        *(f"data.image_size={SIDE}", f"data.input_size={CROP}"),
        # Cosine: a plateau schedule would not finish in so few epochs.
        *("schedule.name=cosine", f"schedule.epochs={EPOCHS}"),
    )
    base = override(recipes.get(RECIPE), ours)
    own = ["data.pca_lighting=none", *(each for each in settings if each.startswith("data."))]
    data = override(base, own).data
    noise = "source" if data.channels == 3 else "none"
    model = replace(base.model, variant=BASE_VARIANT, architecture=_common_architecture(data))
    made = override(override(replace(base, model=model), [f"data.pca_lighting={noise}"]), settings)
    if made.classic is not None or made.model.name != "alexnet":
        raise CommandError("the claims are about AlexNet: omit model.name")
    return made


def _common_architecture(data: DataConfig) -> AlexNetArchitecture:
    """The 2012 model with a width that suits the size of its input."""
    architecture = ALEXNET_VARIANTS[BASE_VARIANT]
    if data.input_size < CROP:
        return wider(SMALL_WIDTH)(for_small_photos(architecture, data), data)
    return wider(WIDTH)(architecture, data)


def run_config(arm: Arm, settings: Sequence[str], store: Store, whole: Store) -> RunConfig:
    """The configuration of an arm on `store`, with seed 0; `whole` is the store of the common model.

    CommandError if the store is too small for it.
    """
    base, made = common(settings), arm_config(arm, settings)
    photos = _photos(base, store)
    images = _few(arm, store) if arm.per_class else round(arm.share * photos)
    few = [f"training.batch_size={min(FEW_BATCH, base.training.batch_size, images)}"] if arm.per_class else []
    if images != photos:
        made = override(made, [f"data.max_images={images}", *few])
    updates = arm.longer * make_plan(base, _photos(base, whole)).total_steps
    epoch = make_plan(made, images).steps_per_epoch * _common_updates(made, base, arm)
    epochs = max(1, round(updates / epoch))
    every = max(1, round(epochs / (arm.longer * base.schedule.epochs)))
    return override(made, [f"schedule.epochs={epochs}", f"training.evaluate_every_epochs={every}"])


def _photos(config: RunConfig, store: Store) -> int:
    """Number of training photos; CommandError if the store has fewer."""
    there = len(store.split("train"))
    if config.data.max_images > there:
        raise CommandError(
            f"data.max_images={config.data.max_images} is more than the {there} training images",
            hint="type fewer",
        )
    return config.data.max_images or there


def _few(arm: Arm, store: Store) -> int:
    """Number of training photos with the same number of each class; CommandError if a class has fewer."""
    least = int(np.bincount(store.split("train").labels, minlength=len(store.classes)).min())
    if least < arm.per_class:
        raise CommandError(
            f"{arm.per_class} training photos of each class are needed, but {store.path} has only "
            f"{least} of one class",
            hint="prepare a store of more photos",
        )
    return arm.per_class * len(store.classes)


def arm_config(arm: Arm, settings: Sequence[str]) -> RunConfig:
    """The configuration of the arm; seed and durations are those of `common`."""
    base = common(settings)
    made = override(_base_of(arm, base, settings), arm.settings)
    if arm.change is None:
        return made
    return replace(made, model=replace(made.model, architecture=_changed(arm.change, made, base.data)))


def _base_of(arm: Arm, base: RunConfig, settings: Sequence[str]) -> RunConfig:
    """The common configuration, or another recipe with the same image sizes and settings of data and
    training.
    """
    if not arm.recipe:
        return base
    data, mirror = base.data, "yes" if base.data.mirror else "no"
    kept = (
        f"data.image_size={data.image_size}",
        f"data.input_size={data.input_size}",
        f"data.channels={data.channels}",
        f"data.cropping={data.cropping}",
        f"data.mirror={mirror}",
        f"schedule.epochs={base.schedule.epochs}",
    )
    typed = [each for each in settings if each.startswith(("data.", "training."))]
    return override(recipes.get(arm.recipe), [*kept, *typed])


def _changed(change: Change, made: RunConfig, data: DataConfig) -> AlexNetArchitecture:
    """The arm's model, changed from the common one."""
    before = made.model.architecture
    assert isinstance(before, AlexNetArchitecture)
    after = change(before, data)
    if after == before:
        raise CommandError(
            f"model.variant={made.model.variant} has nothing that this arm would change: choose another model"
        )
    return after


def _common_updates(made: RunConfig, base: RunConfig, arm: Arm) -> float:
    """Number of the common model's updates that correspond to one update: for another recipe, by the batch
    size.
    """
    return made.training.batch_size / base.training.batch_size if arm.recipe else 1.0


def settings_of_store(store: Store, settings: Sequence[str]) -> list[str]:
    """The store's size and channels as settings, unless `settings` contain them.

    CommandError if its photos are too small.
    """
    named = {key for key, _ in resolve(recipes.get(RECIPE), settings)}
    gray = [] if store.channels == 3 or "data.channels" in named else [f"data.channels={store.channels}"]
    if "data.image_size" in named or store.side == SIDE:
        return gray
    if store.side < MIN_SIDE:
        raise CommandError(
            f"{store.path} has photos of {store.side} pixels, the claims need {MIN_SIDE} or more: "
            f"prepare a store with --side {SIDE}"
        )
    scaled = scaled_input_size(store.side, DataConfig())
    default = scaled if store.side >= CROP else 4 * (7 * store.side // 32)
    crop = [] if "data.input_size" in named else [f"data.input_size={default}"]
    return [f"data.image_size={store.side}", *crop, *gray]


def fields(**changes: Any) -> Change:
    """The same model with some fields changed."""
    return lambda variant, data: replace(variant, **changes)


def wider(factor: float) -> Change:
    """`factor` times as many maps and units in each layer, initialized so that sums stay as large."""

    def change(variant: AlexNetArchitecture, data: DataConfig) -> AlexNetArchitecture:
        return with_widths(variant, [_even(factor * width) for width in variant.widths], variant.towers)

    return change


@functools.cache  # it counts dozens of models
def one_tower(variant: AlexNetArchitecture, data: DataConfig) -> AlexNetArchitecture:
    """One tower instead of two, with fewer maps, so that multiply-adds are the same within `SAME_COST`.

    The fully connected layers stay as they are. CommandError if no such numbers of maps are found.
    """
    convolutions = len(variant.widths) - 2
    cost = multiply_adds(variant, data)
    tried: dict[float, AlexNetArchitecture] = {}
    for factor in np.linspace(1.0, 0.5, 26):
        widths = [_even(factor * width) for width in variant.widths[:convolutions]]
        one = with_widths(variant, [*widths, *variant.widths[convolutions:]], 1)
        tried[abs(multiply_adds(one, data) / cost - 1)] = one
    nearest = min(tried)
    if nearest > SAME_COST:
        raise CommandError("no single tower has the same cost as two: choose a model with more maps")
    return tried[nearest]


def without_steps(*steps: str) -> Change:
    """The model without these steps, such as `lrn`, after any layer."""

    def change(variant: AlexNetArchitecture, data: DataConfig) -> AlexNetArchitecture:
        stages = (tuple(step for step in stage if step not in steps) for stage in variant.stages)
        return replace(variant, stages=tuple(stages))

    return change


def without_layer(layer: str) -> Change:
    """The model without this layer; if it is followed by pooling, the layer before it is pooled instead."""

    def change(variant: AlexNetArchitecture, data: DataConfig) -> AlexNetArchitecture:
        place, stages = variant.places.index(layer), list(variant.stages)
        if "pool" in stages[place]:
            stages[place - 1] = stages[place]
        return replace(variant, without=(*variant.without, layer), stages=tuple(stages))

    return change


def with_widths(variant: AlexNetArchitecture, widths: Sequence[int], towers: int) -> AlexNetArchitecture:
    """Other numbers of maps and units, initialized so that sums over a unit's inputs stay as large."""
    changed = replace(variant, widths=tuple(widths), towers=towers)
    inputs = zip(_inputs(variant), _inputs(changed), strict=True)
    factors = [math.sqrt(before / after) for before, after in inputs]
    deviations = (
        round(deviation * factor, 6) for deviation, factor in zip(variant.init_std, factors, strict=True)
    )
    return replace(changed, init_std=tuple(deviations))


def for_small_photos(variant: AlexNetArchitecture, data: DataConfig) -> AlexNetArchitecture:
    """Smaller kernels in conv1 at a stride of 1, initialized so that sums over them stay as large."""
    inputs = [3 * variant.conv1_size**2, data.channels * SMALL_KERNEL**2]
    deviation = round(variant.init_std[0] * math.sqrt(inputs[0] / inputs[1]), 6)
    changes = {"conv1_size": SMALL_KERNEL, "conv1_stride": 1}
    return replace(variant, **changes, init_std=(deviation, *variant.init_std[1:]))


def multiply_adds(variant: AlexNetArchitecture, data: DataConfig) -> int:
    """Multiplications with a weight for one crop and ten classes."""
    with shapes_only():
        model = AlexNet(variant, 10, data.input_size, channels=data.channels)
        return summarize_model(model, data.input_size, data.channels).multiply_adds


def _inputs(variant: AlexNetArchitecture) -> list[float]:
    """Maps or units that one unit of each layer reads."""
    before = (3, *variant.widths)
    own = [layer.startswith("conv") and layer not in READS_BOTH_TOWERS for layer in variant.places]
    return [width / (variant.towers if of_own else 1) for width, of_own in zip(before, own, strict=True)]


def _even(number: float) -> int:
    return max(2, 2 * round(number / 2))

"""The training section of a configuration, and its scheduled events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from alexnet.serialization import Range, range_checks

SEEDS = Range(at_least=0, at_most=2**32 - 1)
"""The seeds that numpy and scikit-learn take."""


@dataclass(frozen=True)
class Event:
    """A change that happens once, after a fraction of the schedule's epochs."""

    at: Annotated[float, Range(at_least=0, at_most=1)]
    """Fraction of the schedule."""
    action: Literal["layer-factor", "bias-factor", "color-noise-off"]
    """Change the learning rate of a layer or of all biases, or switch `data.pca_lighting` off."""
    layer: str = ""
    """`layer-factor`: the layer's name."""
    value: Annotated[float, Range(at_least=0)] = 0.0
    """`layer-factor`, `bias-factor`: the learning-rate multiplier from then on; 0 freezes."""


@dataclass(frozen=True)
class TrainingConfig:
    """Batches, precision, loss and regularization of a training run, and how often it is tested and saved."""

    seed: Annotated[int, SEEDS] = 0
    """Seed of initial weights, order and augmentation."""
    batch_size: Annotated[int, Range(at_least=1)] = 128
    """Images per update, over all processes and micro-batches."""
    last_batch: Literal["drop", "keep", "auto"] = "drop"
    """What to do with the images of an incomplete last batch. `drop` skips them; with `data.order=each-epoch`
    different images are skipped in each epoch. `keep` uses all images, in one more batch, with batches of
    nearly the same size. `auto` keeps them if they are more than 5 % of all images."""
    grad_accum_steps: Annotated[int, Range(at_least=1)] = 1
    """Micro-batches into which a process splits its share of a batch; the update is the same up to
    rounding."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Precision of matrix products and convolutions (autocast); weights, normalization and loss remain
    float32."""
    loss: str = "cross-entropy"
    """The training loss, which also chooses the task: `cross-entropy`, `squared-error` or `rbf` (of the
    distances that LeNet-5 outputs) for classes, `boxes` for localization, `objects` for detection."""
    fine_tuning: bool = False
    """Whether the run must be initialized from a trained model (`--init-from`)."""
    frozen_statistics: bool = False
    """Whether batch normalization uses the statistics that come with the weights (`--init-from`) in training
    as in tests, instead of those of each batch. With few images, the features then remain those to which the
    last layer was fitted."""
    fit_last_layer: bool = False
    """Whether the last layer is fitted by logistic regression before the first update, to the features of the
    other layers, whose weights come from `--init-from` (`training.last_layer`). With `schedule.epochs=0` that
    is all the training."""
    class_weights: Literal["none", "balanced"] = "none"
    """Weights of the classes in the loss (and in `fit_last_layer`): all 1, or in inverse proportion to their
    numbers of training images, with a mean of 1 over the images. See also `data.sampling`."""
    label_smoothing: Annotated[float, Range(at_least=0, below=1)] = 0.0
    """Fraction of the target that is spread evenly over all classes."""
    mixup: Annotated[float, Range(at_least=0)] = 0.0
    """Parameter of mixup's Beta distribution (Zhang 2017); 0 is off."""
    cutmix: Annotated[float, Range(at_least=0)] = 0.0
    """Parameter of CutMix's Beta distribution (Yun 2019); 0 is off. If mixup is on, too, one of them is drawn
    for each batch."""
    ema_decay: Annotated[float, Range(at_least=0, below=1)] = 0.0
    """Decay per update of a moving average of the weights, which is then tested and saved; 0 is off."""
    evaluate_every_epochs: Annotated[int, Range(at_least=1)] = 1
    """Epochs between evaluations on the validation split."""
    log_every_steps: Annotated[int, Range(at_least=1)] = 20
    """Updates between logged lines."""
    patience: Annotated[int, Range(at_least=0)] = 0
    """Evaluations in a row without a lower validation error that end the run; 0 is off."""
    checkpoint_every_minutes: Annotated[float, Range(at_least=0)] = 10.0
    """Minutes between checkpoints."""


def training_checks(training: TrainingConfig) -> list[tuple[bool, str]]:
    """Pairs of a condition and the message if it does not hold, for `config.validate`."""
    return [
        *range_checks(training, "training."),
        (
            training.grad_accum_steps <= training.batch_size,
            f"training.grad_accum_steps={training.grad_accum_steps} must be at most "
            f"training.batch_size={training.batch_size}",
        ),
    ]

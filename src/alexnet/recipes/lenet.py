"""The LeNet of 1989, LeNet-5 of 1998, and a modern LeNet-5."""

from __future__ import annotations

from alexnet.config import OptimizerConfig, RunConfig, ScheduleConfig
from alexnet.data.config import DataConfig
from alexnet.models.config import ModelConfig
from alexnet.published.lenet import LENET_1989_TRAINING_IMAGES
from alexnet.training.config import TrainingConfig


def lenet_1989() -> RunConfig:
    """The first convolutional network for real digits, trained on as many MNIST digits as the paper had.

    16 x 16 pixels from -1 to 1, tanh units, the squared error. Prepare the digits with `--side 16`;
    `max_images=0` takes all of them. The paper's own digits (9,298 from US mail) are not part of MNIST.

    Source: LeCun et al. 1989, "Backpropagation Applied to Handwritten Zip Code Recognition", sections 3, 4.
    Expected: 5.0 % on the paper's 2,007 test digits after 23 passes through 7,291 (section 5).
    """
    return RunConfig(
        recipe="lenet-1989",
        data=DataConfig(
            image_size=16,
            input_size=16,
            channels=1,
            max_images=LENET_1989_TRAINING_IMAGES,
            cropping="center",
            mirror=False,
            normalization="range",
            range=(-1.0, 1.0),
        ),
        model=ModelConfig(name="lenet", variant="1989", dropout=0.0),
        optimizer=OptimizerConfig(
            name="sgd", lr=0.05, momentum=0.9, weight_decay=0.0, bias_lr_multiplier=1.0
        ),
        schedule=ScheduleConfig(name="cosine", epochs=23),
        training=TrainingConfig(batch_size=8, loss="squared-error"),
    )


def lenet_5() -> RunConfig:
    """LeNet-5 of 1998: trainable sub-sampling, partial connections, scaled tanh, distances to codes.

    Digits of 28 x 28 in the middle of 32 x 32 pixels, as `alexnet prepare` makes them from MNIST's files. For
    photos add `data.channels=3 mirror=yes`; for the codes of classes that are not digits see
    `alexnet.models.lenet.class_codes`.

    Source: LeCun, Bottou, Bengio, Haffner 1998, "Gradient-Based Learning Applied to Document Recognition",
    sections II.B and III; the update rule is this project's
    (docs/deviations.md).
    Expected: 0.95 % on MNIST's 10,000 test digits (section III.B).
    """
    return RunConfig(
        recipe="lenet-5",
        data=DataConfig(
            image_size=32, input_size=32, channels=1, cropping="center", mirror=False, normalization="range"
        ),
        model=ModelConfig(name="lenet", variant="5", dropout=0.0),
        optimizer=OptimizerConfig(name="adamw", lr=0.003, weight_decay=0.05, bias_lr_multiplier=1.0),
        schedule=ScheduleConfig(name="cosine", epochs=20),
        training=TrainingConfig(batch_size=64, loss="rbf", ema_decay=0.999),
    )


def lenet_modern() -> RunConfig:
    """Layers with LeNet-5's sizes, ReLU, max pooling, full connections, dropout and modern training.

    The store is the same as for `lenet-5`. Tests use the central 28 x 28 of its 32 x 32 pixels; training uses
    resized crops of 60 to 100 % of the area. AdamW with a cosine schedule and a moving average of the
    weights.

    Source: this project; chosen by measurements on digits held out of MNIST's training set.
    Expected: about half a percent on MNIST's 10,000 test digits; `results/` has the error of each seed.
    """
    return RunConfig(
        recipe="lenet-modern",
        data=DataConfig(
            image_size=32,
            input_size=28,
            channels=1,
            cropping="random-resized",
            resized_area=(0.6, 1.0),
            resized_aspect=(0.8, 1.25),
            mirror=False,
            normalization="range",
        ),
        model=ModelConfig(name="lenet", variant="modern", dropout=0.1),
        optimizer=OptimizerConfig(name="adamw", lr=0.003, weight_decay=0.05, bias_lr_multiplier=1.0),
        schedule=ScheduleConfig(name="cosine", epochs=50),
        training=TrainingConfig(batch_size=64, ema_decay=0.999),
    )


RECIPES = (lenet_1989, lenet_5, lenet_modern)

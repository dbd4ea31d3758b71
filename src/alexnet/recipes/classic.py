"""What came before the nets: SIFT and colours as Fisher vectors, with linear classifiers."""

from __future__ import annotations

from alexnet.classic_config import Channel, ClassicConfig
from alexnet.config import DataConfig, OptimizerConfig, RunConfig, ScheduleConfig, TrainingConfig


def sift_fv() -> RunConfig:
    """SIFT + Fisher vectors: the best published system on ILSVRC-2010 before the nets.

    Dense SIFT (square roots) and local colour statistics, each reduced to 64 numbers, as improved Fisher
    vectors over a pyramid of 1x1 + 3x1 cells, with linear classifiers of their own whose probabilities are
    averaged. For ILSVRC the paper has 1,024 components and product-quantised vectors: `classic.codes=pq`.
    What differs from it is in docs/deviations.md.

    Source: Sanchez and Perronnin, CVPR 2011; Perronnin, Sanchez and Mensink, ECCV 2010 (Fisher vectors,
    colours). Expected: ILSVRC-2010 test, 45.7 / 25.7 % (AlexNet paper, table 1), with 1,024 components on
    whole photos.
    """
    return RunConfig(
        recipe="sift-fv",
        data=DataConfig(side=224, crop=224, cropping="centre", mirror=False, normalization="channel-mean"),
        optimizer=OptimizerConfig(name="sgd", learning_rate=4.0, momentum=0.0, weight_decay=1e-5),
        schedule=ScheduleConfig(name="constant", epochs=50, patience_epochs=5),
        training=TrainingConfig(batch=32),
        classic=ClassicConfig(
            channels=(
                Channel(descriptor="root-sift", step=6, patches=(16, 24, 32, 40), words=256),
                Channel(descriptor="color", step=6, patches=(16, 24, 32, 40), words=256),
            ),
        ),
    )


RECIPES = (sift_fv,)

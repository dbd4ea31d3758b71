"""Earlier systems: Fisher vectors or sparse codes of local descriptors, and linear classifiers."""

from __future__ import annotations

from dataclasses import replace

from alexnet.classic.config import Channel, ClassicConfig
from alexnet.config import OptimizerConfig, RunConfig, ScheduleConfig
from alexnet.data.config import DataConfig
from alexnet.training.config import TrainingConfig


def sift_fv() -> RunConfig:
    """SIFT + Fisher vectors: the best published system on ILSVRC-2010 before AlexNet.

    Dense SIFT (square roots) and local color statistics, each reduced to 64 dimensions, as improved Fisher
    vectors over a pyramid of 1x1 + 3x1 cells; each has linear classifiers, whose probabilities are averaged.
    For ILSVRC the paper has 1,024 components and product-quantized vectors: `classic.codes=pq`.
    docs/deviations.md lists deviations from the papers.

    Source: Sanchez and Perronnin, CVPR 2011; Perronnin, Sanchez and Mensink, ECCV 2010 (Fisher vectors,
    colors).
    Expected: ILSVRC-2010 test, 45.7 / 25.7 % (AlexNet paper, table 1), with 1,024 components on
    whole photos.
    """
    return _recipe(
        "sift-fv",
        ClassicConfig(
            channels=(
                Channel(descriptor="root-sift", step=6, patches=(16, 24, 32, 40), codebook_size=256),
                Channel(descriptor="color", step=6, patches=(16, 24, 32, 40), codebook_size=256),
            ),
        ),
    )


def sparse_coding() -> RunConfig:
    """Six models averaged, each with one descriptor and one code: the winner of ILSVRC-2010.

    HOG, local binary patterns and SIFT; locality-constrained codes, super-vectors and codes of the lasso over
    pyramids of cells; linear support vector machines by averaged SGD. docs/deviations.md lists deviations
    from the papers.

    Source: Lin, Lv, Zhu, Yang, Cour, Yu, Cao, Huang, CVPR 2011, the winners of ILSVRC-2010.
    Expected: ILSVRC-2010 test, 47.1 / 28.2 % (AlexNet paper, table 1), with six models of whole photos.
    """
    described = Channel(step=8, patches=(16, 24, 32))
    pooled = replace(described, codebook_size=1024, pyramid=("1x1", "2x2", "3x1"))
    summed = replace(described, encoding="super-vector", codebook_size=128)
    return _recipe(
        "sparse-coding",
        ClassicConfig(
            channels=(
                replace(pooled, descriptor="hog", encoding="llc"),
                replace(pooled, descriptor="lbp", encoding="llc", pca=0),
                replace(pooled, descriptor="sift", encoding="llc"),
                replace(summed, descriptor="hog"),
                replace(summed, descriptor="sift"),
                replace(pooled, descriptor="sift", encoding="l1", step=12, patches=(16, 32)),
            ),
            sample_descriptors=100_000,
        ),
    )


def _recipe(name: str, classic: ClassicConfig) -> RunConfig:
    """A recipe for squares of 224 pixels, with the common settings of the linear classifiers."""
    return RunConfig(
        recipe=name,
        data=DataConfig(
            image_size=224, input_size=224, cropping="center", mirror=False, normalization="channel-mean"
        ),
        optimizer=OptimizerConfig(name="sgd", lr=4.0, momentum=0.0, weight_decay=1e-5),
        schedule=ScheduleConfig(name="constant", epochs=50, patience_epochs=5),
        training=TrainingConfig(batch_size=32),
        classic=classic,
    )


RECIPES = (sift_fv, sparse_coding)

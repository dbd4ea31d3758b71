"""VGG: the six configurations as their paper trains them, and four of them with batch normalization.

S, the shorter side to which a training image is resized, is `data.scales`; tests with the center or ten views
resize to its middle. `alexnet prepare SOURCE STORE --shape whole --side 512` makes a store for all of them;
`--side 256` is enough if S is 256, and any store of squares works with `data.scales=[0,0]`. Training a model
took the authors two to three weeks on four Titan Blacks (section 3.3).
"""

from __future__ import annotations

from dataclasses import replace

from alexnet.config import RunConfig, ScheduleConfig
from alexnet.data.config import DataConfig
from alexnet.models.config import VGG_VARIANTS, ModelConfig
from alexnet.published import vgg
from alexnet.training.config import TrainingConfig


def vgg_a() -> RunConfig:
    """Eleven layers, shallow enough for random initialization; the deeper models are initialized from it.

    S is 256, from a store of whole photos of side 256: `alexnet train vgg-a --store STORE --run A`. Initial
    weights from a normal distribution of standard deviation 0.01, biases 0.

    Source: Simonyan and Zisserman 2014, arXiv:1409.1556, tables 1 and 3, section 3.1.
    Expected: ILSVRC-2012 validation, dense at Q = 256, 29.6 / 10.4 % (table 3) after 74 epochs.
    """
    return _fixed("A")


def vgg_a_lrn() -> RunConfig:
    """`vgg-a` with the response normalization of 2012 after its first layer.

    It did not lower the error of the paper (29.7 and 29.6 %).

    Source: Simonyan and Zisserman 2014, arXiv:1409.1556, tables 1 and 3, section 3.1.
    Expected: ILSVRC-2012 validation, dense at Q = 256, 29.7 / 10.5 % (table 3).
    """
    return _fixed("A-LRN")


def vgg_b() -> RunConfig:
    """Thirteen layers: two convolutions in every block. Trained at one scale of 256 pixels.

    Initialized from A: `--init-from A --init-layers conv1_1,conv2_1,conv3_1,conv3_2,fc6,fc7,fc8` (without fc8
    if A was trained on other classes); or without A: `initialization=glorot fine_tuning=no`.

    Source: Simonyan and Zisserman 2014, arXiv:1409.1556, tables 1 and 3, section 3.1.
    Expected: ILSVRC-2012 validation, dense at Q = 256, 28.7 / 9.9 % (table 3).
    """
    return _deeper("B", jittered=False)


def vgg_c() -> RunConfig:
    """Sixteen layers: a third convolution of 1 x 1 in the last three blocks. Trained at scales of 256 to
    512 pixels.

    Trained as `vgg-d`.

    Source: Simonyan and Zisserman 2014, arXiv:1409.1556, tables 1, 3 and 4, section 3.1.
    Expected: ILSVRC-2012 validation, dense at Q = 384, 27.3 / 8.8 % (table 3).
    """
    return _deeper("C", jittered=True)


def vgg_d() -> RunConfig:
    """Sixteen layers of 3 x 3, known as VGG-16. Trained at scales of 256 to 512 pixels.

    The paper's procedure, with each run on the same store of whole photos of side 512: first
    `data.scales=[256,256] --init-from A --init-layers conv1_1,conv2_1,conv3_1,conv3_2,fc6,fc7,fc8`; then
    `data.scales=[384,384] optimizer.lr=0.001 --init-from` that run; then `--init-from` that one with the
    recipe's scales (the paper does not give the learning rate). Each of these steps can be the last. Without
    A: `initialization=glorot fine_tuning=no`.

    Source: Simonyan and Zisserman 2014, arXiv:1409.1556, tables 1, 3, 4 and 5, section 3.1.
    Expected: ILSVRC-2012 validation, dense at Q = 256, 384, 512, 24.8 / 7.5 % (table 4).
    """
    return _deeper("D", jittered=True)


def vgg_e() -> RunConfig:
    """Nineteen layers: four convolutions in each of the last three blocks, VGG-19. Trained at scales of
    256 to 512 pixels.

    Trained as `vgg-d`.

    Source: Simonyan and Zisserman 2014, arXiv:1409.1556, tables 1, 3, 4 and 5, section 3.1.
    Expected: ILSVRC-2012 validation, dense at Q = 256, 384, 512, 24.8 / 7.5 % (table 4).
    """
    return _deeper("E", jittered=True)


def vgg_a_batchnorm() -> RunConfig:
    """`vgg-a` with batch normalization after each convolution and He initialization.

    Source: Simonyan and Zisserman 2014, section 3.1, for the training; torchvision's vgg11_bn for the model.
    Expected: ILSVRC-2012 validation, center crop, about 29.6 / 10.2 % (torchvision's, trained otherwise).
    """
    return _batchnorm(vgg_a())


def vgg_b_batchnorm() -> RunConfig:
    """`vgg-b` with batch normalization after each convolution and He initialization, trained from scratch.

    Source: Simonyan and Zisserman 2014, section 3.1, for the training; torchvision's vgg13_bn for the model.
    Expected: ILSVRC-2012 validation, center crop, about 28.4 / 9.6 % (torchvision's, trained otherwise).
    """
    return _batchnorm(vgg_b())


def vgg_d_batchnorm() -> RunConfig:
    """`vgg-d` with batch normalization after each convolution and He initialization, trained from scratch.

    Source: Simonyan and Zisserman 2014, section 3.1, for the training; torchvision's vgg16_bn for the model.
    Expected: ILSVRC-2012 validation, center crop, about 26.6 / 8.5 % (torchvision's, trained otherwise).
    """
    return _batchnorm(vgg_d())


def vgg_e_batchnorm() -> RunConfig:
    """`vgg-e` with batch normalization after each convolution and He initialization, trained from scratch.

    Source: Simonyan and Zisserman 2014, section 3.1, for the training; torchvision's vgg19_bn for the model.
    Expected: ILSVRC-2012 validation, center crop, about 25.8 / 8.2 % (torchvision's, trained otherwise).
    """
    return _batchnorm(vgg_e())


def _fixed(variant: str) -> RunConfig:
    """Trained at S = 256, randomly initialized."""
    return RunConfig(
        recipe=f"vgg-{variant.lower()}",
        data=DataConfig(scales=(256, 256), pca_lighting="paper", normalization="channel-mean"),
        model=ModelConfig(name="vgg", variant=variant),
        schedule=ScheduleConfig(name="plateau", epochs=vgg.EPOCHS),
        training=TrainingConfig(batch_size=vgg.BATCH),
    )


def _deeper(variant: str, jittered: bool) -> RunConfig:
    """Initialized from layers of A."""
    config = _fixed(variant)
    data = replace(config.data, image_size=512, scales=(256, 512)) if jittered else config.data
    return replace(config, data=data, training=replace(config.training, fine_tuning=True))


def _batchnorm(config: RunConfig) -> RunConfig:
    named = VGG_VARIANTS[config.model.variant]
    architecture = replace(named, batchnorm=True, initialization="kaiming-convolutions")
    return replace(
        config,
        recipe=f"{config.recipe}-batchnorm",
        model=replace(config.model, architecture=architecture),
        training=replace(config.training, fine_tuning=False),
    )


RECIPES = (
    vgg_a,
    vgg_a_lrn,
    vgg_b,
    vgg_c,
    vgg_d,
    vgg_e,
    vgg_a_batchnorm,
    vgg_b_batchnorm,
    vgg_d_batchnorm,
    vgg_e_batchnorm,
)

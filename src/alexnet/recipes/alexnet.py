"""AlexNet as it was run in 2012, as the paper describes it, as others rebuilt it, and a modern one."""

from __future__ import annotations

from alexnet.config import OptimizerConfig, RunConfig, ScheduleConfig
from alexnet.data.config import DataConfig
from alexnet.models.config import ModelConfig
from alexnet.published.imagenet import IMAGENET_TRAINING_IMAGES
from alexnet.training.config import Event, TrainingConfig


def alexnet_2012() -> RunConfig:
    """Model and training as they were run in 2012 (net 145 of the released source).

    Two towers; a second, spatial response normalization; standard deviation 0.03 in conv3-5; one crop draw
    per 32 images; images shuffled once; color noise divided by 1.1 and switched off late; conv1 with a lower
    learning rate late and then frozen; biases at twice the learning rate throughout.

    Source: CHM release of cuda-convnet, layers-145.cfg, layer-params-145.cfg, convdata_jpeg.py.
    Expected: ILSVRC-2012 validation, ten crops, 40.7 / 18.2 % (paper, table 2) after about 90 epochs.
    """
    epochs = 91
    return RunConfig(
        recipe="alexnet-2012",
        data=DataConfig(images_per_draw=32, pca_lighting="source", order="once"),
        model=ModelConfig(variant="2012"),
        optimizer=OptimizerConfig(bias_follows_schedule=False),
        schedule=ScheduleConfig(name="plateau", epochs=epochs),
        events=(
            Event(at=67 / epochs, action="layer-factor", layer="conv1", value=0.1),
            Event(at=67 / epochs, action="color-noise-off"),
            Event(at=72 / epochs, action="layer-factor", layer="conv1", value=0.0),
        ),
    )


def alexnet_2012_star_pretrain() -> RunConfig:
    """The first half of 1 CNN*: a sixth convolution (net 146), trained on a set of more classes.

    Randomly initialized, as in the paper. In 2012 the convolutions came from models trained before; for that,
    use `--init-from RUN --init-layers conv1,conv2,conv3,conv4,conv5`, with a factor of 0.1 for each of these
    layers in `lr_multipliers`. For very many classes add `bottleneck=2048`. The learning rate falls after
    three quarters of the run: set `step_epochs` with `epochs`.

    Source: CHM release, layers-146-2012-2011.cfg and the layer-params of its pre-training; paper, section 6.
    Expected: 67.4 / 40.9 % on half of the Fall 2009 release, 10,184 classes (paper, section 6).
    """
    return RunConfig(
        recipe="alexnet-2012-star-pretrain",
        data=DataConfig(images_per_draw=32, pca_lighting="source", order="once"),
        model=ModelConfig(variant="2012-star"),
        optimizer=OptimizerConfig(bias_follows_schedule=False),
        # On 15 million photos: 0.001 at epoch 6, stopped in the ninth.
        schedule=ScheduleConfig(name="step", epochs=8, step_epochs=6),
    )


def alexnet_2012_star() -> RunConfig:
    """The second half of 1 CNN*: a model of `alexnet-2012-star-pretrain`, fine-tuned on the target classes.

    A tenth of the usual learning rate; ten times that for the new fc8 from update 300 to epoch 9; conv1 with
    a lower learning rate and frozen early; color noise off late. Needs `--init-from` with a pre-trained run.

    Source: CHM release, layer-params-146-2012-2011.cfg.
    Expected: ILSVRC-2012 validation, ten crops, 39.0 / 16.6 % (paper, table 2).
    """
    epochs, updates_an_epoch = 54, IMAGENET_TRAINING_IMAGES // 128
    return RunConfig(
        recipe="alexnet-2012-star",
        data=DataConfig(images_per_draw=32, pca_lighting="source", order="once"),
        model=ModelConfig(variant="2012-star"),
        optimizer=OptimizerConfig(
            lr=0.001,
            bias_lr_multiplier=20.0,  # 0.02, as in all of its stages, but for conv6
            bias_lr_multipliers=(("conv6", 1.1),),
            bias_follows_schedule=False,
            lr_multipliers=(("conv1", 0.1),),
        ),
        schedule=ScheduleConfig(name="plateau", epochs=epochs, max_drops=2),
        training=TrainingConfig(fine_tuning=True),
        events=(
            Event(at=300 / (epochs * updates_an_epoch), action="layer-factor", layer="fc8", value=10.0),
            Event(at=5 / epochs, action="layer-factor", layer="conv1", value=0.1),
            Event(at=7 / epochs, action="layer-factor", layer="conv1", value=0.0),
            Event(at=9 / epochs, action="layer-factor", layer="fc8", value=1.0),
            Event(at=38 / epochs, action="color-noise-off"),
        ),
    )


def alexnet_paper() -> RunConfig:
    """Model and training as the paper describes them, which differs from what was run.

    ReLU before every normalization, alpha not divided by the window size, standard deviation 0.01 everywhere,
    eigenvalues in the color noise, one crop draw per image.

    Source: Krizhevsky, Sutskever, Hinton 2012, sections 3 to 5.
    Expected: unknown; no run exactly as in the text has been published.
    """
    return RunConfig(
        recipe="alexnet-paper",
        data=DataConfig(pca_lighting="paper"),
        model=ModelConfig(variant="paper"),
        schedule=ScheduleConfig(name="plateau", epochs=90),
    )


def alexnet_caffe() -> RunConfig:
    """BVLC's AlexNet: 227 crops, biases 0.1, fc standard deviation 0.005, batch 256, no color noise.

    Prepare its store with `--resize warp`. In Caffe, one epoch is 5,000 updates, and the learning rate falls
    every 100,000.

    Source: BVLC/caffe models/bvlc_alexnet (train_val.prototxt, solver.prototxt).
    Expected: ILSVRC-2012 validation, center crop, 42.9 / 19.8 % (its readme) after 360,000 updates.
    """
    return RunConfig(
        recipe="alexnet-caffe",
        data=DataConfig(input_size=227, mean_position="crop", order="once"),
        model=ModelConfig(variant="caffe"),
        schedule=ScheduleConfig(name="step", epochs=72, step_epochs=20),
        training=TrainingConfig(batch_size=256),
    )


def caffenet() -> RunConfig:
    """BVLC's CaffeNet: pooling before normalization, biases 1, otherwise as `alexnet-caffe`.

    Source: BVLC/caffe models/bvlc_reference_caffenet (train_val.prototxt, solver.prototxt).
    Expected: ILSVRC-2012 validation, center crop, 42.6 / 19.6 % (its readme) after 310,000 updates.
    """
    return RunConfig(
        recipe="caffenet",
        data=DataConfig(input_size=227, mean_position="crop", order="once"),
        model=ModelConfig(variant="caffenet"),
        schedule=ScheduleConfig(name="step", epochs=62, step_epochs=20),
        training=TrainingConfig(batch_size=256),
    )


def alexnet_one_weird_trick() -> RunConfig:
    """The single-tower model of "One weird trick" (2014), which torchvision calls AlexNet, well trained.

    No normalization, torch's own initialization, the 2012 data and update rule. The learning rate of the
    weights falls by 250 in four phases, that of the biases once by 10, at half of the schedule.

    Source: Krizhevsky 2014, arXiv:1404.5997; learning rates as in its released successor, net 170.
    Expected: ILSVRC-2012 validation, center crop, about 42.5 / 19.8 % (cuda-convnet2's one-GPU model, which
    normalizes).
    """
    return RunConfig(
        recipe="alexnet-one-weird-trick",
        data=DataConfig(pca_lighting="source", normalization="mean-and-std"),
        model=ModelConfig(variant="one-weird-trick"),
        optimizer=OptimizerConfig(bias_follows_schedule=False),
        schedule=ScheduleConfig(name="four-phase", epochs=90),
        events=(Event(at=0.5, action="bias-factor", value=0.1),),
    )


def alexnet_torchvision() -> RunConfig:
    """torchvision's AlexNet with the training of torchvision's examples, as a baseline for the others.

    Random-resized crops, SGD 0.01 / 0.9 / 1e-4 on weights and biases alike, the learning rate divided by
    10 every 30 of 90 epochs (a third of the run: set `step_epochs` with `epochs`), batch 256.

    Source: torchvision models/alexnet.py; pytorch/examples imagenet/main.py with its README's learning rate.
    Expected: ILSVRC-2012 validation, center crop, 43.48 / 20.93 % (torchvision's published weights).
    """
    return RunConfig(
        recipe="alexnet-torchvision",
        data=DataConfig(cropping="random-resized", normalization="mean-and-std"),
        model=ModelConfig(variant="one-weird-trick"),
        optimizer=OptimizerConfig(
            name="sgd", weight_decay=1e-4, bias_lr_multiplier=1.0, bias_weight_decay=True
        ),
        schedule=ScheduleConfig(name="step", epochs=90, step_epochs=30),
        training=TrainingConfig(batch_size=256),
    )


def alexnet_modern() -> RunConfig:
    """The same five convolutions and three fully connected layers, built and trained in the modern way.

    One tower, batch normalization instead of response normalization, Kaiming initialization, AdamW with a
    warm-up and a cosine schedule, random-resized crops, color jitter, label smoothing. On a GPU, or a
    processor that supports it, add `precision=bfloat16`. `docs/experiments.md` lists what was tried.

    Source: this project; chosen by measurements on photos held out of Imagenette's training set.
    Expected: the README has the error on Imagenette; not run on ImageNet.
    """
    return RunConfig(
        recipe="alexnet-modern",
        data=DataConfig(
            cropping="random-resized",
            resized_area=(0.35, 1.0),
            color_jitter=0.3,
            normalization="mean-and-std",
        ),
        model=ModelConfig(variant="modern"),
        optimizer=OptimizerConfig(name="adamw", lr=0.001, weight_decay=0.3, bias_lr_multiplier=1.0),
        schedule=ScheduleConfig(name="cosine", epochs=90, warmup_epochs=2),
        training=TrainingConfig(batch_size=64, label_smoothing=0.1, last_batch="auto"),
    )


def alexnet_small() -> RunConfig:
    """AlexNet's five convolutions for few or small photos: batch normalization, no fc6 and fc7.

    2.3 million weights instead of 61 million. conv1 has filters of 7 pixels and a stride of 2 instead of 11
    and 4; the average of each of conv5's maps is what fc8 reads, so that the weights fit images of any size
    from 32 pixels on.

    Source: this project; global average pooling as in Lin, Chen, Yan 2013, arXiv:1312.4400, section 3.2.
    Expected: not run on ImageNet.
    """
    return RunConfig(
        recipe="alexnet-small",
        data=DataConfig(
            image_size=64,
            input_size=56,
            cropping="random-resized",
            resized_area=(0.35, 1.0),
            color_jitter=0.3,
            normalization="mean-and-std",
        ),
        model=ModelConfig(variant="small", dropout=0.1),
        optimizer=OptimizerConfig(name="adamw", lr=0.002, weight_decay=0.05, bias_lr_multiplier=1.0),
        schedule=ScheduleConfig(name="cosine", epochs=90, warmup_epochs=2),
        training=TrainingConfig(batch_size=64, label_smoothing=0.1, last_batch="auto"),
    )


RECIPES = (
    alexnet_2012,
    alexnet_2012_star_pretrain,
    alexnet_2012_star,
    alexnet_paper,
    alexnet_caffe,
    caffenet,
    alexnet_one_weird_trick,
    alexnet_torchvision,
    alexnet_modern,
    alexnet_small,
)

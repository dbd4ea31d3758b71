"""torch.fx, torch.export and torch.compile follow every recipe's network, with the same result."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor, fx, nn

from alexnet import recipes
from alexnet.config import RunConfig, override
from alexnet.models.registry import build_run

from .test_every_recipe import settings_of

CLASSES = 4
NETWORKS = [name for name in recipes.names() if recipes.get(name).classic is None]
SLIDING = "overfeat-fast-detection"
"""Slides a window over images of any size: the number of windows needs real images."""


def tiny(name: str) -> RunConfig:
    config = recipes.get(name)
    return override(config, settings_of(name, CLASSES, config.data.channels))


@cache
def network(name: str) -> tuple[nn.Module, Tensor]:
    """The network at a tiny size, with weights that make its logits differ, and a batch of images."""
    config = tiny(name)
    torch.manual_seed(0)
    model = build_run(config, CLASSES).eval()
    # Positive before ReLUs, so that few maps of so small a network are zero for all images.
    draw = torch.randn_like if config.model.name == "lenet" else torch.rand_like
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(draw(parameter) / max(1, parameter[0].numel()) ** 0.5)
    return model, torch.rand(3, config.data.channels, config.data.input_size, config.data.input_size)


def assert_same(found: Tensor, wanted: Tensor) -> None:
    found, wanted = found.detach(), wanted.detach()
    assert wanted.std(0).max() > 1e-5 * wanted.abs().max()  # the images matter
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5 * float(wanted.abs().max()))


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != SLIDING])
def test_torch_fx(name: str) -> None:
    model, images = network(name)
    traced = fx.symbolic_trace(model)
    assert_same(traced(images), model(images))


@pytest.mark.parametrize("name", NETWORKS)
def test_torch_export(name: str) -> None:
    model, images = network(name)
    batch = torch.export.Dim("batch", min=2, max=64)
    program = torch.export.export(model, (images,), dynamic_shapes=({0: batch},))
    more = torch.cat([images, images])
    assert_same(program.module()(more), model(more))


COMPILED = ["alexnet-2012", "alexnet-modern", "overfeat-fast", SLIDING, "vgg-a-lrn", *NETWORKS[-3:]]
"""A network of each kind; the others have the same layers."""


@pytest.mark.parametrize("name", COMPILED)
def test_torch_compile(name: str) -> None:
    model, images = network(name)
    torch.compiler.reset()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    assert_same(compiled(images), model(images))


@pytest.mark.parametrize(("name", "layer"), [("alexnet-2012", "fc7"), ("alexnet-small", "conv5")])
def test_a_layer_of_a_traced_network_is_extracted(name: str, layer: str) -> None:
    """In the way of torchvision's `create_feature_extractor`: by the path of the module, cut after it."""
    model, images = network(name)
    tracer = PathTracer()
    graph = tracer.trace(model)
    last = [node for node, path in tracer.paths.items() if path == layer][-1]
    output = next(node for node in graph.nodes if node.op == "output")
    output.args = (last,)
    extractor = fx.GraphModule(model, graph)
    extractor.graph.eliminate_dead_code()
    extractor.recompile()
    wanted = {}
    handle = model.get_submodule(layer).register_forward_hook(
        lambda module, inputs, outputs: wanted.update(found=outputs.clone())
    )
    model(images)
    handle.remove()
    torch.testing.assert_close(extractor(images), wanted["found"])


class PathTracer(fx.Tracer):
    """Remembers in which module each node was made."""

    def __init__(self) -> None:
        super().__init__()
        self.paths: dict[fx.Node, str] = {}

    def create_node(self, *args, **kwargs) -> fx.Node:
        node = super().create_node(*args, **kwargs)
        path = next(reversed(self.module_stack), "") if self.module_stack else ""
        self.paths[node] = node.target if node.op == "call_module" else path
        return node

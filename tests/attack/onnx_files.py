"""A valid ONNX file of a model without weights."""

from __future__ import annotations

from collections.abc import Mapping

import onnx
from onnx import TensorProto, helper


def mean_color(metadata: Mapping[str, str]) -> onnx.ModelProto:
    """A graph whose logits are the mean color, with the metadata of a model of three classes."""
    ends = [
        helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, 64, 64]),
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3]),
    ]
    nodes = [helper.make_node("ReduceMean", ["images", "axes"], ["logits"], keepdims=0)]
    axes = helper.make_tensor("axes", TensorProto.INT64, [2], [2, 3])
    made = helper.make_model(
        helper.make_graph(nodes, "net", ends[:1], ends[1:], [axes]),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=10,
    )
    for name, text in metadata.items():
        made.metadata_props.add(key=name, value=text)
    return made

"""EfficientNet-lite2 as an ONNX graph, written from its weights.

Tan and Le 2019, in the variant without squeeze-and-excite and with ReLU6. Batch normalisation is
folded into the convolutions. Widths, kernels and expansions are read off the weights; strides are
not in them and stand below.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE_PX = 260
EPSILON = 1e-3
# (blocks, stride of the first): depth 1.2, the first and the last stage not scaled
STAGES = ((1, 1), (3, 2), (3, 2), (4, 2), (4, 1), (5, 2), (1, 1))

Weights = Mapping[str, np.ndarray[Any, Any]]


class _Graph:
    """Nodes and constants, with the size of the picture so far."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.side = SIDE_PX

    def add(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def constant(self, name: str, value: np.ndarray[Any, Any]) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def conv(
        self, source: str, conv: str, norm: str, stride: int = 1, *, depthwise: bool = False
    ) -> str:
        """Convolution with its batch normalisation folded in, padded as TensorFlow pads."""
        kernel, bias = self._folded(conv, norm)
        size = kernel.shape[-1]
        after = math.ceil(self.side / stride)
        pad = max((after - 1) * stride + size - self.side, 0)
        low, high = pad // 2, pad - pad // 2
        self.side = after
        return self.add(
            "Conv",
            [source, self.constant(f"{conv}.w", kernel), self.constant(f"{conv}.b", bias)],
            f"{conv}.out",
            kernel_shape=[size, size],
            strides=[stride, stride],
            pads=[low, low, high, high],
            group=kernel.shape[0] if depthwise else 1,
        )

    def _folded(self, conv: str, norm: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        w = self.weights
        deviation = np.sqrt(w[f"{norm}.running_var"].astype(np.float64) + EPSILON)
        scale = w[f"{norm}.weight"] / deviation
        kernel = w[f"{conv}.weight"] * scale[:, None, None, None]
        bias = w[f"{norm}.bias"] - w[f"{norm}.running_mean"] * scale
        return kernel.astype(np.float32), bias.astype(np.float32)

    def relu6(self, source: str) -> str:
        return self.add("Clip", [source, "zero", "six"], f"{source}.relu6")

    def block(self, source: str, number: int, stride: int) -> str:
        """Inverted bottleneck: expand, depthwise, project, and add where shapes allow."""
        at = f"_blocks.{number}"
        x = source
        if f"{at}._expand_conv.weight" in self.weights:
            x = self.relu6(self.conv(x, f"{at}._expand_conv", f"{at}._bn0"))
        kernel = self.weights[f"{at}._depthwise_conv.weight"]
        x = self.relu6(self.conv(x, f"{at}._depthwise_conv", f"{at}._bn1", stride, depthwise=True))
        x = self.conv(x, f"{at}._project_conv", f"{at}._bn2")
        first = self.weights.get(f"{at}._expand_conv.weight", kernel.swapaxes(0, 1))
        if stride == 1 and first.shape[1] == self.weights[f"{at}._project_conv.weight"].shape[0]:
            x = self.add("Add", [x, source], f"{at}.sum")
        return x


def build(weights: Weights) -> onnx.ModelProto:
    """Input ``pixels`` (n, 3, 260, 260); outputs ``features`` (n, 1280), ``logits`` (n, 1000)."""
    graph = _Graph(weights)
    graph.constant("zero", np.array(0.0, dtype=np.float32))
    graph.constant("six", np.array(6.0, dtype=np.float32))
    x = graph.relu6(graph.conv("pixels", "_conv_stem", "_bn0", 2))
    number = 0
    for blocks, stride in STAGES:
        for position in range(blocks):
            x = graph.block(x, number, stride if position == 0 else 1)
            number += 1
    x = graph.relu6(graph.conv(x, "_conv_head", "_bn1"))
    graph.add("GlobalAveragePool", [x], "pooled")
    graph.add("Flatten", ["pooled"], "features")
    fc = [graph.constant(f"_fc.{part}", weights[f"_fc.{part}"]) for part in ("weight", "bias")]
    graph.add("Gemm", ["features", *fc], "logits", transB=1)
    shapes = {"pixels": [3, SIDE_PX, SIDE_PX], "features": [1280], "logits": [1000]}
    pixels, features, logits = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *shape])
        for name, shape in shapes.items()
    )
    body = helper.make_graph(
        graph.nodes, "efficientnet-lite2", [pixels], [features, logits], graph.constants
    )
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model

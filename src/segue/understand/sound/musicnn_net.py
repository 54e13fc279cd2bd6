"""MusiCNN as an ONNX graph, written from its weights (Pons and Serra 2019, Pons et al. 2018).

Filters as tall as an instrument's timbre and as long as a rhythm lie over a log mel spectrogram;
three residual layers over time, pooling over time and two dense layers follow. Here every feature
is a channel over time, so the middle layers are plain convolutions in one dimension. Batch
normalisation stands after each ReLU and is folded where the next step is linear.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FRAMES, MELS = 187, 96
TAGS, FEATURES = 50, 200
EPSILON = 1e-3
TIMBRE, RHYTHM, MIDDLE = (0, 1), (2, 3, 4), (5, 6, 7)  # numbers of the convolutions

Weights = Mapping[str, np.ndarray[Any, Any]]


class _Graph:
    """Nodes and constants."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def constant(self, name: str, value: np.ndarray[Any, Any]) -> str:
        value = np.ascontiguousarray(value)
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def scale_and_shift(self, number: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """A batch normalisation as a product and a sum."""
        name = f"batch_normalization_{number}" if number else "batch_normalization"
        gamma, beta, mean, variance = (
            self.weights[f"{name}/{part}"].astype(np.float64)
            for part in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        scale = gamma / np.sqrt(variance + EPSILON)
        return scale.astype(np.float32), (beta - mean * scale).astype(np.float32)

    def norm(self, source: str, number: int, shape: tuple[int, ...]) -> str:
        scale, shift = self.scale_and_shift(number)
        by = self.constant(f"norm{number}.scale", scale.reshape(shape))
        plus = self.constant(f"norm{number}.shift", shift.reshape(shape))
        scaled = self.add("Mul", [source, by], f"norm{number}.scaled")
        return self.add("Add", [scaled, plus], f"norm{number}.out")

    def conv(self, source: str, number: int, kernel: np.ndarray[Any, Any], pads: list[int]) -> str:
        name = f"conv2d_{number}" if number else "conv2d"
        inputs = [
            source,
            self.constant(f"conv{number}.w", kernel),
            self.constant(f"conv{number}.b", self.weights[f"{name}/bias"]),
        ]
        self.add("Conv", inputs, f"conv{number}.out", kernel_shape=kernel.shape[2:], pads=pads)
        return self.add("Relu", [f"conv{number}.out"], f"conv{number}.relu")

    def kernel(self, number: int) -> np.ndarray[Any, Any]:
        """(outputs, inputs, time, mels), from TensorFlow's order of axes."""
        name = f"conv2d_{number}" if number else "conv2d"
        return self.weights[f"{name}/kernel"].transpose(3, 2, 0, 1)

    def front(self, source: str, number: int) -> str:
        """(n, channels, FRAMES): a filter's strongest answer over pitch, at each time."""
        kernel = self.kernel(number)
        before = (kernel.shape[2] - 1) // 2
        pads = [before, 0, kernel.shape[2] - 1 - before, 0]
        x = self.norm(self.conv(source, number, kernel, pads), number + 1, (-1, 1, 1))
        return self.add("ReduceMax", [x], f"front{number}", axes=[3], keepdims=0)

    def middle(self, source: str, number: int) -> str:
        """(n, 64, FRAMES): a convolution over time."""
        kernel = self.kernel(number)[:, 0].transpose(0, 2, 1)  # (outputs, features, time)
        half = (kernel.shape[2] - 1) // 2
        return self.norm(self.conv(source, number, kernel, [half, half]), number + 1, (-1, 1))


def build(weights: Weights) -> onnx.ModelProto:
    """Input ``mel`` (n, 187, 96); outputs ``features`` (n, 200), ``tags`` (n, 50) in [0, 1]."""
    graph = _Graph(weights)
    channel = graph.constant("channel", np.array([1], dtype=np.int64))
    x = graph.norm(graph.add("Unsqueeze", ["mel", channel], "picture"), 0, (1,))
    front = [graph.front(x, number) for number in (*TIMBRE, *RHYTHM)]
    joined = graph.add("Concat", front, "front", axis=1)
    layers, x = [joined], joined
    for number in MIDDLE:
        y = graph.middle(x, number)
        x = y if x == joined else graph.add("Add", [y, x], f"middle{number}")
        layers.append(x)
    _head(graph, graph.add("Concat", layers, "all", axis=1))
    shapes = {"mel": [FRAMES, MELS], "features": [FEATURES], "tags": [TAGS]}
    mel, features, tags = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *shape])
        for name, shape in shapes.items()
    )
    body = helper.make_graph(graph.nodes, "musicnn", [mel], [features, tags], graph.constants)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model


def _head(graph: _Graph, source: str) -> None:
    """Pooling over time and two dense layers; the first takes the normalisation before it."""
    strongest = graph.add("ReduceMax", [source], "strongest", axes=[2], keepdims=1)
    mean = graph.add("ReduceMean", [source], "mean", axes=[2], keepdims=1)
    pairs = graph.add("Concat", [strongest, mean], "pairs", axis=2)
    pooled = graph.add("Flatten", [pairs], "pooled")
    scale, shift = graph.scale_and_shift(9)
    kernel, bias = graph.weights["dense/kernel"], graph.weights["dense/bias"]
    dense = [
        graph.constant("dense.w", scale[:, None] * kernel),
        graph.constant("dense.b", bias + shift @ kernel),
    ]
    hidden = graph.add("Relu", [graph.add("Gemm", [pooled, *dense], "dense")], "hidden")
    normal = graph.norm(hidden, 10, (-1,))
    graph.add("Identity", [normal], "features")
    last = [graph.constant(f"tags.{part}", graph.weights[f"dense_1/{part}"])
            for part in ("kernel", "bias")]  # fmt: skip
    graph.add("Sigmoid", [graph.add("Gemm", [normal, *last], "logits")], "tags")

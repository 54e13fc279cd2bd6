"""A TensorFlow.js graph model as ONNX: the ops that a plain convolutional net is made of.

Such a model is a JSON of nodes and a file of weights, one after the other. Convolutions stay as
they are written, with the channels last, between two transpositions; onnxruntime takes out those
that cancel. The first axis is made free, so that pictures go in batches.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from segue.core.errors import BadPackage

CHANNELS_FIRST, CHANNELS_LAST = [0, 3, 1, 2], [0, 2, 3, 1]
OPSET = 17
TYPES = {"float32": "<f4", "int32": "<i4", "float16": "<f2"}

Array = np.ndarray[Any, Any]


def convert(description: Path, weights: Path) -> bytes:
    """The ONNX file of a graph model. Raises :class:`BadPackage` where it is of another kind."""
    try:
        told = json.loads(description.read_text("utf-8"))
        nodes = {node["name"]: node for node in told["modelTopology"]["node"]}
        held = [each for group in told["weightsManifest"] for each in group["weights"]]
        graph = _Graph(nodes, _arrays(held, weights.read_bytes()))
        model = graph.model(told["signature"])
    except (ValueError, KeyError, TypeError) as error:
        raise BadPackage(f"{description.name}: no graph model of TensorFlow.js: {error}") from error
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def _arrays(held: list[dict[str, Any]], data: bytes) -> dict[str, Array]:
    """Constants by name. Halves become float32; whole numbers int64, as ONNX wants them."""
    arrays, at = {}, 0
    for each in held:
        stored = each.get("quantization", {}).get("dtype", each["dtype"])
        if stored not in TYPES or each["dtype"] == "float16":
            raise ValueError(f"weights kept as {stored}; known: {', '.join(TYPES)}")
        kind, count = np.dtype(TYPES[stored]), math.prod(each["shape"])
        found = np.frombuffer(data, kind, count, at).reshape(each["shape"])
        arrays[each["name"]] = found.astype(np.float32 if kind.kind == "f" else np.int64)
        at += count * kind.itemsize
    if at != len(data):
        raise ValueError(f"{len(data)} bytes of weights, described are {at}")
    return arrays


class _Graph:
    """Nodes in the order in which they can be worked out."""

    def __init__(self, nodes: Mapping[str, dict[str, Any]], constants: dict[str, Array]) -> None:
        self.source = nodes
        self.constants = constants
        self.nodes: list[Any] = []
        self.kept: list[Any] = []
        self.seen: set[str] = set()

    def model(self, signature: dict[str, Any]) -> onnx.ModelProto:
        """Inputs and outputs keep their names, and get ``n`` as first axis."""
        for name in signature["outputs"]:
            self.visit(_bare(name))
        inputs, outputs = (
            [
                helper.make_tensor_value_info(_bare(name), TensorProto.FLOAT, ["n", *_shape(told)])
                for name, told in signature[side].items()
            ]
            for side in ("inputs", "outputs")
        )
        body = helper.make_graph(self.nodes, "graph-model", inputs, outputs, self.kept)
        opset = helper.make_opsetid("", OPSET)
        return helper.make_model(body, opset_imports=[opset], ir_version=9)

    def visit(self, name: str) -> None:
        """Inputs first. Nets are deep but not wide: far from Python's limit of calls."""
        name = name.partition(":")[0]
        if name in self.seen:
            return
        self.seen.add(name)
        node = self.source[name]
        inputs = [_bare(each) for each in node.get("input", ())]
        for each in inputs:
            self.visit(each)
        if node["op"] not in OPS:
            raise ValueError(f"op {node['op']} of {name} is not known")
        OPS[node["op"]](self, name, inputs, node.get("attr", {}))

    def add(self, op: str, inputs: list[str], *outputs: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, inputs, list(outputs), **attributes))
        return outputs[0]

    def keep(self, name: str, value: Array) -> str:
        self.kept.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def among_channels_first(
        self, source: str, name: str, op: str, *more: str, **attributes: Any
    ) -> None:
        """An op of ONNX, which wants the channels before rows and columns."""
        turned = self.add("Transpose", [source], f"{name}/first", perm=CHANNELS_FIRST)
        done = self.add(op, [turned, *more], f"{name}/done", **attributes)
        self.add("Transpose", [done], name, perm=CHANNELS_LAST)


def _bare(name: str) -> str:
    return name.removesuffix(":0")


def _shape(told: dict[str, Any]) -> list[int]:
    return [int(axis["size"]) for axis in told["tensorShape"]["dim"]][1:]


def _middle(attributes: dict[str, Any], key: str) -> list[int]:
    """Of rows and columns."""
    return [int(each) for each in attributes[key]["list"]["i"]][1:3]


def _unpadded(name: str, attributes: dict[str, Any]) -> None:
    """Converters write paddings as nodes of their own; others are not known here."""
    kinds = [base64.b64decode(attributes[k]["s"]) for k in ("padding", "data_format")]
    spread = attributes.get("dilations", {}).get("list", {}).get("i", [])
    if kinds != [b"VALID", b"NHWC"] or any(int(each) != 1 for each in spread):
        raise ValueError(f"{name} is padded, spread or ordered in a way that is not known")


def _nothing(graph: _Graph, name: str, inputs: list[str], attributes: dict[str, Any]) -> None:
    """Constants are read from the weights, placeholders are the inputs."""


def _fill(graph: _Graph, name: str, inputs: list[str], attributes: dict[str, Any]) -> None:
    """What is left of a constant after conversions: its shape and its default."""
    places, shape, _, default = (graph.constants[each] for each in inputs)
    if len(places):
        raise ValueError(f"{name} is sparse")
    graph.constants[name] = np.full(shape, default)


def _sum(graph: _Graph, name: str, inputs: list[str], attributes: dict[str, Any]) -> None:
    known = graph.constants
    if all(each in known for each in inputs):
        known[name] = known[inputs[0]] + known[inputs[1]]
        return
    kept = [graph.keep(f"{name}/{i}", known[i]) if i in known else i for i in inputs]
    graph.add("Add", kept, name)


def _same(graph: _Graph, name: str, inputs: list[str], attributes: dict[str, Any]) -> None:
    graph.add("Identity", inputs, name)


def _sigmoid(graph: _Graph, name: str, inputs: list[str], attributes: dict[str, Any]) -> None:
    graph.add("Sigmoid", inputs, name)


def _leaky(graph: _Graph, name: str, inputs: list[str], attributes: dict[str, Any]) -> None:
    graph.add("LeakyRelu", inputs, name, alpha=float(attributes["alpha"]["f"]))


def _transpose(graph: _Graph, name: str, inputs: list[str], attributes: dict[str, Any]) -> None:
    graph.add("Transpose", inputs[:1], name, perm=graph.constants[inputs[1]].tolist())


def _pad(graph: _Graph, name: str, inputs: list[str], attributes: dict[str, Any]) -> None:
    """TensorFlow says before and after of each axis, ONNX all befores and then all afters."""
    wide = graph.keep(f"{name}/wide", graph.constants[inputs[1]].T.ravel())
    value = [graph.keep(f"{name}/value", graph.constants[each]) for each in inputs[2:]]
    graph.add("Pad", [inputs[0], wide, *value], name)


def _conv(graph: _Graph, name: str, inputs: list[str], attributes: dict[str, Any]) -> None:
    _unpadded(name, attributes)
    kernel = graph.keep(f"{name}/kernel", graph.constants[inputs[1]].transpose(3, 2, 0, 1))
    strides = _middle(attributes, "strides")
    graph.among_channels_first(inputs[0], name, "Conv", kernel, strides=strides)


def _depthwise(graph: _Graph, name: str, inputs: list[str], attributes: dict[str, Any]) -> None:
    _unpadded(name, attributes)
    values = graph.constants[inputs[1]]  # rows, columns, channels, outputs a channel
    rows, columns, channels, outputs = values.shape
    turned = values.transpose(2, 3, 0, 1).reshape(channels * outputs, 1, rows, columns)
    kernel = graph.keep(f"{name}/kernel", turned)
    strides = _middle(attributes, "strides")
    graph.among_channels_first(inputs[0], name, "Conv", kernel, strides=strides, group=channels)


def _max_pool(graph: _Graph, name: str, inputs: list[str], attributes: dict[str, Any]) -> None:
    _unpadded(name, attributes)
    size, strides = _middle(attributes, "ksize"), _middle(attributes, "strides")
    graph.among_channels_first(inputs[0], name, "MaxPool", kernel_shape=size, strides=strides)


def _concat(graph: _Graph, name: str, inputs: list[str], attributes: dict[str, Any]) -> None:
    graph.add("Concat", inputs[:-1], name, axis=int(graph.constants[inputs[-1]]))


def _reshape(graph: _Graph, name: str, inputs: list[str], attributes: dict[str, Any]) -> None:
    shape = graph.constants[inputs[1]].copy()
    if shape[0] != 1:
        raise ValueError(f"{name} does not keep the pictures apart")
    shape[0] = 0  # of ONNX: as it is
    graph.add("Reshape", [inputs[0], graph.keep(f"{name}/shape", shape)], name)


def _split(graph: _Graph, name: str, inputs: list[str], attributes: dict[str, Any]) -> None:
    sizes = graph.constants[inputs[1]]
    outputs = [name, *(f"{name}:{part}" for part in range(1, len(sizes)))]
    kept = graph.keep(f"{name}/sizes", sizes)
    graph.add("Split", [inputs[0], kept], *outputs, axis=int(graph.constants[inputs[2]]))


def _resize(graph: _Graph, name: str, inputs: list[str], attributes: dict[str, Any]) -> None:
    if attributes["align_corners"]["b"] or not attributes["half_pixel_centers"]["b"]:
        raise ValueError(f"{name} does not resize from centre to centre")
    # All four sizes, as onnxruntime moves transpositions over a Resize of some axes wrongly.
    shape = graph.add("Shape", inputs[:1], f"{name}/shape")
    ends = [
        graph.add("Gather", [shape, graph.keep(f"{name}/{at}", np.array([at]))], f"{name}/of-{at}")
        for at in (0, 3)
    ]
    size = graph.keep(f"{name}/size", graph.constants[inputs[1]])
    whole = graph.add("Concat", [*ends, size], f"{name}/whole", axis=0)
    graph.among_channels_first(
        inputs[0], name, "Resize", "", "", whole, mode="linear",
        coordinate_transformation_mode="half_pixel",
    )  # fmt: skip


OPS: Mapping[str, Callable[[_Graph, str, list[str], dict[str, Any]], None]] = {
    "Add": _sum,
    "AddV2": _sum,
    "ConcatV2": _concat,
    "Const": _nothing,
    "Conv2D": _conv,
    "DepthwiseConv2dNative": _depthwise,
    "Identity": _same,
    "LeakyRelu": _leaky,
    "MaxPool": _max_pool,
    "Pad": _pad,
    "PadV2": _pad,
    "Placeholder": _nothing,
    "Reshape": _reshape,
    "ResizeBilinear": _resize,
    "Sigmoid": _sigmoid,
    "SparseToDense": _fill,
    "SplitV": _split,
    "Transpose": _transpose,
}

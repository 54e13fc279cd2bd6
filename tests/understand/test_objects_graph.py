"""Graph models of TensorFlow.js as ONNX: each op against numpy."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from segue.core.errors import BadPackage
from segue.core.types import Floats
from segue.understand.sight import objects_graph


def node(name: str, op: str, *inputs: str, **attributes: object) -> dict[str, object]:
    return {"name": name, "op": op, "input": list(inputs), "attr": attributes}


def graph_model(
    folder: Path,
    nodes: list[dict[str, object]],
    arrays: dict[str, Floats],
    shape: tuple[int, ...] = (2, 2, 3),
) -> Path:
    """A graph model of TensorFlow.js with one input ``x`` (1, 6, 6, 2) and one output ``y``."""
    told = {"tensorShape": {"dim": [{"size": n} for n in ("1", "6", "6", "2")]}}
    held = [
        {"name": n, "shape": list(a.shape), "dtype": "float32" if a.dtype.kind == "f" else "int32",
         **({"quantization": {"dtype": "float16"}} if a.dtype == np.float16 else {})}
        for n, a in arrays.items()
    ]  # fmt: skip
    names = {n["name"] for n in nodes}
    inputs = [node("x", "Placeholder"), *(node(n, "Const") for n in arrays if n not in names)]
    out = {"tensorShape": {"dim": [{"size": n} for n in ("1", *map(str, shape))]}}
    path = folder / "model.json"
    path.write_text(json.dumps({
        "modelTopology": {"node": [*inputs, *nodes]},
        "weightsManifest": [{"weights": held}],
        "signature": {"inputs": {"x:0": told}, "outputs": {"y:0": out}},
    }))  # fmt: skip
    (folder / "model.bin").write_bytes(b"".join(a.tobytes() for a in arrays.values()))
    return path


def attributes(**more: object) -> dict[str, object]:
    plain = {"padding": {"s": base64.b64encode(b"VALID").decode()},
             "data_format": {"s": base64.b64encode(b"NHWC").decode()}}  # fmt: skip
    return plain | more


def strides(n: int) -> dict[str, object]:
    return {"list": {"i": ["1", str(n), str(n), "1"]}}


def test_a_graph_model_computes_what_its_nodes_say(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    kernel = rng.normal(size=(3, 3, 2, 3)).astype(np.float16)
    bias = rng.normal(size=3).astype(np.float32)
    nodes = [
        node("conv", "Conv2D", "x", "kernel", **attributes(strides=strides(2))),
        node("sum", "AddV2", "conv:0", "bias"),
        node("leaky", "LeakyRelu", "sum", alpha={"f": 0.1}),
        node("y", "Identity", "leaky"),
    ]
    path = graph_model(tmp_path, nodes, {"kernel": kernel, "bias": bias})
    session = onnxruntime.InferenceSession(objects_graph.convert(path, tmp_path / "model.bin"))
    x = rng.normal(size=(2, 6, 6, 2)).astype(np.float32)  # two pictures: the first axis is free
    (found,) = session.run(["y"], {"x": x})
    patches = np.stack(
        [x[:, r : r + 3, c : c + 3] for r in (0, 2) for c in (0, 2)], axis=1
    ).reshape(2, 2, 2, -1)
    wanted = patches @ kernel.astype(np.float32).reshape(-1, 3) + bias
    np.testing.assert_allclose(found, np.where(wanted > 0, wanted, 0.1 * wanted), atol=1e-4)


def ints(*values: int) -> Floats:
    return np.array(values, dtype=np.int32)  # type: ignore[return-value]


def blocks(x: Floats) -> Floats:
    """(n, 3, 3, 2, 4): the four values of each block of two rows and two columns."""
    cut = x.reshape(len(x), 3, 2, 3, 2, 2).transpose(0, 1, 3, 5, 2, 4)
    return cut.reshape(len(x), 3, 3, 2, 4)


RESIZED = {"align_corners": {"b": False}, "half_pixel_centers": {"b": True}}
DEEP = np.random.default_rng(4).normal(size=(2, 2, 2, 2)).astype(np.float32)
EVERY_OP = {
    "pad": (
        [node("y", "PadV2", "x", "wide", "low")],
        {"wide": ints(0, 0, 1, 0, 0, 2, 0, 0).reshape(4, 2), "low": np.float32(-5.0)},
        (7, 8, 2),
        lambda x: np.pad(x, ((0, 0), (1, 0), (0, 2), (0, 0)), constant_values=-5.0),
    ),
    "depthwise": (  # two outputs of each channel, those of one channel together
        [node("y", "DepthwiseConv2dNative", "x", "deep", **attributes(strides=strides(2)))],
        {"deep": DEEP},
        (3, 3, 4),
        lambda x: np.einsum("nrcik,kio->nrcio", blocks(x), DEEP.reshape(4, 2, 2)).reshape(
            len(x), 3, 3, 4
        ),
    ),
    "resize": (  # between two centres, without a wider mean
        [node("y", "ResizeBilinear", "x", "size", **RESIZED)],
        {"size": ints(3, 3)},
        (3, 3, 2),
        lambda x: blocks(x).mean(axis=4),
    ),
    "pool": (
        [node("y", "MaxPool", "x", **attributes(strides=strides(2), ksize=strides(2)))],
        {},
        (3, 3, 2),
        lambda x: blocks(x).max(axis=4),
    ),
    "reshape": (
        [
            node("filled", "SparseToDense", "none", "three", "nothing", "zero"),
            node("shape", "Add", "flat", "filled"),
            node("rows", "Reshape", "x", "shape"),
            node("y", "Transpose", "rows", "back"),
        ],
        {
            "none": ints().reshape(0, 1), "three": ints(3), "nothing": ints(), "zero": ints(0)[0],
            "flat": ints(1, 36, 2), "back": ints(0, 2, 1),
        },
        (2, 36),
        lambda x: x.reshape(len(x), 36, 2).transpose(0, 2, 1),
    ),
    "split": (
        [
            node("cut", "SplitV", "x", "parts", "axis"),
            node("sure", "Sigmoid", "cut:1"),
            node("y", "ConcatV2", "sure", "cut", "last"),
        ],
        {"parts": ints(2, 4), "axis": ints(1)[0], "last": ints(1)[0]},
        (6, 6, 2),
        lambda x: np.concatenate([1 / (1 + np.exp(-x[:, 2:])), x[:, :2]], axis=1),
    ),
}  # fmt: skip


@pytest.mark.parametrize("op", EVERY_OP)
def test_every_op_of_a_graph_model_computes_what_tensorflow_does(op: str, tmp_path: Path) -> None:
    nodes, arrays, shape, by_hand = EVERY_OP[op]
    path = graph_model(tmp_path, nodes, arrays, shape)
    session = onnxruntime.InferenceSession(objects_graph.convert(path, tmp_path / "model.bin"))
    x = np.random.default_rng(5).normal(size=(3, 6, 6, 2)).astype(np.float32)
    (found,) = session.run(["y"], {"x": x})
    np.testing.assert_allclose(found, by_hand(x), atol=1e-5)


def test_graph_models_of_another_kind_are_refused(tmp_path: Path) -> None:
    kernel = np.zeros((3, 3, 2, 3), dtype=np.float32)

    def refused(nodes: list[dict[str, object]], reason: str, data: bytes | None = None) -> None:
        path = graph_model(tmp_path, nodes, {"kernel": kernel})
        if data is not None:
            (tmp_path / "model.bin").write_bytes(data)
        with pytest.raises(BadPackage, match=reason):
            objects_graph.convert(path, tmp_path / "model.bin")

    conv = node("y", "Conv2D", "x", "kernel", **attributes(strides=strides(2)))
    refused([node("y", "Softplus", "x")], "op Softplus of y is not known")
    refused([node("y", "Relu")], "op Relu")
    padded = attributes(strides=strides(2), padding={"s": "U0FNRQ=="})
    refused([node("y", "Conv2D", "x", "kernel", **padded)], "y is padded")
    refused([conv], "218 bytes of weights, described are 216", bytes(218))
    refused([conv], "no graph model", bytes(10))

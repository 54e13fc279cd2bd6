"""EfficientNet-lite2 in 8 bit: does it agree with 32 bit on real pictures, and is it faster here?

Static quantization (QDQ, a scale for each channel) calibrated on one half of the hand-labelled
pictures and compared on the other. A CPU without VNNI adds 8 bit products in 16 bit, which
saturates, so weights there must be 7 bit (reduce_range).

.venv/bin/python benchmarks/understand/bench_int8.py
"""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _pictures import truths
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from segue.core.types import Floats
from segue.understand.align import unit
from segue.understand.image import convert, pixels
from segue.understand.runtime import converted, session

ROUNDS = 8
WAYS = {
    "8 bit activations and weights": {},
    "8 bit, weights 7 bit": {"reduce_range": True},
    "signed, weights 7 bit": {"reduce_range": True, "activation_type": QuantType.QInt8},
    "7 bit, entropy": {"reduce_range": True, "calibrate_method": CalibrationMethod.Entropy},
}


class Pictures(CalibrationDataReader):
    def __init__(self, batch: Sequence[Floats]) -> None:
        self._rest = iter(batch)

    def get_next(self) -> dict[str, Floats] | None:
        found = next(self._rest, None)
        return None if found is None else {"pixels": found[None]}


def outputs(path: Path, batch: Floats) -> tuple[Floats, Floats, dict[int, float]]:
    """Features, logits, and milliseconds a picture by size of the batch."""
    net: Any = session(path)
    parts = [net.run(["features", "logits"], {"pixels": row[None]}) for row in batch]
    taken = {}
    for size in (1, 8):
        best = np.inf
        for _ in range(ROUNDS):
            start = time.perf_counter()
            net.run(["logits"], {"pixels": batch[:size]})
            best = min(best, (time.perf_counter() - start) / size)
        taken[size] = round(1000 * best, 1)
    features, logits = (np.concatenate([part[n] for part in parts]) for n in (0, 1))
    return features, logits, taken


def main() -> None:
    warnings.simplefilter("ignore")  # the quantizer advises what is done here already
    shown = np.stack([pixels(truth.picture()) for truth in truths()])
    shown = shown[np.random.default_rng(0).permutation(len(shown))]
    calibration, test = shown[: len(shown) // 2], shown[len(shown) // 2 :]
    whole = converted("efficientnet-lite2", convert, version=1)
    features, logits, taken = outputs(whole, test)
    print(f"32 bit: {taken} ms a picture by batch; {len(calibration)} calibrate, {len(test)} test")
    with tempfile.TemporaryDirectory() as folder:
        ready, made = Path(folder) / "ready.onnx", Path(folder) / "made.onnx"
        quant_pre_process(str(whole), str(ready), skip_symbolic_shape=True)
        for name, how in WAYS.items():
            settings = {"activation_type": QuantType.QUInt8} | how
            quantize_static(
                str(ready), str(made), Pictures(calibration), quant_format=QuantFormat.QDQ,
                per_channel=True, weight_type=QuantType.QInt8, **settings,
            )  # fmt: skip
            mine, said, ms = outputs(made, test)
            cosines = (unit(mine) * unit(features)).sum(axis=1)
            agreed = said.argmax(axis=1) == logits.argmax(axis=1)
            print(
                f"{name:30} {ms} ms; cosine {cosines.mean():.4f} (5 % below "
                f"{np.quantile(cosines, 0.05):.3f}), best label the same {agreed.mean():.3f}"
            )


if __name__ == "__main__":
    main()

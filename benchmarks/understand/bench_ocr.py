"""Words on screen: how many of the words that stand on real pictures are read, and at what cost.

RapidOCR, which brings the same models with OpenCV's post-processing, runs beside where it is
installed (pip install --no-deps --target DIR rapidocr-onnxruntime opencv-python-headless pyclipper
shapely six, then PYTHONPATH=DIR).

.venv/bin/python benchmarks/understand/bench_ocr.py
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable

import numpy as np
from _pictures import truths
from PIL import Image

from segue.understand.copies import plain
from segue.understand.sight.ocr import Reader

WORDS = {
    ("no_face.mp4", 1.0): "caminandes",
    ("wannaworktogether.mp4", 3.04): "wanna work together",
    ("wannaworktogether.mp4", 111.18): "allow commercial uses of your work yes no modifications "
    "as long as others share alike",
    ("wannaworktogether.mp4", 123.19): "refine the rules",
    ("wannaworktogether.mp4", 147.21): "creative commons",
    ("faust_github.jpg", None): "github social coding",
    ("scenetext01.jpg", None): "notice double parking prohibited at all times",
    ("scenetext02.jpg", None): "sports centre wivenhoe park conference car parks",
    ("scenetext03.jpg", None): "copy centre",
    ("scenetext_segmented_word01.jpg", None): "hotel",
    ("scenetext_segmented_word02.jpg", None): "stationery box",
    ("scenetext_segmented_word03.jpg", None): "customer freephone private hire service",
    ("scenetext_segmented_word04.jpg", None): "foster's",
    ("scenetext_segmented_word05.jpg", None): "sanyo pro xtrax multimedia projector",
}


def judge(name: str, read: Callable[[Image.Image], list[str]]) -> None:
    found, wanted, silent, taken = 0, 0, [], []
    for truth in truths():
        words = WORDS.get((truth.file, truth.time_s))
        if words is None and (truth.text == "yes" or len(silent) >= 20):
            continue
        picture = truth.picture()
        start = time.process_time()
        said = plain("".join(read(picture)))
        taken.append(time.process_time() - start)
        if words is None:
            silent.append(said)
            continue
        found += sum(plain(word) in said for word in words.split())
        wanted += len(words.split())
    print(
        f"{name:10} {found} of {wanted} words; text invented on {sum(map(bool, silent))} of "
        f"{len(silent)} pictures without; {np.mean(taken):.2f} CPU-s a picture"
    )


def main() -> None:
    reader = Reader()
    judge("segue", lambda picture: [line.text for line in reader.read(picture)])
    if importlib.util.find_spec("rapidocr_onnxruntime") is None:
        print("RapidOCR is not installed here")
        return
    from rapidocr_onnxruntime import RapidOCR  # noqa: PLC0415 - the peer, not a dependency

    peer = RapidOCR(intra_op_num_threads=1)

    def read(picture: Image.Image) -> list[str]:
        lines, _ = peer(np.asarray(picture)[..., ::-1])
        return [text for _, text, _ in lines or []]

    judge("RapidOCR", read)


if __name__ == "__main__":
    main()

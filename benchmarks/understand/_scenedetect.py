"""PySceneDetect over one film, in an environment of its own: prints boundaries and CPU seconds.

Usage: PYTHON _scenedetect.py FILM DETECTOR     (names of ``DETECTORS``)
"""

from __future__ import annotations

import json
import sys
import time

from scenedetect import SceneManager, detectors, open_video

DETECTORS = {
    "content": detectors.ContentDetector,
    "adaptive": detectors.AdaptiveDetector,
    "threshold": detectors.ThresholdDetector,
    "hash": detectors.HashDetector,
    "histogram": detectors.HistogramDetector,
}


def main() -> None:
    path, name = sys.argv[1:]
    began = time.process_time()
    video = open_video(path)
    manager = SceneManager()
    manager.add_detector(DETECTORS[name]())
    manager.detect_scenes(video)
    cuts = [scene[0].seconds for scene in manager.get_scene_list()[1:]]
    print(json.dumps({"cuts": cuts, "cpu_s": time.process_time() - began}))


if __name__ == "__main__":
    main()

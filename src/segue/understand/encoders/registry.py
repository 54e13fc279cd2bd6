"""Encoders by name. A new one costs its file and one line here.

A name is a word ("use-multilingual"), or a scheme and what it shall load ("hf:intfloat/e5-small").
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from segue.core.errors import MissingExtra, NotFound
from segue.core.protocols import Encoder

DEFAULT = "use-multilingual"

ENCODERS: Mapping[str, str] = {
    "use-multilingual": "segue.understand.text:UseMultilingual",
    "efficientnet-lite2": "segue.understand.image:EfficientNetLite2",
    "yamnet": "segue.understand.audio:YamNet",
}

SCHEMES: Mapping[str, str] = {
    "hf": "segue.understand.encoders.huggingface:HuggingFaceTexts",
    "st": "segue.understand.encoders.sentences:SentenceTexts",
    "clip": "segue.understand.encoders.clip:ClipPictures",
    "open_clip": "segue.understand.encoders.openclip:OpenClipPictures",
    "remote": "segue.understand.remote.embed:RemoteTexts",
}
FORMS: Mapping[str, str] = {
    "hf": "hf:ID-OR-FOLDER[@REVISION]",
    "st": "st:ID-OR-FOLDER[@REVISION]",
    "clip": "clip:ID-OR-FOLDER[@REVISION]",
    "open_clip": "open_clip:ARCHITECTURE/CHECKPOINT-OR-TAG",
    "remote": "remote:URL#MODEL[#REVISION]",
}
NEEDS: Mapping[str, tuple[str, ...]] = {  # modules, of which extras
    "hf": ("torch", "transformers"),
    "st": ("torch", "transformers", "sentence_transformers"),
    "clip": ("torch", "transformers"),
    "open_clip": ("torch", "open_clip"),
}
EXTRAS: Mapping[str, str] = {"sentence_transformers": "encoders", "open_clip": "open-clip"}


def missing(name: str) -> str | None:
    """The command that makes an encoder available; None when it is."""
    lacking = [m for m in NEEDS.get(name.partition(":")[0], ()) if find_spec(m) is None]
    if not lacking:
        return None
    extras = ",".join(dict.fromkeys(EXTRAS.get(module, "deep") for module in lacking))
    return f"pip install 'segue[{extras}]'"


def kind_of(name: str) -> Any:
    """The class behind a name; refuses unknown ones and those whose libraries are missing."""
    scheme, colon, rest = name.partition(":")
    target = SCHEMES.get(scheme) if colon else ENCODERS.get(name)
    if target is None or (colon and not rest):
        known = [*ENCODERS, *FORMS.values()]
        near = difflib.get_close_matches(name, [*ENCODERS, *SCHEMES], n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise NotFound(f"encoder {name!r} is not known; {hint}known: {', '.join(known)}")
    install = missing(name)
    if install is not None:
        raise MissingExtra(f"encoder {name!r} needs packages that are missing: {install}")
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def make(name: str = DEFAULT, /, **settings: Any) -> Encoder:
    """A new encoder; it loads its model when it first encodes.

    Settings not given keep their defaults. ``encoder.name`` holds a revision or a hash of the
    weights, so what is cached under it stays right.
    """
    kind = kind_of(name)
    spec = name.partition(":")[2]
    made: Encoder = kind(spec, **settings) if spec else kind(**settings)
    return made

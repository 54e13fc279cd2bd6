"""The settings of a workspace: ``segue.toml`` read once, at the edge, into dataclasses."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from segue.core.behaviour import BehaviourWeights
from segue.core.errors import BadSettings
from segue.core.goals import Goals
from segue.core.types import PROFILE_FIELDS
from segue.match.assign import Rule
from segue.recommend.explore import Explore

SETTINGS_FILE = "segue.toml"
TRACKS = ("none", "tensorboard", "wandb", "both")
CHINESE = ("simplified", "traditional", "as heard")
NONE = "none"
KINDS: dict[Any, str] = {
    str: "text in quotes", int: "a whole number", float: "a number", bool: "true or false",
    tuple: "a list of texts",
}  # fmt: skip
S = TypeVar("S")


@dataclass(frozen=True)
class Understanding:
    """``[understand]``: which models look at items. ``"none"`` leaves a kind of matter out."""

    text: str = "use-multilingual"  # an encoder, see: segue encoders
    pictures: str = "efficientnet-lite2"
    objects: str = NONE  # "nanodet-g" names things and people: 60 MB once, 0.06 s a picture
    sound: str = "yamnet"
    speech: str = "whisper-base"  # or a folder or Hub id of a CTranslate2 model
    language: str = ""  # of the speech; found out when empty
    chinese: str = "simplified"
    skip: tuple[str, ...] = ()  # steps to leave out, by name
    only: tuple[str, ...] = ()  # when given: these steps alone

    def __post_init__(self) -> None:
        if self.chinese not in CHINESE:
            raise BadSettings(
                f"[understand] chinese must be one of {', '.join(CHINESE)}, got {self.chinese!r}"
            )


@dataclass(frozen=True)
class ProfileUse:
    """``[profile]``: the fields of a profile that ranking may use; the others are only kept."""

    use: tuple[str, ...] = PROFILE_FIELDS

    def __post_init__(self) -> None:
        for name in self.use:
            if name not in PROFILE_FIELDS:
                known = ", ".join(PROFILE_FIELDS)
                raise BadSettings(
                    f"[profile] use: {name!r} is no field of a profile; known: {known}"
                )


@dataclass(frozen=True)
class LargeModel:
    """``[llm]``: an OpenAI-compatible endpoint, or a local model; nothing is asked without."""

    url: str = ""  # http://127.0.0.1:8080/v1
    model: str = ""
    key_env: str = ""  # the name of an environment variable that holds the key
    local: bool = False  # the small model of `segue data get`, in this process
    timeout_s: float = 60.0
    summary: bool = True
    tags: bool = True
    reasons: bool = False


@dataclass(frozen=True)
class Contact:
    """``[contact]``: how often a person may be addressed by campaigns."""

    most: int = 3  # contacts about anything …
    days: float = 7.0  # … within so many days
    rest_days_same_item: float = 90.0  # before the same item is offered again

    def __post_init__(self) -> None:
        if self.most < 1:
            raise BadSettings(f"[contact] most must be >= 1, got {self.most}")
        for name in ("days", "rest_days_same_item"):
            if not getattr(self, name) >= 0:
                raise BadSettings(f"[contact] {name} must be >= 0, got {getattr(self, name)}")


@dataclass(frozen=True)
class Connection:
    """``[connect.NAME]``: a media server that is read, and what it may get back."""

    kind: str = ""  # jellyfin | subsonic; the section's name when empty
    address: str = ""  # http://192.168.1.10:8096
    user: str = ""  # Subsonic: the account
    person: str = ""  # Subsonic: their id here; the section's name and the account when empty
    secret_env: str = ""  # the environment variable with the token or password …
    secret_file: str = ""  # … or a file that holds it alone; relative to the workspace
    people: tuple[str, ...] = ()  # Jellyfin: "anna" or "anna = id here"; everybody when empty
    episodes: bool = False  # each episode an item of its own
    playlist: str = "For you — segue"
    timeout_s: float = 60.0
    pause_s: float = 0.05  # between calls
    plain_http: bool = False  # the secret may cross the internet unencrypted


@dataclass(frozen=True)
class Settings:
    """Every key of ``segue.toml``, with its default."""

    seed: int = 0
    history_limit: int = 1000  # newest events of a person that a request reads
    social: bool = False  # try at each training whether what friends did helps
    track: str = NONE  # curves of trained nets: none, tensorboard, wandb (offline) or both
    behaviour: BehaviourWeights = field(default_factory=BehaviourWeights)
    understand: Understanding = field(default_factory=Understanding)
    profile: ProfileUse = field(default_factory=ProfileUse)
    llm: LargeModel = field(default_factory=LargeModel)
    contact: Contact = field(default_factory=Contact)
    goals: Goals = field(default_factory=Goals)
    explore: Explore = field(default_factory=Explore)
    works: Rule = field(default_factory=Rule)
    connect: Mapping[str, Connection] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.history_limit < 1:
            raise BadSettings(f"history_limit must be >= 1, got {self.history_limit}")
        if self.track not in TRACKS:
            raise BadSettings(f"track must be one of {', '.join(TRACKS)}, got {self.track!r}")


def read_settings(root: Path) -> Settings:
    """The settings of the workspace in a folder; an unknown key is refused with the nearest."""
    try:
        given: dict[str, Any] = tomllib.loads((root / SETTINGS_FILE).read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSettings(f"{SETTINGS_FILE}: {error}") from error
    return _section(Settings, given, SETTINGS_FILE)


def _section(made: type[S], given: dict[str, Any], where: str) -> S:
    """A dataclass from a TOML table whose keys are its fields."""
    hints = get_type_hints(made)
    known = {f.name: hints[f.name] for f in fields(made)}  # type: ignore[arg-type]
    values = {}
    for key, value in given.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            raise BadSettings(f"{where}: unknown key {key!r}; {hint}")
        values[key] = _value(known[key], value, key, where)
    return made(**values)


def _value(wanted: Any, value: Any, key: str, where: str) -> Any:
    if get_origin(wanted) is Mapping:
        if not isinstance(value, dict) or not all(isinstance(v, dict) for v in value.values()):
            raise BadSettings(f"{where}: write each {key} as a section of its own: [{key}.NAME]")
        made = get_args(wanted)[1]
        return {n: _section(made, v, f"{where}: [{key}.{n}]") for n, v in value.items()}
    if is_dataclass(wanted):
        if not isinstance(value, dict):
            raise BadSettings(f"{where}: {key} is a section; write [{key}] on a line of its own")
        assert isinstance(wanted, type)
        return _section(wanted, value, f"{where}: [{key}]")
    plain = getattr(wanted, "__origin__", wanted)
    if plain is tuple:
        fits = isinstance(value, list) and all(isinstance(part, str) for part in value)
        value = tuple(value) if fits else value
    elif plain is float and isinstance(value, int) and not isinstance(value, bool):
        fits, value = True, float(value)
    else:
        fits = isinstance(value, plain) and (plain is bool or not isinstance(value, bool))
    if not fits:
        raise BadSettings(f"{where}: {key} must be {KINDS[plain]}, got {value!r}")
    return value

"""Isolated environments of the peer libraries, made on demand and kept in segue's cache.

Usage: python benchmarks/quality/environments.py [PEER ...]

A peer that cannot be installed is remembered with its reason (`FAILED` in its folder) and does not
stop the others; delete the folder to try again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
import venv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import platformdirs

HERE = Path(__file__).parent
TIME_LIMIT_S = 1500


class NotInstalled(Exception):
    """A peer that this machine cannot have, with the reason."""


@dataclass(frozen=True)
class Environment:
    """What one peer needs, and where it lives."""

    name: str
    requires: tuple[str, ...]
    imports: str
    torch: str | None

    @property
    def folder(self) -> Path:
        """Named by content: another pin or another Python is another environment."""
        wanted = json.dumps([self.requires, self.torch, sys.version_info[:3]])
        digest = hashlib.sha256(wanted.encode()).hexdigest()[:10]
        return cache_folder() / f"{self.name}-{digest}"

    @property
    def python(self) -> Path:
        inside = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
        return self.folder.joinpath(*inside)

    @property
    def versions(self) -> str:
        """`pip freeze` of the environment, as it was made."""
        return (self.folder / "READY").read_text("utf-8")


def cache_folder() -> Path:
    """`$SEGUE_CACHE/bench`, else `bench` in the user's cache folder."""
    named = os.environ.get("SEGUE_CACHE")
    return (Path(named) if named else Path(platformdirs.user_cache_dir("segue"))) / "bench"


@cache
def environments() -> dict[str, Environment]:
    """Every environment of `environments.toml`, by peer."""
    table = tomllib.loads((HERE / "environments.toml").read_text("utf-8"))
    return {
        name: Environment(
            name,
            tuple(entry["requires"]),
            entry["imports"],
            table["torch_pin"] if entry.get("torch") else None,
        )
        for name, entry in table["peers"].items()
    }


def ready(name: str) -> Environment:
    """The environment of a peer, made first if need be; raises :class:`NotInstalled`."""
    env = environments()[name]
    if (env.folder / "READY").exists():
        return env
    cache_folder().mkdir(parents=True, exist_ok=True)
    with env.folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another benchmark may be making it: wait, then look
        return _found_or_made(env)


def _found_or_made(env: Environment) -> Environment:
    if (env.folder / "READY").exists():
        return env
    failed = env.folder / "FAILED"
    if failed.exists():
        raise NotInstalled(failed.read_text("utf-8").strip())
    try:
        _make(env)
    except NotInstalled as error:
        shutil.rmtree(env.folder, ignore_errors=True)
        env.folder.mkdir(parents=True)
        failed.write_text(f"{error}\n", "utf-8")
        raise
    return env


def _make(env: Environment) -> None:
    print(f"== {env.name}: making its environment ({', '.join(env.requires)})", flush=True)
    shutil.rmtree(env.folder, ignore_errors=True)
    venv.create(env.folder, with_pip=True)
    held = []
    if env.torch is not None:
        _refuse_cuda(env, [env.torch])
        _pip(env, "install", env.torch)
        held = _hold(env)
    _refuse_cuda(env, [*held, *env.requires])
    _pip(env, "install", *held, *env.requires)
    _run(env, ["-c", f"import {env.imports}"], "its import failed")
    frozen = _pip(env, "freeze")
    if "nvidia-" in frozen:
        raise NotInstalled("CUDA packages came in; these figures are of CPUs")
    (env.folder / "READY").write_text(frozen, "utf-8")
    print(f"   {env.name}: ready in {env.folder}", flush=True)


def _hold(env: Environment) -> list[str]:
    """pip arguments that keep the torch that is in the environment now."""
    frozen = _pip(env, "list", "--format=json")
    version = next(p["version"] for p in json.loads(frozen) if p["name"] == "torch")
    path = env.folder / "constraints.txt"
    path.write_text(f"torch=={version}\n", "utf-8")
    return ["-c", str(path)]


def _refuse_cuda(env: Environment, wanted: list[str]) -> None:
    """Ask what would be installed before gigabytes of CUDA libraries are fetched."""
    report = env.folder / "report.json"
    _pip(env, "install", "--dry-run", "--report", str(report), *wanted)
    found = [e["metadata"]["name"].lower() for e in json.loads(report.read_text())["install"]]
    cuda = [name for name in found if name.startswith(("nvidia-", "cuda-", "triton"))]
    if cuda:
        raise NotInstalled(
            f"pip would take a CUDA build ({cuda[0]} and {len(cuda) - 1} more); "
            "let pip find a CPU wheel of torch (PIP_FIND_LINKS or PIP_EXTRA_INDEX_URL)"
        )


def _pip(env: Environment, *arguments: str) -> str:
    quiet = ["-q"] if arguments[0] == "install" else []
    return _run(env, ["-m", "pip", *arguments, *quiet], f"pip {arguments[0]} failed")


def _run(env: Environment, arguments: list[str], what: str) -> str:
    command = [str(env.python), *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIME_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise NotInstalled(f"{what}: over {TIME_LIMIT_S} s") from error
    if done.returncode:
        (cache_folder() / f"{env.name}.log").write_text(done.stdout + done.stderr, "utf-8")
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        telling = [line for line in lines if "rror" in line] or lines or ["no message"]
        raise NotInstalled(f"{what}: {telling[-1][:200]}")
    return done.stdout


def main() -> None:
    for name in sys.argv[1:] or list(environments()):
        try:
            print(f"{name}: {ready(name).folder}", flush=True)
        except NotInstalled as error:
            print(f"{name}: could not be installed: {error}", flush=True)


if __name__ == "__main__":
    main()

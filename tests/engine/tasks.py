"""Tasks that the tests give to engines. In a module of their own, as workers import them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from segue.core.errors import UnreadableMedia

HOLD = "hold"


def square(n: int) -> int:
    return n * n


def nothing(n: int) -> None:
    pass


def doubled(data: bytes) -> bytes:
    return data * 2


def odd_ones_fail(n: int) -> int:
    if n % 2:
        raise ValueError(f"{n} is odd")
    return n


def refuse(name: str) -> None:
    with Path(name).open("a") as file:
        file.write(".")
    raise UnreadableMedia("a.mp4", "no frames")


def short_of_memory(n: int) -> int:
    raise MemoryError


def leave(n: int) -> None:
    sys.exit("leaving")


def unpicklable(n: int) -> object:
    return lambda: n


def thread_settings(_: object) -> tuple[str | None, str | None]:
    return os.environ.get("OMP_NUM_THREADS"), os.environ.get("OPENBLAS_NUM_THREADS")


def sleep_after_first(name: str) -> None:
    """Leaves its process id in a file; then sleeps, unless the file is called 0."""
    Path(name).write_text(str(os.getpid()))
    if Path(name).name != "0":
        time.sleep(600)


def with_child(name: str) -> None:
    child = subprocess.Popen(["sleep", "600"])
    Path(name).write_text(str(child.pid))
    child.wait()


def print_and_return(n: int) -> int:
    print("to standard output", flush=True)  # noqa: T201 - what a careless task does
    return n


def worse_and_worse(name: str) -> None:
    first = not Path(name).exists()
    Path(name).touch()
    if first:
        raise ValueError("at first")
    os._exit(3)


@dataclass(frozen=True)
class Slow:
    """Takes a while, and as long as there is a ``HOLD``; notes in a file by whom it was begun, one
    line a try, and then its end."""

    folder: str
    seconds: float

    def __call__(self, n: int) -> int:
        with (Path(self.folder) / str(n)).open("a") as file:
            file.write(f"{os.getpid()}\n")
        time.sleep(self.seconds)
        while (Path(self.folder) / HOLD).exists():
            time.sleep(0.02)
        (Path(self.folder) / f"{n} done").touch()
        return n


@dataclass(frozen=True)
class Once:
    """Notes each try of a job in a file, and does badly ``fails`` times, in one way or another."""

    folder: str
    way: str = ""
    bad: frozenset[int] = frozenset()
    fails: int = 1

    def __call__(self, n: int) -> int:
        notes = Path(self.folder) / str(n)
        with notes.open("a") as file:
            file.write(f"{os.getpid()}\n")
        if n in self.bad and len(notes.read_text().split()) <= self.fails:
            WAYS[self.way]()
        return n


@dataclass(frozen=True)
class Loaded:
    """Loads something dear when it is first needed, as a step loads its model."""

    folder: str

    def __call__(self, n: int) -> int:
        if "model" not in self.__dict__:
            with (Path(self.folder) / "loads").open("a") as file:
                file.write(f"{os.getpid()}\n")
            object.__setattr__(self, "model", n)
        return os.getpid()


def _raise() -> None:
    raise ValueError("not this time")


def _exit() -> None:
    os._exit(3)


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _hang() -> None:
    time.sleep(600)


WAYS = {"raise": _raise, "exit": _exit, "kill": _kill, "hang": _hang}


def interrupt(n: int) -> None:
    raise KeyboardInterrupt


def crash_from_one_on(n: int) -> int:
    if n:
        os._exit(3)
    return n


def meet(names: tuple[str, str]) -> None:
    """Says that it is here, and waits until the other says so."""
    mine, other = names
    Path(mine).touch()
    until = time.monotonic() + 20
    while not Path(other).exists():
        if time.monotonic() > until:
            raise TimeoutError("alone")
        time.sleep(0.01)


def crash_or_wait(seconds: float) -> float:
    if not seconds:
        os._exit(3)
    time.sleep(seconds)
    return seconds


def other_version() -> str:
    return "99.0"

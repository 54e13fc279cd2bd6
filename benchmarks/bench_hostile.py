"""Hostile media: crashes, longest time, files read outside the folder, sockets opened.

    .venv/bin/python benchmarks/bench_hostile.py [--count 300] [--seed 7]

How each figure is known:
- files outside: (a) inotify tells of every open of the canary file, in C code too; (b) the
  child's audit hook tells of every file that Python code opened; (c) the canary's text is sought
  in everything that came out;
- sockets: (a) a loopback server counts connections; (b) the audit hook tells of every socket.

Where strace is installed, the kernel's own word for both (two sockets in all, both made by this
program; no process but this one names the canary):

    strace -f -e trace=socket,connect,bind,open,openat -o trace.txt .venv/bin/python \\
        benchmarks/bench_hostile.py; grep -E "socket\\(|canary" trace.txt
"""

from __future__ import annotations

import argparse
import collections
import ctypes
import os
import socket
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import hostile_files
import media_makers
from segue.core.errors import UnreadableMedia
from segue.ingest.media import Found, Outcome
from segue.ingest.run import Progress, ingest
from segue.ingest.sandbox import Sandbox
from segue.ingest.scan import scan
from segue.store.workspace import Workspace

IN_OPEN, IN_ACCESS, IN_NONBLOCK = 0x20, 0x1, 0o4000


class Watch:
    """Counts opens and reads of one file, by any process."""

    def __init__(self, path: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = libc.inotify_init1(IN_NONBLOCK)
        if libc.inotify_add_watch(self._descriptor, os.fsencode(path), IN_OPEN | IN_ACCESS) < 0:
            raise OSError(ctypes.get_errno(), "inotify cannot watch the canary")

    def count(self) -> int:
        """Opens and reads since the last call (16 bytes an event: it has no name)."""
        try:
            return len(os.read(self._descriptor, 1 << 16)) // 16
        except BlockingIOError:
            return 0


class Listener:
    """A loopback TCP and UDP server that counts who calls."""

    def __init__(self) -> None:
        self._tcp = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._tcp.getsockname()[1])
        self.calls = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            self._tcp.accept()[0].close()
            self.calls += 1


@dataclass
class Figures:
    """What the run found."""

    files: int = 0
    reasons: collections.Counter[str] = field(default_factory=collections.Counter)
    crashes: list[str] = field(default_factory=list)
    opened_outside: list[str] = field(default_factory=list)
    sockets: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    slowest: list[tuple[float, str]] = field(default_factory=list)


def look(sandbox: Sandbox, found: Found, figures: Figures) -> None:
    """One file through the sandbox, with what the child reported of itself."""
    begun = time.perf_counter()
    try:
        outcome = sandbox.outcome(found, sandbox.submit(found))
    except UnreadableMedia as error:
        outcome = Outcome(None, error.reason)
    figures.slowest.append((time.perf_counter() - begun, found.path))
    for event, what in outcome.trail:
        if event != "open":
            figures.sockets.append(f"{found.path}: {event} {what}")
        elif what != found.path:
            figures.opened_outside.append(f"{found.path}: {what}")
    if "ended the decoder" in outcome.reason:
        figures.crashes.append(f"{found.path}: {outcome.reason}")
    if hostile_files.CANARY_TEXT in repr(outcome.examined):
        figures.leaks.append(found.path)
    came = outcome.examined
    figures.reasons["read" if came and not came.note else "in part" if came else "refused"] += 1
    if outcome.reason.startswith("took "):
        figures.reasons["stopped by the time limit"] += 1


def whole_run(root: Path, folder: Path) -> tuple[float, int]:
    """The command's own path over the same folder: longest file (s) and canary leaks."""
    workspace = Workspace.create(root / "workspace")
    last, longest = time.perf_counter(), 0.0

    def tick(_: Progress) -> None:
        nonlocal last, longest
        longest, last = max(longest, time.perf_counter() - last), time.perf_counter()

    (folder / "good").mkdir()
    media_makers.golden(folder / "good")
    report = ingest(workspace, [folder], progress=tick)
    print(f"ingest of all: {report.added} added ({len(report.damaged)} of them in part), "
          f"{report.attached} attached, {len(report.refused)} refused")  # fmt: skip
    found = workspace.root.rglob("*")
    text = hostile_files.CANARY_TEXT.encode()
    return longest, sum(text in path.read_bytes() for path in found if path.is_file())


def main() -> int:
    parser = argparse.ArgumentParser(description="hostile media through the sandbox")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        canary = root / "canary.txt"
        canary.write_text(f"{hostile_files.CANARY_TEXT}\n" * 20)
        listener = Listener()
        folder = root / "hostile"
        hostile_files.make_hostile(folder, canary, listener.port, options.count, options.seed)
        figures = Figures(files=sum(1 for _ in scan([folder])))
        watch = Watch(canary)
        with Sandbox([str(folder)]) as sandbox:
            for found in scan([folder]):
                if isinstance(found, Found):
                    look(sandbox, found, figures)
                else:
                    figures.reasons["never opened"] += 1
        longest, leaks = whole_run(root, folder)
        figures.opened_outside += ["inotify: canary opened"] * watch.count()
        return show(figures, listener.calls, max(longest, max(figures.slowest)[0]), leaks)


def show(figures: Figures, calls: int, longest: float, leaks: int) -> int:
    """The table; the exit status is 1 when a promise is broken."""
    print(f"hostile files        {figures.files}")
    print(f"outcomes             {dict(figures.reasons)}")
    print(f"crashes of the child {len(figures.crashes)}")
    print(f"longest file         {longest:.2f} s (limit 5 s)")
    print(f"files outside opened {len(figures.opened_outside)}")
    print(f"canary leaked        {len(figures.leaks) + leaks}")
    print(f"sockets tried        {len(figures.sockets)}, connections {calls}")
    for line in [*figures.crashes, *figures.opened_outside, *figures.sockets, *figures.leaks][:20]:
        print("  ", line)
    for seconds, path in sorted(figures.slowest, reverse=True)[:5]:
        print(f"   {seconds:.2f} s {Path(path).name!r}")
    broken = figures.crashes or figures.opened_outside or figures.sockets or figures.leaks
    return int(bool(broken) or leaks > 0 or calls > 0 or longest > 5.0)


if __name__ == "__main__":
    sys.exit(main())

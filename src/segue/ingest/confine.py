"""What the child gives up before it touches a file. Each wall stands without the others.

1. Resource limits: memory, CPU time, open files, no file may grow (nothing is written).
2. Landlock (Linux 5.13+): the kernel refuses to open anything but Python itself and the media
   folders, in C code too; TCP as well where the kernel knows how.
3. A network namespace with no interface, where the system lets us have one.
4. An audit hook: Python code may open only the file in hand, and no socket or process at all.

The demuxer has a fifth of its own: see :mod:`segue.ingest.probe`.
"""

from __future__ import annotations

import ctypes
import glob
import os
import resource
import signal
import struct
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import segue
from segue.ingest.limits import MediaLimits

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
PR_SET_NO_NEW_PRIVS = 38
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446  # the same on all machines
READ_FILE, READ_DIR = 1 << 2, 1 << 3
# Access rights that each Landlock version knows; asking for more is an error.
FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
TCP_RIGHTS, TCP_SINCE = 0b11, 4
FORBIDDEN = (
    "socket.", "subprocess.", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "os.fork",
    "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate",
    "os.chmod", "os.chown", "shutil.", "urllib.", "http.client", "ftplib.", "smtplib.",
    "webbrowser.", "ctypes.dlopen",
)  # fmt: skip


class Guard:
    """The audit hook's state: the one file in hand and what was tried during this task."""

    def __init__(self) -> None:
        places = {sys.prefix, sys.base_prefix, sysconfig.get_path("purelib")}
        places |= {str(Path(segue.__file__).resolve().parent)}
        self.code = tuple(os.path.realpath(place) + os.sep for place in places)
        self.active = False
        self.path = ""
        self.trail: list[tuple[str, str]] = []

    def hook(self, event: str, args: tuple[Any, ...]) -> None:
        """Called by the interpreter on every audited event."""
        if not self.active:
            return
        if event == "open":
            path = os.fsdecode(args[0]) if isinstance(args[0], str | bytes) else None
            if path is None or os.path.realpath(path).startswith(self.code):
                return
            self.trail.append((event, path))
            if path != self.path:
                raise PermissionError(f"the sandbox opens no other file ({path[:80]})")
        elif event.startswith(FORBIDDEN):
            self.trail.append((event, repr(args)[:200]))
            raise PermissionError(f"the sandbox forbids {event}")


GUARD = Guard()


def confine(folders: Sequence[str], limits: MediaLimits) -> None:
    """Give up all that decoding needs not. ``folders`` stay readable."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):  # nothing may speak over the terminal, or grow a log file
        os.dup2(null, descriptor)
    os.close(null)
    no_network()
    # gconv: tables that the C library loads when a broadcast names its station in an old charset
    landlock([*GUARD.code, *glob.glob("/usr/lib*/gconv"), *glob.glob("/usr/lib/*/gconv"), *folders])
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes,) * 2)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits.open_files,) * 2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.addaudithook(GUARD.hook)


def cpu_limit(seconds: float) -> None:
    """Let the kernel end this process when it spends ``seconds`` more of CPU time; 0: no longer.

    The timer (SIGPROF) is exact; the resource limit, in whole seconds, stands behind it.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    end = int(used.ru_utime + used.ru_stime + seconds) + 2
    soft = end if seconds else resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))
    signal.setitimer(signal.ITIMER_PROF, seconds)


def no_network() -> bool:
    """Move into a network namespace of our own; False where the system forbids it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "unshare"):
        return False
    # Root first tries without a user namespace, which would take its right to read others' files.
    alone = os.geteuid() == 0 and libc.unshare(CLONE_NEWNET) == 0
    return alone or bool(libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0)


def landlock(readable: Sequence[str]) -> bool:
    """Leave only reading below ``readable``; False where the kernel has no Landlock."""
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(LANDLOCK_CREATE, None, 0, 1)
    if version < 1:
        return False
    files = (1 << FILE_RIGHTS.get(version, FILE_RIGHTS[5])) - 1
    rights = (
        struct.pack("QQ", files, TCP_RIGHTS) if version >= TCP_SINCE else struct.pack("Q", files)
    )
    ruleset = libc.syscall(LANDLOCK_CREATE, rights, len(rights), 0)
    if ruleset < 0:
        return False
    for place in readable:
        _allow(libc, ruleset, place)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    done = libc.syscall(LANDLOCK_RESTRICT, ruleset, 0)
    os.close(ruleset)
    return bool(done == 0)


def _allow(libc: Any, ruleset: int, place: str) -> None:
    try:
        descriptor = os.open(place, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    rule = struct.pack("=Qi", READ_FILE | READ_DIR, descriptor)  # packed, as the kernel wants it
    libc.syscall(LANDLOCK_ADD, ruleset, 1, rule, 0)
    os.close(descriptor)

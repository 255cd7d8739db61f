from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from emotion_llama import assets
from emotion_llama.assets.catalog import Catalog, WheelSource
from emotion_llama.errors import UsageError


def test_groups_hold_what_the_product_needs() -> None:
    catalog = assets.load_catalog()
    assert [asset.name for asset in catalog.select(["nano"])] == [
        "smollm2-135m-instruct",
        "whisper-base",
        "blazeface-short-range",
        "face-mesh",
        "face-expression",
        "face-opinion",
        "efficientnet-lite0",
    ]
    samples = [asset.name for asset in catalog.select(["sample"])]
    assert samples == ["sample-speech", "sample-smile", "sample-tears", "sample-noface", "sample-faces"]


def test_names_and_groups_are_chosen_once() -> None:
    chosen = assets.load_catalog().select(["face-mesh", "nano", "face-mesh"])
    assert len(chosen) == 7 and chosen[0].name == "face-mesh"


def test_every_asset_can_be_had_from_a_wheel_and_every_archive_is_used() -> None:
    catalog = assets.load_catalog()
    used: set[str] = set()
    for asset in catalog.assets:
        wheels = [source for source in asset.sources if isinstance(source, WheelSource)]
        assert len(wheels) == 1, asset.name
        used.update(wheels[0].archives)
    assert used == set(catalog.archives)


def test_conversions_named_in_the_catalog_exist() -> None:
    from emotion_llama.assets.convert import CONVERSIONS

    assert {asset.conversion for asset in assets.load_catalog().assets} - {None} == set(CONVERSIONS)


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'face-mesh'"):
        assets.load_catalog().select(["face-mash"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"keep": ["other.bin"]}, "keep"),
        ({"files": [{"path": "../evil", "size": 1, "sha256": "0" * 64}]}, "leaves"),
        ({"files": [{"path": "note.txt", "size": 1, "sha256": "short"}]}, "sha256"),
        ({"sources": [{"kind": "wheel", "files": {}}]}, "must give exactly"),
        (
            {"sources": [{"kind": "wheel", "files": {"note.txt": [{"archive": "no", "member": "m"}]}}]},
            "no such archive",
        ),
        ({"name": "all"}, "used twice"),
        ({"typo": 1}, "typo"),
    ],
)
def test_wrong_entries_are_refused(catalog: Catalog, change: dict[str, Any], words: str) -> None:
    plain = catalog.model_dump(mode="json")
    plain["assets"][1] |= change
    with pytest.raises(ValidationError, match=words):
        Catalog.model_validate(plain)


def test_import_stays_light() -> None:
    heavy = ("torch", "transformers", "huggingface_hub")
    code = f"import sys, emotion_llama.assets; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

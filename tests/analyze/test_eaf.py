"""The EAF is read back by pympi: the same tiers in milliseconds, the recording linked beside them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from pympi.Elan import Eaf

from emotion_llama.analyze.analyzer import Result
from emotion_llama.analyze.eaf import POINT_S, write_eaf
from emotion_llama.analyze.tiers import tiers_of


def ms(time_s: float) -> int:
    return round(time_s * 1000)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()


@pytest.mark.parametrize("name", ["result", "timed_result", "bare_result"])
def test_pympi_reads_the_same_tiers(name: str, request: pytest.FixtureRequest) -> None:
    result: Result = request.getfixturevalue(name)
    write_eaf(result, Path("out/a.eaf"))
    eaf, tiers = Eaf("out/a.eaf"), tiers_of(result)
    assert list(eaf.get_tier_names()) == [tier.name for tier in (*tiers.interval_tiers, *tiers.point_tiers)]
    for tier in tiers.interval_tiers:
        found = sorted(eaf.get_annotation_data_for_tier(tier.name))
        assert found == [(ms(one.start_s), ms(one.end_s), one.text) for one in tier.intervals]
    for tier in tiers.point_tiers:
        found = sorted(eaf.get_annotation_data_for_tier(tier.name))
        assert [(start, text) for start, _, text in found] == [(ms(one.time_s), one.text) for one in tier.points]
        assert all(0 < end - start <= ms(POINT_S) for start, end, _ in found)


@pytest.mark.parametrize(
    ("media", "kind", "relative"),
    [
        ("clips/ann smith.mp4", "video/mp4", "../clips/ann smith.mp4"),
        ("out/b.WAV", "audio/x-wav", "./b.WAV"),
        ("c.mp3", "audio/mpeg", "../c.mp3"),
        ("d.mov", "video/quicktime", "../d.mov"),
        ("e.strange", "unknown", "../e.strange"),
    ],
)
def test_the_recording_is_linked(media: str, kind: str, relative: str, result: Result, tmp_path: Path) -> None:
    material = replace(result.material, media_path=Path(media))
    write_eaf(replace(result, material=material), Path("out/a.eaf"))
    (link,) = Eaf("out/a.eaf").media_descriptors
    assert link["MEDIA_URL"] == f"file://{tmp_path.resolve().as_posix()}/{media}"
    assert (link["MIME_TYPE"], link["RELATIVE_MEDIA_URL"]) == (kind, relative)


def test_text_alone_links_nothing(bare_result: Result) -> None:
    write_eaf(bare_result, Path("out/a.eaf"))
    assert Eaf("out/a.eaf").media_descriptors == []


def test_odd_characters_come_back(odd_result: Result) -> None:
    write_eaf(odd_result, Path("out/a.eaf"))
    ((start, end, text),) = Eaf("out/a.eaf").get_annotation_data_for_tier("words")
    assert (start, end) == (500, 501)
    assert text == 'a "b" --> <c> & {d} line two 👨‍👩‍👧 \\udce9 你好 =1+1'


def test_slots_and_annotations_are_as_elan_wants_them(timed_result: Result) -> None:
    """Slots in order, all used and defined; annotations numbered without a repeat; attributes the schema requires."""
    write_eaf(timed_result, Path("out/a.eaf"))
    root = ElementTree.parse("out/a.eaf").getroot()
    assert [child.tag for child in root][:2] == ["HEADER", "TIME_ORDER"] and root[-1].tag == "LINGUISTIC_TYPE"
    slots = {slot.attrib["TIME_SLOT_ID"]: int(slot.attrib["TIME_VALUE"]) for slot in root.iter("TIME_SLOT")}
    assert list(slots.values()) == sorted(set(slots.values()))
    annotations = list(root.iter("ALIGNABLE_ANNOTATION"))
    used = {one.attrib[key] for one in annotations for key in ("TIME_SLOT_REF1", "TIME_SLOT_REF2")}
    assert used == set(slots)
    names = [one.attrib["ANNOTATION_ID"] for one in annotations]
    assert len(names) == len(set(names)) and names[-1] == f"a{len(names)}"
    assert {"AUTHOR", "DATE", "FORMAT", "VERSION"} <= set(root.attrib)
    assert {tier.attrib["LINGUISTIC_TYPE_REF"] for tier in root.iter("TIER")} == {
        kind.attrib["LINGUISTIC_TYPE_ID"] for kind in root.iter("LINGUISTIC_TYPE")
    }

"""Tables of OpenFace: the frames that count, the peak, units and observations."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from emotion_llama.build.entry import Entry, read_entries, read_rejected
from emotion_llama.build.exchange.imports import import_dataset
from emotion_llama.build.exchange.openface import read_openface
from emotion_llama.errors import ManifestError

R = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
C = (*R[:-1], 28, 45)
HEADING = ["frame", " face_id", " timestamp", " confidence", " success", " gaze_0_x"]
HEADING += [f" AU{unit:02d}_r" for unit in R] + [f" AU{unit:02d}_c" for unit in C]


def row(frame: int, *, sure: float = 0.98, success: int = 1, face: int = 0, c: tuple[int, ...] = (), **r: float) -> str:
    """One line as OpenFace writes it; `r` gives intensities as AU12=1.5."""
    cells = [str(frame), str(face), f"{(frame - 1) * 0.04:.3f}", f"{sure:.2f}", str(success), "0.1"]
    cells += [f"{r.get(f'AU{unit}', 0.0):.2f}" for unit in R] + [f"{float(unit in c):.2f}" for unit in C]
    return ", ".join(cells)


def table(path: Path, *rows: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([",".join(HEADING), *rows]) + "\n")
    return path


def read(source: Path, out: Path) -> list[Entry]:
    import_dataset("openface", source, out)
    return list(read_entries(out))


CLIP = (
    row(1, AU12=1.0, c=(12,)),
    row(2, AU45=5.0, AU12=0.2, c=(45,)),  # a blink is no peak
    row(3, AU6=1.5, AU12=2.25, AU45=0.5, c=(6, 12, 28)),
    row(4, AU26=5.0, AU5=5.0, success=0, c=(26,)),  # the face was lost
    row(5, AU26=5.0, AU5=5.0, sure=0.74, c=(5,)),  # or hardly found
)


def test_frames_that_do_not_count_do_not_enter_the_peak(tmp_path: Path) -> None:
    (found,) = read(table(tmp_path / "smile.csv", *CLIP), tmp_path / "out")
    assert found.name == "smile" and found.peak is not None
    assert (found.peak.index, found.peak.time_s, found.peak.rule) == (2, 0.08, "sum"), "frames count from 0"
    assert {name: x for name, x in found.action_units.items() if x} == {"AU06": 1.5, "AU12": 2.25, "AU45": 0.5}
    assert len(found.action_units) == 17 and found.units_seen == ("AU06", "AU12", "AU28", "AU45")
    assert found.faces is not None and (found.faces.people, found.faces.frames_seen, found.faces.presence) == (
        1,
        3,
        0.6,
    )
    assert found.clip.emotion is None and found.clip.groups == {"frames": 5.0} and found.media is None


def test_the_peak_is_what_a_table_library_finds(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    path = table(tmp_path / "smile.csv", *CLIP)
    data = pandas.read_csv(path, skipinitialspace=True)
    good = data[(data["success"] == 1) & (data["confidence"] >= 0.75)]
    units = [name for name in data.columns if name.endswith("_r") and name != "AU45_r"]
    best = good.loc[good[units].sum(axis=1).idxmax()]
    (found,) = read(path, tmp_path / "out")
    assert found.peak is not None and found.peak.index == best["frame"] - 1
    assert {name[:4]: best[name] for name in units} == {
        name: x for name, x in found.action_units.items() if name != "AU45"
    }


def test_observations(tmp_path: Path) -> None:
    (found,) = read(table(tmp_path / "smile.csv", *CLIP), tmp_path / "out")
    smile, cheeks, sucked = found.clip.observations
    assert (smile.name, smile.value, smile.unit, smile.source) == ("AU12", 2.25, "of 5", "openface-2.2")
    assert (smile.text, smile.supports) == ("the lip corners are pulled up", ("happy",))
    assert cheeks.text == "the cheeks are slightly raised" and (cheeks.start_s, cheeks.end_s) == (0.08, 0.08)
    assert (sucked.name, sucked.value, sucked.unit) == ("AU28", None, None), "OpenFace tells its presence only"
    assert smile.confidence == 0.98


def test_a_folder_gives_an_entry_a_table(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    table(folder / "x" / "a.csv", *CLIP)
    table(folder / "y" / "a.csv", *CLIP)
    table(folder / "b" / "b.csv", *CLIP)
    table(folder / "lost.csv", row(1, success=0))
    (folder / "words.csv").write_text("name,sentence\na,hello\n")
    (folder / "b" / "b.mp4").touch()
    found = read(folder, tmp_path / "out")
    assert [one.name for one in found] == ["b", "x/a", "y/a"] and found[0].clip.path == folder / "b" / "b.mp4"
    gone = {one.clip: one.reason for one in read_rejected(tmp_path / "out")}
    assert gone["lost"] == "no frame with success and confidence of 0.75 or more (1 frames)"
    assert gone["words"].endswith("words.csv:1: expected columns of intensities such as AU12_r, found none")


def test_the_main_face_is_the_one_seen_most(tmp_path: Path) -> None:
    rows = [row(n, face=1, AU12=1.0 + n / 10, c=(12,)) for n in (1, 2, 3)] + [row(2, face=0, AU4=5.0, c=(4,))]
    found = read_openface(table(tmp_path / "two.csv", *rows))
    assert (found.people, found.frames, len(found.usable)) == (2, 3, 3) and found.usable[0].face == "1"


def test_stills_and_tables_without_presences(tmp_path: Path) -> None:
    path = tmp_path / "still.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["face", "confidence", "AU06_r", "AU12_r"], [0, 0.95, 0.4, 2.0]])
    (found,) = read(path, tmp_path / "out")
    assert found.peak is not None and (found.peak.index, found.peak.time_s) == (0, None)
    assert found.units_seen == ("AU12",) and [seen.name for seen in found.clip.observations] == ["AU12"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "csv:1: expected columns of intensities"),
        (",".join(HEADING) + "\n1, 0, 0\n", "csv:2: expected 41 cells as in the heading, found 3"),
        (
            ",".join(HEADING) + "\n" + CLIP[0].replace("0.98", "sure"),
            "csv:2: confidence must be a number, found ' sure'",
        ),
        (",".join(HEADING) + "\n" + CLIP[0].replace("0.98", "nan"), "csv:2: confidence must be finite"),
        (",".join(HEADING) + "\n", "no clip could be read as openface; the first, 'bad': no frame with success"),
    ],
)
def test_damaged_tables(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(ManifestError, match=message):
        read(tmp_path / "bad.csv", tmp_path / "out")

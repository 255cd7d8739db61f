"""Entries that are made up, and data sets of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emotion_llama.build.entry import (
    ENTRIES,
    REJECTED,
    Check,
    CoarseLabel,
    Entry,
    Faces,
    Media,
    Part,
    Peak,
    Source,
    StepMark,
    Written,
    write_lines,
)
from emotion_llama.clip import Clip, Observation

SEEN = Observation(
    channel="face", text="the jaw is dropped", source="mesh-au-1", name="AU26", value=2.1, supports=("surprise",)
)


def entry(name: str = "sample_1", *, part: Part | None = None, **clip: Any) -> Entry:
    """A full entry of a moving picture; `clip` changes fields of its clip."""
    fields: dict[str, Any] = {
        "clip": name,
        "path": Path("clips") / f"{Path(name).stem}.mp4",
        "transcript": "Really? You did that, alone?",
        "speaker": "Anna",
        "emotion": "surprise",
        "valence": -0.61,
        "reasoning": "The jaw drops and the voice rises, so the person feels surprise.",
        "observations": (SEEN,),
        "groups": {"sex": "female", "age": 33.0},
    }
    return Entry(
        clip=Clip(**fields | clip),
        source=Source(sha256="ab" * 32, licence="CC BY 4.0", consent="yes"),
        media=Media(duration_s=0.88, width_px=640, height_px=360, frame_rate_hz=25.0, frames=22, has_sound=True),
        faces=Faces(people=1, frames_seen=20, presence=0.91, box_px=(1.0, 2.0, 30.5, 40.0)),
        action_units={"AU05": 0.86, "AU26": 2.1, "AU12": 0.3},
        units_seen=("AU05", "AU26"),
        peak=Peak(index=7, time_s=0.28, rule="robust"),
        coarse=CoarseLabel(emotion="surprise", scores={"surprise": 1.48}, fired=("surprise",), rule_agrees=True),
        face_phrases=("eyes widened", "jaw dropped"),
        scene=Written(text="A kitchen.", writer="measured"),
        voice=Written(text="the voice rises", writer="measured"),
        coarse_text=Written(text="Eyes widened, jaw dropped; the voice rises.", writer="composer-1"),
        fine_text=Written(text="The jaw drops.", writer="llm-x", prompt_version="1"),
        check=Check(concluded="surprise", supported=2, notes=("all held",)),
        part=part,
        steps=(StepMark(step="probe", version="1", settings_sha256="cd" * 32),),
    )


def dataset(folder: Path, *entries: Entry, recordings: bool = True) -> Path:
    """Write a data set, and a file for each recording that it names."""
    write_lines(entries, folder / ENTRIES)
    write_lines((), folder / REJECTED)
    for one in entries if recordings else ():
        if one.clip.path is not None:
            path = folder / one.clip.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"recording of " + one.name.encode())
    return folder


def texts(folder: Path, *, without: tuple[str, ...] = ("export.json",)) -> dict[str, bytes]:
    """All files of a folder by their path, but the record of the export itself."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in without
    }

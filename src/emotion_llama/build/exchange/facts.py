"""What an entry says in single values: the columns that the csv and the datasets export share."""

from __future__ import annotations

from emotion_llama.build.entry import Entry, Written

Value = str | int | float | bool | None

COLUMNS: dict[str, type] = {
    "clip": str,
    "path": str,
    "start_s": float,
    "end_s": float,
    "part": str,
    "speaker": str,
    "emotion": str,
    "valence": float,
    "transcribed": bool,
    "transcript": str,
    "reasoning": str,
    "coarse_emotion": str,
    "pseudo_label": str,
    "pseudo_source": str,
    "rule_agrees": bool,
    "scene": str,
    "scene_writer": str,
    "voice": str,
    "voice_writer": str,
    "coarse_text": str,
    "coarse_text_writer": str,
    "fine_text": str,
    "fine_text_writer": str,
    "concluded": str,
    "supported": int,
    "contradicted": int,
    "unverifiable": int,
    "duration_s": float,
    "width_px": int,
    "height_px": int,
    "frame_rate_hz": float,
    "frames": int,
    "has_sound": bool,
    "people": int,
    "frames_seen": int,
    "face_presence": float,
    "peak_index": int,
    "peak_time_s": float,
    "peak_rule": str,
    "sha256": str,
    "licence": str,
    "consent": str,
}
"""Column → type of its values. `transcribed` tells a clip in which nothing is said from one without a transcript."""

_CLIP = ("clip", "start_s", "end_s", "speaker", "emotion", "valence", "transcript", "reasoning")
_MEDIA = ("duration_s", "width_px", "height_px", "frame_rate_hz", "frames", "has_sound")


def facts(entry: Entry, path: str | None) -> dict[str, Value]:
    """Give every column of one entry, `None` where nothing is known; `path` as the export names the recording."""
    found: dict[str, Value] = dict.fromkeys(COLUMNS)
    found |= {name: getattr(entry.clip, name) for name in _CLIP}
    found |= {"path": path, "part": entry.part, "transcribed": entry.clip.transcript is not None}
    found |= entry.source.model_dump()
    if entry.media is not None:
        found |= {name: getattr(entry.media, name) for name in _MEDIA}
    if entry.faces is not None:
        found |= {"people": entry.faces.people, "frames_seen": entry.faces.frames_seen}
        found |= {"face_presence": entry.faces.presence}
    if entry.peak is not None:
        found |= {f"peak_{name}": getattr(entry.peak, name) for name in ("index", "time_s", "rule")}
    return found | _opinions(entry)


def _opinions(entry: Entry) -> dict[str, Value]:
    found: dict[str, Value] = {}
    if entry.coarse is not None:
        found |= {"coarse_emotion": entry.coarse.emotion}
        found |= {name: getattr(entry.coarse, name) for name in ("pseudo_label", "pseudo_source", "rule_agrees")}
    if entry.check is not None:
        names = ("concluded", "supported", "contradicted", "unverifiable")
        found |= {name: getattr(entry.check, name) for name in names}
    for name in ("scene", "voice", "coarse_text", "fine_text"):
        written: Written | None = getattr(entry, name)
        if written is not None:
            found |= {name: written.text, f"{name}_writer": written.writer}
    return found

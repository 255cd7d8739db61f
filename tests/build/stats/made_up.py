"""A made-up data set: 300 entries in nine classes, with everything that a build leaves."""

from __future__ import annotations

from pathlib import Path

import numpy as np

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
    Rejected,
    Written,
    write_lines,
)
from emotion_llama.clip import Clip

RULES = {
    "happy": (6, 12, 14), "sad": (1, 4, 14, 15), "surprise": (1, 2, 5, 26), "fear": (1, 2, 4, 5, 7, 20, 26),
    "angry": (4, 5, 7, 10, 17, 23), "contempt": (10, 12, 15, 17), "worried": (20, 28), "doubt": (25,),
}  # fmt: skip
UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 28, 45)
CLASSES = ("neutral", "angry", "happy", "sad", "worried", "surprise", "fear", "contempt", "doubt")
SHARES = np.array([0.22, 0.18, 0.17, 0.13, 0.1, 0.09, 0.06, 0.03, 0.02])
PARTS: tuple[Part, ...] = ("train", "train", "train", "train", "validation", "test")
SAID = "the brows are lowered and drawn while voice becomes loud quick she says that nothing can go on like this"
WORDS = SAID.split()


def made_up_entries(count: int = 300, seed: int = 0) -> list[Entry]:
    """Entries whose numbers a test can count again by other means."""
    rng = np.random.default_rng(seed)
    return [_entry(rng, number) for number in range(count)]


def _entry(rng: np.random.Generator, number: int) -> Entry:
    label = str(rng.choice(CLASSES, p=SHARES / SHARES.sum()))
    rule = RULES.get(label, ())
    units = {
        f"AU{u:02d}": round(float(rng.gamma(1.2, 0.35) + (rng.uniform(0, 2.2) if u in rule else 0)), 2) for u in UNITS
    }
    units = {name: min(value, 5.0) for name, value in units.items() if value >= 0.1}
    scores = {name: round(float(np.mean([units.get(f"AU{u:02d}", 0) for u in us])), 3) for name, us in RULES.items()}
    fired = tuple(sorted((name for name, score in scores.items() if score >= 0.8), key=lambda name: -scores[name]))
    pseudo = label if rng.random() < 0.8 else str(rng.choice(CLASSES))
    speaker = int(rng.integers(0, 24))
    part = PARTS[speaker % 6]
    checked = rng.random() < 0.9
    text = " ".join(rng.choice(WORDS, int(rng.integers(20, 60))).tolist())
    return Entry(
        clip=Clip(
            clip=f"clip{number:04d}.mp4", path=Path(f"media/clip{number:04d}.mp4"), emotion=label,
            speaker=f"actor{speaker:02d}" if rng.random() < 0.95 else None,
            transcript=" ".join(rng.choice(WORDS, int(rng.integers(2, 12))).tolist()), reasoning=text,
        ),
        media=Media(duration_s=round(float(rng.gamma(6, 0.5) + 0.4), 3), width_px=640, height_px=360, has_sound=True),
        faces=Faces(people=1, frames_seen=80, presence=0.95),
        action_units=units,
        units_seen=tuple(f"AU{u:02d}" for u in UNITS if units.get(f"AU{u:02d}", 0) + rng.uniform(0, 0.6) >= 0.8),
        peak=Peak(index=20, time_s=1.2, rule="robust"),
        coarse=CoarseLabel(
            emotion=label, scores=scores, fired=fired, pseudo_label=pseudo, pseudo_source="nano 0.7",
            rule_agrees=label in fired if rule else None,
        ),
        scene=Written(text=" ".join(rng.choice(WORDS, 9).tolist()), writer="measured"),
        voice=Written(text=" ".join(rng.choice(WORDS[:6], 4).tolist()), writer="measured"),
        coarse_text=Written(text=text[:80], writer="template-1"),
        fine_text=Written(text=text, writer="composer-1" if rng.random() < 0.3 else "writer-8b"),
        check=Check(
            concluded=label if rng.random() < 0.95 else None,
            supported=int(rng.poisson(3)), contradicted=int(rng.poisson(0.2)), unverifiable=int(rng.poisson(1)),
        ) if checked else None,
        part=part,
    )  # fmt: skip


def made_up_rejections(count: int = 180, seed: int = 1) -> list[Rejected]:
    """Reasons as the steps write them."""
    rng = np.random.default_rng(seed)
    reasons = (
        ("probe", lambda: f"it is {rng.uniform(10, 30):.1f} s long; wanted 1 to 10 s"),
        ("probe", lambda: "it has no sound"),
        ("probe", lambda: f"cannot be read: /data/clip{rng.integers(999)}.mp4: the file is empty"),
        ("faces", lambda: f"{rng.integers(2, 6)} people are seen; wanted at most 1"),
        ("faces", lambda: f"the face is in {rng.integers(5, 40)}% of the frames; wanted 50%"),
        ("coarse_label", lambda: f"the pseudo-label is {rng.choice(CLASSES[:4])} (nano {rng.uniform(0.3, 1):.2f}), but "
                                 f"its action units do not show it; fired: {rng.choice(['sad', 'none', 'fear, sad'])}"),
        ("consistency", lambda: f"{rng.integers(4)} clues supported, 1 contradicted, 2 not measured: “x”: AU12 is low"),
        ("dedupe", lambda: f"the same recording as clip{rng.integers(999):04d}.mp4: 88% of the sound's bits agree"),
        ("refine", lambda: "writer-8b finds that the clues contradict happy: the brows are lowered"),
    )  # fmt: skip
    drawn = rng.choice(len(reasons), count, p=np.array([3, 2, 1, 4, 3, 5, 2, 2, 1]) / 23)
    return [
        Rejected(clip=f"gone{number}.mp4", step=reasons[kind][0], reason=reasons[kind][1]())
        for number, kind in enumerate(drawn)
    ]


def write_made_up(folder: Path, count: int = 300, seed: int = 0) -> Path:
    """Write the whole data set into a folder."""
    write_lines(made_up_entries(count, seed), folder / ENTRIES)
    write_lines(made_up_rejections(), folder / REJECTED)
    return folder

"""Who speaks, and who is who, in made films of two people: `python benchmarks/speakers.py --data FOLDER`.

Each film puts a speaking man of RAVDESS beside (or after) the speaker of the sample clip: they take turns, and which of
them speaks at each moment is known. Printed for each kind of film: the share of speech time in which the right one is
named, and how often a number stands for two people or a person has two numbers. `--data` is a folder of RAVDESS clips
(full view). Half of its clips were looked at while the rule was made (`--part tuning`); the figure is of the other half
(`--part test`, the default). `--json FILE` saves the numbers.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from emotion_llama import assets
from emotion_llama.errors import UsageError
from emotion_llama.measurements import FaceMeasures, Turn
from emotion_llama.media import iter_frames, probe, read_waveform
from emotion_llama.media.types import SAMPLE_RATE_HZ
from emotion_llama.perception.active_speaker import who_speaks
from emotion_llama.perception.expression import ExpressionNet
from emotion_llama.perception.see import FaceReader
from emotion_llama.perception.sound import perceive_sound
from emotion_llama.perception.speech import speech_spans

Pictures = NDArray[np.uint8]
RATE_HZ = 25
SIDE_PX = (320, 240)
MAN, SPEAKER, STRANGER = "man", "speaker", "stranger"
SPEAKER_PIECES_S = ((1.0, 4.0), (4.2, 7.6))
"""Spans of the sample clip that hold whole phrases."""

SPEAKER_REST_S = (0.0, 0.9)
SPEAKER_VIEW_PX = (128, 0, 278, 112)
"""Corners of the part of that picture in which he stands alone."""

TURNS = 4
STEP_S = 0.02


@dataclass(frozen=True)
class Take:
    """A person who speaks: pictures (n, 240, 320, 3) at `RATE_HZ`, sound, spans of speech in seconds.

    `rest` are pictures of the same person who says nothing; those before the first word where there are no others.
    """

    who: str
    pictures: Pictures
    sound: NDArray[np.float32]
    speech_s: tuple[tuple[float, float], ...]
    rest: Pictures

    @property
    def seconds(self) -> float:
        return len(self.pictures) / RATE_HZ


@dataclass(frozen=True)
class Film:
    """A made film: frames, sound, who truly speaks when, and who truly stands where (x of the middle, 0–1) when."""

    frames: list[Pictures]
    sound: NDArray[np.float32]
    speaks: tuple[tuple[float, float, str | None], ...]
    stands: tuple[tuple[float, float, dict[str, tuple[float, float]]], ...]


def fitted(rgb: Pictures) -> Pictures:
    """A picture cut to the shape of one side and scaled to its size."""
    height, width = rgb.shape[:2]
    scale = max(SIDE_PX[0] / width, SIDE_PX[1] / height)
    wide, high = round(SIDE_PX[0] / scale), round(SIDE_PX[1] / scale)
    left, top = (width - wide) // 2, (height - high) // 2
    part = np.ascontiguousarray(rgb[top : top + high, left : left + wide])
    return np.asarray(cv2.resize(part, SIDE_PX, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def read_take(
    who: str,
    path: Path,
    span_s: tuple[float, float] | None = None,
    view_px: tuple[int, int, int, int] | None = None,
) -> Take:
    """One take from a clip, or from a span and a part of its picture."""
    start_s, end_s = span_s or (None, None)
    frames = list(iter_frames(path, start_s=start_s, end_s=end_s, max_frames_s=1000, max_frames=100_000))
    times = np.array([frame.time_s for frame in frames]) - (start_s or 0.0)
    count = int((times[-1] + 0.02) * RATE_HZ)
    nearest = [int(np.abs(times - i / RATE_HZ).argmin()) for i in range(count)]
    left, top, right, bottom = view_px or (0, 0, 100_000, 100_000)
    pictures = np.stack([fitted(frames[place].rgb[top:bottom, left:right]) for place in nearest])
    wave = read_waveform(path, start_s=start_s, end_s=end_s)
    sound = np.zeros(round(count / RATE_HZ * SAMPLE_RATE_HZ), dtype=np.float32)
    sound[: min(len(sound), len(wave.samples))] = wave.samples[: len(sound)]
    spans = tuple((a - wave.start_s, min(b - wave.start_s, count / RATE_HZ)) for a, b in speech_spans(wave))
    quiet = pictures[: max(4, round((spans[0][0] - 0.25) * RATE_HZ))] if spans else pictures
    return Take(who, pictures, sound, spans, quiet)


def still(take: Take, seconds: float) -> Pictures:
    """The first picture of a take, for so long."""
    return np.repeat(take.pictures[:1], round(seconds * RATE_HZ), axis=0)


def at_rest(take: Take, seconds: float) -> Pictures:
    """A living face that says nothing, to and fro."""
    swing = np.concatenate([take.rest, take.rest[-2:0:-1]])
    return swing[np.arange(round(seconds * RATE_HZ)) % len(swing)]


def talking(take: Take, seconds: float) -> Pictures:
    """A take without its sound, from its first word on, again and again."""
    first, last = (round(x * RATE_HZ) for x in (take.speech_s[0][0], take.speech_s[-1][1]))
    part = take.pictures[first : max(first + 2, last)]
    swing = np.concatenate([part, part[-2:0:-1]])
    return swing[np.arange(round(seconds * RATE_HZ)) % len(swing)]


Listener = Callable[[Take, float], Pictures]


def conversation(takes: Sequence[Take], listener: Listener, swapped: bool = False) -> Film:
    """Two people side by side who take turns; with `swapped` each turn is a new shot with the sides changed."""
    others = {MAN: next(t for t in takes if t.who == SPEAKER), SPEAKER: next(t for t in takes if t.who == MAN)}
    rows = []
    for number, take in enumerate(takes):
        both = {take.who: take.pictures, others[take.who].who: listener(others[take.who], take.seconds)}
        left, right = (MAN, SPEAKER) if not (swapped and number % 2) else (SPEAKER, MAN)
        frames = np.concatenate([both[left], both[right]], axis=2)
        rows.append((take, frames, {left: (0.0, 0.5), right: (0.5, 1.0)}))
    return _film(rows)


def shot_and_reverse(takes: Sequence[Take], listening: bool) -> Film:
    """One person in the picture at a time: who speaks, or (half of the turns, with `listening`) who listens."""
    others = {MAN: next(t for t in takes if t.who == SPEAKER), SPEAKER: next(t for t in takes if t.who == MAN)}
    rows = []
    for number, take in enumerate(takes):
        shown = others[take.who] if listening and number // 2 % 2 else take
        frames = take.pictures if shown is take else at_rest(shown, take.seconds)
        rows.append((take, frames, {shown.who: (0.0, 1.0)}))
    return _film(rows)


def voice_over(takes: Sequence[Take], seen: Take) -> Film:
    """Voices of people out of the picture over two who are silent."""
    rows = []
    for take in takes:
        here = next(t for t in takes if t.who != take.who)
        frames = np.concatenate([at_rest(here, take.seconds), still(seen, take.seconds)], axis=2)
        rows.append((take, frames, {here.who: (0.0, 0.5), STRANGER: (0.5, 1.0)}))
    return _film(rows)


def _film(rows: Sequence[tuple[Take, Pictures, dict[str, tuple[float, float]]]]) -> Film:
    frames: list[Pictures] = []
    sounds, speaks, stands, now_s = [], [], [], 0.0
    for take, pictures, places in rows:
        frames += list(pictures)
        sounds.append(take.sound)
        speaker = take.who if take.who in places else None
        speaks += [(now_s + start, now_s + end, speaker) for start, end in take.speech_s]
        stands.append((now_s, now_s + take.seconds, places))
        now_s += take.seconds
    return Film(frames, np.concatenate(sounds), tuple(speaks), tuple(stands))


def write_film(film: Film, path: Path) -> None:
    """The film as a file, as a camera's software would write it."""
    with av.open(str(path), "w") as out:
        height, width = film.frames[0].shape[:2]
        video = out.add_stream("libx264", rate=RATE_HZ, options={"preset": "veryfast", "crf": "23"})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        audio = out.add_stream("aac", rate=SAMPLE_RATE_HZ, layout="mono")
        for index, picture in enumerate(film.frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, RATE_HZ)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        wave = (np.clip(film.sound, -1, 1) * 32_000).astype(np.int16)
        for start in range(0, len(wave), 1024):
            part = av.AudioFrame.from_ndarray(wave[None, start : start + 1024], format="s16", layout="mono")
            part.sample_rate, part.pts, part.time_base = SAMPLE_RATE_HZ, start, Fraction(1, SAMPLE_RATE_HZ)
            out.mux(audio.encode(part))
        out.mux(audio.encode(None))


def films(data: Path, part: str) -> dict[str, Film]:
    """All kinds of films, from one half of the RAVDESS clips. Raises `UsageError` where there are too few."""
    clips = sorted(data.glob("*.mp4"))
    if len(clips) < 2 * TURNS:
        raise UsageError(
            f"{data}: expected at least {2 * TURNS} talking-face clips of RAVDESS (*.mp4), found {len(clips)}; name "
            "the folder that holds them with --data (they are research data and are not part of the project)"
        )
    chosen = clips[0 if part == "tuning" else 1 :: 2][: 2 * TURNS]
    speech = assets.path("sample-speech") / "obama_speech.mp4"
    rest = read_take(SPEAKER, speech, SPEAKER_REST_S, SPEAKER_VIEW_PX).pictures
    said = [replace(read_take(SPEAKER, speech, span, SPEAKER_VIEW_PX), rest=rest) for span in SPEAKER_PIECES_S]
    men = [read_take(MAN, clip) for clip in chosen]
    takes = [take for i, man in enumerate(men[:TURNS]) for take in (man, said[i % len(said)])]
    only = [*men[:TURNS], *said]  # one of them speaks nearly all the time
    tears = read_stranger(assets.path("sample-tears") / "WolfgangLanger_Pexels.mp4")
    return {
        "one speaks, the other is a still": conversation([*men[:TURNS], said[0]], still),
        "turns, the other is a still": conversation(takes, still),
        "turns, the other is at rest": conversation(takes, at_rest),
        "turns, both mouths move": conversation(takes, talking),
        "turns, sides swapped at cuts": conversation(takes, at_rest, swapped=True),
        "sides swapped, both mouths move": conversation(only, talking, swapped=True),
        "one at a time, who speaks": shot_and_reverse(takes, listening=False),
        "one at a time, or who listens": shot_and_reverse(takes, listening=True),
        "voices of people out of the picture": voice_over(takes, tears),
    }


def read_stranger(path: Path) -> Take:
    """Somebody who never speaks."""
    frame = next(iter(iter_frames(path)))
    picture = fitted(frame.rgb)[None]
    return Take(STRANGER, picture, np.zeros(0, np.float32), (), picture)


@dataclass(frozen=True)
class Score:
    """Of one film: seconds of speech, what it was given to, mixed numbers, people with several numbers.

    Shares of the speech: `right`; `nobody`: wrongly to nobody in view; `other`: to a person who does not speak.
    """

    speech_s: float
    right: float
    nobody: float
    other: float
    people: int
    mixed: int
    split: int


def score(film: Film, faces: FaceMeasures, turns: Sequence[Turn], width_px: float) -> Score:
    """Compare with the truth; a number stands for whom it was seen as most often."""
    seen: dict[int, dict[str, int]] = {}
    for track in faces.tracks:
        for sample in track.samples:
            x = float(sample.box.corners_px[0] + sample.box.corners_px[2]) / 2 / width_px
            who = _standing(film, sample.time_s, x)
            if who is not None:
                counts = seen.setdefault(track.track, {})
                counts[who] = counts.get(who, 0) + 1
    name = {number: max(counts, key=lambda who: counts[who]) for number, counts in seen.items()}
    mixed = sum(sum(counts.values()) - max(counts.values()) > 2 for counts in seen.values())
    long = [name[number] for number, counts in seen.items() if sum(counts.values()) > 8]
    moments = [(t, who) for start, end, who in film.speaks for t in np.arange(start, end, STEP_S)]
    pairs = [(_named(turns, t, name), who) for t, who in moments if _covered(turns, t)]
    right = float(np.mean([named == who for named, who in pairs]))
    nobody = float(np.mean([named is None and who is not None for named, who in pairs]))
    speech_s, split = len(pairs) * STEP_S, len(long) - len(set(long))
    return Score(speech_s, right, nobody, 1 - right - nobody, len(set(long)), mixed, split)


def _standing(film: Film, time_s: float, x: float) -> str | None:
    for start, end, places in film.stands:
        if start + 0.02 <= time_s < end - 0.06:
            return next((who for who, (left, right) in places.items() if left <= x < right), None)
    return None


def _covered(turns: Sequence[Turn], time_s: float) -> bool:
    return any(turn.start_s <= time_s < turn.end_s for turn in turns)


def _named(turns: Sequence[Turn], time_s: float, name: dict[int, str]) -> str | None:
    turn = next(turn for turn in turns if turn.start_s <= time_s < turn.end_s)
    return None if turn.person is None else name.get(turn.person, "?")


def measure(film: Film, reader: FaceReader, folder: Path) -> Score:
    """Write the film, look at it and listen to it as `analyze` does, and compare."""
    path = folder / "film.mp4"
    write_film(film, path)
    media = probe(path)
    faces = reader.read(iter_frames(media))
    sound = perceive_sound(read_waveform(media), None, "")
    turns = who_speaks(faces.tracks, sound.trace) if sound.trace is not None else ()
    return score(film, faces, turns, float(media.width_px or 1))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder ravdess_av/full")
    parser.add_argument("--part", choices=("tuning", "test"), default="test")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    chosen = parser.parse_args(arguments)
    try:
        made = films(chosen.data, chosen.part)
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    net = ExpressionNet(assets.path("face-expression"))
    reader = FaceReader(assets.path("blazeface-short-range"), assets.path("face-mesh"), None, net.grid)
    with tempfile.TemporaryDirectory() as folder:
        scores = {name: measure(film, reader, Path(folder)) for name, film in made.items()}
    show(scores, chosen.part)
    if chosen.json is not None:
        record = {"part": chosen.part, "films": {name: asdict(one) for name, one in scores.items()}}
        chosen.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return 0


def show(scores: dict[str, Score], part: str) -> None:
    """Print the table."""
    table = Table(title=f"Who speaks ({part} part)")
    for column in ("film", "speech", "right speaker", "nobody", "another", "people", "numbers mixed", "people split"):
        table.add_column(column, justify="left" if column == "film" else "right")
    for name, one in scores.items():
        shares = (f"{share:.1%}" for share in (one.right, one.nobody, one.other))
        table.add_row(name, f"{one.speech_s:.1f} s", *shares, str(one.people), str(one.mixed), str(one.split))
    seconds = sum(one.speech_s for one in scores.values())
    mean = sum(one.right * one.speech_s for one in scores.values()) / seconds
    table.add_row("all", f"{seconds:.1f} s", f"{mean:.1%}")
    Console(width=130).print(table)


if __name__ == "__main__":
    sys.exit(main())

"""What perception measures, as frozen records of arrays. Times are seconds of the recording; sizes are named.

These records live in memory only; `describe` turns them into words and `clip.Analysis` carries what is written down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from emotion_llama.clip import Transcript, VoiceMeasures
from emotion_llama.record import Record

ACTION_UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 28, 45)
"""The action units measured, in column order everywhere (FACS numbers; 45 is blink)."""

ACTION_UNIT_SOURCE = "mesh-au-1"
"""What measures action units where no other tool's are given."""

OWN_REST = "profile"
"""`ActionUnitSeries.baseline` where sizes are above the person's rest over other recordings."""

OPENFACE_SOURCE = "openface-2.2"
PYFEAT_SOURCE = "py-feat"
ACTION_UNIT_SOURCES = (ACTION_UNIT_SOURCE, OPENFACE_SOURCE, PYFEAT_SOURCE)
"""Everything whose action units are read, on one scale of 0–5."""

EXPRESSIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""Output order of the face-expression net."""


@dataclass(frozen=True)
class FaceBox:
    """One detection: corners x0, y0, x1, y1 in px of the upright frame, six keypoints in px, score 0–1."""

    corners_px: NDArray[np.float32]  # (4,)
    keypoints_px: NDArray[np.float32]  # (6, 2) right eye, left eye, nose tip, mouth, right ear, left ear
    score: float


@dataclass(frozen=True)
class FaceSample:
    """One face in one sampled frame.

    `crop` is the upright, eye-aligned RGB face crop used by the face nets.
    """

    frame_index: int
    time_s: float
    box: FaceBox
    mesh_px: NDArray[np.float32]  # (468, 3) px of the upright frame; z as x, negative towards the viewer
    mesh_score: float  # 0–1
    crop: NDArray[np.uint8]  # (160, 160, 3)


@dataclass(frozen=True)
class FaceTrack:
    """One person's face over the sampled frames, in time order.

    `track` is the person's number. `surround` are the colours of hair and clothes (256,): two histograms that sum to 1
    each; `None` where neither was in the picture.
    """

    track: int
    samples: tuple[FaceSample, ...]
    surround: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class FaceBoxes:
    """Where one person's face was over the sampled frames, and no more: what is kept of a long recording."""

    track: int
    main: bool
    time_s: NDArray[np.float32]  # (F,)
    corners_px: NDArray[np.float32]  # (F, 4)


@dataclass(frozen=True)
class ActionUnitSeries:
    """Action units of one track. Columns follow `ACTION_UNITS`; intensity 0–5 above the person's own neutral.

    `baseline` says what the neutral was: "own" (running quantile of this recording), "population" (too few frames) or
    "given" (as another tool has it), "profile" (the person's rest over other recordings). `source` is what measured it,
    `measured` the units that it can measure: the columns of all others are 0 with confidence 0 and mean nothing. An
    angle that the source does not tell is NaN.
    """

    time_s: NDArray[np.float32]  # (F,)
    intensity: NDArray[np.float32]  # (F, 18)
    confidence: NDArray[np.float32]  # (F, 18) 0–1
    pose_deg: NDArray[np.float32]  # (F, 3) pitch, yaw, roll
    baseline: str
    source: str = ACTION_UNIT_SOURCE
    measured: tuple[int, ...] = ACTION_UNITS


class OwnMedian(Record):
    """The median of one measure over `n` recordings of a person that have it, in the measure's own unit."""

    median: float
    n: int


@dataclass(frozen=True)
class PersonNorms:
    """What is usual for one person, over several recordings.

    `voice`: name of a voice measure → its median. `rest` (D,): the resting face as distances (columns
    `perception.action_distances.ACTION_DISTANCES`), `None` where too few recordings show the face; `rest_clips`: how
    many made it.
    """

    voice: Mapping[str, OwnMedian] = field(default_factory=dict)
    rest: NDArray[np.float64] | None = None
    rest_clips: int = 0


@dataclass(frozen=True)
class FaceMeasures:
    """All that was seen of faces in one clip. `main` indexes `tracks`; `None` = no face found.

    `expressions` (F, 7) are the expression net's probabilities for the main track's samples, columns `EXPRESSIONS`;
    `face_features` (F, 128) the same net's pooled last feature map; `peak` indexes the main track's samples.
    `mesh_action_units` are our own where `action_units` are another tool's: the temporal encoder knows no others.
    `cuts_s` are the times at which the picture changes to another shot; no face is followed across one.
    """

    frames_seen: int
    tracks: tuple[FaceTrack, ...]
    main: int | None
    action_units: ActionUnitSeries | None
    expressions: NDArray[np.float32] | None
    face_features: NDArray[np.float32] | None
    peak: int | None
    mesh_action_units: ActionUnitSeries | None = None
    cuts_s: tuple[float, ...] = ()


@dataclass(frozen=True)
class Turn:
    """A stretch of speech and the number of the person who speaks in it; `None`: nobody in view."""

    start_s: float
    end_s: float
    person: int | None


@dataclass(frozen=True)
class VoiceTrace:
    """Prosody over time, for the report and the describers: one value a hop. Unvoiced hops are NaN in `f0_hz`."""

    time_s: NDArray[np.float32]  # (H,)
    f0_hz: NDArray[np.float32]  # (H,)
    loudness_db: NDArray[np.float32]  # (H,)
    speech_s: tuple[tuple[float, float], ...]  # speech spans from the voice activity detector


@dataclass(frozen=True)
class SoundMeasures:
    """All that was heard in one clip. `voice` is `None` when there was no speech to measure."""

    silent: bool  # digital silence, or below -60 dB re full scale throughout
    voice: VoiceMeasures | None
    trace: VoiceTrace | None
    transcript: Transcript

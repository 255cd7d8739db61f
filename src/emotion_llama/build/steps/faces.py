"""faces: who is seen. The data set is about one person a clip."""

from __future__ import annotations

from pydantic import Field

from emotion_llama.build.entry import Entry, Faces
from emotion_llama.build.look import Look
from emotion_llama.build.step import Found, Reject, Step, StepSettings

MODELS = ("blazeface-short-range", "face-mesh")
SHORT_TRACK = 0.1
"""A face seen in a smaller share of the frames is a passer-by (or a slip of the detector), no second person."""


class FacesSettings(StepSettings):
    """`needed`: a clip without a face is rejected. `min_presence`: share of frames with the main face (0–1).

    `most_people`: more than this many people are rejected. `min_face_px`: height of the main face's box.
    """

    needed: bool = True
    min_presence: float = Field(default=0.5, ge=0.0, le=1.0)
    most_people: int = Field(default=1, ge=1)
    min_face_px: float = Field(default=40.0, ge=0.0)


def find_faces(entry: Entry, settings: FacesSettings, look: Look) -> Found | Reject:
    """Track faces through the clip."""
    measures = look.faces
    if measures is None or measures.main is None:
        why = "it has no picture" if measures is None else f"no face in {measures.frames_seen} frames"
        if settings.needed:
            return Reject(reason=why)
        seen = 0 if measures is None else measures.frames_seen
        return Found(words=why, faces=Faces(people=0, frames_seen=seen, presence=0.0))
    frames = max(measures.frames_seen, 1)
    shares = [len(track.samples) / frames for track in measures.tracks]
    main = measures.tracks[measures.main].samples
    corners = main[len(main) // 2].box.corners_px
    faces = Faces(
        people=sum(n == measures.main or share >= SHORT_TRACK for n, share in enumerate(shares)),
        frames_seen=measures.frames_seen,
        presence=round(min(shares[measures.main], 1.0), 3),
        box_px=(_px(corners[0]), _px(corners[1]), _px(corners[2]), _px(corners[3])),
    )
    height_px = float(corners[3] - corners[1])
    if faces.people > settings.most_people:
        return Reject(reason=f"{faces.people} people are seen; wanted at most {settings.most_people}")
    if faces.presence < settings.min_presence:
        return Reject(reason=f"the face is in {faces.presence:.0%} of the frames; wanted {settings.min_presence:.0%}")
    if height_px < settings.min_face_px:
        return Reject(reason=f"the face is {height_px:.0f} px high; wanted at least {settings.min_face_px:g} px")
    people = "one person" if faces.people == 1 else f"{faces.people} people"
    return Found(words=f"{people}, the face in {faces.presence:.0%} of {frames} frames", faces=faces)


def _px(value: float) -> float:
    return round(float(value), 1)


FACES = Step("faces", "1", FacesSettings, find_faces, reads=("probe",), models=lambda settings: MODELS)

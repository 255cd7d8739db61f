"""What was measured in a clip, beside what is usual for its person."""

from __future__ import annotations

from dataclasses import replace

from emotion_llama.analyze.perceive import Percept
from emotion_llama.measurements import FaceMeasures, PersonNorms
from emotion_llama.perception.describe import describe_face, describe_voice
from emotion_llama.perception.own_norms import above_rest
from emotion_llama.settings import AnalyzeSettings


def recentred(percept: Percept, norms: PersonNorms, settings: AnalyzeSettings) -> Percept:
    """Give the percept with face and voice described beside the person's own rest and medians.

    The frame that is looked at stays the same, and what the encoders read of the movement too. Action units that
    another tool measured stay as they are.
    """
    faces, sound = percept.faces, percept.sound
    if faces is not None and norms.rest is not None and settings.action_units is None:
        faces = _above_rest(faces, norms)
    by_channel = {name: [o for o in percept.observations if o.channel == name] for name in ("scene", "words")}
    face = describe_face(faces, percept.speech_s) if faces is not None else []
    heard = sound is not None and "audio" not in settings.without
    voice = describe_voice(sound, norms.voice) if sound is not None and heard else []
    observations = (*face, *by_channel["scene"], *voice, *by_channel["words"])
    return replace(percept, faces=faces, observations=observations)


def _above_rest(faces: FaceMeasures, norms: PersonNorms) -> FaceMeasures:
    if faces.main is None or norms.rest is None:
        return faces
    series = above_rest(faces.tracks[faces.main].samples, norms.rest)
    # the temporal encoder learned from movements above each recording's own rest
    return replace(faces, action_units=series, mesh_action_units=faces.mesh_action_units or faces.action_units)

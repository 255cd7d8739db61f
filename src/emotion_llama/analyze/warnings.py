"""What a reader of the result must know, in words a person understands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from emotion_llama.analyze.perceive import MIN_SOUND_S, Percept
from emotion_llama.clip import InputState, Modality
from emotion_llama.labels import canonical, is_known
from emotion_llama.languages import language
from emotion_llama.measurements import FaceMeasures, SoundMeasures
from emotion_llama.settings import AnalyzeSettings

SHORT_S = 0.5
DARK_LUMA = 24.0
LOW_LABEL_MASS = 0.2
ORDER_SPREAD = 0.15
UNSURE = 0.4
SEEN_SHARE = 0.5


def input_states(
    percept: Percept,
    settings: AnalyzeSettings,
    present: Mapping[Modality, bool],
    gated: Mapping[Modality, str] | None = None,
) -> dict[Modality, InputState]:
    """Say for each input whether it was present, and why not; `gated`: reasons of those that cannot be trusted."""
    reasons: dict[Modality, str] = {
        "video": _video_reason(percept),
        "audio": percept.unheard or _audio_reason(percept),
        "text": percept.unheard or _text_reason(percept, settings),
        **(gated or {}),
    }
    return {
        name: InputState(
            present=there,
            reason=("left out as asked" if name in settings.without else reasons[name]) if not there else "present",
        )
        for name, there in present.items()
    }


def _video_reason(percept: Percept) -> str:
    if percept.media is None:
        return "text alone was given"
    return "the recording has no picture"


def _audio_reason(percept: Percept) -> str:
    if percept.media is None:
        return "text alone was given"
    if percept.waveform is None:
        return "the recording has no sound"
    if percept.waveform.duration_s < MIN_SOUND_S:
        return f"the sound is shorter than {MIN_SOUND_S} s"
    if percept.sound is not None and not percept.sound.silent:
        return "nobody speaks in the sound"
    return "the sound track is silent"


def _text_reason(percept: Percept, settings: AnalyzeSettings) -> str:
    if not settings.transcribe:
        return "no transcript was given and recognition was switched off"
    return "there was no sound to transcribe and no transcript was given"


def perception_warnings(percept: Percept, settings: AnalyzeSettings, code: str = "en") -> Iterator[str]:
    """Warn about the recording itself. `code`: the language that the model was trained in."""
    for notes in percept.notes:
        if notes.damaged:
            yield f"The file is damaged: {notes.reason}. Only what could be decoded was used."
    if percept.duration_s is not None and percept.duration_s < SHORT_S:
        yield f"The recording is very short ({percept.duration_s:.1f} s); measurements over time mean little."
    if percept.faces is not None:
        yield from _face_warnings(percept.faces, percept, settings)
    if settings.action_units is not None and (percept.faces is None or percept.faces.main is None):
        yield "The action units that were given are not used: no face was found here to lay them on."
    if percept.sound is not None and "audio" not in settings.without:
        yield from _sound_warnings(percept.sound, code)


def _face_warnings(faces: FaceMeasures, percept: Percept, settings: AnalyzeSettings) -> Iterator[str]:
    if percept.frame is not None and float(percept.frame.rgb.mean()) < DARK_LUMA:
        yield "The picture is nearly black; what is read from it means little."
    if faces.main is None:
        yield "No face was found; the answer rests on the other inputs and on the picture as a whole."
        return
    share = len(faces.tracks[faces.main].samples) / max(1, faces.frames_seen)
    if share < SEEN_SHARE:
        yield f"The face was visible in only {share:.0%} of the frames looked at."
    others = len(faces.tracks) - 1
    if others and settings.person == "main":
        yield (
            f"{len(faces.tracks)} faces were found; the answer is about the largest one that was seen longest. "
            "The voice may belong to someone else."
        )
    if faces.action_units is not None and faces.action_units.baseline == "population":
        yield "Facial movements are measured against an average face: there were too few frames to learn this one."


def _sound_warnings(sound: SoundMeasures, code: str) -> Iterator[str]:
    if sound.silent:
        yield "The sound track is silent; the voice says nothing about the emotion here."
    elif sound.voice is None:
        yield "No speech was found in the sound: the voice was not measured, and is not used where a face is seen."
    probability = sound.transcript.language_probability
    if sound.transcript.language not in (None, code) and probability is not None:
        yield (
            f"The speech was recognised as language {sound.transcript.language!r} ({probability:.0%}); "
            f"the model's words were trained on {language(code).name}."
        )


def answer_warnings(
    labels: Sequence[str],
    trained: Sequence[str],
    probabilities: Mapping[str, float],
    label_mass: float | None,
    order_sensitivity: float | None,
) -> Iterator[str]:
    """Warn about the answer: labels never trained, little label mass, label-order sensitivity, no clear winner."""
    known = set(map(_meaning, trained))
    strange = [label for label in labels if _meaning(label) not in known]
    if strange:
        words = ", ".join(strange)
        yield f"The model was never trained on: {words}. Their probabilities are a guess from the word alone."
    if label_mass is not None and label_mass < LOW_LABEL_MASS:
        yield (
            "The model would rather have said something else: "
            f"all asked labels together have {label_mass:.0%} of its belief."
        )
    if order_sensitivity is not None and order_sensitivity > ORDER_SPREAD:
        yield "The answer depends on the order in which the labels are listed; take it with care."
    if probabilities and max(probabilities.values()) < UNSURE:
        best = sorted(probabilities, key=lambda label: -probabilities[label])[:2]
        yield f"The model is not sure: {best[0]} and {best[1]} are the likeliest, neither clearly."


def _meaning(label: str) -> str:
    """The canonical name, or the word itself: labels may be anybody's own."""
    return canonical(label) if is_known(label) else label.strip().lower()

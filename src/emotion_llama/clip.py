"""The vocabulary: what goes in (`Clip`), what was noticed (`Observation`), what comes out (`Analysis`).

These models are the JSON of the command line, of the API and of the files; `SCHEMA_VERSION` changes when a field
changes its meaning. They hold paths, numbers and text only, never tensors, and are changed by copy.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from emotion_llama.record import MODALITIES as MODALITIES
from emotion_llama.record import Modality as Modality
from emotion_llama.record import Record as Record
from emotion_llama.timeline import PersonEmotion, Timeline

SCHEMA_VERSION = "1"

Channel = Literal["face", "voice", "words", "scene"]
Task = Literal["emotion", "reason", "visual", "audio"]
TASKS: tuple[Task, ...] = ("emotion", "reason", "visual", "audio")


class Observation(Record):
    """One thing that was seen, heard or read, with the measurement behind the words.

    `channel` is where it was noticed, `name` the measured quantity ("AU12", "f0_hz", …), `value` its size in `unit`,
    `source` what measured it ("mesh-au-1", "human:ann03"), the span is in seconds of the recording, `confidence` 0–1.
    `direction` says which way the value departs from its norm (+1 above, -1 below, 0 within); `None` where that has no
    meaning. `norm` is the person's own usual value of the same measure, where one is known and the text compares with
    it (a baseline was given); `None`: people in general. `supports` lists canonical emotions that this observation
    speaks for; `speaks` says whether it speaks for or against the emotion of the analysis it stands in (`None`:
    neither). `verdict` is filled when a claim made elsewhere (in the model's text) was compared with a measurement;
    `note` says what was compared with.
    """

    channel: Channel
    text: str
    source: str
    name: str | None = None
    value: float | None = None
    unit: str | None = None
    direction: Literal[-1, 0, 1] | None = None
    norm: float | None = None
    start_s: float | None = None
    end_s: float | None = None
    confidence: float = Field(default=1.0, ge=0.0, le=1.0)
    supports: tuple[str, ...] = ()
    speaks: Literal["for", "against"] | None = None
    verdict: Literal["supported", "contradicted", "unverifiable"] | None = None
    note: str | None = None


class Clip(Record):
    """One recording to look at, or one row of a data set.

    `clip` is the identity: the path as given by the user or as the manifest writes it. `path` is `None` for text alone.
    `transcript`: `None` = not transcribed, `""` = nothing was said. `start_s`/`end_s` `None` = the whole recording.
    `emotion`, `valence`, `labels`, `reasoning` are annotations; `None` = not annotated. `groups` are properties of the
    speaker or the recording that scores can be sliced by: words ("sex": "female") or numbers ("age": 33.0).
    """

    clip: str
    path: Path | None = None
    start_s: float | None = Field(default=None, ge=0.0)
    end_s: float | None = Field(default=None, gt=0.0)
    transcript: str | None = None
    speaker: str | None = None
    emotion: str | None = None
    valence: float | None = None
    labels: tuple[str, ...] | None = None
    reasoning: str | None = None
    observations: tuple[Observation, ...] = ()
    groups: dict[str, str | float] = {}


class Word(Record):
    """One spoken word with its times in seconds and the recogniser's probability."""

    text: str
    start_s: float
    end_s: float
    probability: float


class Segment(Record):
    """One stretch of speech in the transcript, times in seconds."""

    text: str
    start_s: float
    end_s: float
    words: tuple[Word, ...] = ()


class Transcript(Record):
    """What was said. `text` `None` = not transcribed (see `inputs`), `""` = nothing was said.

    `source` is "given", "asr:whisper-base" or "none"; `language` an ISO 639-1 code where it was detected.
    """

    text: str | None
    source: str
    language: str | None = None
    language_probability: float | None = None
    segments: tuple[Segment, ...] = ()


class PeakFrame(Record):
    """The frame that was looked at most closely: its index among the decoded frames, its time, how it was chosen."""

    index: int
    time_s: float
    policy: Literal["peak", "first", "middle", "random", "only"]


class Face(Record):
    """One tracked face: share of sampled frames it was seen in, its box at the peak frame (px of the upright frame)."""

    track: int
    main: bool
    first_s: float
    last_s: float
    presence: float = Field(ge=0.0, le=1.0)
    box_px: tuple[float, float, float, float]
    score: float


class VoiceMeasures(Record):
    """Prosody of the clip. A measure that could not be taken (no voiced frame, too short) is `None`.

    Median pitch, its 5–95 % range in semitones, loudness as A-weighted-free RMS dB re full scale over speech,
    loudness range in dB, syllable nuclei per second of speech, pauses inside speech, voice quality measures.
    """

    f0_hz: float | None
    f0_range_semitones: float | None
    f0_slope_semitones_s: float | None
    loudness_db: float | None
    loudness_range_db: float | None
    speech_rate_syl_s: float | None
    speech_s: float
    pause_count: int
    pause_mean_s: float | None
    voiced_fraction: float | None
    jitter_percent: float | None
    shimmer_db: float | None
    hnr_db: float | None
    spectral_tilt_db_octave: float | None


class InputState(Record):
    """Whether an input was really present, and why not."""

    present: bool
    reason: str


class LabelScores(Record):
    """Log-likelihood of each label, averaged over label orders, before and after the blank-clip prior is taken off."""

    raw: dict[str, float]
    prior_corrected: dict[str, float]


class Valence(Record):
    """How pleasant, -1 to 1, and where the number comes from."""

    value: float = Field(ge=-1.0, le=1.0)
    source: str


class Conflict(Record):
    """Two inputs that say different things, each alone: their likeliest labels and how far apart they are.

    `divergence` is the Jensen-Shannon divergence of the two distributions over the asked labels, 0 (equal) to 1.
    """

    inputs: tuple[Modality, Modality]
    emotions: tuple[str, str]
    divergence: float = Field(ge=0.0, le=1.0)
    text: str


class Attribution(Record):
    """What each input contributed to the probability of the emotion that is given.

    `shapley`: each input's share, exact over all orders of adding inputs; with `blank`, the probability without any
    input, they sum to `confidence`. `left_out`: how much probability is lost when this input alone is left out.
    `alone`: probabilities of all labels from each set of inputs ("video", "video+text", …). `divergence`: the largest
    disagreement of two inputs (see `Conflict`), `None` with a single one; `conflict` names it where it is clear.
    """

    emotion: str
    blank: float
    shapley: dict[Modality, float]
    left_out: dict[Modality, float]
    alone: dict[str, dict[str, float]]
    divergence: float | None
    conflict: Conflict | None


class Provenance(Record):
    """Everything needed to repeat the result. `baseline_clips`: recordings of the same person that made a baseline.

    `baseline_from`: where they come from: "clips" that were named, a "profile" file, or other parts of the same
    recording ("auto"). `quantize`: bits in which the language model's weights were held ("int8", "int4"),
    `compiled`: whether it ran as a compiled graph.
    """

    package: str
    model: str
    weights_sha256: str | None
    weights_licence: str | None
    prompt_version: str
    layout: str
    label_orders: int
    seed: int
    device: str
    dtype: str
    versions: dict[str, str]
    baseline_clips: int | None = None
    baseline_from: Literal["clips", "profile", "auto"] | None = None
    quantize: Literal["int8", "int4"] | None = None
    compiled: bool = False


class Analysis(Record):
    """What Emotion-LLaMA says about one clip.

    `emotion` is the likeliest asked label, or `None` when no label could be scored. `probabilities` sum to 1 over the
    asked labels. `candidates` are the two likeliest labels where the model was asked not to guess and was not sure
    enough (`emotion` is then `None`). `labels` are free emotion words (open label set only). `claims` are the signs
    that `reasoning` names, each with its verdict; `claims_supported` the share of those that could be checked and hold
    (`None` where there is none). `people` and `timeline` stand where several people or the course of time were asked
    for. `raw` holds the model's unedited text by task, `prompts` what it was asked (of
    `emotion` the first label order; soft tokens as ⟨name×count⟩). `language` is what its texts are written in (ISO
    639-1); what was said has a language of its own (`transcript`).
    """

    schema_version: str = SCHEMA_VERSION
    clip: str
    language: str = "en"
    duration_s: float | None
    emotion: str | None
    candidates: tuple[str, ...] = ()
    labels: tuple[str, ...]
    valence: Valence | None
    confidence: float | None
    probabilities: dict[str, float]
    label_scores: LabelScores | None
    order_sensitivity: float | None
    reasoning: str | None
    visual: str | None
    audio: str | None
    evidence: tuple[Observation, ...]
    claims: tuple[Observation, ...] = ()
    claims_supported: float | None = None
    attribution: Attribution | None = None
    transcript: Transcript
    peak_frame: PeakFrame | None
    faces: tuple[Face, ...]
    people: tuple[PersonEmotion, ...] = ()
    timeline: Timeline | None = None
    action_units: dict[str, float]
    voice: VoiceMeasures | None
    inputs: dict[Modality, InputState]
    warnings: tuple[str, ...]
    timings_s: dict[str, float]
    raw: dict[str, str]
    prompts: dict[str, str] = {}
    provenance: Provenance

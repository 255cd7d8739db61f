"""A person's profile: what is their own in encoder outputs, face and voice over several recordings; a small file."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from emotion_llama import __version__
from emotion_llama.analyze.features import FEATURES_VERSION, encode
from emotion_llama.analyze.parts import Parts
from emotion_llama.analyze.perceive import Stopwatch, perceive, present_inputs
from emotion_llama.clip import Clip, VoiceMeasures
from emotion_llama.encoders.features import Features
from emotion_llama.encoders.person import PersonBaseline
from emotion_llama.errors import ModelError, OutputError, UsageError
from emotion_llama.measurements import OwnMedian, PersonNorms
from emotion_llama.perception.geometry import Array
from emotion_llama.perception.own_norms import person_norms, resting
from emotion_llama.record import Record
from emotion_llama.settings import AnalyzeSettings

SUFFIX = ".safetensors"
GAIN = 8
"""Fewer recordings than this gain nothing (docs/log.md); a profile of fewer is made, with a warning."""

_REST, _MEAN, _FACTS = "rest", "mean.", "profile"


@dataclass(frozen=True)
class Gathered:
    """What one recording tells of its person: mean encoder outputs (1, E), voice, resting face (D,).

    `sha256` is that of the recording, `seconds` the length looked at; `None` where the recording does not tell.
    """

    clip: str
    sha256: str | None
    seconds: float | None
    features: Features
    voice: VoiceMeasures | None
    rest: Array | None


class ProfileFacts(Record):
    """What stands in a profile beside its arrays; `recordings` are (file name, sha256).

    `outputs`: encoder output → recordings that have it. `voice`: measure → the person's median. `rest_clips`:
    recordings that show the resting face. `weights_sha256`, `features_version`: whose encoder outputs these are.
    """

    format: Literal["1"] = "1"
    clips: int
    seconds: float
    model: str
    weights_sha256: str
    features_version: str
    package: str
    made: str
    outputs: dict[str, int]
    voice: dict[str, OwnMedian]
    rest_clips: int
    recordings: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True)
class PersonProfile:
    """Means of encoder outputs, norms of face and voice, and the facts behind them."""

    features: PersonBaseline
    norms: PersonNorms
    facts: ProfileFacts

    def holds(self, sha256: str | None) -> bool:
        """Whether a recording is one of those that made the profile."""
        return sha256 is not None and any(other == sha256 for _, other in self.facts.recordings)


def gather(clip: Clip, parts: Parts) -> Gathered:
    """Look at one recording of the person; nothing is transcribed. Raises `MediaError` for one that cannot be read."""
    settings, watch = AnalyzeSettings(transcribe=False), Stopwatch()
    percept = perceive(clip, settings, parts, watch)
    encoded = encode(percept, parts, present_inputs(percept, settings)["audio"], watch)
    faces, sound = percept.faces, percept.sound
    return Gathered(
        clip=clip.path.name if clip.path is not None else clip.clip,
        sha256=percept.media.sha256 if percept.media is not None else None,
        seconds=percept.duration_s,
        features={name: rows.mean(axis=0, keepdims=True) for name, rows in encoded.items()},
        voice=sound.voice if sound is not None else None,
        rest=resting(faces.tracks[faces.main].samples) if faces is not None and faces.main is not None else None,
    )


def make_profile(
    gathered: Sequence[Gathered], model: str, weights_sha256: str, outputs: Collection[str]
) -> PersonProfile:
    """Put recordings of one person together; of their encoder outputs those named in `outputs` are averaged.

    Raises `UsageError` for fewer than `encoders.person.LEAST` recordings.
    """
    kept = [{name: rows for name, rows in one.features.items() if name in outputs} for one in gathered]
    features = PersonBaseline.of(kept)
    norms = person_norms(
        [one.voice for one in gathered if one.voice is not None], [one.rest for one in gathered if one.rest is not None]
    )
    facts = ProfileFacts(
        clips=len(gathered),
        seconds=round(sum(one.seconds or 0.0 for one in gathered), 3),
        model=model,
        weights_sha256=weights_sha256,
        features_version=FEATURES_VERSION,
        package=f"emotion-llama {__version__}",
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        outputs={name: sum(name in one.features for one in gathered) for name in features.means},
        voice=dict(norms.voice),
        rest_clips=norms.rest_clips,
        recordings=tuple((one.clip, one.sha256) for one in gathered),
    )
    return PersonProfile(features, norms, facts)


def save_profile(profile: PersonProfile, path: Path) -> None:
    """Write a profile, whole or not at all, readable by its owner. Raises `OutputError` if it cannot be written."""
    tensors: dict[str, NDArray[np.generic]] = {f"{_MEAN}{name}": mean for name, mean in profile.features.means.items()}
    if profile.norms.rest is not None:
        tensors[_REST] = profile.norms.rest
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, partial, metadata={_FACTS: profile.facts.model_dump_json()})
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        partial.unlink(missing_ok=True)
        raise OutputError(f"{path}: cannot be written ({error}); free space or choose another --out") from error


def read_profile(path: Path, weights_sha256: str) -> PersonProfile:
    """Read what `save_profile` wrote, for the checkpoint with these weights.

    Raises `UsageError` for a file that is not there or no profile, `ModelError` for one of another checkpoint's
    encoder outputs.
    """
    if not path.is_file():
        raise UsageError(f"--baseline {path}: no such file; make one with `emotion-llama profile CLIPS --out {path}`")
    try:
        with safe_open(path, framework="numpy") as file:
            facts = ProfileFacts.model_validate_json((file.metadata() or {}).get(_FACTS, ""))
            names = list(file.keys())
            tensors = {name: file.get_tensor(name) for name in names}
    except (OSError, SafetensorError, ValidationError) as error:
        raise UsageError(
            f"--baseline {path}: expected a profile that `emotion-llama profile` wrote, found another or a damaged "
            f"file ({str(error).splitlines()[0]}); make it again"
        ) from error
    if (facts.weights_sha256, facts.features_version) != (weights_sha256, FEATURES_VERSION):
        raise ModelError(
            f"--baseline {path}: made with {facts.model} (weights {facts.weights_sha256[:12]}, encoder outputs "
            f"{facts.features_version}), asked with weights {weights_sha256[:12]}, encoder outputs {FEATURES_VERSION}; "
            "make it again with this model"
        )
    means = {name.removeprefix(_MEAN): rows for name, rows in tensors.items() if name.startswith(_MEAN)}
    counts = {name: facts.outputs[name] for name in means}
    norms = PersonNorms(facts.voice, tensors.get(_REST), facts.rest_clips)
    return PersonProfile(PersonBaseline(means, facts.clips, counts), norms, facts)

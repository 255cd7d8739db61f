"""The parts of a preset, each made on first use: a text-only request loads no vision, a still picture no ears."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_llama import assets
from emotion_llama.encoders import EfficientNetLite0, WhisperEncoder
from emotion_llama.encoders.eva import EvaVit
from emotion_llama.encoders.face_mae import FaceMae
from emotion_llama.encoders.face_videomae import FaceVideoMae
from emotion_llama.encoders.features import FeatureCache
from emotion_llama.encoders.heads import EmotionHead, load_heads
from emotion_llama.encoders.own import encoder_folder, open_audio, open_global, open_local, open_temporal
from emotion_llama.encoders.person import load_population
from emotion_llama.encoders.picture import PictureEncoder
from emotion_llama.encoders.speech import SpeechEncoder
from emotion_llama.perception.all_faces import AllFaces
from emotion_llama.perception.expression import ExpressionNet, FaceOpinionNet
from emotion_llama.perception.see import FaceReader
from emotion_llama.perception.speech import Transcriber

MOST_FEATURE_BYTES = 2 * 1024**3
"""Kept features: about 25 kB a clip; beyond this the oldest are removed."""


@dataclass(frozen=True)
class Parts:
    """Encoders and perception of one preset. `checkpoint` is the adapter folder, `device` where torch parts run.

    `encoders`: own encoders by feature (`global`, `local`, `temporal`, `audio`), instead of the preset's: a folder (a
    relative one lies in the checkpoint folder) or a name on the hub. `released`: the checkpoint is a converted release,
    which reads the paper's encoders and no others.
    """

    checkpoint: Path
    device: str
    threads: int
    keep_features: bool = True
    encoders: Mapping[str, str] = field(default_factory=dict)
    released: bool = False

    @cached_property
    def feature_cache(self) -> FeatureCache | None:
        """Outputs of the slow encoders by content of the recording; `None` when features are not to be kept."""
        return FeatureCache(assets.cache_dir() / "features", MOST_FEATURE_BYTES) if self.keep_features else None

    @cached_property
    def face_reader(self) -> FaceReader:
        """Detector, mesh, action units and expression net. Raises `AssetMissingError` if they were not fetched."""
        net = self.expression_net
        return FaceReader(assets.path("blazeface-short-range"), assets.path("face-mesh"), net, net.grid)

    @cached_property
    def all_faces(self) -> AllFaces:
        """What finds the faces to hide. Raises `AssetMissingError` if its graphs were not fetched."""
        return AllFaces.of_folders(assets.path("blazeface-short-range"), assets.path("face-mesh"))

    @cached_property
    def expression_net(self) -> ExpressionNet:
        """The face-expression net (local encoder)."""
        return ExpressionNet(assets.path("face-expression"))

    @cached_property
    def opinion_net(self) -> FaceOpinionNet:
        """A second expression net, trained by others on other pictures."""
        return FaceOpinionNet(assets.path("face-opinion"))

    @cached_property
    def global_encoder(self) -> EfficientNetLite0:
        """The global encoder, for one whole frame."""
        return EfficientNetLite0(assets.path("efficientnet-lite0"), device=self.device)

    @cached_property
    def audio_encoder(self) -> WhisperEncoder:
        """The audio encoder."""
        return WhisperEncoder(assets.path("whisper-base"), device=self.device)

    @cached_property
    def transcriber(self) -> Transcriber:
        """The speech recogniser."""
        return Transcriber(assets.path("whisper-base"), threads=self.threads)

    @cached_property
    def own_global(self) -> EvaVit | PictureEncoder | None:
        """An own global encoder, where one is named. Raises `ModelError` for a folder that holds none."""
        folder = self._own("global")
        return None if folder is None else open_global(folder, self.device)

    @cached_property
    def own_local(self) -> FaceMae | PictureEncoder | None:
        """An own local encoder, where one is named. Raises `ModelError` for a folder that holds none."""
        folder = self._own("local")
        return None if folder is None else open_local(folder, self.device)

    @cached_property
    def own_temporal(self) -> FaceVideoMae | None:
        """An own temporal encoder, where one is named. Raises `ModelError` for a folder that holds none."""
        folder = self._own("temporal")
        return None if folder is None else open_temporal(folder, self.device)

    @cached_property
    def own_audio(self) -> SpeechEncoder | None:
        """An own audio encoder, where one is named. Raises `ModelError` for a folder that holds none."""
        folder = self._own("audio")
        return None if folder is None else open_audio(folder, self.device)

    def _own(self, feature: str) -> Path | None:
        return encoder_folder(self.encoders[feature], self.checkpoint) if feature in self.encoders else None

    @cached_property
    def heads(self) -> dict[str, EmotionHead]:
        """The emotion heads trained with the checkpoint; a checkpoint without any has no such file."""
        path = self.checkpoint / "heads.safetensors"
        return load_heads(path) if path.is_file() else {}

    @cached_property
    def population(self) -> dict[str, NDArray[np.float32]]:
        """Means of encoder outputs over people. Raises `ModelError` for a checkpoint that has none."""
        return load_population(self.checkpoint / "population.safetensors")

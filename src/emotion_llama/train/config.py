"""The settings of one training run; read from `configs/train/*.yaml`."""

from __future__ import annotations

from emotion_llama.settings import Settings


class NanoTraining(Settings):
    """How the `nano` weights are made.

    `corpora` are the folders of the data sets below the data folder, by kind. `splits` are the committed split files.
    Shares (`*_share`) are probabilities of a training sample. One `seed` sets everything random.
    """

    out: str
    seed: int = 0
    splits: dict[str, str]
    ravdess: str
    emodb: str
    fer2013: str
    pictures: str
    goemotions: str
    fer2013_per_class: int = 500
    voice_augmentations: int = 1
    held_out_speakers: tuple[str, ...] = ()
    steps: int = 600
    batch_size: int = 16
    warmup_steps: int = 40
    learning_rate: float = 5e-4
    projector_learning_rate: float = 1e-3
    weight_decay: float = 0.01
    lora_rank: int = 8
    lora_alpha: int = 16
    lora_dropout: float = 0.05
    feature_noise: float = 0.3
    head_dropout: float = 0.1
    text_task_share: float = 0.25
    named_set_share: float = 0.6
    validate_every: int = 100
    validation_clips: int = 160

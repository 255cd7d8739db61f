"""Settings of preference and reward training; no library of the trainers is loaded to read them."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from emotion_llama.settings import Settings

RewardName = Literal["label_match", "wheel_f1", "format", "supported_clues"]
PairKind = Literal["wrong_label", "other_clip", "self_play"]


class RewardWeights(Settings):
    """How much each reward counts in the sum; one with weight 0 is not computed."""

    label_match: float = Field(default=1.0, ge=0.0)
    wheel_f1: float = Field(default=1.0, ge=0.0)
    format: float = Field(default=0.2, ge=0.0)
    supported_clues: float = Field(default=0.5, ge=0.0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not any(self.model_dump().values()):
            raise ValueError("weights: all are 0; give at least one reward a weight above 0")
        return self

    @property
    def used(self) -> dict[RewardName, float]:
        """The rewards with a weight above 0."""
        every: dict[RewardName, float] = {
            "label_match": self.label_match,
            "wheel_f1": self.wheel_f1,
            "format": self.format,
            "supported_clues": self.supported_clues,
        }
        return {name: weight for name, weight in every.items() if weight > 0}


class RewardSettings(Settings):
    """What counts as a good answer.

    `max_words`: an answer of more words breaks the format. `clues_wanted`: checkable clues that a reason should name;
    with fewer, the share of supported ones is taken of this number, so that one safe clue is not enough.
    `allow_no_clues`: a reason without any checkable clue is left unscored instead of scored 0.
    """

    weights: RewardWeights = RewardWeights()
    max_words: int = Field(default=80, ge=1)
    clues_wanted: int = Field(default=1, ge=1)
    allow_no_clues: bool = False


class PairSettings(Settings):
    """Where pairs come from: the user's own `file`, or relative shares of each kind of rejected answer.

    `file`: JSON lines with clip, task, chosen, rejected; relative to `data.root`. `wrong_label`: the right text with
    the wrong label that the model finds likeliest. `other_clip`: reasons from the measurements of another clip, of
    which this clip's contradict at least one. `self_play`: the model's own answer, sampled at `temperature`, where its
    rewards are at least `min_gap` below those of the chosen answer.
    """

    file: str | None = None
    wrong_label: float = Field(default=0.4, ge=0.0)
    other_clip: float = Field(default=0.3, ge=0.0)
    self_play: float = Field(default=0.3, ge=0.0)
    temperature: float = Field(default=1.0, gt=0.0)
    min_gap: float = Field(default=0.1, gt=0.0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not any(self.shares.values()):
            raise ValueError("pairs: all shares are 0; give wrong_label, other_clip or self_play a share above 0")
        return self

    @property
    def shares(self) -> dict[PairKind, float]:
        """Kind → share, as given."""
        return {"wrong_label": self.wrong_label, "other_clip": self.other_clip, "self_play": self.self_play}


class PreferenceSettings(Settings):
    """How one preference or reward training runs, beside what every training has (seed, model, data, samples).

    `steps`: optimizer steps. `questions`, `questions_validation`: at most so many different questions (a clip and a
    task) are drawn from the training side, and from the validation side to be answered before and after.
    `save_every`: steps between checkpoints a killed run goes on from (0 = none). `max_new_tokens` limits answers
    written for validation and self-play, in batches of `batch_size_validation`. `trl`: options of TRL's `DPOConfig` or
    `GRPOConfig` (beta, loss_type, learning_rate, per_device_train_batch_size, num_generations, epsilon, …), checked
    against the installed version.
    """

    steps: int = Field(default=100, ge=1)
    questions: int = Field(default=1000, ge=1)
    questions_validation: int = Field(default=60, ge=0)
    save_every: int = Field(default=50, ge=0)
    max_new_tokens: int = Field(default=96, ge=1)
    batch_size_validation: int = Field(default=8, ge=1)
    rewards: RewardSettings = RewardSettings()
    pairs: PairSettings = PairSettings()
    trl: dict[str, Any] = {}

"""The settings of one training run; read from `configs/train/*.yaml`, changed by `key=value` on the command line."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from emotion_llama.clip import Modality
from emotion_llama.languages import CODES
from emotion_llama.model.configuration import ProjectorKind
from emotion_llama.settings import Settings
from emotion_llama.train.augment import AugmentSettings
from emotion_llama.train.head_settings import HeadSettings
from emotion_llama.train.preference.settings import PreferenceSettings

Kind = Literal[
    "manifest", "ravdess", "emodb", "crema-d", "features", "fer2013", "pictures", "goemotions", "meld", "mer", "dfew",
    "iemocap", "questions",
]  # fmt: skip
SampleTask = Literal["emotion", "reason", "visual", "audio"]
Metric = Literal["war", "uar", "weighted_f1", "nll", "last"]


def _some_task(mix: dict[SampleTask, float]) -> dict[SampleTask, float]:
    if min(mix.values(), default=0.0) < 0 or sum(mix.values()) <= 0:
        raise ValueError(f"tasks: expected shares of 0 or more, one of them above 0, found {mix}")
    return mix


def _known_language(code: str) -> str:
    if code not in CODES:
        raise ValueError(f"language: choose from {', '.join(CODES)}, found {code!r}")
    return code


TaskMix = Annotated[dict[SampleTask, float], AfterValidator(_some_task)]
SUFFIX = "@person"
"""Behind the name of a source whose clips are shown beside their own person's baseline (`Source.baseline`)."""

Chance = Annotated[float, Field(ge=0.0, le=1.0)]


class LoraSettings(Settings):
    """Low-rank adaptation of the language model."""

    rank: int = Field(default=8, ge=1)
    alpha: int = 16
    dropout: float = Field(default=0.05, ge=0.0, lt=1.0)
    targets: tuple[str, ...] = ("q_proj", "v_proj")


class FeatureSettings(Settings):
    """One feature group that the language model reads, in prompt order.

    `head` names the emotion head whose probabilities this group is. Width and, where it is not given, the number of
    tokens are those of the data. `still`: read from still pictures only, left out where the face moves. `joint`: made
    from picture and sound together, left out unless both are read.
    """

    name: str
    modality: Literal["video", "audio"]
    still: bool = False
    joint: bool = False
    tokens: int | None = Field(default=None, ge=1)
    projector: ProjectorKind = "linear"
    head: str | None = None

    def needed(self) -> tuple[Literal["video", "audio"], ...]:
        """Inputs without which this group cannot be read."""
        return ("video", "audio") if self.joint else (self.modality,)


class ModelSettings(Settings):
    """What is trained.

    `init`: checkpoint folder or preset to go on from (its feature groups, heads and LoRA shape are kept). `llm`: asset,
    hub name or folder. `quantize`: "nf4" holds the frozen base in 4 bits (QLoRA; needs a GPU and bitsandbytes).
    `encoders`: own encoders instead of `nano`'s: folders (`emotion-llama pretrain` makes some), or names on the hub.
    `recentre`: encoder outputs that a person's own baseline moves. `train`: which parts get gradients.
    """

    init: str | None = None
    llm: str = "smollm2-135m-instruct"
    placeholder: str | None = None
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    quantize: Literal["nf4"] | None = None
    features: tuple[FeatureSettings, ...] = ()
    heads: tuple[HeadSettings, ...] = ()
    lora: LoraSettings | None = LoraSettings()
    recentre: tuple[str, ...] = ()
    encoders: dict[Literal["global", "local", "temporal", "audio"], str] = {}
    train: tuple[Literal["projectors", "lora"], ...] = ("projectors", "lora")
    gradient_checkpointing: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        heads = {head.name for head in self.heads}
        for group in self.features:
            if group.head is not None and group.head not in heads:
                raise ValueError(f"features.{group.name}: head {group.head!r} is not among heads ({', '.join(heads)})")
        if self.init is None and not self.features:
            raise ValueError("features: name the feature groups, or init: a checkpoint to go on from")
        if not self.train:
            raise ValueError("train: choose projectors, lora or both")
        if self.lora is None and self.init is None:
            raise ValueError(
                "lora: a checkpoint is a LoRA adapter and projectors, found no LoRA; to train projectors alone set "
                "train: [projectors], which leaves LoRA without effect"
            )
        return self


class SplitShares(Settings):
    """A split by speaker drawn with the run's seed: which share of the speakers validates, which is for the test."""

    validation: float = Field(default=0.15, ge=0.0, lt=1.0)
    test: float = Field(default=0.0, ge=0.0, lt=1.0)
    unit: Literal["speaker", "clip"] = "speaker"


class Source(Settings):
    """One data set or manifest.

    `path` (and `validation_path`, `test_path`: manifests of their own for these sides) are relative to `data.root`.
    Sides come from `split`: the name of a shipped split or a split file; "official" (the data set's own, where its
    reader knows one); "folds" (`data.folds`); shares by speaker; or `side` puts every clip on one side. `labels` is the
    set these clips are asked about: the name of a set or words; clips of the labels `leave_out` are not read. `weight`:
    how often the source is drawn, relative to the others. `tasks` overrides the run's task mix. `words`: whether a
    transcript is given, recognised or left out. `limit`: at most so many clips a label on the training side. `copies`:
    augmented copies of each training clip. `baseline`: show each clip a second time, beside its own person's baseline
    (`model.recentre`), as the source "NAME@person": made of all "others", or of so many. `calibrate`: whether its
    validation clips decide how sure the model is; not if an encoder has seen them when it was trained by others.
    `features`: folders of feature files (`emotion-llama extract`, or upstream's), by the clip's name, instead of the
    recordings; an array that lies in several is taken from the last.
    """

    name: str = ""
    kind: Kind = "manifest"
    path: str
    validation_path: str | None = None
    test_path: str | None = None
    part: str = ""
    split: str | SplitShares | None = None
    side: Literal["train", "validation", "test"] | None = None
    labels: str | tuple[str, ...] = ""
    leave_out: tuple[str, ...] = ()
    weight: float = Field(default=1.0, ge=0.0)
    tasks: TaskMix | None = None
    words: Literal["given", "heard", "none"] = "given"
    without: tuple[Modality, ...] = ()
    limit: int | None = Field(default=None, ge=1)
    copies: int = Field(default=0, ge=0)
    baseline: Literal["others"] | int | None = None
    calibrate: bool = True
    features: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _name(cls, values: Any) -> Any:
        if isinstance(values, dict) and not values.get("name") and values.get("path"):
            return {**values, "name": str(values["path"]).rstrip("/").split("/")[-1].rsplit(".", 1)[0]}
        return values

    @model_validator(mode="after")
    def _one_way_to_split(self) -> Self:
        if (self.split is None) == (self.side is None) and not (self.validation_path or self.test_path):
            raise ValueError(
                f"source {self.name}: give split (official, folds, a shipped split, a split file, or shares by "
                "speaker) or side, one of the two"
            )
        named = self.side is not None or isinstance(self.split, str)
        if named and (self.validation_path or self.test_path):
            raise ValueError(
                f"source {self.name}: validation_path and test_path are sides of their own; beside them give shares by "
                "speaker (for what path holds) or nothing"
            )
        return self


class DataSettings(Settings):
    """Where the clips come from.

    `exclude`: speakers that no side may hold. `folds`, `fold`: for `split: folds`. `shuffle_truth`: a control run,
    whose training clips have one another's labels; on validation people it must stay at chance.
    """

    root: str = "."
    sources: tuple[Source, ...]
    exclude: tuple[str, ...] = ()
    folds: int = Field(default=6, ge=3)
    fold: int = Field(default=0, ge=0)
    augment: AugmentSettings = AugmentSettings()
    shuffle_truth: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [source.name for source in self.sources]
        twice = sorted({name for name in names if names.count(name) > 1})
        if not names or twice:
            raise ValueError(f"sources: expected different names, found {', '.join(twice) or 'no source'}")
        if self.fold >= self.folds:
            raise ValueError(f"fold {self.fold}: expected 0 to {self.folds - 1}")
        return self


class SampleSettings(Settings):
    """How clips become questions.

    `mix` "clips": each sample is one clip. "combine": voices, faces and lines of text of one emotion are put together
    (for data sets that lack some inputs; `combine_share` of the samples, the rest are clips as they are).
    `tasks`: task mix. `drop`: chance that an input is left out of a sample, never all. `text_only`: share of samples
    with the words alone. `named_sets`: share asked with another label set that holds the emotion, or made-up sets.
    `balance`: natural, balanced over labels, or tempered (frequency to the power `temper`). `feature_noise` in units of
    each column's spread; `feature_drop`: chance to hide a feature group, by its name; never all groups of an input.
    `official_answers`: answers are learned as the released code cleans them, lower-case and without full stops.
    `told`: share of the reasons that are asked with the right label alone, as `analyze` asks why the label it scored.
    `language`: what questions and answers are in (a code of `languages.CODES`); the checkpoint is then asked in it.
    """

    mix: Literal["clips", "combine"] = "clips"
    combine_share: float = Field(default=1.0, ge=0.0, le=1.0)
    tasks: TaskMix = {"emotion": 1.0}
    drop: dict[Modality, Chance] = {}
    text_only: float = Field(default=0.0, ge=0.0, le=1.0)
    blank: float = Field(default=0.03, ge=0.0, lt=1.0)
    shuffle_labels: bool = True
    named_sets: float = Field(default=0.0, ge=0.0, le=1.0)
    made_up_sets: float = Field(default=0.0, ge=0.0, le=1.0)
    balance: Literal["natural", "balanced", "tempered"] = "balanced"
    temper: float = Field(default=0.5, ge=0.0, le=1.0)
    feature_noise: float = Field(default=0.0, ge=0.0)
    feature_drop: dict[str, Chance] = {}
    official_answers: bool = False
    told: float = Field(default=0.75, ge=0.0, le=1.0)
    language: Annotated[str, AfterValidator(_known_language)] = "en"
    clues: int = Field(default=4, ge=1)


class ScheduleSettings(Settings):
    """Steps, batches and learning rates.

    `batch_size` is that of one process, `accumulate` batches make one step. `shape`: "cosine" falls to `min_share` of
    the rate after the warm-up; "official" is the released code's (warm-up from `warmup_learning_rate`, cosine over all
    steps down to `min_learning_rate`); "constant". `steps_an_epoch` matters to "official" only: its warm-up restarts
    with every epoch. `decay_exempt`: no weight decay for biases and one-dimensional weights.
    """

    steps: int = Field(default=300, ge=1)
    batch_size: int = Field(default=16, ge=1)
    accumulate: int = Field(default=1, ge=1)
    shape: Literal["cosine", "official", "constant"] = "cosine"
    learning_rate: float = Field(default=5e-4, gt=0.0)
    projector_learning_rate: float | None = Field(default=None, gt=0.0)
    warmup_steps: int = Field(default=30, ge=0)
    warmup_learning_rate: float = 0.0
    min_learning_rate: float = 0.0
    min_share: float = Field(default=0.05, ge=0.0, le=1.0)
    steps_an_epoch: int | None = Field(default=None, ge=1)
    weight_decay: float = Field(default=0.01, ge=0.0)
    decay_exempt: bool = True
    betas: tuple[float, float] = (0.9, 0.999)
    clip_norm: float = Field(default=1.0, ge=0.0)
    bucket: int = Field(default=8, ge=1)
    workers: int = Field(default=0, ge=0)


class ValidationSettings(Settings):
    """How the best checkpoint is chosen, on the validation side only.

    Every `every` steps up to `clips` clips of each source are scored, calibrated on themselves where the run is
    calibrated at its end; `metric` is averaged over the sources. "last" keeps the last weights: label scores say
    nothing of reasons, which need more steps. `patience`: stop after so many validations without a gain (`None` = run
    all steps).
    """

    side: str = "validation"
    every: int = Field(default=50, ge=1)
    clips: int = Field(default=120, ge=1)
    combinations: int = Field(default=0, ge=0)
    metric: Metric = "uar"
    patience: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _never_on_test(self) -> Self:
        if self.side != "validation":
            raise ValueError(
                f"side {self.side!r}: the best checkpoint is chosen on the validation side; a score of the {self.side} "
                "side that chose anything says nothing about new people. Leave this key out"
            )
        if self.metric == "last" and self.patience is not None:
            raise ValueError("patience: stops by a score, and metric last has none; leave one of them out")
        return self


class CalibrationSettings(Settings):
    """Temperatures and prior weight, fitted on the validation side after training. `clips` a source; label `orders`.

    `alone`: clips with picture and sound are asked about once more with each of the two alone, so that the model knows
    how sure to be of one input.
    """

    clips: int = Field(default=300, ge=1)
    combinations: int = Field(default=0, ge=0)
    orders: int = Field(default=4, ge=1)
    alone: bool = False


class TrainConfig(Settings):
    """One training run. `licence` and `about` go into the record and the model card.

    `score_test`: whether the test sides are scored at the end; or names of the sources ("NAME@person" is one) that are.

    `method`: "sft" learns the right answers; "dpo" and "grpo" go on from a checkpoint by preference or reward, as
    `preference` says, which holds their steps and rates instead of `schedule` and `validation`.
    """

    out: str
    seed: int = 0
    about: str = ""
    licence: str = ""
    model: ModelSettings
    data: DataSettings
    samples: SampleSettings = SampleSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    validation: ValidationSettings = ValidationSettings()
    calibration: CalibrationSettings | None = CalibrationSettings()
    score_test: bool | tuple[str, ...] = False
    trackers: tuple[str, ...] = ("tensorboard",)
    keep_checkpoints: int = Field(default=2, ge=1)
    method: Literal["sft", "dpo", "grpo"] = "sft"
    preference: PreferenceSettings | None = None

    @model_validator(mode="after")
    def _hides_what_there_is(self) -> Self:
        known = [group.name for group in self.model.features]  # of a checkpoint that is gone on with: read later
        unknown = [name for name in self.samples.feature_drop if name not in known]
        if unknown and known:
            raise ValueError(
                f"samples.feature_drop: {', '.join(unknown)} names no feature group; known are {', '.join(known)}"
            )
        return self

    @model_validator(mode="after")
    def _scores_what_there_is(self) -> Self:
        known = [source.name for source in self.data.sources]
        named = () if isinstance(self.score_test, bool) else self.score_test
        if unknown := [name for name in named if name.removesuffix(SUFFIX) not in known]:
            raise ValueError(f"score_test: {', '.join(unknown)} names no source; known are {', '.join(known)}")
        return self

    @model_validator(mode="after")
    def _fits_method(self) -> Self:
        if self.method == "sft":
            if self.preference is not None:
                raise ValueError("preference: only methods dpo and grpo read it; set method, or leave it out")
            return self
        if self.model.init is None:
            raise ValueError(f"method {self.method}: expected model.init, the checkpoint to go on from, found none")
        if self.preference is None:
            raise ValueError(f"method {self.method}: expected preference (may be empty: {{}}), found none")
        if self.method != "dpo" and self.preference.pairs.file is not None:
            raise ValueError("preference.pairs.file: only method dpo reads pairs; leave it out, or choose dpo")
        if (self.schedule, self.validation) != (ScheduleSettings(), ValidationSettings()):
            raise ValueError(
                f"method {self.method}: steps, batches and rates are set in preference (steps, trl), and no checkpoint "
                "is chosen by a score; leave schedule and validation out"
            )
        if self.samples.language != "en":
            raise ValueError(f"method {self.method}: answers to prefer are English so far; leave samples.language out")
        if self.samples.mix != "clips" or self.samples.feature_noise > 0:
            raise ValueError(f"method {self.method}: clips are asked as they are; leave mix and feature_noise out")
        return self

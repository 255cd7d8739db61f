"""Configuration of an Emotion-LLaMA model: the language model, the feature groups spliced into it, the LoRA facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig

from emotion_llama.errors import ModelError
from emotion_llama.model.chat import placeholder_of
from emotion_llama.prompt import GLOBAL, PROMPT_VERSION, ChatFrame, Layout

ProjectorKind = Literal["linear", "plain", "mlp", "gated", "attention", "conv-attention"]


@dataclass(frozen=True)
class FeatureGroup:
    """One encoder's output as the model reads it: at most `tokens` rows of `width` numbers, then a projector.

    `projector`: "linear" is the paper's; the others are described at `model.projector.Projector`. `labels`: where the
    row is a head's opinion, the emotions whose chances the numbers are. `still`: read from still pictures only, left
    out where the face moves. `joint`: made from picture and sound together, left out unless both are read.
    """

    name: str
    width: int
    tokens: int
    modality: Literal["video", "audio"]
    projector: ProjectorKind = "linear"
    labels: tuple[str, ...] = ()
    still: bool = False
    joint: bool = False

    def needed(self) -> tuple[Literal["video", "audio"], ...]:
        """Inputs without which this group cannot be read."""
        return ("video", "audio") if self.joint else (self.modality,)

    def __post_init__(self) -> None:
        """A configuration read from JSON holds lists."""
        object.__setattr__(self, "labels", tuple(self.labels))


@dataclass(frozen=True)
class Lora:
    """Low-rank adaptation of the language model (paper: rank 64, alpha 16, dropout 0.05 on q_proj and v_proj)."""

    rank: int = 8
    alpha: int = 16
    dropout: float = 0.05
    targets: tuple[str, ...] = ("q_proj", "v_proj")


class EmotionLlamaConfig(PreTrainedConfig):  # type: ignore[misc]  # untyped library
    """Hugging Face configuration of `EmotionLlamaForConditionalGeneration`.

    `text_config`: the language model's own configuration. `features`: the feature groups, in prompt order ("global"
    first), as the fields of `FeatureGroup`. `lora`: the fields of `Lora`, `None` when there is none (or it was merged).
    `llm`: asset or hub name of the language model. `chat_frame`: the fields of `ChatFrame`; `None` = recognise it from
    the tokenizer's chat template. `prompt_version`: the prompt the weights were trained with. `encoders`: folders of
    encoders that stand in for the preset's own, by feature name. `wording`: "official" for the released weights, whose
    prompt, tokenizer and order of tokens are their own (`prompt_official`). `layout`: the order they are asked in
    unless told otherwise. `zeros`: groups that are rows of zeros where a clip lacks them, as upstream has it; all
    others are left out. `mark_after_control`: how the released weights' tokenizer reads text behind a control string
    (`model.segments`). `language`: code of the language that it is asked in and answers in.
    """

    model_type = "emotion_llama"
    sub_configs: ClassVar[dict[str, Any]] = {"text_config": AutoConfig}

    def __init__(
        self,
        text_config: Any = None,
        features: Sequence[dict[str, Any]] = (),
        placeholder_token_id: int | None = None,
        lora: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if isinstance(text_config, dict):
            text_config = AutoConfig.for_model(**text_config)
        self.text_config = text_config if text_config is not None else AutoConfig.for_model("llama")
        self.features = [asdict(FeatureGroup(**group)) for group in features]
        self.placeholder_token_id = placeholder_token_id
        self.lora = None if lora is None else {**asdict(Lora()), **lora}
        self.llm = kwargs.pop("llm", None)
        self.chat_frame = kwargs.pop("chat_frame", None)
        self.prompt_version = kwargs.pop("prompt_version", None)
        self.encoders = kwargs.pop("encoders", None) or {}
        self.wording = kwargs.pop("wording", None) or "own"
        self.layout: Layout = kwargs.pop("layout", None) or "aligned"
        self.mark_after_control = bool(kwargs.pop("mark_after_control", True))
        self.language: str = kwargs.pop("language", None) or "en"
        self.zeros = list(kwargs.pop("zeros", None) or ())
        kwargs.setdefault("tie_word_embeddings", bool(getattr(self.text_config, "tie_word_embeddings", False)))
        super().__init__(**kwargs)
        _check_groups(self.groups)

    @classmethod
    def for_llm(
        cls,
        llm_dir: str | Path,
        features: Sequence[FeatureGroup],
        *,
        lora: Lora | None = None,
        placeholder: str | None = None,
        **kwargs: Any,
    ) -> EmotionLlamaConfig:
        """Make the configuration of a new model around the language model in `llm_dir` (folder or hub name).

        `placeholder`: the token that holds the place of a soft token; `None` = a reserved one of its tokenizer.
        Raises `ModelError` if its tokenizer has no such token.
        """
        known = AutoTokenizer.from_pretrained(llm_dir).get_vocab()
        kept = placeholder_of(known, placeholder)
        text_config = AutoConfig.from_pretrained(llm_dir)
        text_config.name_or_path = ""  # a folder of this machine means nothing on the next one
        kwargs.setdefault("prompt_version", PROMPT_VERSION)
        return cls(
            text_config=text_config,
            features=[asdict(group) for group in features],
            placeholder_token_id=known[kept],
            lora=None if lora is None else asdict(lora),
            **kwargs,
        )

    @property
    def groups(self) -> tuple[FeatureGroup, ...]:
        """The feature groups in prompt order."""
        return tuple(FeatureGroup(**group) for group in self.features)

    @property
    def frame(self) -> ChatFrame | None:
        """The chat frame written in the configuration, `None` if the tokenizer decides."""
        return None if self.chat_frame is None else ChatFrame(**self.chat_frame)


def _check_groups(groups: Sequence[FeatureGroup]) -> None:
    names = [group.name for group in groups]
    if len(set(names)) != len(names):
        raise ModelError(f"config features: expected different names, found {', '.join(names)}")
    if GLOBAL in names[1:]:
        raise ModelError(f"config features: {GLOBAL!r} stands first in the prompt, found it after {names[0]!r}")
    for group in groups:
        if group.width < 1 or group.tokens < 1:
            raise ModelError(f"config features: {group.name!r} needs width and tokens of at least 1, found {group}")

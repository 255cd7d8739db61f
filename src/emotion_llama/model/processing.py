"""From clips to tensors: prompts become token ids, features become padded arrays with a presence mask."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import AutoTokenizer

from emotion_llama.clip import Task
from emotion_llama.errors import ModelError, UsageError
from emotion_llama.languages import language
from emotion_llama.model.chat import frame_of
from emotion_llama.model.configuration import EmotionLlamaConfig
from emotion_llama.model.modeling import IGNORED
from emotion_llama.model.segments import TOKENIZER_FILE, SegmentTokenizer
from emotion_llama.prompt import LAYOUTS, Layout, Marker, Piece, Prompt, Soft, render
from emotion_llama.prompt_official import demo_kept, render_official

TRAINING_MULTIPLE = 16
"""Training batches are padded to a multiple of this: every new length costs the CPU's matrix library a compilation."""

_TOKENISING = threading.Lock()
"""The library keeps in the tokenizer whether control tokens are split: two threads would read each other's setting."""

Features = Mapping[str, NDArray[np.float32]]
"""Feature group → (N, E), only the groups that are present."""


@dataclass(frozen=True)
class TrainSample:
    """One question about one clip with its answer. `transcript`, `clues` and `labels` as in `prompt.render`.

    `question`: words of its own instead of the task's (general questions, which limit forgetting). `source` names the
    data set, for losses and scores by source. `tag` and `history`: as in `prompt_official.render_official`.
    """

    clip: str
    task: Task
    labels: tuple[str, ...]
    transcript: str | None
    answer: str
    features: Features = field(default_factory=dict)
    clues: tuple[str, ...] = ()
    question: str | None = None
    source: str = ""
    tag: str | None = None
    history: tuple[str, ...] = ()


class EmotionLlamaProcessor:
    """Tokenises prompts and collates features for one model.

    Text is tokenised piece by piece and never read as control tokens; only the chat frame's markers are. `layout`: the
    order of the tokens, where it is not the configuration's own; only the released weights know more than one.
    """

    def __init__(self, tokenizer: Any, config: EmotionLlamaConfig, layout: Layout | None = None) -> None:
        if config.placeholder_token_id is None:
            raise ModelError("config placeholder_token_id: expected the id of an unused special token, found none")
        self.tokenizer = tokenizer
        self.config = config
        self.layout: Layout = layout if layout is not None else config.layout
        if self.layout not in LAYOUTS:
            raise UsageError(f"unknown prompt layout {self.layout!r}: choose from {', '.join(LAYOUTS)}")
        if self.layout != "aligned" and config.wording != "official":
            raise UsageError(f"layout {self.layout}: only converted official weights know it; leave it out")
        self.frame = config.frame or frame_of(tokenizer)
        end = self.token_ids([Marker(self.frame.end)])
        if len(end) != 1:
            raise ModelError(f"chat frame: expected {self.frame.end!r} to be one token, found {len(end)}")
        self.end_id: int = end[0]
        pad = tokenizer.pad_token_id
        self.pad_id: int = self.end_id if pad is None else pad

    @classmethod
    def from_pretrained(cls, folder: str | Path, config: EmotionLlamaConfig | None = None) -> EmotionLlamaProcessor:
        """Read the tokenizer from `folder` (the language model's, or one written by `save_pretrained`).

        `config` may be left out when the folder holds this model's own config.json.
        """
        config = config if config is not None else EmotionLlamaConfig.from_pretrained(folder)
        if config.wording == "official":
            return cls(SegmentTokenizer(Path(folder) / TOKENIZER_FILE, config.mark_after_control), config)
        return cls(AutoTokenizer.from_pretrained(folder), config)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the tokenizer files and the configuration."""
        self.tokenizer.save_pretrained(folder)
        self.config.save_pretrained(folder)

    def render(
        self,
        task: Task,
        labels: Sequence[str],
        transcript: str | None,
        features: Features,
        clues: Sequence[str] = (),
        phrasing: int = 0,
        question: str | None = None,
        tag: str | None = None,
        history: Sequence[str] = (),
    ) -> Prompt:
        """Render the prompt of one clip for this model. Raises `ModelError` for features that do not fit it."""
        counts = self.soft_tokens(features)
        if self.config.wording == "official":
            return render_official(
                self.layout,
                task,
                labels=labels,
                transcript=transcript,
                soft_tokens=counts,
                phrasing=phrasing,
                question=question,
                tag=tag,
                history=history,
            )
        return render(
            task,
            labels=labels,
            transcript=transcript,
            soft_tokens=counts,
            clues=clues,
            frame=self.frame,
            phrasing=phrasing,
            question=question,
            code=self.config.language,
        )

    def label(self, word: str) -> str:
        """A label as this model reads and writes it: its name in the model's language."""
        return language(self.config.language).label(word)

    def in_layout(self, layout: Layout | None) -> EmotionLlamaProcessor:
        """Give a processor for another layout; `None` = the configuration's own. Raises `UsageError` if unknown."""
        return self if layout in (None, self.layout) else EmotionLlamaProcessor(self.tokenizer, self.config, layout)

    def complete(self, features: Features) -> Features:
        """Add the rows of zeros that the released code feeds for what a clip lacks, in its own layouts only."""
        if self.layout == "aligned":
            return features
        empty = {g.name: np.zeros((1, g.width), np.float32) for g in self.config.groups if g.name in self.config.zeros}
        return {**empty, **features}

    def soft_tokens(self, features: Features) -> dict[str, int]:
        """Give the number of soft tokens of each present group, in prompt order, after checking the arrays."""
        unknown = set(features) - {group.name for group in self.config.groups}
        if unknown:
            known = ", ".join(group.name for group in self.config.groups)
            raise ModelError(
                f"feature groups {', '.join(sorted(unknown))} are unknown to this model, which reads {known}"
            )
        counts: dict[str, int] = {}
        for group in self.config.groups:
            if group.name not in features:
                continue
            rows = features[group.name]
            if rows.ndim != 2 or rows.shape[1] != group.width or not 1 <= rows.shape[0] <= group.tokens:
                expected = f"(1 to {group.tokens}, {group.width})"
                raise ModelError(f"feature {group.name!r}: expected shape {expected}, found {rows.shape}")
            if not np.isfinite(rows).all():
                raise ModelError(f"feature {group.name!r}: expected finite numbers, found NaN or infinity")
            counts[group.name] = int(rows.shape[0])
        return counts

    def token_ids(self, pieces: Sequence[Piece]) -> list[int]:
        """Tokenise pieces one by one; a soft run becomes as many placeholders."""
        ids: list[int] = []
        for piece in pieces:
            if isinstance(piece, Soft):
                ids += [int(self.config.placeholder_token_id or 0)] * piece.count
            else:
                control = isinstance(piece, Marker)
                text = piece.text if isinstance(piece, Marker) else piece
                with _TOKENISING:
                    encoded = self.tokenizer(text, add_special_tokens=False, split_special_tokens=not control)
                ids += encoded["input_ids"]
        return ids

    def answer_ids(self, answer: str) -> list[int]:
        """Tokenise an answer as the model is to write it, without the end token."""
        return self.token_ids([self.frame.answer_lead + answer.strip()])

    def decode(self, ids: Sequence[int]) -> str:
        """Turn generated tokens into text, control tokens dropped."""
        text: str = self.tokenizer.decode(list(ids), skip_special_tokens=True)
        return text.strip()

    def for_training(self, samples: Sequence[TrainSample], most_answer_tokens: int | None = None) -> dict[str, Any]:
        """Collate samples into `model(**batch)` keywords, padded on the right; loss on the answer and its end only.

        Answers longer than `most_answer_tokens` are cut and then have no end, as upstream does. Gives input_ids,
        attention_mask, labels (B, T), features, feature_mask, clip_ids.
        Raises `ModelError` naming the clip if a sample is longer than the language model's context.
        """
        rows, targets = [], []
        for sample in samples:
            prompt = self._prompt_ids(sample)
            said = self.label(sample.answer) if sample.task == "emotion" else sample.answer
            answer = [*self.answer_ids(said), self.end_id][:most_answer_tokens]
            self.check_length(sample.clip, len(prompt) + len(answer))
            rows.append(prompt + answer)
            targets.append([IGNORED] * len(prompt) + answer)
        batch = self._batch(samples, rows, left=False, multiple=TRAINING_MULTIPLE)
        width = batch["input_ids"].shape[1]
        batch["labels"] = torch.tensor([row + [IGNORED] * (width - len(row)) for row in targets])
        return batch

    def for_generation(self, samples: Sequence[TrainSample]) -> dict[str, Any]:
        """Collate the prompts alone into `model.generate(**batch)` keywords, padded on the left."""
        rows = [self._prompt_ids(sample) for sample in samples]
        for sample, row in zip(samples, rows, strict=True):
            self.check_length(sample.clip, len(row))
        return self._batch(samples, rows, left=True)

    def _prompt_ids(self, sample: TrainSample) -> list[int]:
        prompt = self.render(
            sample.task,
            sample.labels,
            sample.transcript,
            sample.features,
            sample.clues,
            question=sample.question,
            tag=sample.tag,
            history=sample.history,
        )
        return self.token_ids((*prompt.prefix, *prompt.suffix))

    def _batch(
        self, samples: Sequence[TrainSample], rows: Sequence[list[int]], *, left: bool, multiple: int = 1
    ) -> dict[str, Any]:
        width = -(-max(len(row) for row in rows) // multiple) * multiple
        ids = torch.full((len(rows), width), self.pad_id)
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for index, row in enumerate(rows):
            span = slice(width - len(row), width) if left else slice(0, len(row))
            ids[index, span] = torch.tensor(row)
            mask[index, span] = 1
        features, present = self.collate([sample.features for sample in samples])
        clips = [sample.clip for sample in samples]
        batch = {"input_ids": ids, "attention_mask": mask, "features": features, "feature_mask": present}
        return {**batch, "clip_ids": clips}

    def collate(self, clips: Sequence[Features]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Pad features to (B, N, E) with presence masks (B, N); groups that no clip has are left out."""
        features: dict[str, Tensor] = {}
        present: dict[str, Tensor] = {}
        for group in self.config.groups:
            counts = [len(clip[group.name]) if group.name in clip else 0 for clip in clips]
            if not any(counts):
                continue
            rows = torch.zeros(len(clips), max(counts), group.width)  # (B, N, E)
            for index, count in enumerate(counts):
                if count:
                    rows[index, :count] = torch.from_numpy(np.asarray(clips[index][group.name], np.float32))
            features[group.name] = rows
            present[group.name] = torch.arange(max(counts)) < torch.tensor(counts).unsqueeze(1)
        return features, present

    def check_length(self, clip: str, length: int) -> None:
        """Raise `ModelError`, naming the clip, if a prompt is longer than the language model can read."""
        limit = int(self.config.text_config.max_position_embeddings)
        if self.layout == "official-demo":
            limit = min(limit, demo_kept(length))
        if length > limit:
            raise ModelError(
                f"clip {clip}: the prompt has {length} tokens, the language model reads {limit}; "
                "analyse a shorter span (start_s, end_s) or give a shorter transcript"
            )

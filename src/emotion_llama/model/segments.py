"""The tokenizer of Llama-2 as the released code used it: SentencePiece on every stretch of text by itself.

Newer libraries tokenise otherwise around control strings, which changes the ids and with them the answers. Which of the
two ways the published scores were made with is not known, since upstream pins two library versions; both are here.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import sentencepiece

from emotion_llama.errors import ModelError

TOKENIZER_FILE = "tokenizer.model"
PAD_PIECE = "$$"
"""What upstream names as padding: an ordinary piece, or, where there is none of that name, the unknown token."""

_STRANGER = "\ue000"
"""A character for private use: no tokenizer has learned it, so it joins no piece with what follows."""


class SegmentTokenizer:
    """Text ↔ token ids with a SentencePiece file; the calls are those that `EmotionLlamaProcessor` makes.

    Inside a text that may hold control strings, `<unk>`, `<s>` and `</s>` are split off first, spaces beside them
    kept; every stretch between them begins with a word-boundary mark of its own. `mark_after_control` false: the
    stretch after a control string begins with none (the library's `legacy=False` from 4.35).
    """

    chat_template = None

    def __init__(self, file: str | Path, mark_after_control: bool = True) -> None:
        self.file = Path(file)
        self.mark_after_control = mark_after_control
        try:
            self._pieces: Any = sentencepiece.SentencePieceProcessor(model_file=str(self.file))
        except (OSError, RuntimeError) as error:
            raise ModelError(f"{self.file}: not a SentencePiece model ({error}); give Llama-2's own file") from error
        ids = (self._pieces.unk_id(), self._pieces.bos_id(), self._pieces.eos_id())
        if min(ids) < 0:
            raise ModelError(f"{self.file}: expected ids of <unk>, <s> and </s>, found {ids}; give Llama-2's own file")
        self.control = dict(zip(("<unk>", "<s>", "</s>"), ids, strict=True))
        self._split = re.compile("(" + "|".join(map(re.escape, self.control)) + ")")

    @property
    def pad_token_id(self) -> int:
        """Id of the padding piece."""
        return int(self._pieces.piece_to_id(PAD_PIECE))

    def get_vocab(self) -> dict[str, int]:
        """Every piece and its id."""
        return {self._pieces.id_to_piece(index): index for index in range(len(self._pieces))}

    def __call__(
        self, text: str, add_special_tokens: bool = False, split_special_tokens: bool = False
    ) -> dict[str, list[int]]:
        """Give `input_ids` of one stretch of text. `split_special_tokens`: read control strings as plain characters."""
        parts = [text] if split_special_tokens else self._split.split(text)
        ids = [self.control["<s>"]] if add_special_tokens else []
        for at, part in enumerate(parts):
            if not split_special_tokens and part in self.control:
                ids.append(self.control[part])
            elif part:
                ids += self._plain(part) if at == 0 or self.mark_after_control else self._unmarked(part)
        return {"input_ids": ids}

    def _plain(self, text: str) -> list[int]:
        found: list[int] = self._pieces.encode(text)
        return found

    def _unmarked(self, text: str) -> list[int]:
        """Tokenise without the mark: behind a character that no piece holds, whose tokens are then taken off."""
        lead = self._plain(_STRANGER)
        return self._plain(_STRANGER + text)[len(lead) :]

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = True) -> str:
        """Turn ids into text. Control tokens and padding are left out, as upstream does."""
        dropped = {*self.control.values(), self.pad_token_id} if skip_special_tokens else set()
        text: str = self._pieces.decode([int(index) for index in ids if int(index) not in dropped])
        return text

    def save_pretrained(self, folder: str | Path) -> None:
        """Copy the SentencePiece file into a folder."""
        target = Path(folder) / TOKENIZER_FILE
        if target.resolve() != self.file.resolve():
            shutil.copyfile(self.file, target)

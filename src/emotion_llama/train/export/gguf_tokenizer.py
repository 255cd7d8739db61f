"""A fast tokenizer as GGUF metadata: the pieces, their kinds, merges or scores, special tokens, chat template."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gguf

from emotion_llama.errors import ModelError

_LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_BYTE = re.compile(r"<0x[0-9A-Fa-f]{2}>")


@dataclass
class _Pieces:
    """Texts and kinds of the tokens, by id."""

    texts: list[str] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)


def add_tokenizer(writer: gguf.GGUFWriter, tokenizer: Any, vocab_size: int, folder: Path) -> None:
    """Add all that llama.cpp needs to tokenise as `tokenizer` does; `folder` is for a copy of its files.

    Byte-level BPE with a way of splitting that llama.cpp knows, and the byte-fallback BPE of Llama 2 are written.
    Raises `ModelError` for any other, which llama.cpp would read wrongly.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError("gguf-llm: expected a fast tokenizer (tokenizer.json), found a slow one; convert it first")
    document = json.loads(tokenizer.backend_tokenizer.to_str())
    if document["model"]["type"] != "BPE":
        raise ModelError(f"gguf-llm: expected a BPE tokenizer, found {document['model']['type']}; cannot be written")
    by_bytes = bool(document["model"].get("byte_fallback"))
    pieces = _pieces(tokenizer, vocab_size, tokenizer.unk_token_id if by_bytes else None)
    writer.add_tokenizer_model("llama" if by_bytes else "gpt2")
    writer.add_tokenizer_pre("default" if by_bytes else split_name(document.get("pre_tokenizer")))
    writer.add_token_list(pieces.texts)
    if by_bytes:
        writer.add_token_scores(_scores(document["model"], vocab_size))
        writer.add_add_space_prefix(_prepends_space(document))
    writer.add_token_types(pieces.kinds)
    _add_special(writer, tokenizer, vocab_size, folder, with_merges=not by_bytes)


def split_name(pre_tokenizer: dict[str, Any] | None) -> str:
    """Give llama.cpp's name for a byte-level tokenizer's way of splitting text. Raises `ModelError` if it has none."""
    steps = _steps(pre_tokenizer)
    kinds = [step["type"] for step in steps]
    byte_level = steps[-1] if steps and kinds[-1] == "ByteLevel" else {}
    own_regex = byte_level.get("use_regex", True)
    if byte_level and not byte_level.get("add_prefix_space", False):
        if kinds == ["ByteLevel"] and own_regex:
            return "gpt-2"
        if kinds == ["Digits", "ByteLevel"] and own_regex and steps[0].get("individual_digits"):
            return "smollm"
        if kinds == ["Split", "ByteLevel"] and not own_regex and steps[0]["pattern"].get("Regex") == _LLAMA3_SPLIT:
            return "llama-bpe"
    raise ModelError(
        f"gguf-llm: the tokenizer splits text by {kinds or 'nothing'}, for which no name in GGUF is known here; use "
        "`export merged` and llama.cpp's own converter"
    )


def _steps(pre_tokenizer: dict[str, Any] | None) -> list[dict[str, Any]]:
    if pre_tokenizer is None:
        return []
    return list(pre_tokenizer["pretokenizers"]) if pre_tokenizer["type"] == "Sequence" else [pre_tokenizer]


def _pieces(tokenizer: Any, vocab_size: int, unknown: int | None) -> _Pieces:
    texts = {number: text for text, number in tokenizer.get_vocab().items()}
    if max(texts) >= vocab_size:
        raise ModelError(
            f"gguf-llm: the tokenizer has token {max(texts)}, the language model {vocab_size} rows; they do not belong "
            "together: give --llm"
        )
    added = tokenizer.added_tokens_decoder
    pieces = _Pieces()
    for number in range(vocab_size):
        text = texts.get(number)
        pieces.texts.append(f"[PAD{number}]" if text is None else text)
        pieces.kinds.append(_kind(text, added.get(number), number == unknown))
    return pieces


def _kind(text: str | None, added: Any, unknown: bool) -> int:
    if text is None:
        return int(gguf.TokenType.UNUSED)
    if _BYTE.fullmatch(text):
        return int(gguf.TokenType.BYTE)
    if unknown:
        return int(gguf.TokenType.UNKNOWN)
    if added is not None:
        return int(gguf.TokenType.CONTROL if added.special else gguf.TokenType.USER_DEFINED)
    return int(gguf.TokenType.NORMAL)


def _scores(model: dict[str, Any], vocab_size: int) -> list[float]:
    """SentencePiece's scores of a BPE vocabulary: it joins the pair whose result has the lowest id first.

    Raises `ModelError` if the merges are not in the order of their results' ids, which such scores cannot say.
    """
    merges = [pair if isinstance(pair, list) else pair.split(" ") for pair in model["merges"]]
    order = [model["vocab"]["".join(pair)] for pair in merges]
    if order != sorted(order):
        raise ModelError("gguf-llm: the tokenizer's merges are not in the order of their ids; cannot be written")
    return [-float(number) for number in range(vocab_size)]


def _prepends_space(document: dict[str, Any]) -> bool:
    """Whether the tokenizer puts a space before the text, by its normalizer or its way of splitting."""
    normalizer = document.get("normalizer") or {}
    prepends = any(step.get("type") == "Prepend" for step in normalizer.get("normalizers", [normalizer]))
    return prepends or any(
        step.get("prepend_scheme") in ("first", "always") for step in _steps(document["pre_tokenizer"])
    )


def _add_special(writer: gguf.GGUFWriter, tokenizer: Any, vocab_size: int, folder: Path, *, with_merges: bool) -> None:
    files = folder / "tokenizer"
    tokenizer.save_pretrained(files)
    special = gguf.SpecialVocab(files, load_merges=with_merges, n_vocab=vocab_size)
    # What the tokenizer really does, not what its settings seem to say.
    ids = tokenizer("a").input_ids
    special.add_special_token = {"bos": ids[0] == tokenizer.bos_token_id, "eos": ids[-1] == tokenizer.eos_token_id}
    for name in ("bos", "eos", "unk", "pad"):
        number = getattr(tokenizer, f"{name}_token_id")
        if number is not None:
            special.special_token_ids[name] = int(number)
    special.add_to_gguf(writer, quiet=True)

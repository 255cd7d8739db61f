"""How many words a text shares with a reference: token F1, ROUGE-L, BLEU, chrF.

Chinese, Japanese and Korean text is cut into characters, other text into words; case and punctuation do not count for
token F1 and ROUGE-L. These measure wording, not meaning: two right explanations can share few words.

Sources: ROUGE-L Lin (2004); BLEU Papineni et al. (2002) and chrF Popović (2015) as sacrebleu computes them (Post 2018).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Any

from emotion_llama.clip import Record
from emotion_llama.errors import UsageError

# kana, han, hangul: scripts in which a space does not end a word (or, for hangul, ends several)
_BY_CHARACTER = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_TOKEN = re.compile(rf"[{_BY_CHARACTER}]|[^\W_{_BY_CHARACTER}]+(?:['’][^\W_{_BY_CHARACTER}]+)*")
_BY_CHARACTER_ONLY = re.compile(rf"[{_BY_CHARACTER}]")


class TextOverlap(Record):
    """Overlaps of one text with its reference: `token_f1` and `rouge_l` (F1) 0–1, `bleu` and `chrf` 0–100."""

    token_f1: float
    rouge_l: float
    bleu: float
    chrf: float


def text_overlap(reference: str, text: str) -> TextOverlap:
    """Compare a text with its reference. Raises `UsageError` if the extra `evaluate` is not installed."""
    sentence_bleu, sentence_chrf = _sacrebleu()
    cut = "zh" if is_by_character(reference) else "13a"
    return TextOverlap(
        token_f1=token_f1(reference, text),
        rouge_l=float(_rouge().score(reference, text)["rougeL"].fmeasure),
        bleu=float(sentence_bleu(text, [reference], tokenize=cut).score),
        chrf=float(sentence_chrf(text, [reference]).score),
    )


def mean_overlap(overlaps: Sequence[TextOverlap]) -> TextOverlap | None:
    """The mean over texts; `None` for no text."""
    if not overlaps:
        return None
    return TextOverlap(
        **{name: sum(getattr(o, name) for o in overlaps) / len(overlaps) for name in TextOverlap.model_fields}
    )


def token_f1(reference: str, text: str) -> float:
    """Give the F1 of the shared tokens, each as often as it stands in both; 0 if either has none."""
    wanted, given = Counter(tokens(reference)), Counter(tokens(text))
    shared = (wanted & given).total()
    return 2 * shared / (wanted.total() + given.total()) if shared else 0.0


def tokens(text: str) -> list[str]:
    """Cut a text into lower-case words, and Chinese, Japanese and Korean text into characters."""
    return _TOKEN.findall(text.lower().replace("’", "'"))


def is_by_character(text: str) -> bool:
    """Whether most of a text's tokens are characters of Chinese, Japanese or Korean."""
    found = tokens(text)
    return 2 * sum(_BY_CHARACTER_ONLY.match(token) is not None for token in found) > len(found)


class _Tokens:
    """The tokenizer that rouge-score asks for."""

    def tokenize(self, text: str) -> list[str]:
        return tokens(text)


@cache
def _rouge() -> Any:
    try:
        rouge = import_module("rouge_score.rouge_scorer")  # it carries no types
    except ImportError as error:
        raise _missing("rouge-score", error) from error
    return rouge.RougeScorer(["rougeL"], tokenizer=_Tokens())


@cache
def _sacrebleu() -> tuple[Any, Any]:
    try:
        from sacrebleu import sentence_bleu, sentence_chrf
    except ImportError as error:
        raise _missing("sacrebleu", error) from error
    return sentence_bleu, sentence_chrf


def _missing(library: str, error: ImportError) -> UsageError:
    return UsageError(f"text overlap needs {library} ({error}); install emotion-llama[evaluate]")

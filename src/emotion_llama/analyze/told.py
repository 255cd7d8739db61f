"""An analysis in another language: evidence, notes and warnings are told; keys, labels and numbers stay."""

from __future__ import annotations

from collections.abc import Sequence

from emotion_llama.clip import Analysis, Attribution, Observation
from emotion_llama.languages import Language, language


def in_language(analysis: Analysis, code: str) -> Analysis:
    """Give the analysis with what the program says in it in a language.

    Its reason and descriptions were written in that language already; the labels, the transcript and the model's own
    text (`raw`, `prompts`) stay as they are. Raises `UsageError` for an unknown language.
    """
    words = language(code)
    inputs = {
        name: state.model_copy(update={"reason": words.tell(state.reason)}) for name, state in analysis.inputs.items()
    }
    update = {
        "language": code,
        "evidence": _observations(analysis.evidence, words),
        "claims": _observations(analysis.claims, words),
        "inputs": inputs,
        "warnings": tuple(words.tell(text) for text in analysis.warnings),
        "attribution": _attribution(analysis.attribution, words),
    }
    return analysis.model_copy(update=update)


def _observations(observations: Sequence[Observation], words: Language) -> tuple[Observation, ...]:
    return tuple(
        one.model_copy(
            update={"text": words.tell(one.text), "note": None if one.note is None else words.tell(one.note)}
        )
        for one in observations
    )


def _attribution(found: Attribution | None, words: Language) -> Attribution | None:
    if found is None or found.conflict is None:
        return found
    conflict = found.conflict.model_copy(update={"text": words.tell(found.conflict.text)})
    return found.model_copy(update={"conflict": conflict})

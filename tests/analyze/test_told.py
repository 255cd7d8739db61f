"""A result in Chinese, wherever it is shown: nothing of the program's own English is left, and keys stay."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from html import unescape

import pytest
from rich.console import Console

from emotion_llama.analyze.analyzer import EmotionLlama, Result
from emotion_llama.analyze.captions import cues
from emotion_llama.analyze.console import show
from emotion_llama.analyze.report import render_report
from emotion_llama.analyze.tiers import tiers_of
from emotion_llama.analyze.told import in_language
from emotion_llama.clip import Analysis, InputState
from emotion_llama.settings import AnalyzeSettings

MADE_BY = re.compile(
    r"clips/ann\.mp4|ann\.mp4|Emotion-LLaMA|emotion-llama[\w. -]*|asr:whisper-base|Shapley|sha256|[a-z]+-au-1|scene-1|"
    r"voice-1|dBFS|cpu|float32|python|torch|total|aligned|nano|decode|JSON|[A-Z]{20,}|"
    r"\b[0-9a-f]{32,}\b|I told you so|Fine!|Research only|CC BY[\w .-]*"
)
"""Names and quotations, the same in every language."""


@pytest.fixture
def chinese(timed_result: Result) -> Result:
    """A result with people and a timeline, told in Chinese."""
    states = {"video": InputState(present=True, reason="present"), "audio": InputState(present=True, reason="present"),
              "text": InputState(present=False, reason="left out as asked")}  # fmt: skip
    ours = tuple(o for o in timed_result.analysis.evidence if o.source != "model")
    analysis = timed_result.analysis.model_copy(
        update={
            "inputs": states, "evidence": ours, "claims": (), "reasoning": "嘴角上扬，与这一判断相符。", "visual": None,
            "audio": None, "raw": {}, "warnings": ("The picture is nearly black; what is read from it means little.",),
        }
    )  # fmt: skip
    return replace(timed_result, analysis=in_language(analysis, "zh"))


def english_left(text: str) -> list[str]:
    """Lines with a word of English letters that is neither a key beside its name nor a name."""
    keyed = re.sub(r"\((?:happy|sad|angry|neutral|calm|fear|disgust|surprise)\)", "", MADE_BY.sub("", text))
    return [line.strip() for line in keyed.splitlines() if re.search(r"[A-Za-z]{4,}", line)]


def test_the_page_of_a_result(chinese: Result) -> None:
    page = render_report(chinese.analysis, chinese.material)
    assert '<html lang="zh">' in page
    body = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    seen = unescape(re.sub(r"<[^>]+>", "\n", body))
    spoken = "\n".join(re.findall(r'(?:aria-label|alt)="([^"]*)"', body))
    assert english_left(seen + spoken) == []
    assert "各情绪的可能性" in seen and "高兴 (happy)" in seen


def test_the_terminal(chinese: Result) -> None:
    out = io.StringIO()
    show(chinese.analysis, Console(file=out, width=100))
    assert english_left(out.getvalue()) == []
    assert "理由" in out.getvalue() and "画面几乎全黑" in out.getvalue()


def test_captions_and_tiers_name_emotions_in_both(chinese: Result) -> None:
    texts = " ".join(cue.text for cue in cues(chinese))
    assert "愤怒 (angry)" in texts and "人物 1" in texts
    tiers = tiers_of(chinese)
    named = [
        interval.text for tier in tiers.interval_tiers if tier.name.startswith("emotion") for interval in tier.intervals
    ]
    assert named and all(re.match(r"[\u4e00-\u9fff]+ \(\w+\) 0\.\d\d", text) for text in named)
    assert tiers.interval_tiers[0].name.startswith("emotion")  # names of tiers stay


def test_english_is_as_it_was(timed_result: Result) -> None:
    assert in_language(timed_result.analysis, "en") == timed_result.analysis


@pytest.mark.weights
def test_nano_answers_in_chinese(nano: EmotionLlama) -> None:
    asked = AnalyzeSettings(tasks=("emotion", "reason", "audio"), labels=("happy", "sad"))
    english = nano.analyze(transcript="I am so happy!", settings=asked)
    found = nano.analyze(transcript="I am so happy!", settings=asked, language="zh")
    assert (found.language, found.emotion) == ("zh", english.emotion)
    assert found.probabilities == english.probabilities and found.raw == {}
    assert "“happy”是直接表达情感的词" in (found.reasoning or "") and (found.audio or "").endswith("。")
    assert Analysis.model_validate_json(found.model_dump_json()) == found

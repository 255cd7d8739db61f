from __future__ import annotations

import os
import stat
from pathlib import Path

from emotion_llama.clip import Analysis, Clip
from emotion_llama.serve.cache import ResultCache, result_key
from emotion_llama.settings import AnalyzeSettings

CLIP, PLAIN = Clip(clip="a.mp4"), AnalyzeSettings()


def test_a_result_is_known_by_content_and_all_that_was_asked() -> None:
    key = result_key(CLIP, PLAIN, "00", "nano")
    assert result_key(CLIP.model_copy(update={"clip": "b.mp4", "path": Path("b")}), PLAIN, "00", "nano") == key
    others = {
        result_key(CLIP, PLAIN, "01", "nano"),
        result_key(CLIP, PLAIN, "00", "7b"),
        result_key(CLIP, PLAIN.model_copy(update={"seed": 1}), "00", "nano"),
        result_key(CLIP.model_copy(update={"end_s": 1.0}), PLAIN, "00", "nano"),
        result_key(CLIP.model_copy(update={"transcript": ""}), PLAIN, "00", "nano"),
    }
    assert len(others | {key}) == 6


def test_the_least_asked_is_forgotten_and_the_name_is_the_askers(analysis_json: dict[str, object]) -> None:
    analysis, cache = Analysis.model_validate(analysis_json), ResultCache(most=2)
    for key in ("one", "two"):
        cache.put(key, analysis)
    found = cache.get("one", "mine.mp4")
    assert found is not None and found.clip == "mine.mp4"
    cache.put("three", analysis)
    assert cache.get("two", "x") is None and cache.get("one", "x") is not None


def test_kept_results_stay_over_a_restart_until_their_time_is_over(
    tmp_path: Path, analysis_json: dict[str, object]
) -> None:
    analysis, folder = Analysis.model_validate(analysis_json), tmp_path / "kept"
    ResultCache(folder).put("one", analysis)
    if os.name != "nt":
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "one.json").stat().st_mode) == 0o600
    again = ResultCache(folder)
    assert again.get("one", analysis.clip) == analysis and again.get("two", "x") is None
    assert again.remove_older(3600) == 0 and again.remove_older(-1) == 1
    assert again.get("one", "x") is None and ResultCache(folder).get("one", "x") is None
    (folder / "half.json").write_text("{", encoding="utf-8")
    assert again.get("half", "x") is None

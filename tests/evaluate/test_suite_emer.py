from __future__ import annotations

from pathlib import Path

import pytest

from emotion_llama.datasets.emer import read_answers, read_emer
from emotion_llama.errors import ManifestError
from emotion_llama.evaluate.records import Prediction
from emotion_llama.evaluate.suite import Choice, ScoreSettings
from emotion_llama.evaluate.suites.emer import SUITE

V1 = (
    "names,emotions,subtitles,reasons\n"
    'clip_1,angry,"Stop, now.","He shouts, ""stop"", with furrowed brows. He is angry."\n'
    "clip_2,happy,,The corners of her mouth lift. She is happy.\n"
)
V1_CHINESE = "names,emotions,subtitles,reasons\nclip_1,生气,停,他眉头紧锁，音量很高。\n"
V2 = "name,chinese,english\nclip_9,她在微笑。,She smiles.\n"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_version_1(tmp_path: Path) -> None:
    write(tmp_path / "EMER" / "dataset-v1" / "gt-eng.csv", V1)
    recording = write(tmp_path / "EMER" / "dataset-v1" / "video" / "clip_2.avi", "")
    first, second = read_emer(tmp_path)
    assert (first.clip, first.emotion, first.transcript, first.path) == ("clip_1", "angry", "Stop, now.", None)
    assert first.reasoning == 'He shouts, "stop", with furrowed brows. He is angry.'
    assert (second.transcript, second.path) == ("", recording)


def test_chinese_and_version_2(tmp_path: Path) -> None:
    write(tmp_path / "gt-chi.csv", V1_CHINESE)
    write(tmp_path / "final-EMER-reason.csv", V2)
    (first,) = read_emer(tmp_path, 1, "chinese")
    assert (first.emotion, first.reasoning) == ("angry", "他眉头紧锁，音量很高。")
    assert [c.reasoning for c in read_emer(tmp_path, 2, "chinese")] == ["她在微笑。"]
    (english,) = read_emer(tmp_path, 2, "english")
    assert (english.reasoning, english.emotion, english.transcript) == ("She smiles.", None, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (V1.replace("happy,", "cheerful,"), "gt-eng.csv:3.*'cheerful'"),
        (V1.replace("clip_2", "clip_1"), "gt-eng.csv:3.*twice"),
        (V1.replace("reasons\n", "words\n"), "gt-eng.csv:2.*column reasons.*found names"),
        (V1.replace("The corners of her mouth lift. She is happy.", " "), "gt-eng.csv:3.*reasons is empty"),
        ("names,emotions,subtitles,reasons\n", "only a heading"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path / "gt-eng.csv", text)
    with pytest.raises(ManifestError, match=message):
        read_emer(tmp_path)


def test_missing_file_names_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="AffectGPT"):
        read_emer(tmp_path)
    with pytest.raises(ManifestError, match=r"gt-eng\.csv or manifest\.jsonl"):
        SUITE.read(tmp_path, Choice())


def test_system_answers_in_the_official_form(tmp_path: Path) -> None:
    file = write(tmp_path / "valley.csv", "names,chi_reasons\nclip_1,She smiles.\nclip_2,\n")
    assert read_answers(file) == {"clip_1": "She smiles.", "clip_2": ""}
    with pytest.raises(ManifestError, match="chi_reasons"):
        read_answers(write(tmp_path / "other.csv", "names,text\nclip_1,x\n"))
    with pytest.raises(ManifestError, match=r":3.*twice"):
        read_answers(write(tmp_path / "twice.csv", "names,chi_reasons\na,x\na,y\n"))


def test_suite_scores_a_run(tmp_path: Path) -> None:
    write(tmp_path / "gt-eng.csv", V1)
    (part,) = SUITE.read(tmp_path, Choice())
    predictions = [Prediction(clip=i.clip.clip, reasoning=i.clip.reasoning) for i in part.items]
    scored = part.score(part.items, predictions, part.labels, ScoreSettings(draws=20))
    assert scored.metrics["clue_overlap_proxy"].value == 10.0
    assert all(name.endswith("_proxy") for name in scored.headline)


def test_suite_reads_a_manifest(tmp_path: Path) -> None:
    rows = '{"clip": "a", "transcript": "x", "reasoning": "He smiles."}\n{"clip": "b", "transcript": "y"}\n'
    file = write(tmp_path / "manifest.jsonl", rows)
    with pytest.raises(ManifestError, match=r"reasoning.*none for b"):
        SUITE.read(tmp_path, Choice())
    write(file, rows.splitlines()[0])
    for data in (tmp_path, file):
        (part,) = SUITE.read(data, Choice())
        assert [i.clip.reasoning for i in part.items] == ["He smiles."]


def test_variants_and_published_figures(tmp_path: Path) -> None:
    write(tmp_path / "final-EMER-reason.csv", V2)
    assert SUITE.read(tmp_path, Choice(variant="v2"))[0].items[0].clip.reasoning == "She smiles."
    assert set(SUITE.variants) == {"", "chinese", "v2", "v2-chinese"}
    ours = {p.metric: p.value for p in SUITE.published if p.system == "Emotion-LLaMA"}
    assert ours == {"clue_overlap": 7.83, "label_overlap": 6.25}
    assert not any("proxy" in p.metric for p in SUITE.published)

"""The shipped configurations: all parse, keep the paper's numbers, choose on no test side; the guide is right."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

from emotion_llama.datasets.splits import read_split
from emotion_llama.errors import ManifestError, UsageError
from emotion_llama.labels import LABEL_SETS
from emotion_llama.overrides import read_config
from emotion_llama.prompt import LLAMA_2, render
from emotion_llama.train.calibrate import calibrate
from emotion_llama.train.config import Source, TrainConfig
from emotion_llama.train.extract import extract
from emotion_llama.train.material import read_items
from emotion_llama.train.schedule import learning_rate
from emotion_llama.train.sources import Item, read_source
from emotion_llama.train.validate import Answered

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "configs" / "train"
SHIPPED = sorted(FOLDER.glob("*.yaml"))
PROMISED = {
    "paper-stage1", "paper-stage2", "paper-mer2023", "paper-dfew-tuned", "qlora-7b-24gb", "nano", "nano-meld",
    "nano-features", "nano-inputs", "nano-voice", "nano-cross", "nano-dpo", "nano-grpo", "own-data",
    "projectors-only",
}  # fmt: skip
GUIDE = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OFFICIAL_LABELS = ("happy", "sad", "neutral", "angry", "worried", "surprise", "fear", "contempt", "doubt")
OFFICIAL_RATES = {  # made with the released code's scheduler: 30 epochs of 1000 steps, 1000 of warm-up
    0: 1e-06, 1: 1.009e-06, 500: 5.5e-06, 999: 9.991000000000001e-06, 1000: 9.97534852915723e-06,
    2000: 9.901664203302126e-06, 5123: 9.367810649313918e-06, 15000: 5.5e-06, 20500: 3.049124342432378e-06,
    29999: 1.0000000246740108e-06,
}  # fmt: skip


def config(name: str, *changes: str) -> TrainConfig:
    return read_config(TrainConfig, FOLDER / f"{name}.yaml", changes)


def test_every_promised_configuration_is_shipped() -> None:
    assert {path.stem for path in SHIPPED} == PROMISED


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_configuration_parses_and_says_how_it_is_run(path: Path) -> None:
    found = read_config(TrainConfig, path)
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# ") and re.search(r"^# .*emotion.llama (train|extract) ", text, re.MULTILINE)
    assert found.out.startswith("runs/") and found.licence
    assert f"(../configs/train/{path.name})" in GUIDE


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_no_configuration_chooses_on_a_test_side(path: Path) -> None:
    found = read_config(TrainConfig, path)
    tested = [_place(source) for source in found.data.sources if source.side == "test"]
    assert all(_place(source) not in tested for source in found.data.sources if source.side != "test")
    assert any(_validates(source) for source in found.data.sources)
    with pytest.raises(UsageError, match="chosen on the validation side"):
        read_config(TrainConfig, path, ["validation.side=test"])


def _place(source: Source) -> tuple[str, str, str]:
    return source.kind, source.path, source.part


def _validates(source: Source) -> bool:
    """Whether the source holds something back that can choose a checkpoint: it needs a label set."""
    return bool(source.labels) and source.side is None


@pytest.mark.parametrize("name", ["paper-stage1", "paper-mer2023", "paper-dfew-tuned"])
def test_the_rate_is_the_released_codes(name: str) -> None:
    schedule = config(name).schedule
    for step, rate in OFFICIAL_RATES.items():
        assert learning_rate(schedule, step) == pytest.approx(rate, rel=1e-12)


def test_the_fine_stage_keeps_one_rate() -> None:
    schedule = config("paper-stage2").schedule
    assert {round(learning_rate(schedule, step), 15) for step in range(0, 30_000, 37)} == {1e-06}


@pytest.mark.parametrize("name", [name for name in sorted(PROMISED) if name.startswith("paper-")])
def test_the_papers_schedule(name: str) -> None:
    found = config(name)
    schedule = found.schedule
    assert (schedule.steps, schedule.steps_an_epoch, schedule.warmup_steps) == (30_000, 1000, 1000)
    assert (schedule.batch_size, schedule.accumulate) == (1, 1)  # one clip on each of four GPUs
    assert (schedule.weight_decay, schedule.betas, schedule.clip_norm) == (0.05, (0.9, 0.999), 0.0)
    assert schedule.decay_exempt and found.seed == 42 and found.validation.every == 1000


def test_the_papers_model() -> None:
    model = config("paper-stage1").model
    assert model.lora is not None and model.init == "models/minigptv2"
    assert (model.lora.rank, model.lora.alpha, model.lora.dropout) == (64, 16, 0.05)
    assert model.lora.targets == ("q_proj", "v_proj") and model.train == ("projectors", "lora")
    assert config("qlora-7b-24gb").model.lora == model.lora
    tokens = {group.name: group.tokens or 0 for group in model.features}
    assert sum(tokens.values()) == 260
    prompt = render("emotion", labels=OFFICIAL_LABELS, transcript="Hello.", soft_tokens=tokens, frame=LLAMA_2)
    assert prompt.text.startswith(
        "<s>[INST] <video>⟨global×256⟩</video> <feature>⟨local×1⟩⟨temporal×1⟩⟨audio×1⟩⟨global_cls×1⟩</feature> "
        "The person in video says: Hello. [emotion] Please determine which emotion label in the video represents: "
        "happy, sad, neutral, angry, worried, surprise, fear, contempt, doubt."
    )


def test_the_papers_stages_follow_one_another() -> None:
    coarse, fine = config("paper-stage1"), config("paper-stage2")
    assert coarse.samples.tasks == {"emotion": 0.5, "reason": 0.5} and fine.samples.tasks == {"reason": 1.0}
    assert fine.model.init == coarse.out
    assert {config(name).model.init for name in ("paper-mer2023", "paper-dfew-tuned")} == {fine.out}
    for found in (coarse, fine, config("paper-mer2023")):
        assert all(source.labels == OFFICIAL_LABELS for source in found.data.sources)


def test_qlora_fits_a_small_gpu_by_its_settings() -> None:
    found = config("qlora-7b-24gb")
    assert found.model.quantize == "nf4" and found.model.gradient_checkpointing
    assert found.schedule.batch_size * found.schedule.accumulate == 16


def test_the_voice_recipe_finds_the_features_of_nano_in_the_cache() -> None:
    nano = {source.name: source for source in config("nano").data.sources}
    voice = config("nano-voice")
    read = {"kind", "path", "part", "words", "without", "copies", "gray"}  # what extraction depends on
    for source in voice.data.sources:
        assert source.model_dump(include=read) == nano[source.name].model_dump(include=read)
    assert voice.data.augment == config("nano").data.augment and voice.seed == config("nano").seed


@pytest.mark.parametrize("name", ["nano", "nano-voice", "nano-cross", "nano-features", "nano-inputs"])
def test_the_held_out_actor_is_at_most_tested(name: str) -> None:
    data = config(name).data
    assert "Actor_05" in read_split(ROOT / "configs" / "splits" / "ravdess.json").test
    his = [s for s in data.sources if s.kind == "ravdess" or s.part == "RAVDESS"]
    assert his and all("Actor_05" in data.exclude or s.split == "ravdess" or s.side == "test" for s in his)


def example_manifest() -> str:
    """The manifest that the guide shows."""
    (block,) = re.findall(r"```csv\n(.*?)```", GUIDE, re.DOTALL)
    return str(block)


def test_the_template_reads_the_manifest_of_the_guide(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_text(example_manifest(), encoding="utf-8")
    items = read_items(config("own-data", f"data.root={tmp_path}"))
    assert [item.label for item in items] == ["calm", "stressed", "tired", "calm"]
    assert items[1].clip.path == tmp_path / "day1/ann.mp4" and (items[1].clip.start_s, items[1].clip.end_s) == (4.2, 9)
    sides = {item.clip.speaker: item.side for item in items}
    assert sorted(map(str, sides.values())) == ["train", "train", "validation"]  # ann's two clips are on one side


def test_labels_of_ones_own_may_have_capitals(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_text(example_manifest().replace("tired", "Tired"), encoding="utf-8")
    change = "data.sources.clips.labels=[Calm, STRESSED, Tired]"
    items = read_items(config("own-data", f"data.root={tmp_path}", change))
    assert items[2].label == "tired" and items[2].labels == ("calm", "stressed", "tired")
    with pytest.raises(ManifestError, match=r"label 'Tired' is not in its set \(calm, stressed\)"):
        read_items(config("own-data", f"data.root={tmp_path}", "data.sources.clips.labels=[calm, stressed]"))


def test_a_handful_of_clips_fits_no_temperature() -> None:
    """A researcher's first manifest is small: one right answer must not make every answer certain."""
    row, none = np.array([2.0, 0.0, -1.0]), np.zeros(3)
    answer = Answered("a", "clips", ("calm", "stressed", "tired"), row, none, 0, ("audio",), 0.0)
    few, enough = calibrate([answer] * 29, "clips"), calibrate([answer] * 30, "clips")
    assert (few.default_temperature, few.temperature) == (1.0, {}) and few.fitted_on.startswith("not fitted: 29")
    assert enough.default_temperature < 1 and enough.fitted_on == "clips; n = 30"


def test_features_of_others_are_read_without_words_where_asked(tmp_path: Path) -> None:
    folder = tmp_path / "ravdess_cremad_features"
    folder.mkdir()
    clips = [("CREMA-D", f"{actor}_DFA_ANG_XX", f"C{actor}", "angry") for actor in (1002, 1001, 1004)]
    clips += [("RAVDESS", f"R{actor}-1", f"R{actor}", "calm") for actor in ("02", "04", "05")]
    np.savez(folder / "features.npz", audio=np.ones((6, 4)), video=np.ones((6, 2, 3)), video_len=np.full(6, 2))
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["row", "id", "set", "actor", "emotion", "sentence"])
        rows.writerows(
            [row, name, part, actor, word, "Some words."] for row, (part, name, actor, word) in enumerate(clips)
        )
    found = config("nano-features", f"data.root={tmp_path}")
    items = read_items(found)
    assert {(i.clip.speaker, i.side) for i in items} == {
        ("C1002", "train"), ("C1001", "validation"), ("C1004", "test"),
        ("Actor_02", "train"), ("Actor_04", "validation"),
    }  # fmt: skip
    assert {e.transcript for e in extract(items, found).examples} == {None}
    spoken = config("nano-features", f"data.root={tmp_path}", "data.sources.ravdess.words=given")
    assert {e.transcript for e in extract(items, spoken).examples if e.source == "ravdess"} == {"Some words."}
    assert extract(items, found).examples[0].arrays["both"].shape == (1, 7)


def dfew(folder: Path) -> None:
    """Two folds of DFEW with 20 training clips each and two for the test, all with a clip."""
    (folder / "Clip" / "original").mkdir(parents=True)
    for fold in ("1", "2"):
        for side, numbers in (("train", range(1, 21)), ("test", (21, 22))):
            table = folder / "EmoLabel_DataSplit" / f"{side}(single-labeled)" / f"set_{fold}.csv"
            table.parent.mkdir(parents=True, exist_ok=True)
            rows = [f"{int(fold) * 100 + number},{1 + number % 7}\n" for number in numbers]
            table.write_text("video_name,label\n" + "".join(rows), encoding="utf-8")
            for number in numbers:
                (folder / "Clip" / "original" / f"{int(fold) * 100 + number}.mp4").touch()


def test_dfew_holds_clips_of_the_folds_training_side_back(tmp_path: Path) -> None:
    dfew(tmp_path / "DFEW")
    items = read_items(config("paper-dfew-tuned", f"data.root={tmp_path}", 'data.sources.dfew.part="2"'))
    sides = {side: {int(i.clip.clip) for i in items if i.side == side} for side in ("train", "validation", "test")}
    assert sides["test"] == {221, 222} and len(sides["validation"]) == 2 and len(sides["train"]) == 18
    assert sides["train"] | sides["validation"] == set(range(201, 221))
    assert {i.label for i in items} == set(LABEL_SETS["dfew7"])


def test_mer2023_validates_on_its_training_labels_and_tests_on_semi(tmp_path: Path) -> None:
    for name, count in (("train-label", 20), ("test3-label", 3)):
        rows = "".join(f"{name}{number},worried,0.1\n" for number in range(count))
        (tmp_path / "MER2023").mkdir(exist_ok=True)
        (tmp_path / "MER2023" / f"{name}.csv").write_text(f"name,discrete,valence\n{rows}", encoding="utf-8")
    items = read_items(config("paper-mer2023", f"data.root={tmp_path}"))
    assert {i.clip.clip for i in items if i.side == "test"} == {f"test3-label{number}" for number in range(3)}
    held = [i for i in items if i.side == "validation"]
    assert len(held) == 2 and all(i.source == "mer2023" and i.labels == OFFICIAL_LABELS for i in held)
    with pytest.raises(ManifestError, match=r"part names the subset, one of mer2023-train, .*; found 'train3'"):
        read_items(config("paper-mer2023", f"data.root={tmp_path}", "data.sources.mer2023.part=train3"))


def test_iemocap_tests_on_one_session(tmp_path: Path) -> None:
    for session in "12345":
        folder = tmp_path / f"Session{session}" / "dialog" / "EmoEvaluation"
        folder.mkdir(parents=True)
        turn = f"[0.5 - 2.0]\tSes0{session}F_impro01_F000\tneu\t[2.5, 2.5, 2.5]\n"
        (folder / f"Ses0{session}F_impro01.txt").write_text(f"% heading\n{turn}", encoding="utf-8")

    def read(part: str) -> list[Item]:
        values = {"kind": "iemocap", "path": "", "part": part, "name": "iemocap", "split": {"validation": 0.25}}
        data = config("own-data", f"data.root={tmp_path}").data
        return read_source(Source.model_validate(values), data)

    assert [(i.clip.speaker, i.side) for i in read("4")] == [
        (f"Ses0{session}F", "test" if session == "4" else None) for session in "12345"
    ]
    with pytest.raises(ManifestError, match="part names the session that is the test side, 1 to 5; found '6'"):
        read("6")


def test_shares_of_a_source_with_a_test_manifest_still_hold_clips_back(tmp_path: Path) -> None:
    rows = "".join(f"c{number}.wav,calm\n" for number in range(10))
    (tmp_path / "clips.csv").write_text(f"clip,emotion\n{rows}", encoding="utf-8")
    (tmp_path / "last.jsonl").write_text(json.dumps({"clip": "t.wav", "emotion": "tired"}), encoding="utf-8")
    changes = (f"data.root={tmp_path}", "data.sources.clips.test_path=last.jsonl", "data.sources.clips.split.unit=clip")
    items = read_items(config("own-data", *changes))
    assert sorted(str(i.side) for i in items) == ["test", *["train"] * 8, *["validation"] * 2]
    with pytest.raises(UsageError, match="validation_path and test_path are sides of their own"):
        config("own-data", *changes[:2], "data.sources.clips.split=official")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_of_the_documents_name_files_that_exist(path: Path) -> None:
    named = re.findall(r"(?<![\w/])configs/[\w/-]+\.(?:yaml|json)", path.read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).is_file()] == []
    if path.name == "training.md":
        assert len(named) >= 3

"""The file of an ablation: cells, trainings, keys, folders, and what is said about a wrong one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from emotion_llama.ablate.config import Ablation
from emotion_llama.ablate.grid import Cell, choose, make_cells, needed
from emotion_llama.errors import UsageError
from emotion_llama.overrides import read_config
from emotion_llama.train.config import TrainConfig

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = sorted((ROOT / "configs/ablate").glob("*.yaml"))
PAPER = {"encoders", "stages", "data-selection", "learning-rate", "data-ratio"}
OWN = {"modality", "fusion", "tokens", "lora-rank", "base-llm", "six-fold", "seeds"}

Write = Callable[..., Path]


def cells_of(path: Path, extra: tuple[str, ...] = ()) -> list[Cell]:
    return make_cells(read_config(Ablation, path), extra)


def test_axes_are_crossed_and_joined_with_common_overrides(ablation_file: Write) -> None:
    path = ablation_file(
        data="/data",
        seeds=[3, 5],
        overrides=["schedule.steps=9", "schedule.workers=2"],
        axes={
            "rank": {4: ["model.lora.rank=4"], 8: ["model.lora.rank=8"]},
            "steps": {"few": [], "many": ["schedule.steps=99"]},
        },
    )
    cells = cells_of(path, ("about=trial",))
    assert [cell.name for cell in cells] == ["4+few", "4+many", "8+few", "8+many"]
    assert cells[3].overrides == ("model.lora.rank=8", "schedule.steps=99")
    first, second = cells[3].trainings
    assert (first.seed, second.seed, first.key == second.key) == (3, 5, True)
    assert first.overrides == (
        "data.root=/data",
        "schedule.workers=2",
        "model.lora.rank=8",
        "schedule.steps=99",
        "about=trial",
        "score_test=true",
    )
    assert first.folder.name == "seed-3" and first.folder.parent.name == f"8+many-{first.key}"
    assert len({t.key for cell in cells for t in cell.trainings}) == 4


def test_a_key_changes_with_what_is_trained_and_with_nothing_else(ablation_file: Write, tmp_path: Path) -> None:
    def key(**settings: object) -> str:
        return cells_of(ablation_file(**settings))[0].trainings[0].key

    plain = key(axes={"a": {"x": ["schedule.steps=50"]}})
    assert key(axes={"b": {"renamed": ["schedule.steps= 50"]}}, seeds=[7], jobs=3, title="other") == plain
    assert key(axes={"a": {"x": ["schedule.steps=51"]}}) != plain
    assert key(axes={"a": {"x": ["schedule.steps=50"]}}, data="/elsewhere") != plain
    base = tmp_path / "base.yaml"
    base.write_text("# a comment\n" + base.read_text())
    path = tmp_path / "ablation.yaml"
    assert cells_of(path)[0].trainings[0].key != plain  # data is set here
    ablation_file(axes={"a": {"x": ["schedule.steps=50"]}})
    base.write_text(base.read_text() + "seed: 1\n")
    assert cells_of(path)[0].trainings[0].key != plain


def test_a_renamed_cell_keeps_its_folder(ablation_file: Write, tmp_path: Path) -> None:
    first = cells_of(ablation_file(axes={"a": {"old": ["schedule.steps=50"]}}))[0].trainings[0]
    first.folder.mkdir(parents=True)
    renamed = cells_of(ablation_file(axes={"a": {"new name": ["schedule.steps=50"]}}))[0].trainings[0]
    assert (renamed.cell, renamed.folder) == ("new name", first.folder)


def test_folds_are_trainings_of_one_cell(ablation_file: Write) -> None:
    folds = {"kind": "folds", "count": 3, "overrides": ["data.folds=3", "data.fold={fold}"]}
    (cell,) = cells_of(ablation_file(axes={"fold": folds}, seeds=[0, 1]))
    assert cell.name == "demo"
    assert [(t.fold, t.seed) for t in cell.trainings] == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]
    assert "data.fold=2" in cell.trainings[5].overrides and len({t.key for t in cell.trainings}) == 3


def test_stages_chain_and_cells_share_the_same_training(ablation_file: Write) -> None:
    path = ablation_file(
        seeds=[0],
        stages={"coarse": {"overrides": ["schedule.steps=9"]}, "fine": {"overrides": ["model.init={previous}"]}},
        grid=[{"name": "fine", "stages": ["coarse", "fine"]}, {"name": "coarse", "stages": ["coarse"]}],
    )
    fine, coarse = cells_of(path)
    assert fine.trainings[0].previous == coarse.trainings[0]
    assert f"model.init={coarse.trainings[0].folder}" in fine.trainings[0].overrides
    assert needed([fine, coarse]) == [coarse.trainings[0], fine.trainings[0]]
    changed = ablation_file(
        seeds=[0],
        stages={"coarse": {"overrides": ["schedule.steps=8"]}, "fine": {"overrides": ["model.init={previous}"]}},
        grid=[{"name": "fine", "stages": ["coarse", "fine"]}],
    )
    assert cells_of(changed)[0].trainings[0].key != fine.trainings[0].key  # what it starts from is part of what it is


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"axis": {}}, "did you mean 'axes'"),
        ({"axes": {"a": {"x": ["schedule.steps"]}}}, "expected key=value such as schedule.steps=50"),
        ({"axes": {"a": {"x": ["seed=3"]}}}, "gives every training its own out and seed"),
        ({"axes": {"a": {"x": ["about=[1"]}}}, "not readable as YAML"),
        ({"axes": {"a": {}}}, "every axis needs at least one value"),
        ({"axes": {"fold": {"kind": "folds", "count": 3, "overrides": ["data.fold=1"]}}}, "needs {fold}"),
        ({"seeds": [1, 1]}, "seeds: 1 stands there more than once"),
        ({"grid": [{"name": "x"}, {"name": "x"}]}, "grid: x stands there more than once"),
        ({"grid": [{"name": "x", "stages": ["one"]}]}, "stage one is not among the stages (none)"),
        ({"baseline": "all"}, "baseline 'all' is no cell; cells: demo"),
        ({"base": "nowhere.yaml"}, "nowhere.yaml"),
        ({"score": {"metrics": ["accuracy"]}}, "score"),
        ({"stages": {"a": {}, "b": {}}, "grid": [{"name": "x", "stages": ["a", "b"]}]}, "model.init={previous}"),
        ({"overrides": ["model.init={previous}"]}, "is first, but names {previous}"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_told_in_words(ablation_file: Write, settings: dict[str, object], what: str) -> None:
    with pytest.raises(UsageError) as error:
        cells_of(ablation_file(**settings))
    assert what in str(error.value) and "\n" not in str(error.value)


def test_only_chooses_by_name_or_pattern(ablation_file: Write) -> None:
    cells = cells_of(ablation_file(axes={"a": {"x": [], "xy": ["schedule.steps=2"], "z [1]": ["schedule.steps=3"]}}))
    assert [cell.name for cell in choose(cells, ["x*"])] == ["x", "xy"]
    assert [cell.name for cell in choose(cells, ["z [1]", "x"])] == ["x", "z [1]"]
    with pytest.raises(UsageError, match=r"--only q: no such cell; cells: x, xy, z \[1\]"):
        choose(cells, ["x", "q"])


def test_every_promised_ablation_is_shipped() -> None:
    assert {path.stem for path in SHIPPED} == PAPER | OWN


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_ablations_say_what_they_show(path: Path) -> None:
    ablation = read_config(Ablation, path)
    comment = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    assert path.read_text(encoding="utf-8").startswith("# ") and len(comment) >= 3 and "training" in "".join(comment)
    assert ablation.name == path.stem and ablation.title
    if path.stem in PAPER:
        assert "paper: Table" in "".join(comment) or "paper: Figure" in "".join(comment)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_ablations_fit_the_settings_of_training(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    cells = cells_of(path)
    assert len(cells) > 1 or path.stem in ("six-fold", "seeds")
    configs = {}
    for training in needed(cells):
        words = [*training.overrides, f"out={training.folder}", f"seed={training.seed}"]
        configs[training.key] = read_config(TrainConfig, training.base, words).model_dump(exclude={"out", "seed"})
    distinct = [config for n, config in enumerate(configs.values()) if config not in list(configs.values())[:n]]
    # one cell may be the base spelled out again; the others differ in something that is trained
    assert len(distinct) >= len(configs) - 1

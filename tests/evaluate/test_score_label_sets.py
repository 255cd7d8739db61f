from functools import partial

import pytest

from emotion_llama.clip import Clip
from emotion_llama.errors import ManifestError, UsageError
from emotion_llama.evaluate.records import Item, Prediction
from emotion_llama.evaluate.scorers.label_sets import score_grouped
from emotion_llama.evaluate.scorers.sentiment import answered_valence, score_sentiment, word_valence
from emotion_llama.evaluate.scorers.wheel import score_hits, score_wheel
from emotion_llama.evaluate.suite import ScoreSettings
from emotion_llama.metrics.wheel_tables import WheelTables, make_wheel, own_tables

SETTINGS = ScoreSettings(draws=200, seed=7)
SCORERS = (score_grouped, score_wheel, score_hits)


def item(name, *labels, **extra):
    return Item(clip=Clip(clip=name, transcript="", labels=labels), extra=extra)


def said(name, *labels, **fields):
    return Prediction(clip=name, labels=labels, line=3, **fields)


def felt(name, valence):
    return Item(clip=Clip(clip=name, transcript="", valence=valence))


def test_grouped_by_stored_groups():
    groups = [["happy", "joyful"], ["sad", "down"]]
    items = [item("a", "happy", "excited", groups=groups), item("b", "sad", groups=groups)]
    scored = score_grouped(items, [said("a", "Joyful"), said("b", "down", "zorbic")], (), SETTINGS)
    assert scored.metrics["set_accuracy"].value == pytest.approx((1 + 1 / 2) / 2)
    assert scored.metrics["set_recall"].value == pytest.approx((1 / 2 + 1) / 2)
    assert scored.metrics["set_avg"].value == pytest.approx(0.75)
    assert scored.metrics["set_avg"].majority == pytest.approx((1 / 2 + 1 / 4) / 2)
    assert scored.metrics["group_coverage"].value == pytest.approx(2 / 3)
    assert scored.headline[0] == "set_avg"
    assert scored.settings["grouping"] == "stored groups of each clip"
    assert scored.notes == ()
    assert scored.problems == ()


def test_grouped_without_groups_says_that_the_table_was_used():
    scored = score_grouped([item("a", "joy")], [said("a", "cheerful")], (), SETTINGS)
    assert scored.metrics["set_avg"].value == 1
    assert "label table" in scored.settings["grouping"]
    assert "not comparable" in scored.notes[0]


def test_a_clip_without_groups_among_grouped_ones_is_named():
    items = [item("a", "joy", groups=[["joy", "glad"]]), item("b", "joy")]
    scored = score_grouped(items, [said("a", "glad"), said("b", "glad")], (), SETTINGS)
    assert scored.metrics["set_avg"].value == pytest.approx(0.5)
    assert [(problem.kind, problem.clip) for problem in scored.problems] == [("judge", "b")]


@pytest.mark.parametrize("scorer", SCORERS)
def test_missing_and_empty_answers_score_zero_and_are_counted(scorer):
    items = [item(name, "sad") for name in "abcd"]
    answers = [said("a", "sad"), None, said("c"), Prediction(clip="d", emotion="sad")]
    scored = scorer(items, answers, (), SETTINGS)
    assert (scored.n_asked, scored.n_scored) == (4, 2)
    assert [(problem.kind, problem.clip, problem.line) for problem in scored.problems] == [("no-label", "c", 3)]
    name = {score_grouped: "set_recall", score_wheel: "ew_recall_level1", score_hits: "hit_rate"}[scorer]
    assert scored.metrics[name].value == pytest.approx(0.5)
    assert 0 <= scored.metrics[name].low <= 0.5 <= scored.metrics[name].high <= 1


@pytest.mark.parametrize("scorer", SCORERS)
def test_no_items_and_no_truth(scorer):
    with pytest.raises(UsageError, match=r"[Ee]xpected at least one clip"):
        scorer([], [], (), SETTINGS)
    with pytest.raises(ManifestError, match="'a'"):
        scorer([Item(clip=Clip(clip="a", transcript=""))], [None], (), SETTINGS)


def test_groups_that_are_none_are_named():
    with pytest.raises(ManifestError, match=r"'a'.*list of lists"):
        score_grouped([item("a", "sad", groups=["sad"])], [said("a", "sad")], (), SETTINGS)


def test_wheel_report_names_tables_coverage_and_unmapped_words():
    items = [item("a", "joyful", "zorbic"), item("b", "depressed")]
    scored = score_wheel(items, [said("a", "delighted"), said("b", "weeping", "zorbic")], (), SETTINGS)
    assert scored.metrics["ew_f1_level1"].value == 1
    assert scored.metrics["ew_f1_level1_strict"].value < 1
    assert scored.metrics["truth_coverage"].value == pytest.approx(2 / 3)
    assert scored.metrics["prediction_coverage"].value == pytest.approx(2 / 3)
    assert scored.settings["wheel_tables"].startswith("own lexicon 1")
    assert scored.settings["wheel_tables_sha256"] == own_tables().sha256
    assert scored.settings["unmapped_words"] == {"zorbic": 2}
    assert scored.settings["wheels"]["ew_f1_level2:ekman"] == 1
    assert len(scored.settings["wheels"]) == 10
    assert "not comparable" in scored.notes[0]
    assert not any(":" in name for name in scored.metrics)


def test_other_tables_are_named_and_carry_no_note():
    wheel = make_wheel({"up": {"good": ["happy"]}, "down": {"bad": ["sad"]}})
    forms = {"happy": ("happy",), "sad": ("sad",)}
    tables = WheelTables(forms, forms, {"wheel1": wheel}, "official tables (test)", {})
    scored = partial(score_wheel, tables=tables)([item("a", "happy")], [said("a", "sad")], (), SETTINGS)
    assert scored.settings["wheel_tables"] == "official tables (test)"
    assert scored.notes == ()
    assert scored.metrics["ew_f1_level1"].value == 0
    assert scored.metrics["ew_f1_level1"].majority == 1


def test_hits_against_candidates():
    labels = ["happy", "sad", "angry"]
    items = [Item(clip=Clip(clip=n, transcript="", emotion=n), extra={"candidates": labels}) for n in labels]
    answers = [said("happy", "joy"), said("sad", "sorrow", "furious"), said("angry", "calm")]
    scored = score_hits(items, answers, (), SETTINGS)
    assert scored.metrics["hit_rate"].value == pytest.approx(2 / 3)
    assert scored.metrics["mscore"].value == pytest.approx((1 + 1 / 2) / 3)
    assert scored.metrics["hit_rate"].chance == pytest.approx(1 / 3)
    assert scored.metrics["hit_rate"].majority == pytest.approx(1 / 3)
    assert scored.settings["candidates"] == sorted(labels)
    assert scored.class_counts == {"happy": 1, "sad": 1, "angry": 1}


def test_a_label_that_no_wheel_holds_is_named():
    scored = score_hits([item("a", "zorbic"), item("b", "sad")], [said("a", "sad"), said("b", "sad")], (), SETTINGS)
    assert scored.metrics["hit_rate"].value == 1
    assert scored.metrics["samples_kept"].value == 0.5
    assert "zorbic" in scored.notes[-1]


@pytest.mark.parametrize(
    ("word", "sign"), [("joy", 1), ("furious", -1), ("thinking", 0), ("trusting", 1), ("neutral", 0), ("zorbic", None)]
)
def test_valence_of_words(word, sign):
    value = word_valence(word, own_tables())
    assert (value is None) == (sign is None)
    assert sign is None or (value > 0) - (value < 0) == sign


def test_valence_of_answers():
    tables = own_tables()
    assert answered_valence(said("a", "angry", "sad", "zorbic"), tables) == pytest.approx(-0.7)
    assert answered_valence(said("a", "zorbic", valence=0.4), tables) == 0.4
    assert answered_valence(Prediction(clip="a", valence=-0.2), tables) == -0.2
    assert answered_valence(said("a", "zorbic"), tables) is None
    assert answered_valence(None, tables) is None


def test_sentiment_leaves_zero_out_and_names_answers_without_a_sign():
    items = [felt("a", 1.5), felt("b", -0.3), felt("c", 0.0), felt("d", 2.0), felt("e", -1.0)]
    answers = [said("a", "happy"), said("b", "worried"), said("c", "sad"), said("d", "zorbic"), None]
    scored = score_sentiment(items, answers, (), SETTINGS)
    assert scored.metrics["sign_accuracy"].value == pytest.approx(2 / 4)
    assert scored.metrics["invalid_rate"].value == pytest.approx(2 / 4)
    assert scored.metrics["sign_weighted_f1"].value == pytest.approx(2 / 3)
    assert scored.settings["truth_zero_left_out"] == 1
    assert (scored.n_asked, scored.n_scored) == (4, 2)
    assert (scored.chance, scored.majority) == (0.5, 0.5)
    assert [(problem.kind, problem.clip) for problem in scored.problems] == [("no-label", "d")]
    assert "zorbic" in scored.problems[0].message
    assert scored.class_counts == {"positive": 2, "negative": 2}


def test_sentiment_without_valence_or_without_signs():
    with pytest.raises(ManifestError, match=r"'a'.*valence"):
        score_sentiment([Item(clip=Clip(clip="a", transcript=""))], [None], (), SETTINGS)
    with pytest.raises(UsageError, match="other than 0"):
        score_sentiment([felt("a", 0.0)], [None], (), SETTINGS)

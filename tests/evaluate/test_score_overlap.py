from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from torchmetrics.functional.text import chrf_score

from emotion_llama.clip import Clip
from emotion_llama.errors import ManifestError, UsageError
from emotion_llama.evaluate.records import Item, Prediction, Problem
from emotion_llama.evaluate.scorers.overlap import (
    clue_overlap_proxy,
    emotion_words,
    label_overlap_proxy,
    score_reasons,
    with_judge,
)
from emotion_llama.evaluate.suite import ScoreSettings
from emotion_llama.metrics.statistic import Metric
from emotion_llama.metrics.text_overlap import is_by_character, mean_overlap, text_overlap, token_f1, tokens

SAD = "Her brows are furrowed and she speaks slowly in a low voice. Therefore she is sad."
GLAD = "He smiles with raised cheeks. He is happy."
SETTINGS = ScoreSettings(draws=100, seed=0)


def item(name: str, reasoning: str | None, **fields: object) -> Item:
    return Item(clip=Clip.model_validate({"clip": name, "reasoning": reasoning, **fields}))


def answer(name: str, reasoning: str | None, **fields: object) -> Prediction:
    return Prediction.model_validate({"clip": name, "reasoning": reasoning, "line": 7, **fields})


def test_clue_proxy_by_hand() -> None:
    assert clue_overlap_proxy(SAD, SAD) == 10.0
    assert clue_overlap_proxy(SAD, GLAD) == 1.0
    # AU04, speech rate, pitch against AU04, speech rate, AU12: two of three on both sides
    assert clue_overlap_proxy(SAD, "He frowns, talks slowly and smiles.") == pytest.approx(1 + 9 * 2 / 3)
    assert clue_overlap_proxy(SAD, "He is not frowning.") == 1.0
    assert clue_overlap_proxy("It is raining.", SAD) is None


def test_label_proxy_by_hand() -> None:
    assert label_overlap_proxy("He is sad.", "She feels sorrow.") == 10.0
    assert label_overlap_proxy("He is sad.", "He is happy.") == 1.0
    assert label_overlap_proxy("He is sad.", "He is not sad.") == 1.0
    both = label_overlap_proxy("He is sad.", "He is sad and happy.")
    assert both == pytest.approx(1 + 9 * 2 / 3)
    assert label_overlap_proxy("The room is large.", "He is sad.") is None


def test_emotion_words_leave_signs_denials_and_quotations_out() -> None:
    text = "The melody is lively, not sad; “I hate you” he says, and seems happy and a certain kind of excited."
    assert emotion_words(text) == ("happy", "kind", "excited")


def test_scores_of_a_run() -> None:
    items = [item("a", SAD, speaker="s1"), item("b", GLAD, speaker="s2"), item("c", SAD, speaker="s1")]
    scored = score_reasons(items, [answer("a", SAD), None, answer("c", "")], (), SETTINGS)
    assert (scored.n_asked, scored.n_scored) == (3, 1)
    assert scored.metrics["clue_overlap_proxy"].value == pytest.approx((10 + 1 + 1) / 3)
    assert scored.metrics["label_overlap_proxy"].value == pytest.approx((10 + 1 + 1) / 3)
    assert scored.metrics["token_f1"].value == pytest.approx(1 / 3)
    assert scored.metrics["bleu"].value == pytest.approx(100 / 3)
    assert scored.metrics["missing_rate"].value == pytest.approx(2 / 3)
    assert [(p.clip, p.line) for p in scored.problems] == [("c", 7)]
    assert "not the EMER number" in scored.notes[0]


def test_chance_is_the_answer_to_another_clip() -> None:
    items = [item("a", SAD), item("b", SAD), item("c", GLAD), item("d", GLAD)]
    right = [answer(i.clip.clip, i.clip.reasoning) for i in items]
    proxy = score_reasons(items, right, (), SETTINGS).metrics["clue_overlap_proxy"]
    assert (proxy.value, proxy.chance) == (10.0, 1.0)
    same = [answer(i.clip.clip, SAD) for i in items]
    proxy = score_reasons(items, same, (), SETTINGS).metrics["clue_overlap_proxy"]
    assert proxy.value == proxy.chance == pytest.approx(5.5)


def test_given_labels_take_the_place_of_words() -> None:
    items = [item("a", "The reference names nothing.", labels=("sad", "anger"))]
    scored = score_reasons(items, [answer("a", "He is glad.", labels=("sorrow", "rage"))], (), SETTINGS)
    assert scored.metrics["label_overlap_proxy"].value == 10.0
    assert scored.metrics["clue_overlap_proxy"].value is None
    assert any("1 of 1 references name no sign" in note for note in scored.notes)


def test_chinese_references_have_text_scores_but_no_proxy() -> None:
    text = "他的声音很低，眉头紧锁，看起来很难过。"
    scored = score_reasons([item("a", text), item("b", SAD)], [answer("a", text), answer("b", text)], (), SETTINGS)
    # of the English reference alone; the Chinese answer names some of its signs
    assert scored.metrics["clue_overlap_proxy"].value == pytest.approx(8.2)
    assert scored.metrics["token_f1"].value == pytest.approx(0.5)
    assert any("1 of 2 answers are not English" in note for note in scored.notes)


def test_damage() -> None:
    with pytest.raises(UsageError, match="at least one clip"):
        score_reasons([], [], (), SETTINGS)
    with pytest.raises(ManifestError, match=r"'a'.*reasoning"):
        score_reasons([item("a", "  ")], [None], (), SETTINGS)


def test_judge_stands_beside_the_proxies() -> None:
    scored = score_reasons([item("a", SAD)], [answer("a", SAD)], (), SETTINGS)
    judged = {"clue_overlap": Metric(value=7.0, low=6.0, high=8.0)}
    nonsense = Problem(kind="judge", message="line 3: no number", clip="a", line=3)
    both = with_judge(scored, judged, "judge: qwen", [nonsense])
    assert both.headline == ("clue_overlap", "clue_overlap_proxy", "label_overlap_proxy")
    assert both.metrics["clue_overlap"].value == 7.0 and both.metrics["clue_overlap_proxy"].value == 10.0
    assert both.problems[-1] == nonsense and both.notes[0] == "judge: qwen"
    with pytest.raises(UsageError, match="clue_overlap"):
        with_judge(both, judged, "again")


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.sampled_from(["He smiles.", "She is sad.", "The voice is low.", "He FROWNS.", "No tears."]), max_size=6)
)
def test_order_case_and_repetition_do_not_matter(sentences: list[str]) -> None:
    text, other = " ".join(sentences), " ".join(reversed([*sentences, *sentences])).upper()
    for proxy in (clue_overlap_proxy, label_overlap_proxy):
        assert proxy(SAD, text) == proxy(SAD, other)
        value = proxy(SAD, text)
        assert value is not None and 1 <= value <= 10


def test_tokens_of_two_scripts() -> None:
    assert tokens("It’s HIS voice, not 2 low!") == ["it's", "his", "voice", "not", "2", "low"]
    assert tokens("声音 low低") == ["声", "音", "low", "低"]
    assert is_by_character("他的声音 is low") and not is_by_character("low 低 voice") and not is_by_character("")


def test_token_f1_by_hand() -> None:
    assert token_f1("a b b c", "b b d") == pytest.approx(2 * 2 / 7)
    assert token_f1("声音低", "声音高") == pytest.approx(2 / 3)
    assert token_f1("", "") == token_f1("a", "") == 0.0


def test_text_overlap_against_other_implementations() -> None:
    pairs = [(SAD, GLAD), (SAD, "She speaks slowly and she is sad."), (GLAD, "he smiles happily")]
    plain = RougeScorer(["rougeL"])
    for reference, text in pairs:
        found = text_overlap(reference, text)
        assert found.rouge_l == pytest.approx(plain.score(reference, text)["rougeL"].fmeasure)
        other = float(chrf_score([text], [[reference]], n_word_order=0))
        assert found.chrf == pytest.approx(100 * other, abs=1.0)


def test_text_overlap_ends() -> None:
    same, none = text_overlap(SAD, SAD), text_overlap(SAD, "")
    assert (same.token_f1, same.rouge_l) == (1.0, 1.0)
    assert (same.bleu, same.chrf) == (pytest.approx(100), pytest.approx(100))
    assert (none.token_f1, none.rouge_l, none.bleu, none.chrf) == (0, 0, 0, 0)
    assert text_overlap("他的声音很低", "他的声音很低").bleu == pytest.approx(100)
    mean = mean_overlap([same, none])
    assert mean is not None and mean.token_f1 == 0.5 and mean_overlap([]) is None

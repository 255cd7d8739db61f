"""Heads are fitted on training people; what trains the language model never comes from a head that saw the person."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from emotion_llama.errors import ManifestError
from emotion_llama.train.examples import Example
from emotion_llama.train.head_settings import HeadSettings
from emotion_llama.train.heads import FittedHead, fit_head
from emotion_llama.train.sources import Side

LABELS = ("angry", "happy", "sad")


def example(
    person: int, take: int, emotion: str | None, rows: np.ndarray, side: Side = "train", copy: int = 0
) -> Example:
    return Example(
        id=f"made/P{person}/{take}#{copy}", source="made", side=side, person=f"made/P{person}", label=emotion,
        emotion=emotion, labels=LABELS, transcript=None, observations=(),
        arrays={"rows": np.atleast_2d(rows).astype(np.float32)}, copy=copy,
    )  # fmt: skip


def honest(people: int = 9, takes: int = 6, noise: float = 1.0, side: Side = "train", first: int = 0) -> list[Example]:
    """The emotion shows in the rows, and every person has all of them."""
    rng = np.random.default_rng(people + first)
    found = []
    for person in range(first, first + people):
        for take in range(takes):
            rows = rng.normal(2 * np.eye(1, 8, take % 3), noise, (2, 8))
            found.append(example(person, take, LABELS[take % 3], rows, side))
    return found


def telling(people: int = 12, takes: int = 3) -> list[Example]:
    """The rows show who it is and nothing else, and everybody is always of one emotion."""
    return [
        example(person, take, LABELS[person % 3], 5 * np.eye(1, people, person))
        for person in range(people)
        for take in range(takes)
    ]


def settings(**changes: object) -> HeadSettings:
    return HeadSettings.model_validate({"name": "made", "array": "rows", "strengths": [1.0], "folds": 4, **changes})


def guesses(fitted: FittedHead, examples: list[Example]) -> float:
    """Share of examples whose opinion names their emotion."""
    labels = fitted.head.labels
    return float(np.mean([labels[int(fitted.opinions[e.id].argmax())] == e.emotion for e in examples]))


@pytest.mark.parametrize("kind", ["logistic", "discriminant"])
def test_opinions_of_training_people_come_from_heads_that_never_saw_them(kind: str) -> None:
    examples = telling()
    strengths = [1.0] if kind == "logistic" else [12]
    fitted = fit_head(settings(kind=kind, strengths=strengths, folds=12), examples, seed=0)
    inside = np.mean(
        [fitted.head.labels[int(fitted.head.opinion(e.arrays["rows"]).argmax())] == e.emotion for e in examples]
    )
    assert inside == 1.0  # a head that knows the people is always right
    # a linear regression without the person finds the person's emotion rarer; a discriminant with equal priors guesses
    assert guesses(fitted, examples) < (0.1 if kind == "logistic" else 0.5)
    assert fitted.recall["train"] == pytest.approx(guesses(fitted, examples))


def test_a_copy_of_a_recording_does_not_let_the_person_in() -> None:
    examples = telling()
    copies = [replace(e, id=e.id.replace("#0", f"#{n}"), copy=n) for e in examples for n in (1, 2)]
    fitted = fit_head(settings(folds=12), [*examples, *copies], seed=0)
    assert guesses(fitted, examples) < 0.1 and guesses(fitted, copies) < 0.1


def test_the_head_of_all_people_speaks_about_everybody_else() -> None:
    held = honest(people=4, side="validation", first=50)
    last = honest(people=4, side="test", first=70)
    wordless = [example(90, 0, None, np.zeros(8)), example(91, 0, "homesick", np.zeros(8), "validation")]
    fitted = fit_head(settings(), [*honest(), *held, *last, *wordless], seed=0)
    assert fitted.head.labels == LABELS
    for e in [*held, *last, *wordless]:
        np.testing.assert_array_equal(fitted.opinions[e.id], fitted.head.opinion(e.arrays["rows"]))
    assert fitted.recall.keys() == {"train", "validation", "test"}
    assert guesses(fitted, held) == pytest.approx(fitted.recall["validation"]) and fitted.recall["validation"] > 0.7
    for opinion in fitted.opinions.values():
        assert opinion.shape == (1, 3) and opinion.dtype == np.float32
        assert opinion.sum() == pytest.approx(1, abs=1e-5)


def test_examples_without_the_array_have_no_opinion() -> None:
    bare = replace(example(80, 0, "sad", np.zeros(8)), arrays={})
    assert bare.id not in fit_head(settings(), [*honest(), bare], seed=0).opinions


def test_only_the_named_sources_are_fitted_on() -> None:
    other = [
        replace(e, id=f"other{e.id}", source="other", person=f"other/{e.person}", emotion="bored") for e in honest()
    ]
    assert fit_head(settings(sources=["made"]), [*honest(), *other], seed=0).head.labels == LABELS
    assert "bored" in fit_head(settings(), [*honest(), *other], seed=0).head.labels


def test_validation_and_test_people_change_nothing_of_the_head() -> None:
    more = honest(people=3, side="validation", first=40) + honest(people=3, side="test", first=60)
    alone, among = fit_head(settings(), honest(), seed=0), fit_head(settings(), [*honest(), *more], seed=0)
    np.testing.assert_array_equal(alone.head.mean, among.head.mean)
    np.testing.assert_array_equal(alone.head.members[0][0].weight, among.head.members[0][0].weight)
    assert alone.head.temperature == among.head.temperature and alone.setting == among.setting


def test_confidence_is_set_right_out_of_fold() -> None:
    """Pure noise in many columns: a head that was sure of itself would be punished, so it must end near chance."""
    rng = np.random.default_rng(0)
    noise = [example(p, t, LABELS[t % 3], rng.standard_normal(40)) for p in range(10) for t in range(6)]
    fitted = fit_head(settings(strengths=[0.3]), noise, seed=0)
    right = [fitted.opinions[e.id][0, LABELS.index(str(e.emotion))] for e in noise]
    assert -np.mean(np.log(right)) < np.log(3) + 0.1
    assert fitted.head.temperature > 2
    sure = fit_head(settings(), honest(noise=0.2), seed=0)
    assert sure.head.temperature < 1


def test_the_strength_with_the_best_recall_out_of_fold_is_chosen() -> None:
    examples = honest(noise=2.0)
    tried = {c: fit_head(settings(strengths=[c]), examples, seed=0).recall["train"] for c in (1e-4, 0.01, 1.0)}
    fitted = fit_head(settings(strengths=[1e-4, 0.01, 1.0]), examples, seed=0)
    assert fitted.recall["train"] == max(tried.values()) and tried[fitted.setting] == max(tried.values())


def test_a_seed_repeats_and_another_deals_other_folds() -> None:
    one, same, other = (fit_head(settings(), honest(), seed=seed).opinions for seed in (0, 0, 1))
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert any(not np.array_equal(one[name], other[name]) for name in one)


def test_more_columns_than_rows_give_the_same_regression() -> None:
    """Fitted in the space of the rows it is the library's own solution."""
    people = honest(people=6, takes=3)
    rng = np.random.default_rng(1)
    wide = [replace(e, arrays={"rows": np.hstack([e.arrays["rows"], rng.normal(0, 1, (2, 400))])}) for e in people]
    head = fit_head(settings(strengths=[0.01], folds=3), wide, 0).head
    rows = np.stack([e.arrays["rows"].mean(axis=0) for e in wide])
    standard = (rows - rows.mean(axis=0)) / (rows.std(axis=0) + 1e-3)
    model = LogisticRegression(C=0.01, max_iter=2000, tol=1e-8).fit(standard, [e.emotion for e in wide])
    expected = model.predict_log_proba(standard)
    expected = expected / head.temperature
    expected -= np.log(np.exp(expected).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(head.log_probabilities(rows.astype(np.float32)), expected, atol=2e-3)


def test_two_labels_have_two_columns() -> None:
    two = [e for e in honest(noise=0.5) if e.emotion != "sad"]
    for kind, strength in (("logistic", 1.0), ("discriminant", 8)):
        fitted = fit_head(settings(kind=kind, strengths=[strength]), two, seed=0)
        assert fitted.head.labels == ("angry", "happy")
        assert guesses(fitted, two) > 0.9


def test_too_little_to_fit_on_is_said() -> None:
    with pytest.raises(
        ManifestError, match=r"head made: .*at least two emotions and two people.*'rows', found 0 and 0"
    ):
        fit_head(settings(), honest(side="validation"), seed=0)
    with pytest.raises(ManifestError, match="found 3 and 1"):
        fit_head(settings(), honest(people=1), seed=0)
    with pytest.raises(ManifestError, match="found 1 and 9"):
        fit_head(settings(), [e for e in honest() if e.emotion == "sad"], seed=0)


def test_a_label_of_one_person_is_named() -> None:
    rare = [example(0, 50 + n, "contempt", np.ones(8)) for n in range(5)]
    with pytest.raises(ManifestError, match="without one fold of people no example of contempt is left"):
        fit_head(settings(), [*honest(), *rare], seed=0)


def test_the_invented_people_are_split_by_person(examples: list[Example]) -> None:
    """The shared examples themselves: the same head settings as a tiny run."""
    voices = [e for e in examples if e.source == "voices"]
    fitted = fit_head(settings(array="audio_statistics", strengths=[0.1]), voices, seed=0)
    sides = Counter(e.side for e in voices if e.id in fitted.opinions)
    assert sides == Counter(e.side for e in voices)
    assert fitted.recall["train"] > 0.5


def test_the_source_that_counts_more_decides_and_is_what_the_score_is_of() -> None:
    """Two sources that contradict each other: what one calls happy, the other calls angry."""
    turned = {"angry": "happy", "happy": "angry", "sad": "sad"}
    other = [
        replace(e, id=f"other{e.id}", source="other", person=f"other/{e.person}", emotion=turned[str(e.emotion)])
        for e in honest()
    ]
    for trusted, examples in (("made", honest()), ("other", other)):
        weights = {name: 1.0 if name == trusted else 0.1 for name in ("made", "other")}
        fitted = fit_head(settings(source_weights=weights), [*honest(), *other], seed=0)
        assert guesses(fitted, examples) > 0.7
        assert fitted.recall["train"] > 0.7


def test_balance_lets_rare_labels_count() -> None:
    rare = [e for e in honest(people=12, takes=12, noise=4.0) if e.emotion != "sad" or e.id.endswith("/2#0")]

    def recall(balance: float) -> float:
        fitted = fit_head(settings(balance=balance), rare, seed=0)
        sad = [e for e in rare if e.emotion == "sad"]
        return guesses(fitted, sad)

    assert recall(1.0) > recall(0.0) + 0.2


def moving(person: int, take: int, rng: np.random.Generator) -> Example:
    """A row of voice (4) and face at three moments (3 × 5): who it is shows most, the emotion in the face's change."""
    label = take % 3
    face = np.full((3, 5), float(person)) + rng.normal(0, 0.3, (3, 5))
    face[2] += np.eye(1, 5, label)[0]
    return example(person, take, LABELS[label], np.concatenate([rng.standard_normal(4), face.ravel()]))


FEW = {"members": 1, "hidden": 16, "steps": 60, "learning_rate": 0.01, "noise": 0, "mixup": 0}
WITHIN = {"kind": "nets", "map": "within-person", "blocks": [4, 5, 5, 5], "nets": FEW, "strengths": [4], "folds": 3}


@pytest.mark.parametrize("changes", [WITHIN, {**WITHIN, "map": "principal", "blocks": []}], ids=["within", "principal"])
def test_nets_and_their_map_are_fitted_anew_without_the_people_they_are_asked_about(changes: dict[str, object]) -> None:
    """Spoil all but one clip of a person: what is said about that clip must not move, however the map is fitted."""

    def said(examples: list[Example]) -> np.ndarray:
        fitted = fit_head(settings(**changes), examples, seed=0)
        log = np.log(fitted.opinions["made/P2/0#0"]) * fitted.head.temperature
        return np.asarray(log - log.max())

    rng = np.random.default_rng(0)
    examples = [moving(person, take, rng) for person in range(6) for take in range(9)]
    spoilt = [
        replace(e, arrays={"rows": 50 * rng.standard_normal((1, 19)).astype(np.float32)})
        if e.person == "made/P2" and e.id != "made/P2/0#0"
        else e
        for e in examples
    ]
    np.testing.assert_allclose(said(spoilt), said(examples), atol=1e-3)


def test_past_the_person_the_emotion_shows() -> None:
    rng = np.random.default_rng(0)
    examples = [moving(person, take, rng) for person in range(10) for take in range(12)]
    within = fit_head(settings(**WITHIN), examples, seed=0)
    assert guesses(within, examples) > 0.75
    again = within.head.log_probabilities(
        np.concatenate([e.arrays["rows"] + 3 * np.repeat([0, 1], [4, 15]) for e in examples[:20]]).astype(np.float32)
    )
    same = within.head.log_probabilities(np.concatenate([e.arrays["rows"] for e in examples[:20]]))
    assert (again.argmax(axis=1) == same.argmax(axis=1)).mean() > 0.9  # as another person's face


def test_a_map_that_does_not_fit_the_head_is_refused() -> None:
    for wrong in ({"blocks": []}, {"blocks": [4, 5, 5]}, {"blocks": [4, 5, 5, 6]}, {"blocks": [0, 5, 5, 5]}):
        with pytest.raises(ValueError, match="head made: map within-person needs kind: nets and blocks"):
            settings(**{**WITHIN, **wrong})
    with pytest.raises(ValueError, match="found logistic"):
        settings(**{**WITHIN, "kind": "logistic"})
    with pytest.raises(ValueError, match="blocks are for map: within-person"):
        settings(blocks=[4, 5, 5, 5])
    with pytest.raises(ManifestError, match=r"head made, array 'rows': .*blocks 4 \+ 5 \+ 5 \+ 5 = 19 columns.*has 8"):
        fit_head(settings(**WITHIN), honest(), seed=0)


@pytest.mark.parametrize("kind", ["logistic", "discriminant"])
def test_a_head_reads_only_its_columns(kind: str) -> None:
    """Columns that are not read weigh nothing, and the rest is as if they were not there."""
    examples = honest()
    only = settings(kind=kind, strengths=[1.0 if kind == "logistic" else 3], columns=[[0, 2], [5, 6]])
    head = fit_head(only, examples, seed=0).head
    rows = examples[0].arrays["rows"]
    changed = rows.copy()
    changed[:, [2, 3, 4, 6, 7]] += 5
    np.testing.assert_allclose(head.opinion(changed), head.opinion(rows), atol=1e-6)
    narrow = [replace(e, arrays={"rows": e.arrays["rows"][:, [0, 1, 5]]}) for e in examples]
    same = fit_head(settings(kind=kind, strengths=only.strengths), narrow, seed=0).head
    np.testing.assert_allclose(same.opinion(rows[:, [0, 1, 5]]), head.opinion(rows), atol=1e-5)


def test_columns_beyond_the_array_are_named() -> None:
    with pytest.raises(ManifestError, match=r"head made: columns .* go beyond the 8 columns of 'rows'"):
        fit_head(settings(columns=[[4, 9]]), honest(), seed=0)
    with pytest.raises(ValueError, match="columns are for kind logistic or discriminant"):
        settings(columns=[[0, 2]], kind="nets")
    with pytest.raises(ValueError, match="expected columns as"):
        settings(columns=[[3, 3]])

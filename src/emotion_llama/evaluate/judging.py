"""Judges in a run: a part that a language model can judge is scored by one, or by several with their agreement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from emotion_llama.datasets.emer import read_answers
from emotion_llama.errors import ManifestError, UsageError
from emotion_llama.evaluate.anchoring import PUBLISHED, Anchor, fit_anchor
from emotion_llama.evaluate.judge import Judge, group_items, judge_from
from emotion_llama.evaluate.judge_agreement import JudgePanel, judge_panel
from emotion_llama.evaluate.judge_overlap import judge_overlap, score_answers
from emotion_llama.evaluate.predictions import Answers, index, match
from emotion_llama.evaluate.records import Item, Prediction, Scored
from emotion_llama.evaluate.score_overlap import with_judge
from emotion_llama.evaluate.suite import Part, Scorer, ScoreSettings

CACHE = "judge"
"""Folder below the output folder that holds one readable file a question."""


def make_judges(urls: Sequence[str], models: str, key_env: str, out: Path) -> list[Judge]:
    """Make the judges of the command line: one URL and several models, several URLs and one model, or as many of both.

    Raises `UsageError` for numbers that do not fit together.
    """
    names = [name.strip() for name in models.split(",") if name.strip()] or [""]
    if len(urls) == 1:
        urls = [urls[0]] * len(names)
    if len(names) == 1:
        names = names * len(urls)
    if len(urls) != len(names):
        raise UsageError(f"--judge names {len(urls)} endpoints, --judge-model {len(names)} models; give one for each")
    return [judge_from(url, name, key_env, out / CACHE) for url, name in zip(urls, names, strict=True)]


def judged_part(part: Part, judges: Sequence[Judge], anchor: Path | None = None) -> Part:
    """Give the part with a scorer that asks the judges, as `part.judged` says; a part that no judge can help stays.

    `anchor`: folder of the published systems' answers (`<system>.csv`), on which the judge is anchored.
    """
    if part.judged == "overlap":
        return replace(part, score=_overlap(part.score, judges, anchor))
    if part.judged == "answers":
        return replace(part, score=score_answers(judges[0]))
    if part.judged == "groups":
        return replace(part, score=_grouping(part.score, judges[0]))
    return part


def _overlap(proxy: Scorer, judges: Sequence[Judge], anchor: Path | None) -> Scorer:
    def score(
        items: Sequence[Item], predictions: Sequence[Prediction | None], labels: Sequence[str], settings: ScoreSettings
    ) -> Scored:
        panel = _panel(judges, items, predictions, settings)
        found = with_judge(proxy(items, predictions, labels, settings), panel.metrics, panel.note, panel.problems)
        facts: dict[str, object] = {"judge_agreement": [pair.model_dump(mode="json") for pair in panel.pairs]}
        if anchor is not None:
            facts["anchored"] = _anchored(panel, judges, items, settings, anchor)
        return found.model_copy(update={"settings": {**found.settings, **facts}})

    return score


def _panel(
    judges: Sequence[Judge], items: Sequence[Item], predictions: Sequence[Prediction | None], settings: ScoreSettings
) -> JudgePanel:
    return judge_panel([judge_overlap(judge, items, predictions, settings) for judge in judges], settings)


def _anchored(
    panel: JudgePanel, judges: Sequence[Judge], items: Sequence[Item], settings: ScoreSettings, folder: Path
) -> dict[str, object]:
    """Carry the judges' means over to the published scale, by their scores of the published systems' answers."""
    anchor = _anchor(judges, items, settings, folder)
    found: dict[str, object] = {"systems": list(anchor.systems)}
    for aspect, name in (("clue", "clue_overlap"), ("label", "label_overlap")):
        mean = panel.metrics[name].value
        if mean is not None:
            found[name] = anchor.value("clue" if aspect == "clue" else "label", mean).model_dump(mode="json")
    return found


def _anchor(judges: Sequence[Judge], items: Sequence[Item], settings: ScoreSettings, folder: Path) -> Anchor:
    files = sorted(folder.glob("*.csv"))
    if not files:
        raise ManifestError(f"{folder}: expected the answers of {', '.join(PUBLISHED)} as <system>.csv, found none")
    means = {}
    for path in files:
        system = _system(path)
        texts = tuple(Prediction(clip=clip, reasoning=text or None) for clip, text in read_answers(path).items())
        panel = _panel(judges, items, match(items, index(Answers(texts)), ()).predictions, settings)
        clue, label = panel.metrics["clue_overlap"].value, panel.metrics["label_overlap"].value
        if clue is None or label is None:
            raise ManifestError(f"{path}: the judge could rate none of its answers; leave it out of the anchor")
        means[system] = (clue, label)
    return fit_anchor(means)


def _system(path: Path) -> str:
    """Give the published system that a file is named after ("videochat-text.csv")."""
    plain = {name.lower().replace("_", "-"): name for name in PUBLISHED}
    near = get_close_matches(path.stem.lower().replace("_", "-"), plain, n=1, cutoff=0.9)
    if not near:
        raise ManifestError(f"{path}: name the file after one of the published systems: {', '.join(PUBLISHED)}")
    return plain[near[0]]


def _grouping(scorer: Scorer, judge: Judge) -> Scorer:
    def score(
        items: Sequence[Item], predictions: Sequence[Prediction | None], labels: Sequence[str], settings: ScoreSettings
    ) -> Scored:
        grouped, problems = group_items(judge, items, predictions)
        found = scorer(grouped, predictions, labels, settings)
        note = f"Synonyms were grouped by {judge.name}, not by the retired model of the published figures."
        return found.model_copy(update={"notes": (note, *found.notes), "problems": (*found.problems, *problems)})

    return score

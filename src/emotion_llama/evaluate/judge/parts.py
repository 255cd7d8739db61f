"""Judges in a run: a part that a language model can judge is scored by one, or by several with their agreement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from emotion_llama.datasets.emer import read_answers
from emotion_llama.errors import EndpointError, ManifestError, UsageError
from emotion_llama.evaluate.judge.agreement import JudgePanel, judge_panel
from emotion_llama.evaluate.judge.anchoring import PUBLISHED, Anchor, Anchored, Aspect, fit_anchor
from emotion_llama.evaluate.judge.judge import Judge, group_items, judge_from
from emotion_llama.evaluate.judge.overlap import CLUE, LABEL, judge_overlap, score_answers
from emotion_llama.evaluate.judge.prompts import PROMPT_VERSION
from emotion_llama.evaluate.matching import index, match
from emotion_llama.evaluate.predictions import Answers
from emotion_llama.evaluate.records import Item, Prediction, Scored
from emotion_llama.evaluate.scorers.label_sets import GROUPS_KEY
from emotion_llama.evaluate.scorers.overlap import with_judge
from emotion_llama.evaluate.suite import Part, Scorer, ScoreSettings

CACHE = "judge"
"""Folder below the output folder that holds one readable file a question."""


def make_judges(urls: Sequence[str], models: str, key_env: str, out: Path) -> list[Judge]:
    """Make the judges of the command line: one URL and several models, several URLs and one model, or as many of both.

    Raises `UsageError` for numbers that do not fit together, or one model twice: its stored answers are the same.
    """
    names = [name.strip() for name in models.split(",") if name.strip()] or [""]
    if len(urls) == 1:
        urls = [urls[0]] * len(names)
    if len(names) == 1:
        names = names * len(urls)
    if len(urls) != len(names):
        raise UsageError(f"--judge names {len(urls)} endpoints, --judge-model {len(names)} models; give one for each")
    judges = [judge_from(url, name, key_env, out / CACHE) for url, name in zip(urls, names, strict=True)]
    asked = [judge.name for judge in judges]
    if len(set(asked)) < len(asked):
        raise UsageError(f"--judge names one model twice ({', '.join(asked)}); several judges are different models")
    return judges


def judged_part(part: Part, judges: Sequence[Judge], anchor: Path | None = None) -> Part:
    """Give the part with a scorer that asks the judges, as `part.judged` says; a part that no judge can help stays.

    `anchor`: folder of the published systems' answers (`<system>.csv`), on which the judge is anchored. Raises
    `UsageError` for an anchor or several judges where the part has no use for them.
    """
    if part.judged in ("answers", "groups") and (anchor is not None or len(judges) > 1):
        idle = "--judge-anchor" if anchor is not None else "a second judge"
        raise UsageError(f"part {part.name}: {idle} is for overlaps of reasons (suite emer); leave it out")
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
        notes = found.notes
        if anchor is not None:
            fitted = _anchor(judges, items, settings, anchor)
            values = _anchored(panel, fitted)
            facts["anchored"] = {name: value.model_dump(mode="json") for name, value in values.items()}
            facts["anchored_on"] = list(fitted.systems)
            notes = (*map(_anchor_note, values, values.values()), *notes)
        # the scores of each judge and the proxies are in the tables, beside these
        shown = (CLUE, LABEL, *(name for name in found.headline if name not in panel.metrics))
        settled = {**found.settings, **facts}
        return found.model_copy(update={"settings": settled, "headline": shown, "notes": notes})

    return score


def _panel(
    judges: Sequence[Judge], items: Sequence[Item], predictions: Sequence[Prediction | None], settings: ScoreSettings
) -> JudgePanel:
    return judge_panel([judge_overlap(judge, items, predictions, settings) for judge in judges], settings)


def _anchored(panel: JudgePanel, anchor: Anchor) -> dict[str, Anchored]:
    """Carry the judges' means over to the published scale, by their scores of the published systems' answers."""
    aspects: dict[str, Aspect] = {CLUE: "clue", LABEL: "label"}
    means = {name: panel.metrics[name].value for name in aspects}
    return {name: anchor.value(aspects[name], mean) for name, mean in means.items() if mean is not None}


def _anchor_note(name: str, value: Anchored) -> str:
    span = f"{value.value:.2f} [{value.low:.2f}, {value.high:.2f}]"
    return f"{name} on the published scale: {span}; {'; '.join(value.cautions)}."


def _anchor(judges: Sequence[Judge], items: Sequence[Item], settings: ScoreSettings, folder: Path) -> Anchor:
    files = sorted(folder.glob("*.csv"))
    if not files:
        raise ManifestError(f"{folder}: expected the answers of {', '.join(PUBLISHED)} as <system>.csv, found none")
    means = {}
    for path in files:
        system = _system(path)
        texts = tuple(Prediction(clip=clip, reasoning=text or None) for clip, text in read_answers(path).items())
        matched = match(items, index(Answers(texts)), ()).predictions
        if not any(matched):
            raise ManifestError(
                f"{path}: none of its clips is one that was asked; take the answers about the same clips"
            )
        panel = _panel(judges, items, matched, settings)
        clue, label = panel.metrics[CLUE].value, panel.metrics[LABEL].value
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
        if problems and not any(GROUPS_KEY in item.extra for item in grouped):
            raise EndpointError(f"judge {judge.name}: no clip's words could be grouped; {problems[0].message}")
        found = scorer(grouped, predictions, labels, settings)
        note = (
            f"Synonyms were grouped by {judge.name} (prompts {PROMPT_VERSION}) where no groups are stored, not by the "
            "retired model of the published figures."
        )
        settled = {**found.settings, "judge": judge.name, "prompt_version": PROMPT_VERSION}
        return found.model_copy(
            update={"notes": (note, *found.notes), "problems": (*found.problems, *problems), "settings": settled}
        )

    return score

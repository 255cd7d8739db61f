"""Questions and answers for tuning a language model: what llama-factory and ms-swift have in common.

A row is one clip and one task: the recording's tag, the spoken words and the question in the wording of our own prompt,
and the answer. There is one tag for the one file of a row, and nowhere else in its text: both programs count them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from emotion_llama.build.entry import Entry
from emotion_llama.build.exchange.export import Export, stem
from emotion_llama.build.exchange.export_merr import label_of, text_of
from emotion_llama.build.exchange.options import KINDS, Kind, TuningTask
from emotion_llama.build.exchange.recordings import kind_of
from emotion_llama.labels import LABEL_SETS
from emotion_llama.prompt import instruction, spoken_sentence

TAGS: dict[Kind, str] = {kind: f"<{kind}>" for kind in KINDS}


@dataclass(frozen=True)
class Row:
    """One question about one recording. `file` names the file that it belongs into, without an ending."""

    file: str
    kind: Kind
    path: str
    question: str
    answer: str

    @property
    def messages(self) -> list[dict[str, str]]:
        """The exchange as both programs want it: the user first, then the assistant."""
        return [{"role": "user", "content": self.question}, {"role": "assistant", "content": self.answer}]


def rows(export: Export) -> Iterator[Row]:
    """Give the rows of an export; entries that cannot be asked about are left out.

    Each file has recordings of one kind: readers that guess columns from the first rows then guess right.
    """
    labels = export.options.labels or _labels_of(export)
    unanswered: Counter[TuningTask] = Counter()
    for entry in export.fitting(needs_recording=True):
        kind = kind_of(entry)
        answers = {task: answer for task in export.options.tasks if (answer := _answer(entry, task)) is not None}
        reason = _unfit(entry, kind, answers, export)
        if reason is not None or kind is None:
            export.leave_out(entry, reason or "")
            continue
        path = export.place(entry)
        export.clips += 1
        unanswered.update(task for task in export.options.tasks if task not in answers)
        for task, answer in answers.items():
            yield Row(f"{stem(entry)}_{kind}", kind, path or "", _question(entry, task, kind, labels), answer)
    export.notes += [f"{count} clips have no answer to [{task}]" for task, count in unanswered.items()]


def _labels_of(export: Export) -> tuple[str, ...]:
    """Give the labels to list: the first label set that has every word that occurs, else these words, sorted."""
    words = {label for entry in export.entries() if (label := label_of(entry)) is not None}
    known = next((labels for labels in LABEL_SETS.values() if words <= set(labels)), None)
    return known or tuple(sorted(words))


def _question(entry: Entry, task: TuningTask, kind: Kind, labels: tuple[str, ...]) -> str:
    sentence = spoken_sentence(entry.clip.transcript)
    return " ".join(part for part in (TAGS[kind], sentence, f"[{task}] {instruction(task, labels)}") if part)


def _answer(entry: Entry, task: TuningTask) -> str | None:
    return label_of(entry) if task == "emotion" else text_of(entry, "fine")


def _unfit(entry: Entry, kind: Kind | None, answers: dict[TuningTask, str], export: Export) -> str | None:
    """Say why nothing can be asked about an entry."""
    if kind is None:
        return "it cannot be told whether its recording is video, sound or a still"
    if kind not in export.options.kinds:
        return f"its recording is of the kind {kind}, and only {', '.join(export.options.kinds)} are asked for"
    if entry.clip.start_s is not None or entry.clip.end_s is not None:
        return "it is a span of a recording, and this format has no times"
    if not answers:
        return f"it has no answer to {', '.join(f'[{task}]' for task in export.options.tasks)}"
    label = label_of(entry)
    if export.options.labels and label not in export.options.labels:
        return f"its emotion {label!r} is not among the labels {', '.join(export.options.labels)}"
    text = " ".join((entry.clip.transcript or "", *answers.values()))
    tag = next((tag for tag in TAGS.values() if tag in text), None)
    return f"its text holds {tag}, which would count as another file" if tag else None

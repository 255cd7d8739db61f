"""One analysis as readable text in a terminal; plain text when the output is not one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from emotion_llama.analyze.people_shown import show_people
from emotion_llama.clip import Analysis, Observation
from emotion_llama.languages import ENGLISH, Language, language

_BAR_COLUMNS = 30
_CHANNEL_TITLES = {"face": "In the face", "voice": "In the voice", "words": "In the words", "scene": "In the scene"}
_VERDICT_MARKS = {"supported": "agrees with the measurement", "contradicted": "CONTRADICTED by the measurement"}
_SIDE_MARKS = {"for": "speaks for it", "against": "speaks against it"}
_INPUT_NAMES = {"video": "picture", "audio": "voice", "text": "words"}


def show(analysis: Analysis, console: Console, written: Sequence[Path] = ()) -> None:
    """Print the emotion with its probabilities, reasons, evidence, transcript, warnings, and the files `written`.

    All of it is in the language of the analysis.
    """
    words = language(analysis.language)
    console.print()
    _line(console, printable(analysis.clip), style="dim")
    console.print(_headline(analysis))
    if analysis.probabilities:
        console.print()
        _show_bars(analysis, console)
    main = next((face.track for face in analysis.faces if face.main), None)
    show_people(analysis.people, main, console, words)
    if analysis.timeline is not None:
        _show_timeline(analysis, console)
    _show_texts(analysis, console)
    _show_claims(analysis, console)
    _show_attribution(analysis, console)
    _show_evidence(analysis.evidence, console, words)
    _show_baseline(analysis, console)
    _show_list(words.tell("Please note"), analysis.warnings, console, style="yellow")
    _show_inputs(analysis, console)
    for path in written:
        _line(console, f"wrote {printable(str(path))}", style="dim")


def _show_timeline(analysis: Analysis, console: Console) -> None:
    from emotion_llama.analyze.timeline.strip import show_timeline

    assert analysis.timeline is not None
    windows = analysis.timeline.windows
    start_s = windows[0].start_s if windows else 0.0
    show_timeline(
        analysis.timeline, (start_s, start_s + (analysis.duration_s or 0.0)), console, language(analysis.language)
    )


def printable(text: str) -> str:
    """Text without the control characters that could steer a terminal; line ends become spaces."""
    return "".join(letter if letter.isprintable() else " " if letter.isspace() else "?" for letter in text)


def headline(analysis: Analysis) -> str:
    """The emotion in one or a few words, or that none could be named."""
    words = language(analysis.language)
    if analysis.candidates:
        return words.tell(f"not sure: {' or '.join(analysis.candidates)}")
    named = [analysis.emotion] if analysis.emotion is not None else analysis.labels
    return ", ".join(words.shown(label) for label in named) or words.tell("no emotion could be named")


def _show_baseline(analysis: Analysis, console: Console) -> None:
    clips, source = analysis.provenance.baseline_clips, analysis.provenance.baseline_from
    if clips is not None:
        where = {"profile": " (a profile)", "auto": " (other parts of this one)"}.get(source or "", "")
        text = f"Read beside {clips} recordings of the same person{where}."
        console.print()
        _line(console, language(analysis.language).tell(text), style="dim")


def _headline(analysis: Analysis) -> Text:
    text = Text(printable(headline(analysis)), style="bold cyan" if analysis.emotion else "bold")
    if analysis.confidence is not None:
        text.append(f"  {analysis.confidence:.0%}", style="bold")
    ranked = sorted(analysis.probabilities.items(), key=lambda pair: -pair[1])
    if len(ranked) > 1:
        words = language(analysis.language)
        others = ", ".join(f"{printable(words.label(label))} {p:.0%}" for label, p in ranked[1:3])
        text.append("  " + words.tell(f"then {others}"), style="dim")
    return text


def _show_bars(analysis: Analysis, console: Console) -> None:
    ranked = sorted(analysis.probabilities.items(), key=lambda pair: -pair[1])
    words = language(analysis.language)
    names = {label: printable(words.shown(label)) for label, _ in ranked}
    width = max(cell_len(name) for name in names.values())
    block = "#" if console.options.ascii_only else "█"
    columns = max(8, min(_BAR_COLUMNS, console.width - width - 12))
    for label, p in ranked:
        row = Text(f"  {set_cell_size(names[label], width)} ")
        row.append(f"{block * round(p * columns):<{columns}}", style="cyan" if label == analysis.emotion else "dim")
        row.append(f" {100 * p:5.1f} %")
        console.print(row, no_wrap=True, overflow="crop")


def _show_texts(analysis: Analysis, console: Console) -> None:
    words = language(analysis.language)
    for title, text in (("Why", analysis.reasoning), ("Seen", analysis.visual), ("Heard", analysis.audio)):
        if text:
            _show_list(words.tell(title), [text], console, mark="")
    said = analysis.transcript
    if said.text is not None:
        title = words.tell(f"Said ({printable(', '.join(filter(None, (said.language, said.source))))})")
        quoted = f'"{said.text.strip()}"' if said.text.strip() else words.tell("nothing was said")
        _show_list(title, [quoted], console, mark="")


def _show_claims(analysis: Analysis, console: Console) -> None:
    """How many of the signs that the reasons name hold, and those that do not."""
    checked = [one for one in analysis.claims if one.verdict in _VERDICT_MARKS]
    if not analysis.claims:
        return
    say = language(analysis.language).tell
    hold = sum(one.verdict == "supported" for one in checked)
    lines = [f"{len(analysis.claims)} named, {len(checked)} could be checked, {hold} agree with the measurements"]
    lines += [f"CONTRADICTED: {one.text} ({one.note})" for one in checked if one.verdict == "contradicted"]
    _show_list(say("Signs in these reasons"), [say(line) for line in lines], console)


def _show_attribution(analysis: Analysis, console: Console) -> None:
    """What each input added to the probability of the emotion, in points, and what it says alone."""
    found = analysis.attribution
    if found is None:
        return
    say, lines = language(analysis.language).tell, []
    for name, share in sorted(found.shapley.items(), key=lambda pair: -pair[1]):
        alone = max(found.alone[name].items(), key=lambda pair: pair[1])
        text = f"{_INPUT_NAMES[name]}: {100 * share:+.0f} points; alone it says {alone[0]} ({alone[1]:.0%})"
        lines.append(say(text))
    _show_list(say(f"What made it {found.emotion} ({found.blank:.0%} without any input)"), lines, console)


def _show_evidence(evidence: Iterable[Observation], console: Console, words: Language) -> None:
    order = list(_CHANNEL_TITLES)
    ranked = sorted(evidence, key=lambda observation: order.index(observation.channel))
    for channel, group in groupby(ranked, key=lambda observation: observation.channel):
        lines = [_evidence_line(observation, words) for observation in group]
        _show_list(words.tell(_CHANNEL_TITLES[channel]), lines, console)


def _evidence_line(observation: Observation, words: Language) -> str:
    verdict = _VERDICT_MARKS.get(observation.verdict or "", observation.verdict)
    side = _SIDE_MARKS.get(observation.speaks or "")
    marks = [words.tell(mark) for mark in (side, verdict) if mark]
    notes = [note for note in (measurement(observation, words), *marks) if note]
    return observation.text + (f" ({'; '.join(notes)})" if notes else "")


def measurement(observation: Observation, words: Language = ENGLISH) -> str:
    """The measured quantity behind an observation ("AU12 2.1 of 5", "212 Hz", "happy 0.93"), in a language.

    "" where there is none, or where the observation's own text already tells the number.
    """
    if observation.value is None or _tells(observation.text, observation.value):
        return ""
    named = observation.name if not observation.unit or (observation.name or "").startswith("AU") else None
    size = number(observation.value) if observation.unit is None else f"{number(observation.value)} {observation.unit}"
    return " ".join(part for part in (named, words.tell(size)) if part)


def _tells(text: str, value: float) -> bool:
    spellings = (f"{value:.0f}", f"{value:.1f}", f"{value:.2f}")
    return any(re.search(rf"(?<![\w.]){re.escape(spelling)}(?![\w.]*\d)", text) for spelling in spellings)


def number(value: float) -> str:
    """A number with as many digits as help reading: 212, 21.5, 0.31; never an exponent for an everyday size."""
    size = abs(value)
    if size >= 100 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def _show_inputs(analysis: Analysis, console: Console) -> None:
    say = language(analysis.language).tell
    missing = [f"{say(name)}: {state.reason}" for name, state in analysis.inputs.items() if not state.present]
    _show_list(say("Not used"), missing, console, style="dim")
    console.print()


def _show_list(title: str, texts: Sequence[str], console: Console, style: str = "", mark: str = "- ") -> None:
    """A titled block; long texts are wrapped under their first letter."""
    if not texts:
        return
    console.print()
    _line(console, title, style="bold")
    for text in texts:
        lines = Text(printable(text), style=style).wrap(console, max(20, console.width - 2 - len(mark)))
        for index, line in enumerate(lines):
            console.print(Text("  " + (mark if index == 0 else " " * len(mark)), style=style) + line)


def _line(console: Console, text: str, style: str = "") -> None:
    console.print(Text(text, style=style), soft_wrap=True)

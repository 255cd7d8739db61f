"""An examination as text for a terminal: kinds of findings, worst first, with their first clips."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from emotion_llama.analyze.console import printable
from emotion_llama.build.doctor.records import MEANINGS, SEVERITIES, DoctorReport, Finding

SHOWN = 5
NAME_COLUMNS = 40


def report_text(report: DoctorReport, most: int = SHOWN) -> str:
    """Give the report as plain text; of each kind at most `most` findings, the rest as a number."""
    lines = [_summary(report)]
    for (severity, kind), group in groupby(report.findings, key=lambda one: (one.severity, one.kind)):
        findings = list(group)
        meaning = MEANINGS[kind]
        lines += ["", f"{severity.upper():<8} {meaning.title} ({len(findings)})", f"{'':<8} → {meaning.do}"]
        lines += _rows(findings[:most])
        if len(findings) > most:
            lines.append(f"{'':<8} … and {len(findings) - most} more; the JSON file has all")
    lines += ["", *report.notes] if report.notes else []
    return "\n".join(lines) + "\n"


def _summary(report: DoctorReport) -> str:
    counts = [f"{_counted(report.severities.get(severity, 0), severity)}" for severity in SEVERITIES]
    text = f"{_counted(report.n_clips, 'clip')}, {report.n_readable} of {report.n_recordings} recordings readable"
    told = ", ".join(counts) if report.findings else "nothing found"
    compared = f"compared for duplicates: {report.compared_sound} sounds, {report.compared_picture} pictures"
    return f"{text}: {told}\n{compared}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _rows(findings: Sequence[Finding]) -> list[str]:
    names = [_shortened(printable(finding.clip or "")) for finding in findings]
    width = max(map(len, names))
    return [
        f"{'':<8} {name:<{width}}{'  ' if width else ''}{printable(finding.words)}"
        for name, finding in zip(names, findings, strict=True)
    ]


def _shortened(name: str) -> str:
    """A name's end says more than its beginning: folders come first."""
    return name if len(name) <= NAME_COLUMNS else "…" + name[1 - NAME_COLUMNS :]

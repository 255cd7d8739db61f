"""The numbers of a data set as text for a terminal."""

from __future__ import annotations

from emotion_llama.analyze.console import printable
from emotion_llama.build.stats.records import DatasetStats
from emotion_llama.build.stats.words import number, seconds, share

SHOWN_CLASSES = 30
SHOWN_REJECTS = 8


def stats_text(stats: DatasetStats) -> str:
    """Give the main numbers as plain text: classes with their commonest action units, lengths, quality, rejections."""
    lines = [
        f"{stats.dataset}: {stats.n:,} clips, {stats.n_rejected:,} rejected, {len(stats.classes)} classes, "
        f"{stats.n_speakers:,} named speakers, {seconds(stats.durations.total_s)} in all",
        *_classes(stats),
        *_quality(stats),
        *_rejects(stats),
    ]
    lines += [
        f"{one.part}: {one.n:,} clips, {one.n_speakers:,} speakers" for one in stats.parts if one.part is not None
    ]
    if stats.shared_speakers:
        lines.append(f"in more than one part: {', '.join(stats.shared_speakers[:8])}")
    return "\n".join(printable(line) for line in [*lines, *stats.notes]) + "\n"


def _classes(stats: DatasetStats) -> list[str]:
    width = max((len(one.label) for one in stats.classes[:SHOWN_CLASSES]), default=0)
    lines = []
    for one in stats.classes[:SHOWN_CLASSES]:
        units = " ".join(unit.unit for unit in one.top)
        lines.append(f"  {one.label:<{width}}  {one.n:>7,}  {100 * one.share:>5.1f} %  {units}".rstrip())
    if len(stats.classes) > SHOWN_CLASSES:
        lines.append(f"  and {len(stats.classes) - SHOWN_CLASSES:,} smaller classes")
    return lines


def _quality(stats: DatasetStats) -> list[str]:
    lines = []
    lengths, clues, agreement = stats.durations, stats.clues, stats.agreement
    if lengths.n:
        lines.append(
            f"length: median {seconds(lengths.median_s)}, {seconds(lengths.min_s)} to {seconds(lengths.max_s)}"
        )
    if clues.n:
        total = clues.supported + clues.contradicted + clues.unverifiable
        lines.append(
            f"clues: {share(clues.supported, total)} supported, {share(clues.contradicted, total)} contradicted, "
            f"{share(clues.unverifiable, total)} not measured (n = {total:,} of {clues.n:,} clips)"
        )
    if agreement.n_compared:
        lines.append(
            f"rule table and pseudo-label: {share(agreement.n_strongest, agreement.n_compared)} the same, "
            f"kappa {number(agreement.kappa)} (n = {agreement.n_compared:,})"
        )
    return lines


def _rejects(stats: DatasetStats) -> list[str]:
    lines = [f"  {one.n:>7,}  {one.step}: {one.reason}" for one in stats.rejects[:SHOWN_REJECTS]]
    rest = sum(one.n for one in stats.rejects[SHOWN_REJECTS:])
    if rest:
        lines.append(f"  {rest:>7,}  for other reasons")
    return ["rejected:", *lines] if lines else []

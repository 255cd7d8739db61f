"""The end of a build: decisions over the whole set, then the files. Equal results give equal bytes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from emotion_llama import __version__
from emotion_llama.build.changes import BUILD
from emotion_llama.build.entry import ENTRIES, REJECTED, Entry, Part, Rejected, StepMark, write_lines
from emotion_llama.build.journal import Journal
from emotion_llama.build.plan import Plan, PlannedWhole
from emotion_llama.build.preview import PREVIEWS, preview_path
from emotion_llama.build.remarks import remarks
from emotion_llama.build.step import OutcomeKind, assemble, digest
from emotion_llama.build.whole import Candidate, Decision
from emotion_llama.errors import OutputError

if TYPE_CHECKING:
    from emotion_llama.build.run import Known


@dataclass(frozen=True)
class Totals:
    """What became of the clips. `failed`: stopped at an error, to be tried again. `remarks`: what is amiss."""

    entries: int
    rejected: int
    failed: int
    emotions: dict[str, int]
    remarks: tuple[str, ...] = ()


def finish(records: Journal, plan: Plan, out: Path, knowns: Iterable[Known]) -> Totals:
    """Decide over the whole set and write the data set. Raises `OutputError`."""
    passed: list[tuple[str, dict[str, str]]] = []
    candidates: list[Candidate] = []
    failed = 0
    for known in knowns:
        if known.passed:
            passed.append((known.clip.clip, {name: known.keys[name] for name in known.keys if name == "dedupe"}))
            candidates.append(Candidate.of(_entry(known, plan, out)))
        else:
            failed += known.rejected_at is None
    decided = decide(plan.whole, candidates, [keys.get("dedupe") for _, keys in passed], records)
    rows: list[tuple[str, str, OutcomeKind, str]] = [
        (candidates[place].name, step, one.kind, one.words) for place, step, one in decided
    ]
    records.decide(rows)
    return _write(records, plan, out, decided, [one.name for one in candidates], failed)


def decide(
    whole: Sequence[PlannedWhole], candidates: Sequence[Candidate], print_keys: Sequence[str | None], records: Journal
) -> list[tuple[int, str, Decision]]:
    """Take the steps over the whole set; each sees what the one before let through. Gives (place, step, decision)."""
    left = list(range(len(candidates)))
    decided: list[tuple[int, str, Decision]] = []
    for planned in whole:
        here = list(left)

        def load(number: int, here: Sequence[int] = here) -> bytes | None:
            key = print_keys[here[number]]
            return None if key is None else records.print_data(key)

        decisions = planned.step.decide([candidates[place] for place in here], planned.settings, load)
        decided += [(place, planned.step.name, one) for place, one in zip(here, decisions, strict=True)]
        left = [place for place, one in zip(here, decisions, strict=True) if one.kind == "done"]
    return decided


def _write(
    records: Journal,
    plan: Plan,
    out: Path,
    decided: Sequence[tuple[int, str, Decision]],
    names: Sequence[str],
    failed: int,
) -> Totals:
    from emotion_llama.build.run import Known

    dropped = {names[place]: (step, one.words) for place, step, one in decided if one.kind == "rejected"}
    parts = {names[place]: one.part for place, _, one in decided if one.part is not None}
    emotions: Counter[str] = Counter()
    sides: Counter[Part] = Counter()
    why_not: Counter[str] = Counter()
    written: set[str] = set()

    def entries() -> Iterator[Entry]:
        for name in names:
            if name not in dropped:
                known = Known(records, plan, name)
                entry = _entry(known, plan, out).model_copy(update={"part": parts.get(name)})
                emotions[entry.clip.emotion or ""] += 1
                sides.update([entry.part] if entry.part else [])
                _write_preview(records, known, out, written)
                yield entry

    def rejected() -> Iterator[Rejected]:
        for name in records.names():
            known = Known(records, plan, name)
            if known.rejected_at is not None:
                step = known.rejected_at.name
                why_not[step] += 1
                yield Rejected(clip=name, step=step, reason=known.found[step].words)
            elif name in dropped:
                why_not[dropped[name][0]] += 1
                yield Rejected(clip=name, step=dropped[name][0], reason=dropped[name][1])

    count = write_lines(entries(), out / ENTRIES)
    _forget_previews(out, written)
    gone = write_lines(rejected(), out / REJECTED)
    _write_build(plan, out)
    said = remarks(plan, emotions, sides, why_not)
    return Totals(count, gone, failed, dict(sorted(emotions.items())), tuple(said))


def _entry(known: Known, plan: Plan, out: Path) -> Entry:
    found = [(planned, known.found[planned.name]) for planned in plan.each]
    entry = assemble(known.clip, found)
    marks = [
        StepMark(
            step=one.step.name, version=one.step.version, settings_sha256=digest(one.settings.model_dump(mode="json"))
        )
        for one in plan.whole
        if one.step.first is None
    ]
    path = known.clip.path.resolve() if known.clip.path is not None else None
    if path is not None and path.is_relative_to(out.resolve()):
        path = path.relative_to(out.resolve())
    return entry.model_copy(
        update={"clip": entry.clip.model_copy(update={"path": path}), "steps": (*entry.steps, *marks)}
    )


def _write_preview(records: Journal, known: Known, out: Path, written: set[str]) -> None:
    data = records.print_data(known.keys["preview"]) if "preview" in known.keys else None
    if data is None:
        return
    path = preview_path(out, known.clip.clip)
    written.add(path.name)
    _put(path, data)


def _forget_previews(out: Path, written: set[str]) -> None:
    folder = out / PREVIEWS
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name not in written:
            path.unlink(missing_ok=True)


def _write_build(plan: Plan, out: Path) -> None:
    from emotion_llama.build.run import shown_settings

    row = {"key": plan.key, "package": f"emotion-llama {__version__}", "settings": shown_settings(plan.config)}
    _put(out / BUILD, (json.dumps(row, indent=2, ensure_ascii=False) + "\n").encode("utf-8"))


def _put(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all; one that holds these bytes stays as it is."""
    part = path.with_suffix(".part")
    try:
        if path.is_file() and path.read_bytes() == data:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputError(f"{path}: cannot be written ({error}); make room and give the same command again") from error

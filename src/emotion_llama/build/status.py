"""How far a build is, and why a clip is where it is, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from emotion_llama.build.holder import holder
from emotion_llama.build.plan import make_plan
from emotion_llama.build.run import Known, opened, stored_config
from emotion_llama.errors import UsageError


@dataclass(frozen=True)
class StepCount:
    """Clips that passed a step, were rejected by it, stopped at it with an error, or wait for it."""

    step: str
    done: int
    rejected: int
    failed: int
    waiting: int


@dataclass(frozen=True)
class Status:
    """One data set: clips listed, counts by step, failures (clip → words), calls, tokens, cost, who builds it now."""

    clips: int
    steps: tuple[StepCount, ...]
    failures: dict[str, str] = field(default_factory=dict)
    calls: int = 0
    tokens: int = 0
    cost: float = 0.0
    holder: str | None = None


def build_status(out: Path, *, journal: str | None = None) -> Status:
    """Count. Raises `ManifestError` for a folder that is no data set."""
    with opened(out, journal) as records:
        plan = make_plan(stored_config(records, out))
        counts: dict[str, Counter[str]] = {planned.name: Counter() for planned in plan.each}
        failures = {}
        names = records.names()
        for name in names:
            known = Known(records, plan, name)
            for step in known.found:
                ended = known.rejected_at is not None and known.rejected_at.name == step
                counts[step]["rejected" if ended else "done"] += 1
            if known.open:
                last = known.last_attempt
                failed = last is not None and last.kind == "failed"
                counts[known.open[0].name]["failed" if failed else "waiting"] += 1
                if failed and last is not None:
                    failures[name] = f"{last.step}: {last.words}"
        whole: dict[str, Counter[str]] = {one.step.name: Counter() for one in plan.whole}
        for name in names:
            for step, kind, _ in records.decisions(name):
                whole.setdefault(step, Counter())[kind] += 1
        calls, tokens, cost = records.spent()
    steps = [_count(name, one) for name, one in counts.items() if name not in whole]
    steps += [_count(name, one) for name, one in whole.items()]
    return Status(len(names), tuple(steps), failures, calls, tokens, cost, holder(out))


def explain(out: Path, clip: str, *, journal: str | None = None) -> Iterator[str]:
    """Say every decision about one clip, a line each. A unique end of its name is enough.

    Raises `UsageError` for an unknown clip or an end that several clips share.
    """
    with opened(out, journal) as records:
        plan = make_plan(stored_config(records, out))
        name = _named(records.names(), clip)
        known = Known(records, plan, name)
        yield name
        for planned in plan.each:
            if planned.name in known.found:
                ended = known.rejected_at is planned
                yield f"  {planned.name}: {'REJECTED: ' if ended else ''}{known.found[planned.name].words}"
        if known.open:
            last = known.last_attempt
            why = f"FAILED: {last.words}" if last is not None and last.kind == "failed" else "not done yet"
            yield f"  {known.open[0].name}: {why}"
        for step, kind, words in records.decisions(name):
            yield f"  {step}: {'REJECTED: ' if kind == 'rejected' else ''}{words}"
        tries = [one for one in records.attempts(name) if one.kind == "failed"]
        for one in tries:
            when = datetime.fromtimestamp(one.ended, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
            yield f"  tried in vain: {one.step}, {when}, process {one.pid} on {one.host}: {one.words}"


def _named(names: list[str], wanted: str) -> str:
    if wanted in names:
        return wanted
    found = [name for name in names if name.endswith(wanted) or Path(name).stem == wanted]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{wanted}: {len(found)} clips end so: {', '.join(found[:5])}; give more of the name")
    raise UsageError(f"{wanted}: no clip of this data set has that name, out of {len(names)}")


def _count(step: str, counts: Counter[str]) -> StepCount:
    return StepCount(step, counts["done"], counts["rejected"], counts["failed"], counts["waiting"])

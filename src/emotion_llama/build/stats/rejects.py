"""Reasons of rejections by kind: "it is 12.3 s long" and "it is 14 s long" are one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from emotion_llama.build.entry import Rejected
from emotion_llama.build.stats.records import RejectCount

_NUMBER = re.compile(r"(?<![\w-])\d+(?:[.,]\d+)*(?![A-Za-z])")  # not those of "AU12" and "writer-8b"
_FILE = re.compile(r"\S*[/\\]\S*|\S+\.[A-Za-z]\w{1,4}(?!\w)")
_LAST_WORD = re.compile(r"; \w+$")
_WANTED = re.compile(r"(?=; wanted )")


def count_rejects(rejected: Iterable[Rejected]) -> tuple[RejectCount, ...]:
    """Count rejections by step and kind of reason, the commonest first."""
    counts: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], str] = {}
    for one in rejected:
        key = (one.step, kind_of(one.reason))
        counts[key] += 1
        examples.setdefault(key, one.clip)
    return tuple(
        RejectCount(step=step, reason=reason, n=n, example=examples[step, reason])
        for (step, reason), n in sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    )


def kind_of(reason: str) -> str:
    """A reason without what is one clip's alone: what follows a colon, file names, numbers before "wanted"."""
    head = _LAST_WORD.sub("", reason.partition(": ")[0])
    found, *wanted = _WANTED.split(head, maxsplit=1)
    return _NUMBER.sub("#", _FILE.sub("…", found)) + "".join(wanted)

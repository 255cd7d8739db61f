"""Several questions about one cached prefix as a single token sequence, kept apart by a mask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

MAX_PACKED_TOKENS = 1024
"""Longest packed sequence of one forward: bounds the mask and the logits held at once."""


@dataclass(frozen=True)
class Packed:
    """Suffixes, each followed by all answers, as one sequence of P tokens behind a prefix.

    `positions`: each token's place in the text it belongs to. `sees` (P, P) bool: who attends to whom (all attend to
    the prefix as well). `places[suffix][answer]` holds, for each token of that answer, the index in the sequence that
    predicts it.
    """

    ids: list[int]
    positions: list[int]
    sees: Tensor
    places: list[list[list[int]]]


def pack(suffixes: Sequence[Sequence[int]], answers: Sequence[Sequence[int]], start: int) -> Packed:
    """Lay suffixes (beginning at text position `start`) and answers out in one sequence.

    What all suffixes begin with is laid out once. An answer's last token predicts nothing that is asked for and is left
    out: answers of one token cost nothing.
    """
    shared = range(_shared(suffixes))
    ids = list(suffixes[0][: len(shared)])
    positions = [start + place for place in shared]
    runs: list[tuple[range, tuple[range, ...]]] = [(shared, ())]  # a run of tokens, and those before it
    places: list[list[list[int]]] = []
    for suffix in suffixes:
        own = range(len(ids), len(ids) + len(suffix) - len(shared))
        ids += suffix[len(shared) :]
        positions += range(start + len(shared), start + len(suffix))
        runs.append((own, (shared,)))
        places.append([])
        for answer in answers:
            run = range(len(ids), len(ids) + len(answer) - 1)
            ids += answer[:-1]
            positions += range(start + len(suffix), start + len(suffix) + len(run))
            runs.append((run, (shared, own)))
            places[-1].append([own[-1], *run])
    return Packed(ids, positions, _sees(runs, len(ids)), places)


def _shared(suffixes: Sequence[Sequence[int]]) -> int:
    """How many tokens all suffixes begin with; each keeps its last one for itself."""
    most = min(map(len, suffixes)) - 1
    return next((n for n in range(most) if len({suffix[n] for suffix in suffixes}) > 1), most)


def chunks(suffixes: Sequence[list[int]], answers: Sequence[Sequence[int]]) -> Iterator[Sequence[list[int]]]:
    """Split suffixes into groups whose packed length stays within `MAX_PACKED_TOKENS` (at least one a group)."""
    extra = sum(len(answer) - 1 for answer in answers)
    longest = max(len(suffix) for suffix in suffixes) + extra
    size = max(1, MAX_PACKED_TOKENS // longest)
    for begin in range(0, len(suffixes), size):
        yield suffixes[begin : begin + size]


def _sees(runs: Sequence[tuple[range, tuple[range, ...]]], length: int) -> Tensor:
    sees = torch.zeros(length, length, dtype=torch.bool)
    for run, before in runs:
        rows = slice(run.start, run.stop)
        for one in before:
            sees[rows, one.start : one.stop] = True
        sees[rows, rows] = torch.ones(len(run), len(run), dtype=torch.bool).tril()
    return sees

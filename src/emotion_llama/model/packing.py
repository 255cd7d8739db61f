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

    An answer's last token predicts nothing that is asked for and is left out: answers of one token cost nothing.
    """
    ids: list[int] = []
    positions: list[int] = []
    runs: list[tuple[range, range]] = []  # a run of tokens, and the suffix before it
    places: list[list[list[int]]] = []
    for suffix in suffixes:
        own = range(len(ids), len(ids) + len(suffix))
        ids += suffix
        positions += range(start, start + len(suffix))
        runs.append((own, range(0)))
        places.append([])
        for answer in answers:
            run = range(len(ids), len(ids) + len(answer) - 1)
            ids += answer[:-1]
            positions += range(start + len(suffix), start + len(suffix) + len(run))
            runs.append((run, own))
            places[-1].append([own[-1], *run])
    return Packed(ids, positions, _sees(runs, len(ids)), places)


def chunks(suffixes: Sequence[list[int]], answers: Sequence[Sequence[int]]) -> Iterator[Sequence[list[int]]]:
    """Split suffixes into groups whose packed length stays within `MAX_PACKED_TOKENS` (at least one a group)."""
    extra = sum(len(answer) - 1 for answer in answers)
    longest = max(len(suffix) for suffix in suffixes) + extra
    size = max(1, MAX_PACKED_TOKENS // longest)
    for begin in range(0, len(suffixes), size):
        yield suffixes[begin : begin + size]


def _sees(runs: Sequence[tuple[range, range]], length: int) -> Tensor:
    sees = torch.zeros(length, length, dtype=torch.bool)
    for run, before in runs:
        rows = slice(run.start, run.stop)
        sees[rows, before.start : before.stop] = True
        sees[rows, rows] = torch.ones(len(run), len(run), dtype=torch.bool).tril()
    return sees

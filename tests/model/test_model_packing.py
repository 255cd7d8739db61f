"""One packed sequence: shared starts once, everything else kept apart."""

from __future__ import annotations

import pytest
import torch

from emotion_llama.model.packing import Packed, pack

SUFFIXES = ([1, 2, 3, 4], [1, 2, 5, 6, 7])
ANSWERS = ([8], [9, 10])


def read(packed: Packed, place: int) -> list[int]:
    """The tokens that a token sees, itself last, in the order of the text."""
    seen = torch.nonzero(packed.sees[place]).flatten().tolist()
    return [packed.ids[one] for one in sorted(seen, key=lambda one: packed.positions[one])]


def test_every_place_sees_its_own_text_and_nothing_else() -> None:
    packed = pack(SUFFIXES, ANSWERS, start=5)
    for suffix, places in zip(SUFFIXES, packed.places, strict=True):
        for answer, run in zip(ANSWERS, places, strict=True):
            assert len(run) == len(answer)
            for written, place in enumerate(run):
                text = [*suffix, *answer[:written]]
                assert read(packed, place) == text
                assert packed.positions[place] == 5 + len(text) - 1


def test_what_all_suffixes_begin_with_is_there_once() -> None:
    packed = pack(SUFFIXES, ANSWERS, start=0)
    assert sorted(packed.ids) == [1, 2, 3, 4, 5, 6, 7, 9, 9]


@pytest.mark.parametrize("suffixes", [([1, 2, 3],), ([1, 2], [1, 2, 3]), ([1], [2])])
def test_every_suffix_keeps_a_token_that_predicts(suffixes: tuple[list[int], ...]) -> None:
    packed = pack(suffixes, ANSWERS, start=0)
    assert [read(packed, places[0][0]) for places in packed.places] == list(suffixes)

"""Guesses at the next tokens: from the first text that knows the place, never more than asked."""

from __future__ import annotations

import pytest

from emotion_llama.model.drafts import LONGEST, MOST_ROWS, Drafts, guessed_at_once


def test_a_text_is_followed_from_its_beginning():
    drafts = Drafts([[5, 6, 7, 8, 9]])
    assert drafts.after([], 3) == [5, 6, 7]
    assert drafts.after([5], 3) == [6, 7, 8]
    assert drafts.after([5, 6, 7], 2) == [8, 9]
    assert drafts.after([5, 6, 7, 8, 9], 3) == []


def test_the_longer_context_and_the_earlier_text_count_first():
    drafts = Drafts([[1, 2, 3, 4], [9, 2, 3, 7]])
    assert drafts.after([1, 2, 3], 1) == [4]
    assert drafts.after([9, 2, 3], 1) == [7]
    assert drafts.after([0, 2, 3], 1) == [4], "two tokens are known from both: the first text"


def test_a_clue_of_the_question_is_found_in_the_middle_of_a_text():
    assert Drafts([[40, 41, 42, 43, 44]]).after([7, 8, 41, 42], 2) == [43, 44]


def test_nothing_is_guessed_where_nothing_is_known():
    assert Drafts().after([1, 2, 3], 3) == []
    assert Drafts([[1, 2, 3]]).after([8, 9], 3) == []
    assert Drafts([[1, 2, 3]]).after([1, 2], 0) == Drafts([[1, 2, 3]]).after([1, 2], -1) == []


@pytest.mark.parametrize("texts", range(1, 20))
def test_a_step_never_holds_more_rows_than_pay(texts):
    guessed = guessed_at_once(texts)
    assert guessed <= LONGEST and (guessed <= 0 or texts * (1 + guessed) <= MOST_ROWS)

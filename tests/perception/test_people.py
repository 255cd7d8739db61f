"""Numbers of people in a recording that goes by in blocks: given once, never two who are seen at once."""

from __future__ import annotations

import numpy as np

from emotion_llama.measurements import FaceTrack
from emotion_llama.perception.people import People
from tests.perception.test_identity import grid, track


def numbers(found: tuple[FaceTrack, ...]) -> list[tuple[int, int, int]]:
    """Number, person, count of samples."""
    return [(one.track, int(one.samples[0].crop[0, 0, 0]), len(one.samples)) for one in found]


def test_who_comes_back_keeps_the_number_though_all_tracks_are_over() -> None:
    people = People(grid)
    assert numbers(people.take([track(0, 7, range(20)), track(1, 3, range(5, 25), 300)])) == [(0, 7, 20), (1, 3, 20)]
    assert people.take([]) == ()
    assert numbers(people.take([track(2, 3, range(50, 60)), track(3, 9, range(50, 60), 300)])) == [
        (1, 3, 10),
        (2, 9, 10),
    ]
    assert numbers(people.take([track(4, 7, range(90, 99))])) == [(0, 7, 9)] and people.count == 3


def test_tracks_of_one_person_in_one_block_are_one_in_time_order() -> None:
    (found,) = People(grid).take([track(1, 4, range(30, 40)), track(0, 4, range(10))])
    assert found.track == 0 and [sample.frame_index for sample in found.samples] == [*range(10), *range(30, 40)]


def test_people_seen_at_the_same_time_are_never_one() -> None:
    people = People(grid)
    assert [one.track for one in people.take([track(0, 5, range(20)), track(1, 5, range(10, 30), 300)])] == [0, 1]
    later = People(grid)  # the first one, lost for a moment, is found again beside the one who took the number
    lost = [track(0, 5, range(10)), track(1, 5, range(12, 20), 300)]
    assert [one.track for one in later.take(lost)] == [0]
    again = [track(0, 5, [*range(10), *range(22, 30)]), track(1, 5, range(12, 30), 300)]  # type: ignore[arg-type]
    assert sorted(len(one.samples) for one in later.take(again)) == [18, 18]


def test_a_number_stays_when_most_of_a_track_is_forgotten() -> None:
    people = People(grid)
    people.take([track(0, 5, range(40)), track(1, 6, range(40), 300)])
    assert numbers(people.take([track(1, 6, range(38, 60), 300), track(0, 5, range(39, 41))])) == [
        (0, 5, 2),
        (1, 6, 22),
    ]


def test_moments_and_faces_that_cannot_be_compared_are_people_of_their_own() -> None:
    people = People(grid)
    assert people.take([track(0, 4, range(2))])[0].track == 0
    assert people.take([track(1, 4, range(10, 20))])[0].track == 1  # nothing is known of the first to compare with
    blind = People(None)
    assert [one.track for one in blind.take([track(0, 4, range(20)), track(1, 4, range(30, 50))])] == [0, 1]


def test_what_is_kept_does_not_grow_with_the_tracks() -> None:
    people = People(grid)
    for at in range(60):
        (found,) = people.take([track(at, 7, range(20 * at, 20 * at + 5), colour=at % 64)])
        assert found.track == 0
    (gone,) = people._gone.values()
    assert gone.count == 59 and len(gone.surrounds) == 8 and gone.looks.shape == (150,)
    assert np.isfinite(gone.looks).all()

"""Tracks joined to persons: made-up people differ in what the stand-in for the net says of their crops' grey."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emotion_llama.measurements import FaceSample, FaceTrack
from emotion_llama.perception.geometry import neutral_face
from emotion_llama.perception.identity import persons, shapes, space_of, stored_spaces
from emotion_llama.perception.mesh import box_of_mesh


def track(number: int, who: int, frames: range, place_px: float = 100.0, colour: int | None = None) -> FaceTrack:
    """A track of person `who`: the crops carry the person's number, the mesh is the mean face stretched their way."""
    mesh = neutral_face().mesh * np.array([1.0, -1.0, -1.0]) * 30 * np.array([1.0 + 0.1 * np.sin(who), 1.0, 1.0])
    mesh = (mesh + np.array([place_px, 100.0, 0.0])).astype(np.float32)
    crop = np.full((160, 160, 3), who, np.uint8)
    surround = None
    if colour is not None:
        surround = np.zeros(256, np.float32)
        surround[[colour, 128 + colour]] = 1.0
    samples = (FaceSample(at, at / 15, box_of_mesh(mesh, 0.9), mesh, 0.99, crop) for at in frames)
    return FaceTrack(number, tuple(samples), surround)


def grid(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Looks that are the same for each person and unrelated between people."""
    looks = [np.random.default_rng(int(crop[0, 0, 0])).normal(0, 1, 512) for crop in crops]
    return (stored_spaces()[0].mean + np.stack(looks)).astype(np.float32)


def numbers(found: tuple[FaceTrack, ...]) -> list[tuple[int, int, int]]:
    """Number, person, count of samples."""
    return [(one.track, int(one.samples[0].crop[0, 0, 0]), len(one.samples)) for one in found]


def test_a_person_who_comes_back_keeps_the_number_and_the_order_is_that_of_first_appearance() -> None:
    found = persons([track(0, 7, range(20)), track(1, 3, range(20, 40)), track(2, 7, range(40, 60), 300)], grid)
    assert numbers(found) == [(0, 7, 40), (1, 3, 20)]
    assert [sample.frame_index for sample in found[0].samples] == [*range(20), *range(40, 60)]


def test_people_seen_at_the_same_time_are_never_one() -> None:
    twins = [track(0, 5, range(20)), track(1, 5, range(10, 30), 300)]
    assert numbers(persons(twins, grid)) == [(0, 5, 20), (1, 5, 20)]
    third = track(2, 5, range(40, 60))  # is one of the two, and must not tie them together
    assert sorted(count for _, _, count in numbers(persons([*twins, third], grid))) == [20, 40]


def test_another_person_at_the_same_place_is_another() -> None:
    found = persons([track(0, 1, range(20), colour=3), track(1, 2, range(20, 40), colour=3)], grid)
    assert numbers(found) == [(0, 1, 20), (1, 2, 20)]


def test_moments_are_not_joined_and_one_track_needs_no_net() -> None:
    def no_net(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        raise AssertionError("the net was asked")

    assert numbers(persons([track(0, 4, range(20))], no_net)) == [(0, 4, 20)]
    assert numbers(persons([track(0, 4, range(20)), track(1, 4, range(30, 32))], no_net)) == [(0, 4, 20), (1, 4, 2)]
    assert persons([], no_net) == ()


def test_a_crowd_costs_a_bounded_number_of_comparisons() -> None:
    crowd = [track(at, at % 250, range(10 * at, 10 * at + 5)) for at in range(230)]
    asked = 0

    def counted(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        nonlocal asked
        asked += 1
        return grid(crops)

    found = persons(crowd, counted)
    assert asked == 200
    assert [one.track for one in found] == list(range(230))


def test_shapes_do_not_depend_on_place_and_size() -> None:
    mesh = track(0, 2, range(1)).samples[0].mesh_px
    other = mesh * 1.7 + np.array([40.0, -20.0, 0.0], np.float32)
    both = shapes(np.stack([mesh, other.astype(np.float32)]))
    assert np.abs(both[0] - both[1]).max() < 1e-3


def test_a_space_spreads_people_alike_along_each_axis() -> None:
    draw = np.random.default_rng(0)
    rows = draw.normal(0, 1, (500, 6)) * np.array([5.0, 3.0, 1.0, 0.5, 0.1, 0.01]) + 2
    space = space_of(rows, 3)
    spread = ((rows - space.mean) @ space.axes).std(axis=0)
    assert np.allclose(spread, 1, atol=0.01)
    assert np.allclose(np.linalg.norm(space.place(rows), axis=1), 1)


def test_stored_spaces_are_whole() -> None:
    look, shape = stored_spaces()
    assert (look.axes.shape, shape.axes.shape) == ((512, 150), (72, 24))
    assert all(np.isfinite(part).all() for part in (look.mean, look.axes, shape.mean, shape.axes))

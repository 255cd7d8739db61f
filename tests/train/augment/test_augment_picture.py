"""Changed pictures do what their draw says, and a video stays one video."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from numpy.typing import NDArray

from emotion_llama.errors import MediaError
from emotion_llama.media.types import Frame
from emotion_llama.train.augment import AugmentSettings, PictureDraw, PictureSettings, apply_picture, augment_frames
from emotion_llama.train.augment.picture import change_picture

PICTURE = NDArray[np.uint8]


def scene(height: int = 96, width: int = 128, seed: int = 0) -> PICTURE:
    """A smooth coloured picture: waves in three directions."""
    y, x = np.mgrid[:height, :width]
    phase = np.random.default_rng(seed).uniform(0, 6, 3)
    waves = [np.sin(x / 9 + phase[0]), np.sin(y / 7 + phase[1]), np.sin((x + y) / 11 + phase[2])]
    return np.asarray(np.stack(waves, axis=-1) * 60 + 120, np.uint8)


def dot(x: int, y: int) -> PICTURE:
    """A black picture of 101 × 101 px with a white square of 5 px."""
    rgb = np.zeros((101, 101, 3), np.uint8)
    rgb[y - 2 : y + 3, x - 2 : x + 3] = 255
    return rgb


def place(rgb: PICTURE) -> tuple[float, float]:
    """Centre of what is white, x and y in px."""
    weight = rgb[:, :, 0] / rgb[:, :, 0].sum(dtype=np.float64)
    y, x = np.mgrid[: rgb.shape[0], : rgb.shape[1]]
    return float((weight * x).sum()), float((weight * y).sum())


def video(count: int = 200) -> Iterator[Frame]:
    for index in range(count):
        yield Frame(scene(16, 24, index), index, 2.0 + index / 25)


def test_flip_twice_is_identity() -> None:
    once = change_picture(scene(), PictureDraw(flip=True))
    np.testing.assert_array_equal(once, scene()[:, ::-1])
    np.testing.assert_array_equal(change_picture(once, PictureDraw(flip=True)), scene())


def test_crop_moves_and_grows() -> None:
    moved = change_picture(dot(60, 40), PictureDraw(shift=(0.1, -0.05)))
    assert place(moved) == pytest.approx((60 + 10.1, 40 - 5.05), abs=0.1)
    zoomed = change_picture(dot(70, 40), PictureDraw(zoom=1.5))
    assert place(zoomed) == pytest.approx((50 + 1.5 * 20, 50 - 1.5 * 10), abs=0.1)
    assert (zoomed > 127).sum() / (dot(70, 40) > 127).sum() == pytest.approx(1.5**2, rel=0.3)


def test_rotation_is_counter_clockwise_about_the_centre() -> None:
    turned = change_picture(dot(80, 50), PictureDraw(rotation_deg=10.0))
    assert place(turned) == pytest.approx((50 + 30 * np.cos(np.pi / 18), 50 - 30 * np.sin(np.pi / 18)), abs=0.1)


def test_light_by_hand() -> None:
    gray = np.repeat(np.array([[0, 64, 128, 200, 255]], np.uint8)[:, :, None], 3, axis=2)
    lighter = change_picture(gray, PictureDraw(light=(0.1, 1.0, 1.0)))[0, :, 0]
    assert np.abs(lighter - [25.5, 89.5, 153.5, 225.5, 255]).max() <= 0.5
    flat = change_picture(gray, PictureDraw(light=(0.0, 0.5, 1.0)))[0, :, 0]
    assert np.abs(flat - (127.5 + (gray[0, :, 0] - 127.5) / 2)).max() <= 0.5
    dark = change_picture(gray, PictureDraw(light=(0.0, 1.0, 2.0)))[0, :, 0]
    assert np.abs(dark - gray[0, :, 0].astype(float) ** 2 / 255).max() <= 0.5


def test_gray_has_one_value_a_pixel() -> None:
    gray = change_picture(scene(), PictureDraw(gray=True)).astype(float)
    assert np.ptp(gray, axis=2).max() == 0
    # luma of ITU-R BT.601
    assert np.abs(gray[:, :, 0] - scene() @ [0.299, 0.587, 0.114]).max() <= 1


def test_blur_spreads_by_its_sigma_and_grows_with_the_height() -> None:
    for height, sigma_px in ((256, 3.0), (512, 6.0)):
        edge = np.zeros((height, 101, 3), np.uint8)
        edge[:, 50:] = 255
        slope = np.diff(change_picture(edge, PictureDraw(blur_sigma_px=3.0))[height // 2, :, 0].astype(float))
        centre = (slope * np.arange(100)).sum() / slope.sum()
        spread = np.sqrt((slope * (np.arange(100) - centre) ** 2).sum() / slope.sum())
        assert spread == pytest.approx(sigma_px, rel=0.05)


def test_compression_loses_more_at_lower_quality_and_keeps_the_colours() -> None:
    losses = []
    for quality in (95, 50, 10):
        other = change_picture(scene(), PictureDraw(jpeg_quality=quality)).astype(float)
        losses.append(np.abs(other - scene()).mean())
        assert np.abs(other.mean(axis=(0, 1)) - scene().mean(axis=(0, 1))).max() < 3  # red is not blue
    assert 0 < losses[0] < losses[1] < losses[2] < 25


def test_some_frames_are_left_out_and_the_others_keep_their_times() -> None:
    kept = list(apply_picture(video(), PictureDraw(seed=1, drop_share=0.3)))
    given_frames = {frame.index: frame for frame in video()}
    # three standard errors of 200 draws
    assert len(kept) / 200 == pytest.approx(0.7, abs=0.1)
    assert kept[0].index == 0
    for frame in kept:
        assert frame.time_s == given_frames[frame.index].time_s
        np.testing.assert_array_equal(frame.rgb, given_frames[frame.index].rgb)


def test_frozen_frames_repeat_the_picture_before_them() -> None:
    shares = []
    for seed in range(8):
        shown = list(apply_picture(video(), PictureDraw(seed=seed, freeze_share=0.3)))
        assert [frame.index for frame in shown] == list(range(200))
        frozen = [False] + [bool((one.rgb == other.rgb).all()) for one, other in pairwise(shown)]
        for frame, held in zip(shown, frozen, strict=True):
            assert held or (frame.rgb == scene(16, 24, frame.index)).all()
        begins = sum(now and not before for before, now in pairwise(frozen))
        shares.append((np.mean(frozen), sum(frozen) / begins))
    share, length = np.mean(shares, axis=0)
    assert share == pytest.approx(0.3, abs=0.08)
    assert length == pytest.approx(5, abs=1.5)


def test_one_draw_holds_for_the_whole_clip() -> None:
    still = [Frame(scene(), index, index / 25) for index in range(30)]
    for seed in range(10):
        shown = list(augment_frames(iter(still), AugmentSettings(), np.random.default_rng(seed)))
        assert len({frame.rgb.tobytes() for frame in shown}) == 1
        assert shown[0].rgb.shape == scene().shape


def test_frames_come_one_by_one() -> None:
    taken = 0

    def source() -> Iterator[Frame]:
        nonlocal taken
        for frame in video(50):
            taken += 1
            yield frame

    shown = apply_picture(source(), PictureDraw(flip=True))
    assert taken == 0
    for number, _ in enumerate(shown, start=1):
        assert taken == number


def test_the_draw_is_made_when_asked_for() -> None:
    """Two clips that share one generator do not depend on which is looked at first."""
    rng = np.random.default_rng(5)
    one, two = (augment_frames(video(5), AugmentSettings(), rng) for _ in range(2))
    late = [frame.rgb.tobytes() for frame in two], [frame.rgb.tobytes() for frame in one]
    rng = np.random.default_rng(5)
    early = [[frame.rgb.tobytes() for frame in augment_frames(video(5), AugmentSettings(), rng)] for _ in range(2)]
    assert late == (early[1], early[0])


def test_the_clip_s_speed_scales_the_times() -> None:
    shown = list(apply_picture(video(10), PictureDraw(), speed=1.25))
    assert [frame.time_s for frame in shown] == pytest.approx([(2 + index / 25) / 1.25 for index in range(10)])


def test_probability_zero_is_identity() -> None:
    never = AugmentSettings.model_validate(
        {"picture": {name: {"probability": 0} for name in PictureSettings.model_fields}}
    )
    shown = list(augment_frames(video(20), never, np.random.default_rng(0)))
    assert [(f.index, f.time_s, f.rgb.tobytes()) for f in shown] == [
        (f.index, f.time_s, f.rgb.tobytes()) for f in video(20)
    ]


def always() -> AugmentSettings:
    return AugmentSettings.model_validate(
        {"picture": {name: {"probability": 1} for name in PictureSettings.model_fields}}
    )


def test_the_same_seed_gives_the_same_bytes() -> None:
    runs = [
        [(f.index, f.rgb.tobytes()) for f in augment_frames(video(40), always(), np.random.default_rng(seed))]
        for seed in (3, 3, 4)
    ]
    assert runs[0] == runs[1] != runs[2]


def test_pictures_given_are_not_written_to() -> None:
    rgb = scene()
    rgb.setflags(write=False)
    list(augment_frames([Frame(rgb, 0, 0.0)], always(), np.random.default_rng(1)))
    np.testing.assert_array_equal(rgb, scene())


@examples(max_examples=40, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 40), count=st.integers(1, 4), seed=st.integers(0, 2**31))
def test_any_size_comes_back_and_never_an_empty_clip(height: int, width: int, count: int, seed: int) -> None:
    frames = [Frame(scene(height, width, index), index, index / 10) for index in range(count)]
    shown = list(augment_frames(frames, always(), np.random.default_rng(seed)))
    assert 1 <= len(shown) <= count
    assert all(frame.rgb.shape == (height, width, 3) and frame.rgb.dtype == np.uint8 for frame in shown)


@pytest.mark.parametrize(
    "rgb",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.full((4, 4, 3), np.nan),
        np.zeros((0, 4, 3), np.uint8),
    ],
    ids=["gray", "alpha", "NaN floats", "empty"],
)
def test_what_is_no_picture_is_refused(rgb: NDArray[np.generic]) -> None:
    with pytest.raises(MediaError, match=r"frame 7 at 0\.30 s .*expected bytes"):
        list(augment_frames([Frame(rgb, 7, 0.3)], AugmentSettings(), np.random.default_rng(0)))  # type: ignore[arg-type]

"""An example: what was extracted from one clip, and whose it is."""

from __future__ import annotations

from emotion_llama.clip import Clip
from emotion_llama.train.examples import example_of
from emotion_llama.train.sources import Item


def test_an_example_tells_whose_it_is() -> None:
    clip = Clip(clip="dir/a.mp4", speaker="A", emotion="joy", reasoning="She laughs.")
    item = Item("made", clip, "train", label="joy", labels=("joy", "sad"))
    one = example_of(item, {}, "hello", ())
    assert (one.id, one.person, one.side, one.label, one.emotion) == (
        "made/dir/a.mp4",
        "made/A",
        "train",
        "joy",
        "happy",
    )
    assert (one.labels, one.transcript, one.reasoning, one.copy) == (("joy", "sad"), "hello", "She laughs.", 0)
    copy = example_of(item, {}, None, (), copy=2)
    assert copy.id == "made/dir/a.mp4#2" and copy.person == one.person and copy.copy == 2

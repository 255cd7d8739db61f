"""Some inputs of a clip alone: nothing made from another input comes with them."""

from __future__ import annotations

import numpy as np

from emotion_llama.analyze.scoring import Inputs
from emotion_llama.model.configuration import FeatureGroup

GROUPS = (
    FeatureGroup("look", 2, 1, "video"),
    FeatureGroup("sound", 2, 1, "audio"),
    FeatureGroup("opinion", 2, 1, "audio", labels=("happy", "sad"), joint=True),
)
ROWS = {group.name: np.full((1, 2), 0.5, np.float32) for group in GROUPS}


def test_one_input_alone_has_nothing_of_the_joint_group() -> None:
    whole = Inputs.of(ROWS, "hello", ("video", "audio", "text"), GROUPS)
    assert set(whole.opinions) == {"opinion"}
    for kept, names in ((("video",), ["look"]), (("audio",), ["sound"]), (("text",), [])):
        found = whole.only(kept)
        assert list(found.features) == names and found.opinions == {} and found.present == kept
        assert found.transcript == ("hello" if kept == ("text",) else None)
    both = whole.only(("audio", "video"))
    assert both.features.keys() == ROWS.keys() and both.opinions == whole.opinions

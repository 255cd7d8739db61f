"""Changed copies of training recordings, in sound and picture: another room, another light, the same emotion.

A change is drawn once a clip (`draw_sound`, `draw_picture`: frozen, and a plain dict by `.record()`), then applied
(`apply_sound`, `apply_picture`); `augment_waveform` and `augment_frames` do both. A draw and a recording always give
the same bytes.
"""

from emotion_llama.train.augment.picture import PictureDraw, apply_picture, augment_frames, draw_picture
from emotion_llama.train.augment.settings import AugmentSettings, PictureSettings, SoundSettings
from emotion_llama.train.augment.sound import SoundDraw, apply_sound, augment_waveform, draw_sound

__all__ = [
    "AugmentSettings",
    "PictureDraw",
    "PictureSettings",
    "SoundDraw",
    "SoundSettings",
    "apply_picture",
    "apply_sound",
    "augment_frames",
    "augment_waveform",
    "draw_picture",
    "draw_sound",
]

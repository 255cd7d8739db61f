"""How training recordings are changed: for every kind of change how often, and between which limits.

A value is drawn evenly between the two ends of its range. The defaults keep the emotion: it is told by how high, how
fast and how loud somebody speaks and by how far the face moves, so those are changed no more than people differ by
nature (pitch 1.5 semitones, speed 10 %). Larger changes move a clip towards another emotion while its label stays.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from emotion_llama.settings import Settings

NoiseKind = Literal["white", "pink", "babble"]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Range = tuple[float, float]


def _between(low: float, high: float) -> AfterValidator:
    """Check of a range: ordered, and within what the change is made for."""

    def check(value: Range) -> Range:
        if not low <= value[0] <= value[1] <= high:
            raise ValueError(
                f"expected two ordered numbers between {low:g} and {high:g}, found {list(value)}; "
                "write the smaller first, twice the same for a fixed value"
            )
        return value

    return AfterValidator(check)


class NoiseSettings(Settings):
    """Noise under the speech. `snr_db`: active speech over noise. `kinds`: one is drawn (babble: the clip shuffled)."""

    probability: Probability = 0.5
    snr_db: Annotated[Range, _between(-10, 60)] = (5.0, 30.0)
    kinds: Annotated[tuple[NoiseKind, ...], Field(min_length=1)] = ("white", "pink", "babble")


class ReverbSettings(Settings):
    """A room. `rt60_s`: time in which its echo falls by 60 dB. `direct_to_reverb_db`: the voice over its echo."""

    probability: Probability = 0.3
    rt60_s: Annotated[Range, _between(0.05, 3)] = (0.15, 0.6)
    direct_to_reverb_db: Annotated[Range, _between(-10, 40)] = (3.0, 15.0)


class PitchSettings(Settings):
    """Another pitch (formants move along), the duration kept. Beyond 1.5 semitones the emotion changes too."""

    probability: Probability = 0.3
    semitones: Annotated[Range, _between(-6, 6)] = (-1.5, 1.5)


class SpeedSettings(Settings):
    """Played faster (`factor` over 1) or slower; pitch and times go along. Beyond 10 % the emotion changes too."""

    probability: Probability = 0.3
    factor: Annotated[Range, _between(0.5, 2)] = (0.9, 1.1)


class LevelSettings(Settings):
    """Another recording level. Where it leaves full scale, the whole clip is turned down to it."""

    probability: Probability = 0.8
    gain_db: Annotated[Range, _between(-40, 20)] = (-8.0, 4.0)


class CutSettings(Settings):
    """Seconds cut from either end, drawn apart; at least `keep_s` stay, a shorter clip is not cut."""

    probability: Probability = 0.3
    cut_s: Annotated[Range, _between(0, 10)] = (0.0, 0.3)
    keep_s: Annotated[float, Field(ge=0.1, le=60)] = 1.5


class BandSettings(Settings):
    """A narrower line: high-pass at `low_hz`, low-pass at `high_hz`; a telephone is 300 and 3400 (ITU-T G.712)."""

    probability: Probability = 0.15
    low_hz: Annotated[Range, _between(10, 1000)] = (50.0, 300.0)
    high_hz: Annotated[Range, _between(1500, 7900)] = (3400.0, 7000.0)


class SoundSettings(Settings):
    """Changes of a waveform, in the order in which they happen: speaker, room, line."""

    speed: SpeedSettings = SpeedSettings()
    pitch: PitchSettings = PitchSettings()
    cut: CutSettings = CutSettings()
    reverb: ReverbSettings = ReverbSettings()
    noise: NoiseSettings = NoiseSettings()
    band: BandSettings = BandSettings()
    level: LevelSettings = LevelSettings()


class FlipSettings(Settings):
    """Left and right exchanged."""

    probability: Probability = 0.5


class CropSettings(Settings):
    """Another cut of the picture, its size kept. `zoom`: 1.05 shows all 5 % larger. `shift`: share of the side."""

    probability: Probability = 0.7
    zoom: Annotated[Range, _between(0.5, 2)] = (0.97, 1.08)
    shift: Annotated[Range, _between(-0.3, 0.3)] = (-0.03, 0.03)


class RotationSettings(Settings):
    """Turned about the centre, counter-clockwise."""

    probability: Probability = 0.3
    degrees: Annotated[Range, _between(-45, 45)] = (-5.0, 5.0)


class LightSettings(Settings):
    """Another light. `brightness`: added share of white. `contrast`: factor about mid grey. `gamma`: over 1 darkens."""

    probability: Probability = 0.5
    brightness: Annotated[Range, _between(-0.5, 0.5)] = (-0.08, 0.08)
    contrast: Annotated[Range, _between(0.2, 3)] = (0.8, 1.2)
    gamma: Annotated[Range, _between(0.3, 3)] = (0.8, 1.25)


class GraySettings(Settings):
    """Colour taken out."""

    probability: Probability = 0.1


class BlurSettings(Settings):
    """Out of focus. `sigma_px`: Gaussian, in a picture of 256 px height; it grows with the height."""

    probability: Probability = 0.15
    sigma_px: Annotated[Range, _between(0, 10)] = (0.3, 1.2)


class CompressionSettings(Settings):
    """Blocks and smeared colours of strong compression, by a JPEG round trip at `quality` (1 to 100)."""

    probability: Probability = 0.2
    quality: Annotated[Range, _between(1, 100)] = (30.0, 80.0)


class DropSettings(Settings):
    """`share` of the frames is left out (never the first); the times of the others stay."""

    probability: Probability = 0.2
    share: Annotated[Range, _between(0, 0.95)] = (0.05, 0.3)


class FreezeSettings(Settings):
    """`share` of the frames repeats the picture before it, some frames in a row, as on a bad line."""

    probability: Probability = 0.1
    share: Annotated[Range, _between(0, 0.8)] = (0.05, 0.2)


class PictureSettings(Settings):
    """Changes of a clip's frames, in the order in which they happen."""

    flip: FlipSettings = FlipSettings()
    crop: CropSettings = CropSettings()
    rotation: RotationSettings = RotationSettings()
    light: LightSettings = LightSettings()
    gray: GraySettings = GraySettings()
    blur: BlurSettings = BlurSettings()
    compression: CompressionSettings = CompressionSettings()
    drop: DropSettings = DropSettings()
    freeze: FreezeSettings = FreezeSettings()


class AugmentSettings(Settings):
    """How training recordings are changed; `null` for `sound` or `picture` leaves that part as it was recorded."""

    sound: SoundSettings | None = SoundSettings()
    picture: PictureSettings | None = PictureSettings()

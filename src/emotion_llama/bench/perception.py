"""Looking and listening beside the machine's limits: decoding pictures alone, and matrix products."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from statistics import median

from torch.utils.flop_counter import FlopCounterMode

from emotion_llama.analyze.analyzer import EmotionLlama
from emotion_llama.analyze.features import encode_sound, encode_whole
from emotion_llama.analyze.perceive import Stopwatch, perceive
from emotion_llama.bench.figures import EncoderFigures, PerceptionFigures
from emotion_llama.bench.timing import in_turn, timed
from emotion_llama.clip import Clip
from emotion_llama.media import iter_frames
from emotion_llama.media.types import Frame
from emotion_llama.settings import AnalyzeSettings

SETTINGS = AnalyzeSettings(tasks=("emotion",), transcribe=False)


def measure_perception(
    model: EmotionLlama, clips: Sequence[Clip], matmul_gflop_s: float, rounds: int
) -> PerceptionFigures:
    """Measure looking at faces against decoding, and the encoders against `matmul_gflop_s`, in float32 as they run."""

    def look(clip: Clip) -> None:
        model.parts.face_reader.read(_frames(clip))

    decoding_s, looking_s, frames = list[float](), list[float](), 0
    for clip in clips:
        frames += sum(1 for _ in _frames(clip))
        sides = [partial(timed, partial(work, clip), "cpu") for work in (_decode, look)]
        alone_s, whole_s = in_turn(sides, rounds)
        decoding_s.append(median(alone_s))
        looking_s.append(median(whole_s))
    return PerceptionFigures(
        decode_frames_s=frames / sum(decoding_s),
        look_frames_s=frames / sum(looking_s),
        video_fraction=sum(decoding_s) / sum(looking_s),
        encoders=_encoders(model, clips, matmul_gflop_s, rounds),
    )


def _encoders(
    model: EmotionLlama, clips: Sequence[Clip], matmul_gflop_s: float, rounds: int
) -> dict[str, EncoderFigures]:
    """The global and the audio encoder, by the names of their stages, where some clip has something for them."""
    work: dict[str, list[Callable[[], object]]] = {"global encoder": [], "audio encoder": []}
    for clip in clips:
        percept = perceive(clip, SETTINGS, model.parts, Stopwatch())
        if (frame := percept.frame) is not None:
            work["global encoder"].append(partial(encode_whole, percept, frame, model.parts))
        if (waveform := percept.waveform) is not None:
            work["audio encoder"].append(partial(encode_sound, percept, waveform, model.parts))
    device, found = model.preset.device, {}
    for name, calls in work.items():
        if not calls:
            continue
        gflop = [_gflop(one) for one in calls]
        spent_s = [median(timed(one, device) for _ in range(rounds)) for one in calls]
        used = sum(gflop) / sum(spent_s)
        found[name] = EncoderFigures(gflop=median(gflop), gflop_s=used, fraction=used / matmul_gflop_s)
    return found


def _gflop(work: Callable[[], object]) -> float:
    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops()) / 1e9


def _frames(clip: Clip) -> Iterator[Frame]:
    assert clip.path is not None
    return iter_frames(
        clip.path, start_s=clip.start_s, end_s=clip.end_s, max_frames_s=SETTINGS.max_frames_s,
        max_frames=SETTINGS.max_frames,
    )  # fmt: skip


def _decode(clip: Clip) -> None:
    for _ in _frames(clip):
        pass

"""What `emotion-llama bench --json` writes: each figure with its unit in its name (no torch).

Times are medians; a `ratio` is the median of the quotients of rounds in which both sides were measured one right after
the other.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt


class Part(BaseModel):
    """Base of all parts: frozen, no other keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Machine(Part):
    """Where, when and by which code the figures were measured.

    `machine`: processor architecture, cores, Python; `cores`: those this process may use; `threads`: those torch uses;
    `load_average`: processes that ran or waited just before (`None` where the system does not tell).
    """

    machine: str
    processor: str
    cores: PositiveInt
    threads: PositiveInt
    memory_gb: float | None
    load_average: float | None
    device: str
    device_name: str
    dtype: str
    quantize: str | None
    compiled: bool
    model: str
    torch: str
    commit: str | None
    date: str
    quick: bool


class ClipsPerS(Part):
    """Clips a second, emotion alone.

    `cold`: a process of its own for one clip, start and loading included. `warm`: loaded, clip after clip, nothing kept
    of them. `cached`: the language model alone, on encoded features.
    """

    cold: PositiveFloat
    warm: PositiveFloat
    cached: PositiveFloat


class Together(Part):
    """A folder with reasons: clip after clip, against looked at ahead and answered four at once."""

    clips: PositiveInt
    one_by_one_s: PositiveFloat
    side_by_side_s: PositiveFloat
    ratio: PositiveFloat


class ClipFigures(Part):
    """Recordings in, analyses out. Real-time factors are seconds of work ÷ seconds of recording.

    `warm_reason_s` is the slowest of `reason_clips`: the length of the text decides. `stages`: median seconds of each
    part of an analysis with reasons. `text_emotion_s`: the emotion of a line of text, all loaded. `peak_rss_mb`: of
    this process after all analyses, before anything else is loaded.
    """

    clips: PositiveInt
    clip_s: PositiveFloat
    cold_first_clip_s: PositiveFloat
    warm_emotion_s: PositiveFloat
    rtf_emotion: PositiveFloat
    reason_clips: PositiveInt
    warm_reason_s: PositiveFloat
    rtf_reason: PositiveFloat
    clips_per_s: ClipsPerS
    folder_with_reasons: Together
    text_emotion_s: PositiveFloat
    help_s: PositiveFloat
    peak_rss_mb: PositiveFloat
    peak_vram_mb: PositiveFloat | None
    stages: dict[str, float]


class LabelScoring(Part):
    """Seconds to read a clip and score its labels with a shared prefix, and every label of every order from scratch.

    With 4 label orders; `_one_order`: with one. `tokens`: those that the language model reads for it.
    """

    tokens: PositiveInt
    tokens_one_order: PositiveInt
    shared_prefix_s: PositiveFloat
    shared_prefix_one_order_s: PositiveFloat
    from_scratch_s: PositiveFloat
    ratio: PositiveFloat


class Way(Part):
    """One way of running the language model: tokens a second of one text and of several side by side, and their ratios.

    `decode_ratio`: against the library's own `generate` in float32. `same_text`: share of the tokens of the plain way's
    texts that come before the first other one. `prefill_tok_s`: reading one prompt; `prefill_ratio`: the plain way's
    seconds ÷ these.
    """

    decode_tok_s: PositiveFloat
    decode_together_tok_s: PositiveFloat
    decode_ratio: PositiveFloat
    same_text: float
    prefill_tok_s: PositiveFloat
    prefill_ratio: PositiveFloat


class LanguageFigures(Part):
    """The language model on encoded features.

    `ttft_s`: from features to the first piece of a reason. `decode_tok_s`: tokens a second of one text, reasons as they
    are, at most `written_tokens` long; `tokens_a_step`: so many of them a step of the language model gives;
    `decode_together_tok_s` of `together` texts side by side, all of them counted; `together_ratio` is between the two.
    `plain_decode_tok_s`: the library's own `generate` in float32 on the same prompt; `decode_ratio` against it.
    `prefill_tok_s`: a whole prompt of `prompt_tokens` in one pass; `plain_prefill_tok_s` and `prefill_ratio`: by the
    plain way in the same `dtype`, and against it. `label_scorings_s`: clips whose labels are scored a second, once they
    are read, with 4 label orders; `label_scorings_one_order_s` with one. `ways`: the ways that are installed, by name:
    plain, compiled, int8, int4 (on a processor); none in a quick run.
    `weight_bytes_a_token`: weights read for one token. `prefill_flop`: additions and multiplications of the pass.
    """

    prompt_tokens: PositiveInt
    written_tokens: PositiveInt
    ttft_s: PositiveFloat
    decode_tok_s: PositiveFloat
    tokens_a_step: PositiveFloat
    together: PositiveInt
    decode_together_tok_s: PositiveFloat
    together_ratio: PositiveFloat
    plain_decode_tok_s: PositiveFloat
    decode_ratio: PositiveFloat
    prefill_tok_s: PositiveFloat
    plain_prefill_tok_s: PositiveFloat
    prefill_ratio: PositiveFloat
    label_scorings_s: PositiveFloat
    label_scorings_one_order_s: PositiveFloat
    label_scoring: LabelScoring
    ways: dict[str, Way]
    weight_bytes_a_token: PositiveInt
    prefill_flop: PositiveFloat


class LimitFigures(Part):
    """What the machine gives at most, measured in the same run, and how much of it is used.

    `bandwidth_fraction`: weights read a step × steps a second ÷ the better of reading and copying memory.
    `prefill_fraction`: FLOP/s of the prefill ÷ FLOP/s of the model's best matrix product in `dtype`.
    `scoring_fraction`: tokens a second while a clip is read and its labels are scored ÷ `plain_prefill_tok_s`, with 4
    label orders and with one.
    """

    memory_read_gb_s: PositiveFloat
    memory_copy_gb_s: PositiveFloat
    matmul_gflop_s: dict[str, PositiveFloat]
    bandwidth_fraction: PositiveFloat
    prefill_fraction: PositiveFloat
    scoring_fraction: PositiveFloat
    scoring_one_order_fraction: PositiveFloat


class EncoderFigures(Part):
    """An encoder: 10^9 FLOP of a clip, of them a second, and that ÷ FLOP/s of the matrix product in float32.

    Counted are products and convolutions of torch, while all of the encoder's work is timed.
    """

    gflop: PositiveFloat
    gflop_s: PositiveFloat
    fraction: PositiveFloat


class PerceptionFigures(Part):
    """Looking and listening beside the machine's limits.

    `decode_frames_s`: frames a second that are decoded and nothing else; `look_frames_s`: that are decoded and searched
    for faces, with all that is measured of them; `video_fraction`: the second ÷ the first. `encoders` by stage.
    """

    decode_frames_s: PositiveFloat
    look_frames_s: PositiveFloat
    video_fraction: PositiveFloat
    encoders: dict[str, EncoderFigures]


class ReferenceFigures(Part):
    """The released way of working on the same weights and clips (`reference.py`), seconds a clip with its reason.

    `ours_s`: side by side, as a folder is worked through. `reference_ratio`: what the released way takes, ÷ ours.
    `reference_reloaded_s` and its ratio: everything loaded for each clip.
    """

    reference_clips: PositiveInt
    reference_s: PositiveFloat
    reference_reloaded_s: PositiveFloat
    ours_s: PositiveFloat
    reference_ratio: PositiveFloat
    reference_reloaded_ratio: PositiveFloat


class Figures(Machine, ClipFigures, LanguageFigures, LimitFigures, PerceptionFigures, ReferenceFigures):
    """All of one run."""

"""The figures as one table."""

from __future__ import annotations

from rich.table import Table

from emotion_llama.bench.figures import Figures


def busy(found: Figures) -> bool:
    """Whether others computed on the machine, so that seconds and ratios are not to be relied on."""
    return found.load_average is not None and found.load_average > found.cores / 2


def table(found: Figures) -> Table:
    """All figures, the machine described above them."""
    title = (
        f"emotion-llama {found.model}, {_numbers(found)}, {found.threads} threads\n"
        f"{found.device_name}; {found.machine}, {found.memory_gb} GB, torch {found.torch}\n"
        f"{(found.commit or 'no commit')[:20]}, {found.date}"
    )
    shown = Table(title=title)
    shown.add_column("figure", no_wrap=True, min_width=26)
    shown.add_column("value")
    shown.add_column("what it is")
    for rows in (_clips, _language, _ways, _limits, _perception, _ratios):
        for row in rows(found):
            shown.add_row(*row)
        shown.add_section()
    for name, spent_s in found.stages.items():
        shown.add_row(f"stage: {name}", f"{spent_s:.3f} s", "")
    return shown


def _numbers(f: Figures) -> str:
    return ", ".join(
        [f.dtype, *([f"language model in {f.quantize}"] if f.quantize else ["compiled"] if f.compiled else [])]
    )


Rows = list[tuple[str, str, str]]


def _clips(f: Figures) -> Rows:
    rate = f.clips_per_s
    rows = [
        ("rtf_emotion", f"{f.rtf_emotion:.2f}", f"{f.warm_emotion_s:.2f} s for {f.clip_s:g} s of recording"),
        ("rtf_reason", f"{f.rtf_reason:.2f}", f"with reasons, slowest of {f.reason_clips}: {f.warm_reason_s:.2f} s"),
        (
            "clips_per_s cold",
            f"{rate.cold:.2f}",
            f"a process for one clip, its start included: 1 ÷ {1 / rate.cold:.1f} s",
        ),
        ("clips_per_s warm", f"{rate.warm:.2f}", f"clip after clip, {f.clips} clips"),
        ("clips_per_s cached", f"{rate.cached:.2f}", "the language model alone, on encoded features"),
        ("text_emotion_s", f"{f.text_emotion_s:.2f} s", "emotion of a line of text, all loaded"),
        ("help_s", f"{f.help_s:.2f} s", "emotion-llama --help"),
        ("peak_rss_mb", f"{f.peak_rss_mb:.0f} MB", "memory after all analyses"),
    ]
    return rows if f.peak_vram_mb is None else [*rows, ("peak_vram_mb", f"{f.peak_vram_mb:.0f} MB", "on the GPU")]


def _language(f: Figures) -> Rows:
    return [
        ("ttft_s", f"{f.ttft_s:.3f} s", "from encoded features to the first piece of a reason"),
        ("decode_tok_s", f"{f.decode_tok_s:.1f}", f"tokens a second of one reason; {f.tokens_a_step:.1f} a step"),
        ("decode_together_tok_s", f"{f.decode_together_tok_s:.1f}", f"of {f.together} texts side by side, all counted"),
        ("plain_decode_tok_s", f"{f.plain_decode_tok_s:.1f}", "of the library's generate, float32"),
        ("prefill_tok_s", f"{f.prefill_tok_s:.0f}", f"a prompt of {f.prompt_tokens} tokens in one pass"),
        ("plain_prefill_tok_s", f"{f.plain_prefill_tok_s:.0f}", f"the same by torch in {f.dtype}"),
        (
            "label_scorings_s",
            f"{f.label_scorings_s:.2f}",
            f"clips a second, once read, 4 label orders ({f.label_scoring.tokens} tokens, the clip included)",
        ),
        (
            "label_scorings_one_order_s",
            f"{f.label_scorings_one_order_s:.2f}",
            f"1 label order ({f.label_scoring.tokens_one_order} tokens)",
        ),
    ]


def _ways(f: Figures) -> Rows:
    return [
        (
            f"way: {name}",
            f"{way.decode_tok_s:.1f}",
            f"tokens a second, {way.decode_ratio:.1f} × generate in float32; {f.together} side by side "
            f"{way.decode_together_tok_s:.0f}; {100 * way.same_text:.0f} % the same text; reads "
            f"{way.prefill_tok_s:.0f} a second, {way.prefill_ratio:.2f} × plain",
        )
        for name, way in f.ways.items()
    ]


def _limits(f: Figures) -> Rows:
    products = ", ".join(f"{name} {value:.0f}" for name, value in f.matmul_gflop_s.items())
    return [
        ("memory_read_gb_s", f"{f.memory_read_gb_s:.1f}", "GB a second; limit of writing one text"),
        ("memory_copy_gb_s", f"{f.memory_copy_gb_s:.1f}", "GB a second, read and written"),
        ("matmul_gflop_s", products, "GFLOP a second, the model's best matrix product; limit of reading"),
        (
            "bandwidth_fraction",
            f"{f.bandwidth_fraction:.2f}",
            f"{f.weight_bytes_a_token / 1e6:.0f} MB of weights a token",
        ),
        ("prefill_fraction", f"{f.prefill_fraction:.2f}", f"{f.prefill_flop / 1e9:.0f} GFLOP a prompt"),
        (
            "scoring_fraction",
            f"{f.scoring_fraction:.2f}",
            f"tokens a second, scoring labels ÷ plain_prefill_tok_s; 1 label order {f.scoring_one_order_fraction:.2f}",
        ),
    ]


def _perception(f: Figures) -> Rows:
    return [
        ("decode_frames_s", f"{f.decode_frames_s:.0f}", "frames a second, decoded only; limit of looking at video"),
        ("look_frames_s", f"{f.look_frames_s:.0f}", "decoded, faces found and measured"),
        ("video_fraction", f"{f.video_fraction:.2f}", "the second ÷ the first"),
        *(
            (f"encoders: {name}", f"{one.fraction:.2f}", f"of the product; {one.gflop:.1f} GFLOP a clip")
            for name, one in f.encoders.items()
        ),
    ]


def _ratios(f: Figures) -> Rows:
    folder, scoring = f.folder_with_reasons, f.label_scoring
    against = f"the released way {f.reference_s:.2f} s a clip, ours {f.ours_s:.2f} s"
    return [
        ("reference_ratio", f"{f.reference_ratio:.2f}", against),
        ("reference_reloaded_ratio", f"{f.reference_reloaded_ratio:.2f}", "the same, everything loaded for each clip"),
        ("prefill_ratio", f"{f.prefill_ratio:.2f}", f"a prompt, against torch in {f.dtype}"),
        ("decode_ratio", f"{f.decode_ratio:.2f}", "one text, against the library's generate in float32"),
        ("together_ratio", f"{f.together_ratio:.2f}", f"{f.together} texts side by side, against one by one"),
        ("folder_with_reasons", f"{folder.ratio:.2f}", f"{folder.clips} clips, against clip by clip"),
        ("label_scoring", f"{scoring.ratio:.2f}", "a shared prefix, against every label from scratch"),
    ]

"""Put measured numbers into the documents: `python benchmarks/tables.py`, or `--check` to see that they agree.

docs/results.json (`make score`), docs/trainings and docs/ablations (`publish.py`), docs/speed.json and
docs/training-speed.json (`make bench`), docs/speed-avx2.json (`emotion-llama bench`), docs/build-speed.json
(`build.py`), docs/timeline-speed.json (`timeline.py`), docs/spread-speed.json (`spread.py`), docs/linear-speed.json
(`linear.py`), docs/llama-cpp.json (`against_llama_cpp.py`), docs/agreement.json (`agreement.py`),
docs/scaling-model.json (`scaling.py`), docs/load.json (`load.py`), docs/hostile.json (`hostile.py`) and docs/bias.json
(`bias.py`) are rendered as docs/results.md, and as Markdown tables between the markers `<!-- NAME -->` and
`<!-- end -->` of the documents: no number is typed by hand.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = (
    ROOT / "README.md",
    ROOT / "src/emotion_llama/weights/nano/MODEL_CARD.md",
    ROOT / "docs/training.md",
    ROOT / "docs/build.md",
    ROOT / "docs/timeline.md",
    ROOT / "docs/serve.md",
    ROOT / "docs/performance.md",
    ROOT / "docs/scaling.md",
)
SPEED_AVX2 = ROOT / "docs/speed-avx2.json"
ON_AVX2 = "emotion-llama bench --quantize int8 --json docs/speed-avx2.json"
BUILD_SPEED = ROOT / "docs/build-speed.json"
TIMELINE_SPEED = ROOT / "docs/timeline-speed.json"
SPREAD_SPEED = ROOT / "docs/spread-speed.json"
LLAMA_CPP = ROOT / "docs/llama-cpp.json"
LINEAR_SPEED = ROOT / "docs/linear-speed.json"
AGREEMENT = ROOT / "docs/agreement.json"
TOGETHER = ", 8 together"
FOLDS = ((min, "same_label"), (max, "mean_difference"), (max, "largest_difference"))
SCALING_MODEL = ROOT / "docs/scaling-model.json"


def scores(record: dict[str, Any]) -> str:
    """Render the rows of `make score` in short."""
    lines = [
        "| test part | system | inputs | n | people | chance | majority | WAR (95 %) | UAR | weighted F1 | ECE |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in record["rows"]:
        found = row["metrics"]
        lines.append(
            f"| {row['part']} | {row['system']} | {row['inputs']} | {row['n']} | {row['people'] or '–'} "
            f"| {row['chance']:.3f} | {row['majority']:.3f} | {interval(found['war'])} | {plain(found['uar'])} "
            f"| {plain(found['weighted_f1'])} | {plain(found.get('ece'))} |"
        )
    return "\n".join([*lines, "", _how(record)])


def results(record: dict[str, Any]) -> str:
    """Render everything `make score` wrote: docs/results.md."""
    lines = [
        "# Results",
        "",
        "Written by `benchmarks/tables.py` from docs/results.json (`make score`); not edited by hand.",
        "",
        _how(record),
        "",
        "Brackets are 95 % intervals. ECE has 15 equal-width bins; beside it stands what a perfectly calibrated system "
        "with the same confidences would show at this n (median). “Scaled” is after a temperature fitted on the "
        "validation side, never on the scored one.",
        "",
    ]
    for row in record["rows"]:
        lines += _result(row)
    if record.get("reasons"):
        lines += ["## Do the reasons fit the measurements?", "", reasons(record), ""]
        lines += ["`generated`: the language model's own text; `composed`: put together from measured clues for the "
                  "label given, without a language model.", ""]  # fmt: skip
    if _published("trainings"):
        lines += ["## Trainings, beside logistic regression", "", trainings(_published("trainings")), ""]
    lines += ablations()
    for run in record["robustness"]:
        lines += _damaged(run)
    return "\n".join(lines).rstrip() + "\n"


def reasons(record: dict[str, Any]) -> str:
    """Render how far the reasons fit the measurements, a line a kind of text."""
    lines = [
        "| test part | text | n | checkable signs | channels | agree with the measurements | with another clip's "
        "| conclude the label | distinct-2 |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in record["reasons"]:
        for kind, one in row["texts"].items():
            found = one["metrics"]
            lines.append(
                f"| {row['part']}, {row['inputs']} | {kind} | {one['n']} | {interval(found['checkable_per_answer'])} "
                f"| {plain(found['channels_per_answer'])} | {interval(found['supported_of_checked'])} "
                f"| {interval(found['shuffled_supported_of_checked'])} | {interval(found['names_the_label'])} "
                f"| {'–' if one['distinct_2'] is None else format(one['distinct_2'], '.3f')} |"
            )
    return "\n".join(lines)


def trainings(records: Sequence[dict[str, Any]]) -> str:
    """Render the test scores of trainings beside logistic regression on the same features, a line a test source."""
    lines = [
        "| training | test part | n | WAR (95 %) | UAR | weighted F1 | ECE | without the heads | logistic regression "
        "| above it (95 %) | WAR over label orders |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for record in records:
        for source, one in record["test"].items():
            low, high = one["intervals"]["war"]
            regression, above = "–", "–"
            spread = "–" if one.get("order_spread") is None else f"± {one['order_spread'] / 2:.3f}"
            if "above_baseline" in one:
                regression = f"{one['baseline']['war']:.3f}"
                above = "{:+.3f} ({:+.3f} to {:+.3f})".format(*one["above_baseline"]["war"])
            calibrated = f" (≤ {one['null_ece'][2]:.3f})" if "null_ece" in one else ""
            lines.append(
                f"| {record['name']} | {source} | {one['n']} | {one['war']:.3f} ({low:.3f}–{high:.3f}) "
                f"| {one['uar']:.3f} | {one['weighted_f1']:.3f} | {one['ece']:.3f}{calibrated} "
                f"| {one['without_heads']['war']:.3f} "
                f"| {regression} | {above} | {spread} |"
            )
    return "\n".join(
        [
            *lines,
            "",
            "Written by `emotion-llama train` with the configuration of that name into `training.json` and copied by "
            "`benchmarks/publish.py`. Logistic regression sees the same features of the same "
            "people, one regression an input, their log-chances added; differences are on the same clips, drawn by "
            "person. “Without the heads” leaves out what the emotion heads think and keeps the language model alone. "
            "Behind ECE stands the upper end of what a perfectly calibrated model shows at this n (97.5 %). "
            "“WAR over label orders” is half of the way from the worst to the best of the four orders, each alone. "
            "`@person` is with the person's own mean taken off, from other clips of the person.",
        ]
    )


def _published(name: str) -> list[dict[str, Any]]:
    files = sorted((ROOT / "docs" / name).glob("*.json"))
    return [json.loads(path.read_text(encoding="utf-8")) for path in files]


def ablations() -> list[str]:
    """Give the tables of the published ablations, one heading lower, each with its figure."""
    lines: list[str] = []
    for path in sorted((ROOT / "docs/ablations").glob("*.md")):
        text = re.sub(r"^#", "##", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        heading, rest = text.split("\n", 1)
        picture = path.with_suffix(".svg")
        shown = [f"![{heading.strip('# ')}](ablations/{picture.name})", ""] if picture.is_file() else []
        command = f"emotion-llama ablate configs/ablate/{path.stem}.yaml --data $DATA"
        lines += [heading, "", *shown, rest.strip(), "", "```", command, "```", ""]
    return lines


def _result(row: dict[str, Any]) -> list[str]:
    found = row["metrics"]
    people = f" of {row['people']} {'person' if row['people'] == 1 else 'people'}" if row["people"] else ""
    facts = {
        "WAR": interval(found["war"]),
        "UAR": interval(found["uar"]),
        "weighted F1": interval(found["weighted_f1"]),
        "macro F1": interval(found["macro_f1"]),
        "ECE": interval(found.get("ece")) + (f", calibrated {row['null_ece']['value']:.3f}" if row["null_ece"] else ""),
        "ECE scaled": interval(found.get("scaled_ece")),
        "NLL": interval(found.get("nll")),
        "NLL scaled": interval(found.get("scaled_nll")),
        "Brier": interval(found.get("brier")),
        "AURC": interval(found.get("aurc")),
        "invalid": interval(found.get("invalid_rate")),
        "order sensitivity": interval(found.get("order_sensitivity")),
    }
    return [
        f"## {row['part']}: {row['system']}, {row['inputs']}",
        "",
        f"n {row['n']}{people}, scored {row['n_scored']}, chance {row['chance']:.3f}, majority {row['majority']:.3f}.",
        "",
        "| " + " | ".join(name for name, value in facts.items() if value != "–") + " |",
        "|" + "---|" * sum(value != "–" for value in facts.values()),
        "| " + " | ".join(value for value in facts.values() if value != "–") + " |",
        "",
        "```",
        row["command"],
        "```",
        "",
    ]


def _damaged(run: dict[str, Any]) -> list[str]:
    """Render one table of damaged recordings."""
    lines = [
        f"## Robustness: {run['part']}, {run['inputs']}",
        "",
        f"n {run['n']}, evenly drawn from the part. Area: mean score over the axis of levels relative to clean, 1 = no "
        "loss. Changed: share of clips with another answer at the worst level. Babble and music are synthetic.",
        "",
        "| damage | clean | by level | difference at the worst level | area | changed |",
        "|---|---|---|---|---|---|",
    ]
    for one in run["conditions"]:
        levels = ", ".join(f"{level} {value:.3f}" for level, value in one["levels"].items())
        unit = f" ({one['unit']})" if one["unit"] else ""
        lines.append(
            f"| {one['title']}{unit} | {one['clean']:.3f} | {levels} | {one['worst']}: {interval(one['difference'])} "
            f"| {interval(one['area'])} | {plain(one['changed'])} |"
        )
    return [*lines, "", "```", run["command"], "```", ""]


def _how(record: dict[str, Any]) -> str:
    return (
        f"Measured on {record['date']} with `make score`: {record['label_orders']} label orders, intervals from "
        f"{record['bootstrap_draws']} draws (speakers first, where there are several: with few people they say little "
        f"about others), nano weights {record['weights_sha256'][:12]}. Words are recognised from the sound, not given; "
        "MELD is text."
    )


def plain(metric: dict[str, float] | None) -> str:
    """Give a score with three decimals, "–" for one that is not there."""
    return "–" if metric is None or metric["value"] is None else f"{metric['value']:.3f}"


def interval(metric: dict[str, float] | None) -> str:
    """Give a score with its interval."""
    if metric is None or metric["low"] is None:
        return plain(metric)
    dash = "–" if metric["low"] >= 0 else " to "
    return f"{plain(metric)} ({metric['low']:.3f}{dash}{metric['high']:.3f})"


def speed(record: dict[str, Any], command: str = "make bench") -> str:
    """Render the figures of `make bench`."""
    scoring, together = record["label_scoring"], record.get("folder_with_reasons")
    count = record.get("clips") or record["folder_clips"]  # the second of each is what earlier records are like
    slowest = record.get("reason_clips", 7)
    rate = record["clips_per_s"]["warm"] if "clips_per_s" in record else record["folder_clips_per_s"]
    rows = {
        f"one {record['clip_s']} s clip, warm, emotion": f"{record['warm_emotion_s']:.2f} s "
        f"(real-time factor {record['rtf_emotion']:.2f})",
        f"one {record['clip_s']} s clip, warm, with reasons, slowest of {slowest}": f"{record['warm_reason_s']:.2f} s "
        f"(real-time factor {record['rtf_reason']:.2f})",
        "first clip of a process, everything loaded for it": f"{record['cold_first_clip_s']:.1f} s",
        f"folder of {count} cuts, emotion": f"{rate:.2f} clips a second",
        "label scoring with a shared prefix, against from scratch": f"{scoring['ratio']:.1f}× faster",
        "folder with reasons, looked at ahead and answered four at once, against clip by clip": "not measured"
        if together is None
        else f"{together['ratio']:.1f}× faster",
        "`emotion-llama --help`": f"{record['help_s']:.2f} s",
        "peak memory": f"{record['peak_rss_mb'] / 1000:.1f} GB",
    }
    if "reference_ratio" in record:
        rows["a clip with its reason, against the released way of working"] = f"{record['reference_ratio']:.1f}× faster"
    lines = ["| what | measured |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())]
    how = f"with `{command}`" if together is not None else f"by an earlier form of `{command}`, and not since,"
    numbers = record["dtype"] if not record.get("quantize") else f"`--quantize {record['quantize']}`"
    return "\n".join([*lines, "", f"Measured {how} on {record['machine']}, {numbers}."])


def bench(record: dict[str, Any], command: str = "make bench") -> str:
    """Render what `emotion-llama bench` measures beside the README's table: language model, limits, ratios, stages."""
    if "reference_ratio" not in record:
        return "Not measured yet: docs/speed.json is of an earlier program; `make bench` measures it."
    rate, products = record["clips_per_s"], record["matmul_gflop_s"]
    rows = {
        "`clips_per_s`": f"cold {rate['cold']:.2f}, warm {rate['warm']:.2f}, cached {rate['cached']:.2f}",
        "`ttft_s`": f"{record['ttft_s']:.3f} s",
        "`decode_tok_s`": f"{record['decode_tok_s']:.1f}, {record['tokens_a_step']:.1f} tokens a step",
        "`decode_together_tok_s`": f"{record['decode_together_tok_s']:.1f} ({record['together']} texts)",
        "`text_emotion_s`": f"{record['text_emotion_s']:.2f} s",
        **{
            f"`ways` {name}": f"writes {way['decode_tok_s']:.1f} tokens a second, {way['decode_ratio']:.1f} × "
            f"the library's generate in float32; {record['together']} texts side by side "
            f"{way['decode_together_tok_s']:.0f}; "
            f"{100 * way['same_text']:.0f} % the same text; reads {way['prefill_tok_s']:.0f}, "
            f"{way['prefill_ratio']:.2f} × plain"
            for name, way in record["ways"].items()
        },
        "`prefill_tok_s`": f"{record['prefill_tok_s']:.0f} (a prompt of {record['prompt_tokens']} tokens); by torch in "
        f"{record['dtype']} {record['plain_prefill_tok_s']:.0f}",
        "`label_scorings_s`": f"{record['label_scorings_s']:.2f} with 4 label orders, "
        f"{record['label_scorings_one_order_s']:.2f} with one ({record['label_scoring']['tokens']} and "
        f"{record['label_scoring']['tokens_one_order']} tokens, the clip included)",
        "memory bandwidth": f"{record['memory_read_gb_s']:.1f} GB/s read, {record['memory_copy_gb_s']:.1f} GB/s copied",
        "matrix products": ", ".join(f"{name} {value:.0f} GFLOP/s" for name, value in products.items()),
        "`bandwidth_fraction`": f"{record['bandwidth_fraction']:.2f}",
        "`prefill_fraction`": f"{record['prefill_fraction']:.2f}",
        "`scoring_fraction`": f"{record['scoring_fraction']:.2f} with 4 label orders, "
        f"{record['scoring_one_order_fraction']:.2f} with one",
        **_perception(record),
        "`reference_ratio`": f"{record['reference_ratio']:.2f} ({record['reference_s']:.2f} s a clip, ours "
        f"{record['ours_s']:.2f} s)",
        "`reference_reloaded_ratio`": f"{record['reference_reloaded_ratio']:.2f}",
        "`prefill_ratio`": f"{record['prefill_ratio']:.2f}",
        "`decode_ratio`": f"{record['decode_ratio']:.2f}",
        "`together_ratio`": f"{record['together_ratio']:.2f}",
        "`folder_with_reasons.ratio`": f"{record['folder_with_reasons']['ratio']:.2f}",
        "`label_scoring.ratio`": f"{record['label_scoring']['ratio']:.2f}",
        "`peak_rss_mb`": f"{record['peak_rss_mb']:.0f}",
        "`stages`, s": ", ".join(f"{name} {value:.2f}" for name, value in record["stages"].items() if value >= 0.01),
    }
    if record["peak_vram_mb"] is not None:
        rows["`peak_vram_mb`"] = f"{record['peak_vram_mb']:.0f}"
    lines = ["| figure | measured |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())]
    how = (
        f"Measured with `{command}` on {record['date']}: {record['device_name']}, {record['machine']}, "
        f"{record['threads']} threads, {record['dtype']}, the language model {_run_by(record)}, "
        f"load average before: {record['load_average']}."
    )
    return "\n".join([*lines, "", how])


def _perception(record: dict[str, Any]) -> dict[str, str]:
    """Render looking and listening beside the limits; an earlier record has nothing of it."""
    if "video_fraction" not in record:
        return {}
    encoders = ", ".join(
        f"{name} {one['fraction']:.2f} ({one['gflop']:.1f} GFLOP a clip)" for name, one in record["encoders"].items()
    )
    return {
        "`video_fraction`": f"{record['video_fraction']:.2f}: {record['look_frames_s']:.0f} frames a second looked at, "
        f"{record['decode_frames_s']:.0f} decoded alone",
        "`encoders`, of the product in float32": encoders,
    }


def _run_by(record: dict[str, Any]) -> str:
    if record["quantize"] is not None:
        return f"in {record['quantize']}"
    return "compiled" if record["compiled"] else "as it was loaded"


def agreement(record: dict[str, Any]) -> str:
    """Render what `agreement.py` measured; ways in which clips are read together stand beside those one by one."""
    lines = [
        "| inputs | way | same label | mean difference of a probability | largest | clips a second | 8 together |",
        "|---|---|---|---|---|---|---|",
    ]
    for inputs, ways in record["groups"].items():
        for name, way in ways.items():
            if name.endswith(TOGETHER):
                continue
            both = [way, ways[name + TOGETHER]]
            worst = [fold(one[key] for one in both) for fold, key in FOLDS]
            lines.append(
                f"| {inputs} | {name} | {100 * worst[0]:.0f} % | {worst[1]:.5f} | {worst[2]:.3f} "
                f"| {both[0]['clips_s']:.1f} | {both[1]['clips_s']:.1f} |"
            )
    counts = ", ".join(f"{number} of {inputs.replace(', ', ' + ')}" for inputs, number in record["clips"].items())
    how = (
        "Against float32 as it was loaded, clip by clip; the worse of one by one and eight together. Clips a second of "
        f"the language model alone, from encoded features. Clips: {counts}. `python benchmarks/agreement.py`, "
        f"{record['date']}: {record['device_name']}, {record['machine']}."
    )
    return "\n".join([*lines, "", how])


def against_llama_cpp(record: dict[str, Any]) -> str:
    """Render what `against_llama_cpp.py` measured."""
    machine, ours, theirs = (record[name] for name in ("machine", "ours_against_float32", "llama_cpp_against_float32"))
    rows = (
        ("writing, tokens a second", f"{record['ours_tok_s']:.0f}", f"{record['llama_cpp_tok_s']:.0f}"),
        ("reading, tokens a second", f"{record['ours_prefill_tok_s']:.0f}", f"{record['llama_cpp_prefill_tok_s']:.0f}"),
        ("same next word as float32", f"{ours['same_word']:.3f}", f"{theirs['same_word']:.3f}"),
        ("mean difference of its chance", f"{ours['mean_abs_chance']:.4f}", f"{theirs['mean_abs_chance']:.4f}"),
    )
    lines = ["| | ours, int8 | llama.cpp, Q8_0 |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]
    how = (
        f"Writing: llama.cpp's seconds ÷ ours {record['decode_ratio']:.2f} (token by token "
        f"{record['step_ratio']:.2f}), reading {record['prefill_ratio']:.2f} (medians of {record['rounds']} rounds in "
        f"turn). {machine['date']}: {machine['device_name']}, {machine['machine']}, "
        f"llama-cpp-python {record['llama_cpp']} built for this processor; {record['texts']} reasons, "
        f"{record['prompt_tokens']} tokens read, {record['written_tokens']} written."
    )
    return "\n".join([*lines, "", how])


def training_speed(record: dict[str, Any]) -> str:
    """Render the figures of `make bench` about training."""
    saved = 1 - record["memory_mb_checkpointing"] / record["memory_mb"]
    rows = {
        "to look at and listen to a 3.5 s clip": f"{record['encode_s_a_clip']:.2f} s",
        "to read its features from the warm cache": f"{1000 * record['draw_s_a_clip']:.1f} ms "
        f"({record['features_ratio']:.0f}× faster)",
        f"to train on it, in batches of {record['batch_size']}": f"{record['train_s_a_clip']:.2f} s "
        f"({record['samples_per_s']:.1f} samples/s)",
        "the same, if every clip were encoded in every epoch": f"{record['samples_per_s_encoding_every_time']:.2f} "
        f"samples/s: the cache makes the whole {record['whole_ratio']:.1f}× faster",
        "memory before the first step": f"{record['memory_before_mb'] / 1000:.1f} GB",
        "peak memory while training": f"{record['memory_mb'] / 1000:.1f} GB",
        "the same with `model.gradient_checkpointing=true`": f"{record['memory_mb_checkpointing'] / 1000:.1f} GB "
        f"({100 * saved:.0f} % less), a step takes {record['step_s_checkpointing'] / record['step_s']:.2f}× as long",
    }
    lines = ["| what | measured |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())]
    return "\n".join([*lines, "", f"Measured with `make bench` on {record['machine']}."])


def linear_speed(record: dict[str, Any]) -> str:
    """Render the figures of `benchmarks/linear.py`."""
    lines = [
        "| clips | clips/s | at the beginning | at the end | processor seconds a clip | end ÷ beginning "
        "| peak memory (MB) | at the beginning |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['done']:,}{_stopped(row)} | {row['clips_per_s']:.2f} | {row['first_clips_per_s']:.2f} "
        f"| {row['last_clips_per_s']:.2f} | {row['cpu_clip_s']:.2f} | {row['edge_cpu_ratio']:.2f} "
        f"| {row['peak_mb']:.0f} | {row['edge_peak_mb']:.0f} |"
        for row in record["runs"]
    ]
    compared = (
        f" Slowest ÷ fastest run: {record['speed_ratio']:.3f}; largest ÷ smallest processor time a clip: "
        f"{record['cpu_ratio']:.3f}, peak: {record['peak_ratio']:.3f}."
        if record["speed_ratio"] is not None
        else ""
    )
    failed = sum(row["failed"] for row in record["runs"])
    how = (
        f"Measured with `python benchmarks/linear.py`: different clips of {record['clip_s']:g} s, emotion alone, a "
        f"process for each folder, its first {record['warm_clips']} clips not counted, {failed} clips failed, "
        f"on {_where(record['machine'])}.{compared}"
    )
    return "\n".join([*lines, "", how])


def _stopped(row: dict[str, Any]) -> str:
    return "" if row["done"] == row["clips"] else f" of {row['clips']:,} (stopped)"


def _where(machine: dict[str, Any]) -> str:
    """The machine, and how busy others kept it."""
    load = machine["load_average"]
    busy = f", load average {load:g} before it began" if load is not None else ""
    return f"{machine['machine']}, {machine['threads']} thread{'s' if machine['threads'] > 1 else ''}{busy}"


def scaling(record: dict[str, Any]) -> str:
    """Render the training steps of `benchmarks/scaling.py`, measured and predicted."""
    lines = [
        "| processes | clips × tokens each | checkpointing | memory (MB) | predicted | ÷ measured | step (s) "
        "| predicted | ÷ measured | by the clock (s) |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in record["rows"]:
        found = row["measured"]
        lines.append(
            f"| {row['processes']} | {row['clips']} × {row['length']} | {'yes' if row['checkpointing'] else 'no'} "
            f"| {found['added_mb']:.0f} | {row['memory_mb']:.0f} | {row['memory_ratio']:.2f} | {found['cpu_s']:.2f} "
            f"| {row['seconds']:.2f} | {row['time_ratio']:.2f} | {found['step_s']:.2f} |"
        )
    best = [row["measured"]["matmul_flop_s"] / 1e9 for row in record["rows"]]
    weights = [row["measured"]["weights_mb"] for row in record["rows"]]
    how = (
        f"Measured with `python benchmarks/scaling.py` on {_where(record['machine'])}: `nano` in float32, "
        f"{record['parameters'] / 1e6:.1f} million frozen parameters ({record['weights_mb']:.0f} MB; loading them took "
        f"{max(weights):.0f} MB), {record['trained'] / 1e6:.2f} million trained ones, "
        f"answers of {record['answer']} tokens, the median of {record['steps']} steps. Memory is what a step needs "
        f"above the loaded model; seconds are the processor's. Its best matrix product gave {min(best):.0f} to "
        f"{max(best):.0f} GFLOP/s, of which the first row reaches {record['efficiency']:.2f}: with this share "
        "the others are predicted."
    )
    return "\n".join([*lines, "", how])


def clusters(record: dict[str, Any]) -> str:
    """Render what the formulas say of several GPUs."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for one in record["clusters"]:
        rows.setdefault(one["cluster"], []).append(one)
    ways = [f"{one['clips']} × {one['accumulate']}" for one in next(iter(rows.values()))]
    lines = [f"| clips a batch × accumulated | {' | '.join(ways)} |", "|---|" + "---|" * len(ways)]
    for name, found in rows.items():
        cells = (f"{one['clips_per_s']:,.0f} clips/s, {100 * one['efficiency']:.0f} %" for one in found)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def timeline_speed(record: dict[str, Any]) -> str:
    """Render the figures of `benchmarks/timeline.py`."""
    lines = [
        "| length (min) | windows | time (s) | real-time factor | peak memory (MB) | against the first |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['minutes']:g} | {row['windows']} | {row['seconds']:g} | {row['real_time_factor']:.2f} "
        f"| {row['peak_mb']:g} | {row['peak_against_first']:.2f} × |"
        for row in record["runs"]
    ]
    busy = f", load average {record['load_average']:g} (other work was running)" if record["load_average"] > 3 else ""
    how = (
        "Measured with `python benchmarks/timeline.py` (one recording a length, without reasons, loading of weights "
        f"included) on {record['machine']}, {record['cores']} cores, Python {record['python']}{busy}."
    )
    return "\n".join([*lines, "", how])


def spread_speed(record: dict[str, Any]) -> str:
    """Render the figures of `benchmarks/spread.py`."""
    machine = record["machine"]
    lines = [
        "| way | clips a second, steady | ÷ plain | in all | ÷ plain | lost, doubled, failed "
        "| largest difference of a probability |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['name']} | {row['steady_clips_a_second']:.2f} | {row['steady_ratio']:.2f} "
        f"| {row['clips_a_second']:.2f} | {row['ratio']:.2f} | {row['lost']}, {row['doubled']}, {row['failed']} "
        f"| {row['largest_difference']:.0e} |"
        for row in record["ways"]
    ]
    load = machine["load_average"]
    busy = f"; load average {load:g} before (other work was running: the ratios are rough)" if (load or 0) > 1 else ""
    how = (
        f"Measured with `benchmarks/spread.py`: {record['clips']} clips of {record['clip_s']:g} s, asked for "
        f"{' and '.join(record['tasks'])}; in all: with the start of every process and all loading; on "
        f"{machine['machine']}, {machine['date']}{busy}."
    )
    return "\n".join([*lines, "", how])


def build_speed(record: dict[str, Any]) -> str:
    """Render the figures of `benchmarks/build.py`."""
    rows: dict[str, str] = {}
    if "speed" in record:
        found = record["speed"]
        gone = sum(one["clips"] for one in found["rejected"])
        rows[f"{found['clips']} clips of {found['folder']}, {found['length_s']:.0f} s in all"] = (
            f"{found['wall_s']:.0f} s: {found['ratio']:.2f} s of recording a second"
        )
        rows["of them in the set, rejected, failed"] = f"{found['entries']}, {gone}, {found['failed']}"
        rows |= {f"rejected by {one['step']}: {one['reason']}": str(one["clips"]) for one in found["rejected"]}
        rows["peak memory of all processes"] = f"{found['peak_mb'] / 1000:.2f} GB"
    for one in record.get("memory", {}).get("rows", []):
        rows[f"{one['clips']:,} clips of 1 s: peak memory of all processes"] = (
            f"{one['peak_mb'] / 1000:.2f} GB, the first process {one['main_mb'] / 1000:.2f} GB, the largest worker "
            f"{one['worker_mb'] / 1000:.2f} GB"
        )
    if "memory" in record:
        rows["largest of these peaks ÷ smallest"] = f"{record['memory']['peak_ratio']:.3f}"
    lines = ["| what | measured |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())]
    return "\n".join([*lines, "", f"Measured with `benchmarks/build.py` on {record['machine']}."])


def fill(text: str, tables: dict[str, str]) -> str:
    """Replace what stands between the markers."""
    for name, table in tables.items():
        text = re.sub(
            rf"<!-- {name} -->.*?<!-- end -->",
            lambda _, name=name, table=table: f"<!-- {name} -->\n{table}\n<!-- end -->",
            text,
            flags=re.DOTALL,
        )
    return text


def load(record: dict[str, Any]) -> str:
    """Render the figures of `benchmarks/load.py`."""
    memory = [mb for _, mb in record["memory_mb"]]
    rows = {
        f"{record['clients']} clients for {record['seconds']:.0f} s, {record['model']}": (
            f"{record['answers_a_second']} answers a second"
        ),
        "answers by status": ", ".join(f"{count} × {status}" for status, count in record["statuses"].items()),
        "answers that were not the asker's own": str(len(record["not_the_askers_own"])),
        "spoken words: recognised, taken for no client's word": ", ".join(map(str, record["spoken_words"].values())),
        "time to an answer, median": f"{record['p50_s']:.1f} s",
        "time to an answer, 95th percentile": f"{record['p95_s']:.1f} s",
        "memory at the start, at the end, at most": f"{memory[0]:.0f}, {memory[-1]:.0f}, {max(memory):.0f} MB",
        "memory, growth over the second half": f"{100 * record['memory_growth_second_half']:+.1f} %",
    }
    lines = ["| what | measured |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())]
    return "\n".join([*lines, "", f"Measured with `python benchmarks/load.py` on {record['machine']['cores']} cores "
                      f"(load average before: {record['load_average']:.1f})."])  # fmt: skip


def hostile(record: dict[str, Any]) -> str:
    """Render the figures of `benchmarks/hostile.py`."""
    kinds: dict[str, dict[str, int]] = {}
    for name, count in record["statuses"].items():
        kind, status = name.rsplit(" ", 1)
        kinds.setdefault(kind, {})[status] = count
    statuses = sorted({status for found in kinds.values() for status in found})
    lines = [f"| upload | {' | '.join(statuses)} |", "|---|" + "---|" * len(statuses)]
    for kind, found in kinds.items():
        lines.append(f"| {kind} | {' | '.join(str(found.get(status, 0)) for status in statuses)} |")
    how = (
        f"Measured with `python benchmarks/hostile.py`: {record['uploads']} uploads, {len(record['wrong'])} wrong "
        f"answers, {len(record['files_left'])} files left; a good recording afterwards: "
        f"{record['good_one_afterwards']}; memory {record['memory_mb'][0]:.0f} → {record['memory_mb'][1]:.0f} MB."
    )
    return "\n".join([*lines, "", how])


def bias(record: dict[str, Any]) -> str:
    """Render the figures of `benchmarks/bias.py`: groups, their differences, and each person."""
    lines = ["| test part | whose voices | people | n | WAR (95 %) | UAR (95 %) |", "|---|---|---|---|---|---|"]
    for part in record["parts"]:
        title = part["part"]
        for one in part["properties"]:
            lines += [_group(title, group["value"], group) for group in one["groups"]]
            lines += [_gap(title, gap, one["groups"]) for gap in one["differences"]]
        lines += [_group(title, _person(one), one) for one in part["people"]]
    how = (
        f"Measured on {record['date']} with `python benchmarks/bias.py`: {record['label_orders']} label orders, "
        f"{record['draws']} draws (people first, then their clips; of one person the clips alone, which says nothing "
        f"about other people), {record['model']} weights {record['weights_sha256'][:12]}."
    )
    return "\n".join([*lines, "", " ".join([how, *(_caution(part) for part in record["parts"])])])


def _group(title: str, who: str, found: dict[str, Any]) -> str:
    return (
        f"| {title} | {who} | {len(found['people'])} | {found['n']} | {interval(found['war'])} "
        f"| {interval(found['uar'])} |"
    )


def _gap(title: str, gap: dict[str, Any], groups: Sequence[dict[str, Any]]) -> str:
    mine = [group for group in groups if group["value"] in (gap["a"], gap["b"])]
    people, n = sum(len(group["people"]) for group in mine), sum(group["n"] for group in mine)
    return f"| {title} | {gap['b']} − {gap['a']} | {people} | {n} | {signed(gap['war'])} | {signed(gap['uar'])} |"


def signed(metric: dict[str, float]) -> str:
    """Give a difference with its sign, and its interval where it has one."""
    if metric["low"] is None:
        return f"{metric['value']:+.3f} (no interval)"
    return f"{metric['value']:+.3f} ({metric['low']:+.3f} to {metric['high']:+.3f})"


def _person(one: dict[str, Any]) -> str:
    age = "age not published" if one["age"] is None else f"{one['age']:.0f} years"
    return f"{one['value']}: {one['sex']}, {age}"


def _caution(part: dict[str, Any]) -> str:
    """What the number of people lets a difference say."""
    learned = " and ".join(f"{count} {sex}" for sex, count in part["learned_from"].items())
    gaps = [gap for one in part["properties"] for gap in one["differences"]]
    least = min((gap["least_p"] for gap in gaps), default=1.0)
    return (
        f"{part['part']}: {learned} people were learned from; however clear a difference between these test people, "
        f"exchanging them gives no p below {least:.2f}."
    )


def main() -> int:
    """Write the tables, or say which document differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    tables = {
        "scores": scores(json.loads((ROOT / "docs/results.json").read_text(encoding="utf-8"))),
        "trainings": trainings([one for one in _published("trainings") if one["name"] == "nano"]),
        "speed": speed(json.loads((ROOT / "docs/speed.json").read_text(encoding="utf-8"))),
        "bench": bench(json.loads((ROOT / "docs/speed.json").read_text(encoding="utf-8"))),
        "training speed": training_speed(json.loads((ROOT / "docs/training-speed.json").read_text(encoding="utf-8"))),
    }
    if SPEED_AVX2.is_file():
        found = json.loads(SPEED_AVX2.read_text(encoding="utf-8"))
        tables |= {"speed avx2": speed(found, ON_AVX2), "bench avx2": bench(found, ON_AVX2)}
    if BUILD_SPEED.is_file():
        tables["build speed"] = build_speed(json.loads(BUILD_SPEED.read_text(encoding="utf-8")))
    if TIMELINE_SPEED.is_file():
        tables["timeline speed"] = timeline_speed(json.loads(TIMELINE_SPEED.read_text(encoding="utf-8")))
    if SPREAD_SPEED.is_file():
        tables["spread speed"] = spread_speed(json.loads(SPREAD_SPEED.read_text(encoding="utf-8")))
    if AGREEMENT.is_file():
        tables["agreement"] = agreement(json.loads(AGREEMENT.read_text(encoding="utf-8")))
    if LLAMA_CPP.is_file():
        tables["llama.cpp"] = against_llama_cpp(json.loads(LLAMA_CPP.read_text(encoding="utf-8")))
    if LINEAR_SPEED.is_file():
        tables["linear speed"] = linear_speed(json.loads(LINEAR_SPEED.read_text(encoding="utf-8")))
    if SCALING_MODEL.is_file():
        record = json.loads(SCALING_MODEL.read_text(encoding="utf-8"))
        tables |= {"scaling": scaling(record), "clusters": clusters(record)}
    for name, render in (("load", load), ("hostile", hostile), ("bias", bias)):
        tables[name] = render(json.loads((ROOT / f"docs/{name}.json").read_text(encoding="utf-8")))
    stale = []
    whole = results(json.loads((ROOT / "docs/results.json").read_text(encoding="utf-8")))
    page = ROOT / "docs/results.md"
    if not page.is_file() or page.read_text(encoding="utf-8") != whole:
        stale.append(page)
        if not arguments.check:
            page.write_text(whole, encoding="utf-8")
    for path in DOCUMENTS:
        before = path.read_text(encoding="utf-8")
        after = fill(before, tables)
        if after != before:
            stale.append(path)
            if not arguments.check:
                path.write_text(after, encoding="utf-8")
    if arguments.check and stale:
        print("\n".join(f"{path.relative_to(ROOT)}: tables differ; run benchmarks/tables.py" for path in stale))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

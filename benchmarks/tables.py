"""Put measured numbers into the documents: `python benchmarks/tables.py`, or `--check` to see that they agree.

docs/results.json (`make score`) and docs/speed.json (`make bench`) are rendered as Markdown tables between
`<!-- scores -->` or `<!-- speed -->` and `<!-- end -->` in README.md and the model card: no number is typed by hand.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = (ROOT / "README.md", ROOT / "src/emotion_llama/weights/nano/MODEL_CARD.md")


def scores(record: dict[str, Any]) -> str:
    """Render the rows of `make score`."""
    lines = [
        "| test part | inputs | n | people | chance | majority | WAR (95 % interval) | UAR | weighted F1 |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in record["rows"]:
        low, high = row["war_interval"]
        lines.append(
            f"| {row['part']} | {row['inputs']} | {row['n']} | {row['people']} | {row['chance']:.3f} "
            f"| {row['majority']:.3f} | {row['war']:.3f} ({low:.3f}–{high:.3f}) | {row['uar']:.3f} "
            f"| {row['weighted_f1']:.3f} |"
        )
    lines += [
        "",
        f"Measured on {record['date']} with `make score`: {record['label_orders']} label orders, intervals from "
        f"{record['bootstrap_draws']} draws of clips (too narrow where there are few people), weights "
        f"{record['weights_sha256'][:12]}. Words are recognised from the sound, not given.",
    ]
    return "\n".join(lines)


def speed(record: dict[str, Any]) -> str:
    """Render the figures of `make bench`."""
    scoring = record["label_scoring"]
    rows = {
        f"one {record['clip_s']} s clip, warm, emotion": f"{record['warm_emotion_s']:.2f} s "
        f"(real-time factor {record['rtf_emotion']:.2f})",
        f"one {record['clip_s']} s clip, warm, with reasons, slowest of 7": f"{record['warm_reason_s']:.2f} s "
        f"(real-time factor {record['rtf_reason']:.2f})",
        "first clip of a process, everything loaded for it": f"{record['cold_first_clip_s']:.1f} s",
        f"folder of {record['folder_clips']} cuts, emotion": f"{record['folder_clips_per_s']:.2f} clips a second",
        "label scoring with a shared prefix, against from scratch": f"{scoring['ratio']:.1f}× faster",
        "`emotion-llama --help`": f"{record['help_s']:.2f} s",
        "peak memory": f"{record['peak_rss_mb'] / 1000:.1f} GB",
    }
    lines = ["| what | measured |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())]
    return "\n".join([*lines, "", f"Measured with `make bench` on {record['machine']}, {record['dtype']}."])


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


def main() -> int:
    """Write the tables, or say which document differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    tables = {
        "scores": scores(json.loads((ROOT / "docs/results.json").read_text(encoding="utf-8"))),
        "speed": speed(json.loads((ROOT / "docs/speed.json").read_text(encoding="utf-8"))),
    }
    stale = []
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

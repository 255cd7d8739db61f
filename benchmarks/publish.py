"""Put what trainings found into the documents: `python benchmarks/publish.py FOLDER…`.

FOLDER is what `emotion-llama train` wrote (its test scores go to docs/trainings/NAME.json), or what
`emotion-llama ablate` wrote (its table and figure go to docs/ablations/NAME.md and .svg). `tables.py` renders both in
docs/results.md. NAME is the folder's name.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
KEPT = ("about", "seed", "date", "git_commit", "test")


def training(folder: Path) -> dict[str, Any]:
    """Give what is published of one training: its test scores, seed and commit."""
    record = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    if not record.get("test"):
        raise SystemExit(f"{folder}: expected test scores in training.json; train with score_test=true")
    return {"name": folder.name, **{key: record[key] for key in KEPT}}


def publish(folder: Path, docs: Path) -> Path:
    """Publish one folder; gives the file that was written."""
    if (folder / "training.json").is_file():
        target = docs / "trainings" / f"{folder.name}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(training(folder), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return target
    if (folder / "ablation.md").is_file():
        target = docs / "ablations" / f"{folder.name}.md"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / "ablation.md", target)
        if (folder / "ablation.svg").is_file():
            shutil.copyfile(folder / "ablation.svg", target.with_suffix(".svg"))
        return target
    raise SystemExit(f"{folder}: expected training.json (emotion-llama train) or ablation.md (emotion-llama ablate)")


def main() -> int:
    """Publish every folder that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--docs", type=Path, default=ROOT / "docs")
    arguments = parser.parse_args()
    for folder in arguments.folders:
        print(publish(folder.resolve(), arguments.docs))
    return 0


if __name__ == "__main__":
    sys.exit(main())

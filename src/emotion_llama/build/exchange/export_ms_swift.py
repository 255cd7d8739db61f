"""ms-swift: its standard form, one JSON object a line with `messages` and one list of files.

It takes a relative path as starting at the working folder, or at the folder in ROOT_IMAGE_DIR.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import IO

from emotion_llama.build.exchange.export import Export, json_text
from emotion_llama.build.exchange.export_llama_factory import sharegpt
from emotion_llama.build.exchange.questions import rows


def export_ms_swift(export: Export) -> None:
    """Write one list a side and kind of recording."""
    with ExitStack() as stack:
        files: dict[str, IO[str]] = {}
        for row in rows(export):
            name = f"{row.file}.jsonl"
            if name not in files:
                files[name] = stack.enter_context(export.open(name))
                export.files[name] = 0
            files[name].write(json_text(sharegpt(row)) + "\n")
            export.files[name] += 1
    export.notes.append(f"for ms-swift: --dataset {' '.join(str(export.out / name) for name in export.files)}")
    if export.options.media != "absolute":
        export.notes.append(f"its paths are relative: set ROOT_IMAGE_DIR={export.out.absolute()}")

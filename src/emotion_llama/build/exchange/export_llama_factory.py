"""llama-factory: ShareGPT rows with `messages`, one list of files, and the `dataset_info.json` that describes them.

`dataset_dir` is the export's folder. Its relative paths start there too, unless `media_dir` says otherwise.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import IO, Any

from emotion_llama.build.exchange.export import Export, json_text
from emotion_llama.build.exchange.questions import Row, rows

INFO = "dataset_info.json"
TAG_NAMES = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "system_tag": "system",
}


def export_llama_factory(export: Export) -> None:
    """Write one JSON list a side and kind of recording, and the description of all."""
    info: dict[str, dict[str, Any]] = {}
    with ExitStack() as stack:
        files: dict[str, IO[str]] = {}
        for row in rows(export):
            name = f"{row.file}.json"
            if row.file not in files:
                files[row.file] = stack.enter_context(export.open(name))
                stack.callback(files[row.file].write, "\n]\n")
                info[row.file] = description(row)
                export.files[name] = 0
            files[row.file].write(("[\n" if export.files[name] == 0 else ",\n") + json_text(sharegpt(row)))
            export.files[name] += 1
    with export.open(INFO) as file:
        file.write(json_text(info, indent=2) + "\n")
    export.files[INFO] = len(info)
    export.notes.append(f"for LLaMA-Factory: dataset_dir: {export.out}, dataset: {','.join(info)}")


def sharegpt(row: Row) -> dict[str, Any]:
    """Give one row as the program reads it: the exchange and its one file."""
    return {"messages": row.messages, f"{row.kind}s": [row.path]}


def description(row: Row) -> dict[str, Any]:
    """Give what `dataset_info.json` says about the row's file."""
    return {
        "file_name": f"{row.file}.json",
        "formatting": "sharegpt",
        "columns": {"messages": "messages", f"{row.kind}s": f"{row.kind}s"},
        "tags": TAG_NAMES,
    }

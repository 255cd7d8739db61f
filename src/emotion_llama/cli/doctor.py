"""`emotion-llama doctor`: what is installed, what can compute, what is cached, what is missing and how to mend it."""

from __future__ import annotations

import json
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from emotion_llama.assets import Catalog

PACKAGES = (
    "torch",
    "transformers",
    "peft",
    "safetensors",
    "huggingface-hub",
    "faster-whisper",
    "ctranslate2",
    "ai-edge-litert",
    "av",
    "opencv-python-headless",
    "swift-f0",
    "numpy",
)
"""The packages that analysing a recording needs, as the package index names them."""

LICENCE_NOTE = (
    "The shipped nano weights are CC BY-NC-SA 4.0: not for commercial use. "
    "The code is Apache-2.0; each asset has its own licence."
)


doctor = typer.Typer(
    help="What is installed, what can compute, what is cached; or what a checkpoint is.", rich_markup_mode=None
)


@doctor.callback(invoke_without_command=True)
def machine(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """Show versions, devices, caches and licences, and what is missing; exit code 1 if `nano` cannot run."""
    if context.invoked_subcommand is not None:
        return
    from emotion_llama.assets import cache_dir, load_catalog

    report = diagnose(load_catalog(), cache_dir(), _weights_dir())
    if as_json:
        typer.echo(json.dumps(report, indent=2))
    else:
        _print_report(report)
    raise typer.Exit(1 if report["problems"] else 0)


@doctor.command("checkpoint")
def checkpoint(
    path: Annotated[Path, typer.Argument(help="A released .pth file, or a checkpoint folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Say what a checkpoint is, how much of it can be used, and what it needs; exit code 1 if anything is amiss."""
    from dataclasses import asdict

    from emotion_llama.official.diagnose import diagnose_checkpoint

    found = diagnose_checkpoint(path)
    told = asdict(found) | {"path": str(path), "share": round(found.share, 6)}
    typer.echo(json.dumps(told, indent=2) if as_json else "\n".join(_checkpoint_lines(told)))
    raise typer.Exit(1 if found.unknown or found.missing or found.kind == "unknown" else 0)


def _checkpoint_lines(told: dict[str, Any]) -> list[str]:
    lines = [
        f"{told['path']}: {told['kind']}; {told['purpose']}",
        f"  {told['tensors']} tensors, {told['parameters']:,} parameters, {told['share']:.1%} of them used",
    ]
    for key, words in (("unknown", "not known"), ("missing", "missing")):
        if told[key]:
            lines.append(f"  {len(told[key])} tensors {words}: {', '.join(told[key][:4])}")
    return [*lines, f"  next: {told['needs']}"]


def diagnose(catalog: Catalog, root: Path, weights_dir: Path) -> dict[str, Any]:
    """Give the whole report as plain data.

    `root` is the cache folder, `weights_dir` holds the shipped nano weights. `problems` lists what keeps `nano` from
    running, each with the command that mends it; an empty list means that it can run.
    """
    versions = {name: _version(name) for name in ("emotion-llama", "pip", *PACKAGES)}
    assets = _asset_rows(catalog, root)
    return {
        "versions": {"python": platform.python_version(), **versions},
        "system": platform.platform(),
        "devices": _devices() if versions["torch"] else {},
        "caches": [{"what": "assets", "folder": str(root), "size_bytes": _size(root)}],
        "weights": {"folder": str(weights_dir), "present": _has_weights(weights_dir), "licence": "CC BY-NC-SA 4.0"},
        "assets": assets,
        "licence_note": LICENCE_NOTE,
        "problems": _problems(versions, assets, weights_dir),
        "hints": _hints(assets),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _devices() -> dict[str, Any]:
    import torch

    cuda = torch.cuda.is_available()
    flags = _cpu_flags()
    return {
        "cpu_count": os.cpu_count(),
        "cpu_usable": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "cpu_bf16": None if flags is None else bool({"avx512_bf16", "amx_bf16", "bf16"} & flags),
        "torch_threads": torch.get_num_threads(),
        "cuda": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())] if cuda else [],
        "cuda_bf16": torch.cuda.is_bf16_supported() if cuda else False,
    }


def _cpu_flags() -> set[str] | None:
    """Processor flags where the system tells them (Linux), else `None`."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return None
    lines = (line.partition(":") for line in text.splitlines())
    found = (value.split() for key, _, value in lines if key.strip() in ("flags", "Features"))
    return set(next(found, []))


def _asset_rows(catalog: Catalog, root: Path) -> list[dict[str, Any]]:
    from emotion_llama.assets.cache import state

    return [
        {
            "name": asset.name,
            "group": asset.group,
            "state": state(asset, root),
            "purpose": asset.purpose,
            "licence": asset.licence,
            "licence_note": asset.licence_note,
            "origin": asset.origin,
            "size_bytes": _size(root / asset.name),
        }
        for asset in catalog.assets
    ]


def _size(folder: Path) -> int:
    from emotion_llama.assets.cache import folder_size

    return folder_size(folder)


def _weights_dir() -> Path:
    import emotion_llama

    return Path(emotion_llama.__file__).parent / "weights" / "nano"


def _has_weights(folder: Path) -> bool:
    return any(folder.glob("*.safetensors"))


def _problems(versions: dict[str, str | None], assets: list[dict[str, Any]], weights_dir: Path) -> list[str]:
    """What keeps `nano` from running, each with its remedy."""
    absent = [name for name in PACKAGES if versions[name] is None]
    problems = [f"packages missing: {', '.join(absent)}. Run: pip install {' '.join(absent)}"] if absent else []
    if not _has_weights(weights_dir):
        problems.append(
            f"no nano weights in {weights_dir}. In a source tree run: make nano-weights; "
            "else reinstall the wheel: pip install --force-reinstall --no-deps WHEEL"
        )
    lacking = [row for row in assets if row["group"] == "nano" and row["state"] != "ready"]
    if lacking:
        names = ", ".join(f"{row['name']} ({row['state']})" for row in lacking)
        problems.append(f"assets not ready: {names}. Run: emotion-llama fetch nano")
    return problems


def _hints(assets: list[dict[str, Any]]) -> list[str]:
    """What is missing but not needed."""
    groups = dict.fromkeys(row["group"] for row in assets if row["group"] != "nano" and row["state"] != "ready")
    return [
        f"not fetched, and not needed to analyse: {group}. To have it: emotion-llama fetch {group}" for group in groups
    ]


def _print_report(report: dict[str, Any]) -> None:
    from rich.console import Console

    console = Console()
    console.print(_facts_table(report), _assets_table(report))
    for row in report["assets"]:
        if row["licence_note"]:
            console.print(f"{row['name']}: {row['licence_note']}", markup=False, highlight=False, soft_wrap=True)
    for line in (report["licence_note"], *report["problems"], *report["hints"]):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if not report["problems"]:
        console.print("Everything needed for nano is here.")


def _facts_table(report: dict[str, Any]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    caches = {
        f"cache: {cache['what']}": f"{cache['folder']} ({_megabytes(cache['size_bytes'])})"
        for cache in report["caches"]
    }
    weights = {"nano weights": "present" if report["weights"]["present"] else "missing"}
    facts = {"system": report["system"]} | report["versions"] | report["devices"] | caches | weights
    table = Table(title="Machine and packages", show_header=False)
    for name, value in facts.items():
        table.add_row(name, escape(_words(value)))
    return table


def _assets_table(report: dict[str, Any]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table("asset", "state", "size", "what it is for", "licence", title="Assets")
    table.columns[0].no_wrap = True
    for row in report["assets"]:
        size = _megabytes(row["size_bytes"]) if row["size_bytes"] else ""
        table.add_row(row["name"], row["state"], size, row["purpose"], escape(row["licence"]))
    return table


def _words(value: object) -> str:
    if value is None:
        return "not found"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"

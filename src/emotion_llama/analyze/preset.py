"""A preset's checkpoint on disk, and the device it runs on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import torch

from emotion_llama import __version__, assets
from emotion_llama.analyze.numerics import USUAL, Numerics, on_gpu, require_openvino
from emotion_llama.clip import Provenance
from emotion_llama.errors import ModelError, UsageError
from emotion_llama.model import checkpoint
from emotion_llama.model.configuration import EmotionLlamaConfig
from emotion_llama.model.processing import EmotionLlamaProcessor
from emotion_llama.model.score import ClipReader
from emotion_llama.prompt import PROMPT_VERSION
from emotion_llama.scale.worker import thread_share
from emotion_llama.settings import AnalyzeSettings

PRESETS = ("nano",)
FULL_SIZE = "7b"
"""Its weights are those of others: no preset, but a folder that `convert official` writes."""
MOST_THREADS = 8
TRAINED_LABELS = (
    "neutral", "calm", "happy", "sad", "angry", "fear", "disgust", "surprise", "contempt", "bored", "worried", "doubt",
)  # fmt: skip
"""Labels for which `nano` had training examples with a face, a voice or words; see its model card."""

WEIGHTS_LICENCE = "CC-BY-NC-SA-4.0"
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_VERSIONS = ("torch", "transformers", "peft", "numpy", "av", "faster-whisper", "ai-edge-litert")


@dataclass(frozen=True)
class Preset:
    """A checkpoint folder with what is needed to run it. `llm` is the folder of its language model's weights.

    `numerics`: how the language model runs.
    """

    name: str
    folder: Path
    device: str
    dtype: torch.dtype
    threads: int
    keep_features: bool = True
    numerics: Numerics = USUAL

    def config(self) -> EmotionLlamaConfig:
        """The checkpoint's configuration."""
        config: EmotionLlamaConfig = EmotionLlamaConfig.from_pretrained(self.folder)
        return config

    def trained_labels(self) -> tuple[str, ...]:
        """Labels the checkpoint was trained on: those of its record's data, and what it had before where it went on.

        Without a record of that form: the labels of `nano`.
        """
        path = self.folder / "training.json"
        record = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        found = [label for source in record.get("data", ()) for label in source.get("labels", ())]
        if not found or self.name in PRESETS:
            return TRAINED_LABELS
        return (*found, *TRAINED_LABELS) if record["config"]["model"].get("init") else tuple(found)

    def load_reader(self) -> ClipReader:
        """Load the language model with its adapter merged, ready to read clips.

        Raises `UsageError` where `numerics` asks for what is not installed or not there.
        """
        if not self.numerics.changed:
            return self._plain_reader(self.device)
        reader = self._plain_reader("cpu")
        if self.device != "cpu":
            return on_gpu(reader, self.numerics, self.device)
        return self.running(reader)

    def running(self, reader: ClipReader) -> ClipReader:
        """The same reader on a processor, run as `numerics` say. Raises `UsageError` without OpenVINO."""
        require_openvino(self.numerics)
        from emotion_llama.model.compiled import CompiledStepper

        graphs = assets.cache_dir() / "compiled"
        stepper = CompiledStepper(reader.model, self.numerics.quantize, graphs, self.threads, self.dtype)
        return ClipReader(reader.model, reader.processor, stepper)

    def _plain_reader(self, device: str) -> ClipReader:
        torch.set_num_threads(self.threads)
        if checkpoint.is_merged(self.folder):
            model = checkpoint.load_merged(self.folder, device=device, dtype=self.dtype)
            if model.config.lora is not None:  # a converted release
                model.merge_lora()
            return ClipReader(model, EmotionLlamaProcessor.from_pretrained(self.folder, model.config))
        llm = llm_folder(self.config().llm)
        model = checkpoint.load_adapter(self.folder, llm, device=device, dtype=self.dtype, merge=True)
        return ClipReader(model, EmotionLlamaProcessor.from_pretrained(llm, model.config))


def load_preset(
    name: str | Path, *, device: str, dtype: str, threads: int | None, numerics: Numerics | None = None
) -> Preset:
    """Find a preset by name or folder and choose where it runs; reads no weights. Raises `UsageError`, `ModelError`."""
    folder = Path(str(files("emotion_llama") / "weights" / str(name))) if str(name) in PRESETS else Path(name)
    if not folder.is_dir() and str(name) == FULL_SIZE:
        raise UsageError(
            f"model {FULL_SIZE}: its weights cannot be shipped; make a folder of the released ones once, with "
            "`emotion-llama convert official` (docs/full-size.md), and give that folder as the model"
        )
    if not folder.is_dir():
        raise UsageError(f"unknown model {str(name)!r}: give one of {', '.join(PRESETS)} or a checkpoint folder")
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder}: no config.json there; expected a checkpoint folder written by training")
    where, numerics = choose_device(device), numerics or USUAL
    if where == "cpu":
        require_openvino(numerics)
    return Preset(
        str(name),
        folder,
        where,
        choose_dtype(dtype, where),
        threads or min(thread_share(1), MOST_THREADS),
        numerics=numerics,
    )


def llm_folder(name: str) -> str | Path:
    """Give where a language model lies: an asset's folder, or what the hub library can open (a folder or hub name).

    Raises `AssetMissingError` for an asset that was not fetched.
    """
    known = {asset.name for asset in assets.load_catalog().assets}
    return assets.path(name) if name in known else name


def choose_device(device: str) -> str:
    """Resolve `auto` and check the rest. Raises `UsageError` for a device that is not there."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = device.partition(":")
    count = {"cpu": 1, "cuda": torch.cuda.device_count()}.get(kind, 0)
    if not (number or "0").isdecimal() or int(number or "0") >= count:
        raise UsageError(f"device {device!r} is not available here; give auto, cpu, or cuda where there is a GPU")
    return "cpu" if kind == "cpu" else device


def choose_dtype(dtype: str, device: str) -> torch.dtype:
    """Resolve `auto`: bfloat16 where the processor computes in it, else float32. Raises `UsageError` otherwise."""
    if dtype == "auto":
        fast = torch.cuda.is_bf16_supported() if device != "cpu" else _cpu_has_bfloat16()
        return torch.bfloat16 if fast else torch.float32
    if dtype not in _DTYPES:
        raise UsageError(f"dtype {dtype!r}: give auto, {', '.join(_DTYPES)}")
    return _DTYPES[dtype]


def _cpu_has_bfloat16() -> bool:
    flags = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(flags.get("avx512_bf16") or flags.get("amx_bf16"))


def provenance(preset: Preset, settings: AnalyzeSettings) -> Provenance:
    """Say what made a result."""
    return Provenance(
        package=f"emotion-llama {__version__}",
        model=preset.name,
        weights_sha256=checkpoint.adapter_sha256(preset.folder),
        weights_licence=WEIGHTS_LICENCE if preset.name in PRESETS else None,
        prompt_version=PROMPT_VERSION,
        layout=settings.layout or preset.config().layout,
        label_orders=settings.label_orders,
        seed=settings.seed,
        device=preset.device,
        dtype=str(preset.dtype).removeprefix("torch."),
        quantize=preset.numerics.quantize,
        compiled=preset.numerics.compiled,
        versions={name: version(name) for name in _VERSIONS},
    )

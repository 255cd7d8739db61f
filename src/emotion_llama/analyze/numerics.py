"""How the language model runs: as it was loaded, as a compiled graph, with weights in fewer bits."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, cast, get_args

from emotion_llama.errors import UsageError
from emotion_llama.settings import Settings

if TYPE_CHECKING:
    from emotion_llama.model.score import ClipReader

Quantize = Literal["int8", "int4"]
QUANTIZE: tuple[str, ...] = get_args(Quantize)


class Numerics(Settings):
    """What makes the language model faster at a price that the results name.

    On a processor `compiled` runs OpenVINO's graph of the same weights, which changes probabilities by less than 1e-4
    in float32; `quantize` the same graph with its weights in 8 or 4 bits, which changes them as docs/performance.md
    says. On a GPU `quantize` holds the weights in 8 or 4 bits (bitsandbytes), and `compiled` compiles the layers.
    """

    quantize: Quantize | None = None
    compiled: bool = False

    @classmethod
    def of(cls, quantize: str | None, compiled: bool) -> Numerics:
        """Check the words of a command line. Raises `UsageError` for other bits than there are."""
        if quantize is not None and quantize not in QUANTIZE:
            raise UsageError(f"quantize {quantize!r}: expected {' or '.join(QUANTIZE)}, or leave it out")
        return cls(quantize=cast("Quantize | None", quantize), compiled=compiled)

    @property
    def changed(self) -> bool:
        """Whether anything is asked for."""
        return self.quantize is not None or self.compiled


USUAL = Numerics()
"""The model as it was loaded."""


def require_openvino(numerics: Numerics) -> None:
    """Raise `UsageError` where a compiled graph is asked for and its library is not installed."""
    if numerics.changed and find_spec("openvino") is None:
        name = "compile" if numerics.quantize is None else f"quantize {numerics.quantize}"
        raise UsageError(f"{name}: needs openvino on a processor; install emotion-llama[fast], or leave it out")


def on_gpu(reader: ClipReader, numerics: Numerics, device: str) -> ClipReader:
    """Put a reader that was loaded into main memory on a GPU, its layers in fewer bits, or compiled.

    Raises `UsageError` without bitsandbytes.
    """
    decoder = reader.model.language_model.get_decoder()
    if numerics.quantize is not None:
        from emotion_llama.model.fewer_bits import hold_in_fewer_bits

        hold_in_fewer_bits(decoder, numerics.quantize, device)
    reader.model.to(device)
    if numerics.compiled:
        decoder.compile(dynamic=True)
    return reader

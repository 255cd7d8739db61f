"""A process that loads a model for one clip and ends: `python -m emotion_llama.bench.cold MODEL DEVICE CLIP_JSON`."""

from __future__ import annotations

import sys

from emotion_llama.clip import Clip


def main(model: str, device: str, clip: str) -> None:
    """Analyse one clip and print its emotion; nothing is taken from, or left in, the cache of features."""
    import emotion_llama as el

    loaded = el.load(model, device=device, keep_features=False)
    print(loaded.analyze(Clip.model_validate_json(clip), tasks=("emotion",)).emotion)


if __name__ == "__main__":
    main(*sys.argv[1:])

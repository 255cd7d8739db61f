"""The note beside a GGUF file: how soft tokens get into it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from emotion_llama.labels import LABEL_SETS
from emotion_llama.model import EmotionLlamaProcessor
from emotion_llama.model.projector import LIMIT
from emotion_llama.train.export.licence import licence_notes
from emotion_llama.train.export.source import Source

_TEXT = """# {model}

The language model of an Emotion-LLaMA checkpoint (LoRA merged), for llama.cpp and programs built on it:

    llama-cli -m {model}

Alone it reads words only. What the encoders saw and heard enters as **soft tokens**: rows of {width} numbers in place
of word embeddings. `{projectors}` holds the projectors that make them from encoder features:

| group | input | rows at most | width | projector |
|---|---|---|---|---|
{groups}

1. Standardise each row: `x = clamp((features - GROUP.mean) / GROUP.std, -{limit:g}, {limit:g})`.
2. Project: a linear projector gives `GROUP.layers.0.weight @ x + GROUP.layers.0.bias`; "mlp" goes on with GELU and
   `GROUP.layers.2`. For the other kinds use `emotion_llama.model.projector.Projector`, which reads these names.
3. Write the prompt below. At ⟨GROUP×N⟩ give the N rows of the group to `llama_decode` as a batch with `embd` set (and
   `token` null), at the next N positions; the text before and after goes in as tokens, with control tokens read as
   such. An absent group is left out of the prompt. Nothing is added to the rows, and they are not scaled.
4. In the package's own Python form the same place is held by token {placeholder}.

The prompt for all groups and the label set `mer9`:

```
{prompt}
```

Weights of the checkpoint: sha256 {sha256}.

{licence}"""


def write_readme(path: Path, source: Source, tokenizer: Any, model: str, projectors: str) -> None:
    """Write the note; the prompt in it is rendered by the package itself."""
    config = source.config
    rows = [
        f"| `{group.name}` | {group.modality} | {group.tokens} | {group.width} | {group.projector} |"
        for group in config.groups
    ]
    features = {group.name: np.zeros((group.tokens, group.width), np.float32) for group in config.groups}
    prompt = EmotionLlamaProcessor(tokenizer, config).render(
        "emotion", LABEL_SETS["mer9"], "the words that were said", features
    )
    text = _TEXT.format(
        model=model,
        projectors=projectors,
        width=config.text_config.hidden_size,
        groups="\n".join(rows),
        limit=LIMIT,
        placeholder=config.placeholder_token_id,
        prompt=prompt.text,
        sha256=source.sha256,
        licence=licence_notes(source).replace("# Licence", "## Licence", 1),
    )
    path.write_text(text, encoding="utf-8")

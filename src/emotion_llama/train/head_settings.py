"""The settings of emotion heads: `model.heads` of a training run."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from emotion_llama.settings import Settings


class NetSettings(Settings):
    """The nets of a head: `members` nets with one hidden layer each, trained apart and averaged.

    `steps` batches are drawn with replacement, whatever the number of examples. `noise` in units of each input's
    spread; `mixup`: both parameters of the Beta distribution that two examples are mixed by, 0 = not mixed.
    """

    members: int = Field(default=3, ge=1)
    hidden: int = Field(default=256, ge=1)
    steps: int = Field(default=703, ge=1)
    batch_size: int = Field(default=64, ge=1)
    learning_rate: float = Field(default=2e-3, gt=0.0)
    weight_decay: float = Field(default=1e-2, ge=0.0)
    input_dropout: float = Field(default=0.2, ge=0.0, lt=1.0)
    dropout: float = Field(default=0.5, ge=0.0, lt=1.0)
    noise: float = Field(default=0.3, ge=0.0)
    smoothing: float = Field(default=0.1, ge=0.0, lt=1.0)
    mixup: float = Field(default=0.4, ge=0.0)


class HeadSettings(Settings):
    """An emotion head: a small classifier on the array `array` of every training example that has it.

    `kind`: "logistic" (regression; `strengths` are candidate inverse regularisation strengths), "discriminant" (linear
    discriminant analysis) or "nets" (an ensemble of small nets, see `nets`); for these `strengths` are candidate
    numbers of principal components. The best is chosen out of fold. `map`: what the nets read; "principal" components,
    or "within-person" for rows of a voice vector and a face vector at start, middle and end, whose widths are `blocks`
    (`strengths` count the components of the voice). `columns`: spans [first, behind the last] of the array's columns
    that the head reads (default: all). `sources`: fit on these only (default: all with the array);
    `source_weights`: how much an example of a source counts (default 1); `balance`: 1 gives every label the same weight
    in all, 0 leaves them as frequent as they are.
    """

    name: str
    array: str
    kind: Literal["logistic", "discriminant", "nets"] = "logistic"
    nets: NetSettings = NetSettings()
    map: Literal["principal", "within-person"] = "principal"
    blocks: tuple[int, ...] = ()
    columns: tuple[tuple[int, int], ...] = ()
    sources: tuple[str, ...] = ()
    source_weights: dict[str, float] = {}
    balance: float = Field(default=1.0, ge=0.0, le=1.0)
    strengths: tuple[float, ...] = (0.0003, 0.001, 0.003)
    folds: int = Field(default=5, ge=2)

    @model_validator(mode="after")
    def _map_of_nets(self) -> Self:
        wanted = self.map == "within-person"
        fits = len(self.blocks) == 4 and min(self.blocks) > 0 and len(set(self.blocks[1:])) == 1
        if wanted and (self.kind != "nets" or not fits):
            raise ValueError(
                f"head {self.name}: map within-person needs kind: nets and blocks: the widths of voice, start, middle "
                f"and end, the last three equal, as [1024, 768, 768, 768]; found {self.kind}, {list(self.blocks)}"
            )
        if self.blocks and not wanted:
            raise ValueError(f"head {self.name}: blocks are for map: within-person; leave them out")
        if self.columns and self.kind == "nets":
            raise ValueError(f"head {self.name}: columns are for kind logistic or discriminant; leave them out")
        if any(not 0 <= first < behind for first, behind in self.columns):
            raise ValueError(
                f"head {self.name}: expected columns as [[first, behind the last], …], found {self.columns}"
            )
        return self

"""A build's settings → the steps it takes, in order, and the key that the result of each step holds for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from emotion_llama.build.step import Found, Place, Planned, Step, StepSettings, digest
from emotion_llama.build.whole import WholeStep
from emotion_llama.clip import Clip
from emotion_llama.endpoint import EndpointSettings
from emotion_llama.errors import UsageError
from emotion_llama.overrides import read_config
from emotion_llama.settings import Settings


class WriterSettings(EndpointSettings):
    """An endpoint of a build. Prices are those of a million tokens in any currency; `workers` ask at the same time.

    `most_answers`: so often an answer that does not have the wanted form is asked for again.
    """

    price_in: float = Field(default=0.0, ge=0.0)
    price_out: float = Field(default=0.0, ge=0.0)
    workers: int = Field(default=4, ge=1)
    most_answers: int = Field(default=3, ge=1)


class BuildConfig(Settings):
    """One build: its steps in order, each with its settings, and the endpoints that steps may name."""

    name: str
    endpoints: dict[str, WriterSettings] = {}
    stages: tuple[dict[str, Any], ...]

    @model_validator(mode="after")
    def _has_steps(self) -> Self:
        if not self.stages:
            raise ValueError("stages: expected at least one step")
        return self


@dataclass(frozen=True)
class PlannedWhole:
    """A step over the whole set with the settings of this build."""

    step: WholeStep
    settings: StepSettings


@dataclass(frozen=True)
class Plan:
    """The steps that every clip takes, then those over the whole set."""

    config: BuildConfig
    each: tuple[Planned, ...]
    whole: tuple[PlannedWhole, ...]

    def place(self, planned: Planned) -> Place:
        """Where a step runs."""
        return planned.step.place(planned.settings)

    def segments(self) -> list[tuple[Place, tuple[Planned, ...]]]:
        """Give runs of consecutive steps that run in the same place."""
        found: list[tuple[Place, tuple[Planned, ...]]] = []
        for planned in self.each:
            place = self.place(planned)
            if found and found[-1][0] == place:
                found[-1] = (place, (*found[-1][1], planned))
            else:
                found.append((place, (planned,)))
        return found

    def seen_by(self, planned: Planned) -> set[str]:
        """Give the names of the steps whose findings a step sees: those it reads, and what they read."""
        by_name = {one.name: one for one in self.each}
        seen: set[str] = set()
        waiting = list(planned.reads)
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting += by_name[name].reads
        return seen

    def visible(self, planned: Planned, found: Mapping[str, Found]) -> list[tuple[Planned, Found]]:
        """Give the findings that a step sees, in order."""
        seen = self.seen_by(planned)
        return [(one, found[one.name]) for one in self.each if one.name in seen]

    def keys(self, clip: Clip, sha256: str | None, turn: int) -> dict[str, str]:
        """Give step → key for a clip. `sha256` `None`: only that of `probe`, the others need the recording's content.

        `turn`: how often its failures were put back; it counts for steps that ask language models.
        """
        keys: dict[str, str] = {}
        described = clip.model_dump(mode="json", exclude={"path"})
        for planned in self.each:
            if planned.name == "probe":
                root: Any = [described, _stamp(clip.path)]
            elif sha256 is None:
                continue
            else:
                root = [described, sha256]
            asks = [turn] if getattr(planned.settings, "endpoint", None) else []
            own = planned.mark.model_dump(mode="json")
            keys[planned.name] = digest([root, own, asks, *(keys[name] for name in planned.reads if name in keys)])
        return keys

    @property
    def key(self) -> str:
        """What this build is, in 64 characters: other settings, versions or models give another."""
        whole = [[one.step.name, one.step.version, one.settings.model_dump(mode="json")] for one in self.whole]
        return digest([[one.mark.model_dump(mode="json") for one in self.each], whole])

    @property
    def workers(self) -> int:
        """How many questions are asked at the same time."""
        return max((one.workers for one in self.config.endpoints.values()), default=1)


def read_build(path: Path, overrides: Sequence[str] = ()) -> BuildConfig:
    """Read a build's settings: a file, or the name of a shipped one ("merr"). Raises `UsageError`."""
    shipped = Path(__file__).with_name(f"{path.name}.yaml")
    return read_config(BuildConfig, shipped if not path.exists() and shipped.is_file() else path, overrides)


def make_plan(config: BuildConfig) -> Plan:
    """Give the steps of a build. Raises `UsageError` for an unknown step, setting or endpoint, or a wrong order."""
    from emotion_llama.build.steps import STEPS

    each: list[Planned] = []
    whole: list[PlannedWhole] = []
    for values in config.stages:
        name = values.get("name")
        step = STEPS.get(str(name))
        if step is None:
            near = get_close_matches(str(name), STEPS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UsageError(f"stages: unknown step {name!r}; expected some of {', '.join(STEPS)}{hint}")
        settings = _settings(step, values)
        if any(one.name == name for one in each) or any(one.step.name == name for one in whole):
            raise UsageError(f"stages.{name}: the step is there twice; leave one out")
        if isinstance(step, WholeStep):
            whole.append(PlannedWhole(step, settings))
            if step.first is not None:
                _insert_look(each, _planned(step.first, settings, each, config))
        elif whole:
            raise UsageError(f"stages.{name}: it looks at single clips and must come before {whole[0].step.name}")
        else:
            each.append(_planned(step, settings, each, config))
    if not each or each[0].name != "probe":
        raise UsageError("stages: the first step must be probe; it says what each recording is")
    return Plan(config, tuple(each), tuple(whole))


def _insert_look(each: list[Planned], look: Planned) -> None:
    """Put a look at the recording before the first step that needs none, so that recordings are opened once."""
    places = [number for number, one in enumerate(each) if one.step.place(one.settings) == "driver"]
    each.insert(places[0] if places else len(each), look)


def _settings(step: Step | WholeStep, values: dict[str, Any]) -> StepSettings:
    try:
        return step.settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(["stages", step.name, *map(str, first["loc"])])
        raise UsageError(f"{place}: {str(first['msg']).removeprefix('Value error, ')}") from error


def _planned(step: Step, settings: StepSettings, before: Sequence[Planned], config: BuildConfig) -> Planned:
    endpoint = getattr(settings, "endpoint", None)
    if endpoint is not None and endpoint not in config.endpoints:
        known = ", ".join(config.endpoints) or "none"
        raise UsageError(f"stages.{step.name}.endpoint: {endpoint!r} is no endpoint of this build (there are: {known})")
    models = step.models(settings)
    if endpoint is not None:
        asked = config.endpoints[endpoint]
        # how it is asked decides what it answers; where it stands, and how patient we are, does not
        models += (asked.model, digest([asked.seed, asked.temperature, asked.max_tokens, asked.extra])[:16])
    names = {one.name for one in before}
    return Planned(step, settings, tuple(name for name in step.reads if name in names), models)


def _stamp(path: Path | None) -> list[Any]:
    """What tells a changed file without reading it; a missing one has none."""
    try:
        found = path.stat() if path is not None else None
    except OSError:
        return [str(path)]
    return [str(path)] if found is None else [str(path), found.st_size, found.st_mtime_ns]

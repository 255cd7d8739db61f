"""Numbers for Prometheus: how many wait, how long routes and stages take, tokens a second, errors by kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0)
_TOKENS = (1, 2, 5, 10, 20, 50, 100, 200, 500)


class Metrics:
    """The numbers of one service, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        name = "emotion_llama_"
        self._waiting = Gauge(f"{name}queue_depth", "Requests that wait for the model", registry=self.registry)
        self._under_way = Gauge(f"{name}requests_under_way", "From first byte to answer", registry=self.registry)
        self._jobs = Gauge(f"{name}jobs", "Jobs by state", ["state"], registry=self.registry)
        self._requests = Histogram(
            f"{name}request_seconds", "Time of a request", ["route", "status"], buckets=_SECONDS, registry=self.registry
        )
        self._stages = Histogram(
            f"{name}stage_seconds", "Time of a stage", ["stage"], buckets=_SECONDS, registry=self.registry
        )
        self._tokens = Counter(f"{name}tokens", "Tokens written", registry=self.registry)
        self._rate = Histogram(
            f"{name}tokens_per_second", "Tokens a second while writing", buckets=_TOKENS, registry=self.registry
        )
        self._errors = Counter(f"{name}errors", "Errors by kind", ["kind"], registry=self.registry)
        self._memory = Counter(f"{name}results_from_memory", "Results that were known", registry=self.registry)

    def watch(self, waiting: Callable[[], int], under_way: Callable[[], int]) -> None:
        """Say where the depth of the queue is read when somebody asks."""
        self._waiting.set_function(waiting)
        self._under_way.set_function(under_way)

    def request(self, route: str, status: int, seconds: float) -> None:
        """Note an answered request. `route` is the pattern, never the path as asked."""
        self._requests.labels(route, str(status)).observe(seconds)

    def stage(self, name: str, seconds: float) -> None:
        """Note one stage of the work."""
        self._stages.labels(name).observe(seconds)

    def worked(self, seconds: Mapping[str, float], tokens: int) -> None:
        """Note the stages of one analysis and the tokens it wrote."""
        for name, took_s in seconds.items():
            self.stage(name, took_s)
        if tokens:
            self._tokens.inc(tokens)
            self._rate.observe(tokens / max(seconds.get("generate", 0.0), 1e-6))

    def error(self, kind: str) -> None:
        """Note an error."""
        self._errors.labels(kind).inc()

    def from_memory(self) -> None:
        """Note a result that was known already."""
        self._memory.inc()

    def jobs(self, counts: Mapping[str, int]) -> None:
        """Note how many jobs are in each state."""
        for state, count in counts.items():
            self._jobs.labels(state).set(count)

    def page(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self.registry)

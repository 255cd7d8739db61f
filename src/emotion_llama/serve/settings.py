"""Settings of `emotion-llama serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from platformdirs import user_state_path
from pydantic import Field, model_validator

from emotion_llama.analyze.numerics import Numerics
from emotion_llama.scale.spread import Engine
from emotion_llama.settings import Settings

LOOPBACK = ("127.0.0.1", "::1", "localhost")
MEGABYTE = 1_000_000


class ServeSettings(Settings):
    """How the service runs; sizes in megabytes (1e6 bytes), times in seconds.

    `api_key_file`: keys that may ask; without one the service listens on loopback only. `max_json_mb`: longest JSON
    body, which is held in memory (recordings of any size go as multipart). `max_duration_s`, `max_pixels`,
    `max_streams`: recordings beyond these are turned away before they are decoded. `decode_memory_mb`: what decoding
    may take beside the program itself. `queue`: requests under way at a time, uploads included. `workers`: threads
    that look at recordings, each with nets of its own. `batch_size`: so many are looked at ahead of the language model,
    and answered together where they wait for it. `timeout_s`: longest time from a request's first byte to its answer.
    `keep`: folder in which results stay over a restart, none by default. `retention_days`: after so long, kept results
    and finished jobs are removed. `jobs_db`: the file of the queue of jobs; the recordings of waiting jobs lie beside
    it. `page`: the web page at `/`. `blur_faces`: no picture that the service draws shows a face that can be
    recognised, whatever a request says. `engine`: where the model is, in this process or in replicas on Ray Serve:
    `min_replicas` to `max_replicas` of them, as many as the requests need, each with `workers` and `batch_size` of its
    own, and `replica_cpus` CPUs (default: its share of this machine; on a cluster 1). `address`: the Ray cluster's,
    none: a Ray of our own. `dtype`, `numerics`: how the language model computes.
    """

    model: str = "nano"
    device: str = "auto"
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    api_key_file: Path | None = None
    max_upload_mb: int = Field(default=200, ge=1)
    max_json_mb: int = Field(default=64, ge=1)
    max_duration_s: float = Field(default=600.0, gt=0)
    max_pixels: int = Field(default=50_000_000, ge=1)
    max_streams: int = Field(default=16, ge=1)
    decode_memory_mb: int = Field(default=1500, ge=100)
    queue: int = Field(default=32, ge=1)
    workers: int = Field(default=1, ge=1)
    batch_size: int = Field(default=4, ge=1)
    timeout_s: float = Field(default=120.0, gt=0)
    keep: Path | None = None
    retention_days: float = Field(default=7.0, gt=0)
    jobs_db: Path | None = None
    page: bool = True
    blur_faces: bool = False
    engine: Engine = "local"
    address: str | None = None
    min_replicas: int = Field(default=1, ge=1)
    max_replicas: int = Field(default=2, ge=1)
    replica_cpus: int | None = Field(default=None, ge=1)
    dtype: str = "auto"
    numerics: Numerics = Numerics()

    @model_validator(mode="after")
    def _no_keys_no_network(self) -> Self:
        if self.api_key_file is None and self.host not in LOOPBACK:
            raise ValueError(
                f"host {self.host}: without a key file the service listens on loopback only ({', '.join(LOOPBACK)}); "
                "give --api-key-file, or leave --host out"
            )
        return self

    @model_validator(mode="after")
    def _replicas_that_can_be(self) -> Self:
        if self.engine == "local" and self.address is not None:
            raise ValueError(f"address {self.address!r} is for the engine ray; the local engine needs none")
        if self.min_replicas > self.max_replicas:
            raise ValueError(f"min_replicas {self.min_replicas}: expected at most max_replicas ({self.max_replicas})")
        if self.engine == "ray" and self.device not in ("auto", "cpu", "cuda"):
            raise ValueError(f"device {self.device!r}: expected auto, cpu or cuda; Ray chooses which GPU it is")
        return self

    @property
    def jobs_file(self) -> Path:
        """Where the queue of jobs lies: as given, else one file a port in the user's state folder."""
        return self.jobs_db or user_state_path("emotion-llama") / "serve" / f"jobs-{self.port}.sqlite"

"""Files from a model hub, through huggingface_hub (so `HF_ENDPOINT`, proxies and tokens of the user hold)."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]
from huggingface_hub.utils.tqdm import disable_progress_bars, tqdm

from emotion_llama.assets.catalog import Asset, AssetFile, HubSource
from emotion_llama.assets.progress import Advance, Progress
from emotion_llama.assets.sources import PROBE_S, SourceUnavailableError, check_bytes, is_disk_full, is_in_place


class Hub:
    """The hub as a source for one run; once found down it stays down, so that it is waited for only once."""

    name = "hub"

    def __init__(self, work_dir: Path, progress: Progress) -> None:
        """Keep unfinished downloads in `work_dir`; a broken connection is resumed, a later run starts them anew."""
        self.work_dir = work_dir
        self.progress = progress
        self.endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or constants.ENDPOINT
        self._probed: dict[str, str] = {}
        self._down: str | None = None

    def fetch(self, asset: Asset, source: HubSource, folder: Path) -> None:
        """Put the asset's files into `folder`, verified.

        Raises `SourceUnavailableError` (not reachable, not there) and `AssetCorruptError` (other bytes).
        """
        self._require_reachable(source)
        for file in asset.files:
            if not is_in_place(file, folder):
                self._fetch_file(source, file, folder)

    def _require_reachable(self, source: HubSource) -> None:
        if self._down is None and source.repo not in self._probed:
            url = hf_hub_url(
                source.repo, next(iter(source.files.values())), revision=source.revision, endpoint=self.endpoint
            )
            self._probed[source.repo] = self._probe(url)
        reason = self._down or self._probed[source.repo]
        if reason:
            raise SourceUnavailableError(f"{self.endpoint}: {reason}")

    def _probe(self, url: str) -> str:
        """Ask for one file's headers; give "" or why that failed. Sets `_down` when nothing answered."""
        answer: list[str] = []

        def ask() -> None:
            try:
                get_hf_file_metadata(url, timeout=PROBE_S)
                answer.append("")
            except (HTTPError, OSError, ValueError) as error:
                if getattr(error, "response", None) is None:
                    self._down = _one_line(error)
                answer.append(_one_line(error))

        # a thread, because looking up a host name knows no time-out
        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        asking.join(PROBE_S)
        if not answer:
            self._down = f"no answer within {PROBE_S:g} s"
        return self._down or answer[0]

    def _fetch_file(self, source: HubSource, file: AssetFile, folder: Path) -> None:
        remote = source.files[file.path]
        what = f"{file.path} from {self.endpoint}/{source.repo}"
        with self.progress.bar(what, file.size) as advance:
            try:
                local = hf_hub_download(
                    source.repo,
                    remote,
                    revision=source.revision,
                    local_dir=self.work_dir / source.repo.replace("/", "--"),
                    endpoint=self.endpoint,
                    tqdm_class=_silent_bar(advance),
                )
            except (HTTPError, OSError) as error:
                if is_disk_full(error):
                    raise
                raise SourceUnavailableError(f"{what}: {_one_line(error)}") from error
        check_bytes(Path(local), file.sha256, what)
        target = folder / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        Path(local).replace(target)


def _silent_bar(advance: Advance) -> type[tqdm]:
    """Make a bar class that draws nothing and passes the counts on."""
    disable_progress_bars()

    class Bar(tqdm):
        def update(self, n: float | None = 1) -> Any:
            advance(int(n or 0))

    return Bar


def _one_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__

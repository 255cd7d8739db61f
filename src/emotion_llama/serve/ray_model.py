"""A model that is several: replicas on Ray Serve answer, this process only asks them (no torch)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from pathlib import Path
from typing import Any

from emotion_llama.analyze.stopwatch import Stopwatch
from emotion_llama.clip import Clip
from emotion_llama.errors import RequestError
from emotion_llama.serve.model import Answer, Faces, Looker, Model, Perceived
from emotion_llama.serve.ray_app import ReplicaLost, Replicas, replicas_on_ray
from emotion_llama.serve.replica import About, Ended
from emotion_llama.serve.settings import ServeSettings
from emotion_llama.serve.ticket import AnalyzeRequest, Done, Event, Finished, Stage, Text
from emotion_llama.settings import AnalyzeSettings
from emotion_llama.timeline import Window

TRIES = 2
"""So often a request is given to replicas that die of it or beside it."""

PATIENCE_S = 300.0
"""How long a request waits where there is no replica at all: one that is started anew needs its time."""

LOOKS = 30
"""So often it is looked meanwhile whether there is one."""


class RayModel:
    """As many loaded models as the requests need, behind one; each request is answered by one of them.

    `start`: starts the replicas; they end with it. `patience_s`: a request is given up that no replica was there for in
    all this time.
    """

    def __init__(
        self,
        settings: ServeSettings,
        start: Callable[[], AbstractContextManager[Replicas]],
        patience_s: float = PATIENCE_S,
    ) -> None:
        named = Path(settings.model)
        self.name = named.name if named.is_dir() else settings.model
        self.streams = False
        self.lookers: Sequence[Looker] = ()
        self._settings, self._start, self._patience_s = settings, start, patience_s
        self._about = About(False, {})
        self._running = ExitStack()

    def warm(self) -> None:
        """Start, and wait for the first replica."""
        replicas = self._running.enter_context(self._start())
        self._about = replicas.about()
        self.streams = self._about.streams
        settings = self._settings
        looker = RayLooker(replicas, settings.address is not None, self._patience_s)
        # each of them waits for one answer, so that all replicas have enough to do
        self.lookers = [looker] * (settings.max_replicas * (settings.workers + settings.batch_size))

    def card(self) -> Mapping[str, Any]:
        """What the model is, as its first replica says."""
        return self._about.card

    def answer(self, clips: Sequence[Perceived]) -> list[Answer | Exception]:
        """Give what the replicas answered already."""
        return [Answer(clip.looked.analysis, clip.looked.drawing) for clip in clips]

    def close(self) -> None:
        """End the replicas, and a Ray of our own."""
        self._running.close()


class RayLooker:
    """Asks the replicas about one clip at a time and tells what they tell; used by several threads.

    `sent`: recordings are sent, as a replica may not see this machine's files.
    """

    def __init__(self, replicas: Replicas, sent: bool, patience_s: float) -> None:
        self._replicas, self._sent, self._patience_s = replicas, sent, patience_s

    def look(self, clip: Clip, settings: AnalyzeSettings, watch: Stopwatch, drawn: bool = False) -> Done:
        """Have one clip perceived and answered about."""
        return self._asked(AnalyzeRequest(clip, settings, drawn=drawn), watch)

    def faces(self, clip: Clip, settings: AnalyzeSettings, watch: Stopwatch) -> Faces:
        """Have the faces of one frame found."""
        return self._asked(AnalyzeRequest(clip, settings, faces_only=True), watch).faces

    def _asked(self, request: AnalyzeRequest, watch: Stopwatch) -> Done:
        path = request.clip.path
        recording = path.read_bytes() if self._sent and path is not None else None
        relay = _Relay(watch)
        for _ in range(TRIES):
            relay.begin()
            try:
                return self._once(request, recording, relay)
            except ReplicaLost as error:
                lost = error
        raise RequestError(
            f"the replica that worked on this died, {TRIES} times: likely out of memory; send a shorter recording",
            status=500,
            kind="replica_lost",
        ) from lost

    def _once(self, request: AnalyzeRequest, recording: bytes | None, relay: _Relay) -> Done:
        looked_s, silent = time.monotonic(), 0
        with closing(self._replicas.ask(request, recording)) as events:
            for event in events:
                if isinstance(event, Ended):
                    return relay.ended(event)
                if event is not None:
                    relay.tell(event)
                relay.watch.check()
                if time.monotonic() - looked_s < self._patience_s / LOOKS:
                    continue
                looked_s = time.monotonic()
                silent = 0 if event is not None or self._replicas.alive() else silent + 1
                if silent >= LOOKS:
                    raise RequestError("no replica is there to answer; ask again later", status=503, kind="no_replica")
        raise ReplicaLost("its events ended without an end")


class _Relay:
    """Tells a watch what replicas tell; what a first one told already is not told again by a second."""

    def __init__(self, watch: Stopwatch) -> None:
        self.watch = watch
        self._texts: dict[str, str] = {}
        self._windows: list[Window] = []
        self._again: dict[str, str] = {}
        self._windows_again = 0

    def begin(self) -> None:
        """Be told from the beginning."""
        self._again, self._windows_again = dict.fromkeys(self._texts, ""), 0

    def tell(self, event: Event) -> None:
        """Tell one event."""
        if isinstance(event, Stage):
            with self.watch.time(event.name):  # its seconds come with the end
                pass
        elif isinstance(event, Text):
            self._write(event.task, event.piece)
        elif isinstance(event, Finished):
            self._windows_again += 1
            if self._windows_again > len(self._windows):
                self._windows.append(event.window)
                self.watch.window(event.window)

    def ended(self, event: Ended) -> Done:
        """Note the seconds, and give the outcome or raise it."""
        self.watch.seconds.update(event.seconds)
        if isinstance(event.outcome, Exception):
            raise event.outcome
        return event.outcome

    def _write(self, task: str, piece: str) -> None:
        told, again = self._texts.get(task, ""), self._again.get(task, "") + piece
        self._again[task] = again
        if len(again) > len(told):
            self._texts[task] = again
            self.watch.written(task, again[len(told) :])


def ray_model(
    settings: ServeSettings,
    unwanted: Callable[[], bool] = lambda: False,
    make_model: Callable[[str], Model] | None = None,
) -> RayModel:
    """A model on Ray as the settings say. `unwanted`: whether to wait no longer for the first replica.

    `make_model`: makes what a replica holds, given the device; by default what the service without Ray would load.
    """
    make = make_model or _Served(settings)
    return RayModel(settings, lambda: replicas_on_ray(settings, make, unwanted))


class _Served:
    """Makes the real model, in the replica's process: torch is loaded there only."""

    def __init__(self, settings: ServeSettings) -> None:
        self.settings = settings

    def __call__(self, device: str) -> Model:
        from emotion_llama.serve.served_model import ServedModel

        asked = self.settings
        return ServedModel(asked.model, device, asked.workers, asked.dtype, asked.numerics)

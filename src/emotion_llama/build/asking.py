"""Questions to language models, asked once: an answer that was paid for is kept before anything is done with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from emotion_llama.build.journal import Attempt, Call, Journal
from emotion_llama.build.plan import WriterSettings
from emotion_llama.build.step import digest
from emotion_llama.endpoint import Endpoint, Message
from emotion_llama.errors import EndpointError

T = TypeVar("T")
MILLION = 1_000_000


@dataclass(frozen=True)
class Answer(Generic[T]):
    """A usable answer: what was read from it, and the model as the server names it."""

    value: T
    model: str


@dataclass(frozen=True)
class _Question:
    """One question as it is sent: for which clip and step, to whom. `turn`: see `Plan.keys`; `number`: of the try."""

    clip: str
    step: str
    settings: WriterSettings
    talk: Sequence[Message]
    schema: Mapping[str, Any] | None
    turn: int
    number: int

    @property
    def key(self) -> str:
        """What its answer is kept under: where it is asked, and for which clip, does not count."""
        who = self.settings
        asked = [who.model, who.temperature, who.max_tokens, who.extra, who.seed]
        return digest([asked, self.schema, self.talk, self.turn, self.number])

    @property
    def seed(self) -> int | None:
        """Another one at every try: the same would give the same useless answer."""
        seed = self.settings.seed
        return None if seed is None else seed + 1000 * self.turn + self.number


class Asker:
    """Asks the endpoints of one build, and remembers every answer in the journal. Threads may share it."""

    def __init__(self, journal: Journal, endpoints: Mapping[str, WriterSettings]) -> None:
        self._journal = journal
        self._settings = endpoints
        self._endpoints: dict[str, Endpoint] = {}
        self._here = threading.local()
        self._lock = threading.Lock()

    def ask(
        self,
        clip: str,
        step: str,
        endpoint: str,
        messages: Sequence[Message],
        read: Callable[[str], T],
        *,
        schema: Mapping[str, Any] | None = None,
        turn: int = 0,
    ) -> Answer[T]:
        """Ask until an answer can be read. `read` raises `ValueError` saying what is wrong with a text.

        Raises `EndpointError` when no answer comes, or none of `most_answers` has the wanted form.
        """
        settings = self._settings[endpoint]
        talk = list(messages)
        wrong = ""
        for number in range(settings.most_answers):
            question = _Question(clip, step, settings, talk, schema, turn, number)
            call = self._journal.call(question.key) or self._pay(question, self._endpoint(endpoint))
            try:
                return Answer(read(call.answer), call.model)
            except ValueError as error:
                wrong = str(error)
                self._tell(clip, step, f"{call.model} answered, but {wrong}", 0.0)
            again = f"That cannot be used: {wrong}. Answer again, in the form asked for."
            talk = [
                *messages,
                {"role": "assistant", "content": call.answer},
                {"role": "user", "content": again},
            ]
        raise EndpointError(
            f"{settings.url}: {settings.most_answers} answers, none in the form asked for; last: {wrong}"
        )

    def _pay(self, question: _Question, endpoint: Endpoint) -> Call:
        settings = question.settings
        self._here.clip, self._here.step = question.clip, question.step
        reply = endpoint.complete(question.talk, json_schema=question.schema, seed=question.seed)
        tokens_in, tokens_out = reply.prompt_tokens or 0, reply.completion_tokens or 0
        cost = (tokens_in * settings.price_in + tokens_out * settings.price_out) / MILLION
        call = Call(reply.text, reply.model, reply.prompt_tokens, reply.completion_tokens, cost)
        self._journal.keep_call(question.key, call)
        return call

    def _endpoint(self, name: str) -> Endpoint:
        with self._lock:
            if name not in self._endpoints:
                self._endpoints[name] = Endpoint(self._settings[name], on_failure=self._failed)
            return self._endpoints[name]

    def _failed(self, message: str, took_s: float) -> None:
        """One request of this thread came to nothing; the endpoint may try again."""
        self._tell(self._here.clip, self._here.step, message, took_s)

    def _tell(self, clip: str, step: str, words: str, took_s: float) -> None:
        self._journal.keep(clip, (), (Attempt(clip, step, "failed", words, took_s, ended=time.time()),))

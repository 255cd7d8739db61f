"""Which button of the page does what: values of its fields in, values of its fields out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, fields, replace
from html import escape
from typing import Any

import gradio as gr

from emotion_llama.errors import EmotionLlamaError
from emotion_llama.serve.page.actions import OWN, Actions, Choice, Given
from emotion_llama.serve.page.live import EVERY_S, LONGEST_S, Live
from emotion_llama.serve.page.sessions import Sessions
from emotion_llama.serve.refusals import as_refusal

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
"""What all events have: no spinner of Gradio's, no name in an interface for programs."""

CHOSEN = len(fields(Choice))
"""How many fields of the page make a `Choice`, in its order."""

Changes = AsyncIterator[tuple[Any, ...]]


@dataclass(frozen=True)
class Wiring:
    """Ties fields and buttons of one page to its actions."""

    actions: Actions
    sessions: Sessions

    def answer(self, button: Any, inputs: list[Any], outputs: list[Any], *, with_words: bool = False) -> None:
        """Analyse. `with_words`: the words as they stand in their field, the last of the inputs."""

        async def run(request: gr.Request, path: str | None, words: str, *chosen: Any) -> Changes:
            said = chosen[CHOSEN] if with_words else None
            given = Given(path, words, said, self._gone(request))
            async for html, drawing in self.actions.analyse(given, Choice(*chosen[:CHOSEN])):
                if drawing is None:
                    yield html, gr.skip(), gr.skip(), "", gr.skip()
                    continue
                heard, can_hear = drawing["a"].transcript.text or "", path is not None
                told = gr.update(value=heard, visible=can_hear)
                yield html, told, gr.update(visible=can_hear), self.actions.details(drawing), heard

        button.click(run, inputs, outputs, **QUIET)

    def compare(self, button: Any, inputs: list[Any], outputs: list[Any]) -> None:
        """Analyse with two settings."""

        async def run(request: gr.Request, path: str | None, words: str, *chosen: Any) -> Changes:
            one = Choice(*chosen[:CHOSEN])
            labels, own, without = chosen[CHOSEN:]
            other = replace(one, labels=labels, own_labels=own, without=without)
            async for html in self.actions.compare(Given(path, words, gone=self._gone(request)), one, other):
                yield html, ""

        button.click(run, inputs, outputs, **QUIET)

    def for_programs(self, recording: Any, words: Any) -> None:
        """What Gradio's client calls as `/analyze`: recording, words if there is none, labels, tasks → the record."""
        labels = gr.Textbox("mer9", visible=False, label="labels")
        tasks = gr.Textbox("emotion,reason", visible=False, label="tasks")
        record, called = gr.JSON(visible=False, label="record"), gr.Button(visible=False)

        async def run(
            request: gr.Request, path: str | None, words: str | None, labels: str, tasks: str
        ) -> dict[str, Any]:
            asked = [task.strip() for task in tasks.split(",") if task.strip()]
            given, choice = Given(path, words, gone=self._gone(request)), Choice(OWN, labels, asked)
            try:
                return await self.actions.record(given, choice)
            except EmotionLlamaError as error:
                raise gr.Error(str(as_refusal(error)), visible=False, print_exception=False) from error

        called.click(run, [recording, words, labels, tasks], [record], show_progress="hidden", api_name="analyze")

    def talk(self, chat: dict[str, Any], context: list[Any]) -> None:
        """Ask in the chat: what was typed, or the question on a button. Nothing more can be asked until that is
        answered: an answer is added to the turns as they stood when its question was asked."""
        asking = [chat["message"], chat["send"], *chat["questions"]]

        async def say(
            request: gr.Request, message: str, history: list[dict[str, Any]], path: str | None, words: str, said: str,
            heard: str, labels: str, own: str,
        ) -> Changes:  # fmt: skip
            if not message.strip():
                return
            told = [{"role": turn["role"], "content": turn["content"]} for turn in history or []]
            # words that nobody changed are left to the recogniser, whose times the analysis has too
            given = Given(path, words, said if said and said != heard else None, self._gone(request))
            changed = [gr.update(interactive=False)] * len(asking)
            async for turns, picture in self.actions.chat(given, Choice(labels, own), told, message):
                # a field of its own: in the text its content would be read out
                shown = [{"role": "assistant", "content": gr.HTML(picture)}] if picture else []
                yield [*turns, *shown], *changed
                changed = [gr.skip()] * len(asking)

        async def typed(request: gr.Request, message: str, *rest: Any) -> Changes:
            empty = gr.update(value="", interactive=False)
            async for turns, _, *buttons in say(request, message, *rest):
                yield turns, empty, *buttons
                empty = gr.skip()

        def asker(question: str) -> Callable[..., Changes]:
            async def asked(request: gr.Request, *rest: Any) -> Changes:
                async for changes in say(request, question, *rest):
                    yield changes

            return asked

        inputs, outputs = [chat["history"], *context], [chat["history"], *asking]
        begun = [
            trigger(typed, [chat["message"], *inputs], outputs, **QUIET)
            for trigger in (chat["send"].click, chat["message"].submit)
        ] + [button.click(asker(button.value), inputs, outputs, **QUIET) for button in chat["questions"]]
        for event in begun:
            event.then(lambda: [gr.update(interactive=True)] * len(asking), None, asking, **QUIET)

    def live(self, fields: list[Any], labels: list[Any], outputs: list[Any]) -> None:
        """Look at what the camera sees now. `fields`: the camera, and the line below it."""
        camera, note = fields
        actions = self.actions
        beside = self.sessions.folder.parent / "live"  # the page serves files of its own folder only
        looking = Live(actions.service, actions.words, beside)

        async def look(sent: dict[str, Any] | None, chosen: str, own: str, request: gr.Request) -> tuple[Any, ...]:
            uri = (sent or {}).get("url")
            if uri is None:
                return (gr.skip(),) * (1 + len(outputs))
            asked = Choice(chosen, own).label_words
            told, html = await looking.picture(str(request.session_hash), uri, asked, self._gone(request))
            kept = [gr.skip()] * len(outputs)
            if html is not None:
                kept = [html, gr.update(visible=False), gr.update(visible=False), ""]
            return (gr.skip() if told is None else told, *kept)

        camera.stream(
            look, [camera, *labels], [note, *outputs], preprocess=False, stream_every=EVERY_S, time_limit=LONGEST_S,
            concurrency_limit=actions.service.settings.queue, **QUIET,
        )  # fmt: skip

    def take(self, recording: Any, outputs: list[Any]) -> None:
        """Show a recording that was given, and clear what was said about the last one."""

        def taken(path: str | None, request: gr.Request) -> tuple[Any, ...]:
            self.sessions.note(str(request.session_hash), path)
            empty = f'<div class="el-empty">{escape(self.actions.words["answer_empty"])}</div>'
            return (
                self.actions.player(path),
                empty,
                gr.update(value="", visible=False),
                gr.update(visible=False),
                "",
                "",
                [],
            )

        recording.change(taken, [recording], outputs, **QUIET)

    def forget(self, request: gr.Request) -> None:
        """The page was closed."""
        self.sessions.forget(str(request.session_hash))

    def _gone(self, request: gr.Request) -> Any:
        return self.sessions.gone(str(request.session_hash))

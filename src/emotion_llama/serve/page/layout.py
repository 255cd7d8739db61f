"""The page: what stands where."""

from __future__ import annotations

from functools import partial
from html import escape
from typing import Any, get_args

import gradio as gr

from emotion_llama.clip import TASKS
from emotion_llama.record import MODALITIES
from emotion_llama.serve.page.actions import OWN, Actions
from emotion_llama.serve.page.live import LONGEST_S
from emotion_llama.serve.page.sessions import EXAMPLES, Sessions, example_path
from emotion_llama.serve.page.shown import live_note_html
from emotion_llama.serve.page.wiring import QUIET, Wiring
from emotion_llama.settings import Person

LABELS = ("mer9", "mer6", "dfew7", "ravdess8")
QUESTIONS = ("emotion", "reason", "visual", "audio", "detection")
FORGOTTEN_AFTER_S = 3600


def page_of(actions: Actions, sessions: Sessions) -> gr.Blocks:
    """Build the page in the language of `actions`."""
    w = actions.words
    with gr.Blocks(
        title=w["title"], analytics_enabled=False, delete_cache=(300, FORGOTTEN_AFTER_S), fill_width=True
    ) as page:
        gr.HTML(_head(actions))
        with gr.Row():
            with gr.Column(scale=4, min_width=320, elem_id="el-left"):
                given, live = _given(actions, sessions)
                chosen = _chosen(actions)
                start = gr.Button(w["analyse"], variant="primary", elem_id="el-analyse")
                compared = _compared(actions)
            with gr.Column(scale=6, min_width=320):
                answer = gr.HTML(f'<div class="el-empty">{escape(w["answer_empty"])}</div>', elem_id="el-answer")
                transcript = gr.Textbox(label=w["transcript"], lines=2, visible=False, elem_id="el-transcript")
                again = gr.Button(w["again"], visible=False, size="sm", elem_id="el-again")
                chat = _chat(actions)
                details = gr.HTML(elem_id="el-details")
                heard = gr.State("")
        shown = [answer, transcript, again, details, heard]
        wire = Wiring(actions, sessions)
        wire.answer(start, [*given, *chosen], shown)
        wire.answer(again, [*given, *chosen, transcript], shown, with_words=True)
        wire.compare(compared.pop(), [*given, *chosen, *compared], [answer, details])
        wire.talk(chat, [*given, transcript, heard, *chosen[:2]])
        wire.take(given[0], [_player(page), *shown, chat["history"]])
        wire.live(live, chosen[:2], [answer, transcript, again, details])
        wire.for_programs(*given)
        page.unload(wire.forget)
    page.queue(default_concurrency_limit=None)
    return page


def _head(actions: Actions) -> str:
    w = {name: escape(text) for name, text in actions.words.items()}
    other = f'<a href="{w["other_language_address"]}" lang="{w["other_language_code"]}">{w["other_language"]}</a>'
    return (
        f'<div class="el-head"><h1>{w["title"]}</h1><p>{w["intro"]}</p>{other}</div>'
        f'<p class="el-notice">{w["notice"]}</p>'
    )


def _given(actions: Actions, sessions: Sessions) -> tuple[list[Any], list[Any]]:
    """The recording, and words where there is none; beside them the fields of the live camera."""
    w = actions.words
    with gr.Tabs():
        with gr.Tab(w["file"]):
            recording = gr.File(label=w["recording"], type="filepath", height=140, elem_id="el-recording")
            names = [name for name in EXAMPLES if example_path(name) is not None]
            if names:
                with gr.Row():
                    for name in names:
                        button = gr.Button(w[name], size="sm", min_width=70)
                        button.click(partial(sessions.example, name), None, [recording], **QUIET)
        with gr.Tab(w["record"]):
            camera = gr.Video(
                label=w["camera"], sources=["webcam"], include_audio=True, elem_id="el-camera",
                webcam_options=gr.WebcamOptions(mirror=False),  # a mirrored one would be turned back by ffmpeg
            )  # fmt: skip
            microphone = gr.Audio(
                label=w["microphone"], sources=["microphone"], type="filepath", elem_id="el-microphone"
            )
            for recorder in (camera, microphone):
                recorder.change(lambda path: path or gr.skip(), [recorder], [recording], **QUIET)
        with gr.Tab(w["live"], id="live"):
            live = _live(actions)
        with gr.Tab(w["words"]):
            words = gr.Textbox(label=w["words_label"], placeholder=w["words_placeholder"], lines=3, elem_id="el-words")
    gr.HTML(actions.player(None), elem_id="el-player", elem_classes=["el-player"])
    return [recording, words], live


def _live(actions: Actions) -> list[Any]:
    """The camera, and the line that says how long a picture took."""
    w = actions.words
    camera = gr.Image(
        label=w["live_camera"], sources=["webcam"], streaming=True, height=300, elem_id="el-live", buttons=[],
        webcam_options=gr.WebcamOptions(mirror=False, constraints={"video": {"width": 640, "height": 480}}),
    )  # fmt: skip
    return [camera, gr.HTML(live_note_html(w["live_hint"].format(minutes=LONGEST_S // 60)), elem_id="el-live-note")]


def _player(page: gr.Blocks) -> Any:
    return next(block for block in page.blocks.values() if getattr(block, "elem_id", None) == "el-player")


def _chosen(actions: Actions) -> list[Any]:
    """The fields of `Choice`, in its order."""
    w = actions.words
    labels, own = _labels(actions, "")
    tasks = gr.CheckboxGroup(
        [(w[f"task_{task}"], task) for task in TASKS], value=["emotion", "reason"], label=w["tasks"], elem_id="el-tasks"
    )
    without = _without(actions, "el-without")
    timeline = gr.Checkbox(label=w["timeline"], info=w["timeline_hint"], elem_id="el-timeline")
    person = gr.Radio(
        [(w[f"person_{who}"], who) for who in get_args(Person)], value="main", label=w["person"], elem_id="el-person"
    )
    return [labels, own, tasks, without, timeline, person]


def _labels(actions: Actions, suffix: str) -> tuple[Any, Any]:
    w = actions.words
    labels = gr.Radio([*LABELS, (w["own"], OWN)], value="mer9", label=w["labels"], elem_id=f"el-labels{suffix}")
    own = gr.Textbox(label=w["own_labels"], visible=False, elem_id=f"el-own{suffix}")
    labels.change(lambda chosen: gr.update(visible=chosen == OWN), [labels], [own], **QUIET)
    return labels, own


def _without(actions: Actions, elem_id: str) -> Any:
    w = actions.words
    return gr.CheckboxGroup([(w[name], name) for name in MODALITIES], label=w["without"], elem_id=elem_id)


def _compared(actions: Actions) -> list[Any]:
    w = actions.words
    with gr.Accordion(w["compare"], open=False):
        gr.Markdown(w["compare_hint"])
        labels, own = _labels(actions, "-b")
        without = _without(actions, "el-without-b")
        button = gr.Button(w["compare_button"], elem_id="el-compare")
    return [labels, own, without, button]


def _chat(actions: Actions) -> dict[str, Any]:
    w = actions.words
    with gr.Accordion(w["chat"], open=True):
        history = gr.Chatbot(
            label=w["chat"], height=320, placeholder=w["chat_hint"], render_markdown=False, buttons=[],
            elem_id="el-chat", feedback_options=None, show_label=False,
        )  # fmt: skip
        with gr.Row():
            questions = [gr.Button(w[f"ask_{name}"], size="sm", min_width=80) for name in QUESTIONS]
        with gr.Row():
            message = gr.Textbox(
                label=w["chat_message"], placeholder=w["chat_placeholder"], scale=5, elem_id="el-message"
            )
            send = gr.Button(w["send"], scale=1, min_width=90)
    return {"history": history, "questions": questions, "message": message, "send": send}

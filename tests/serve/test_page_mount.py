"""The page without a browser: words, keys, names, limits."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("prometheus_client", reason="serving needs emotion-llama[serve]")

from emotion_llama.errors import RequestError
from emotion_llama.serve.page.actions import Choice, Given
from emotion_llama.serve.page.sessions import Sessions
from emotion_llama.serve.page.words import LANGUAGES, preferred, words

PAGE = Path(__file__).parents[2] / "src" / "emotion_llama" / "serve" / "page"
KEY = "a-key-of-the-page-0123456789"


def test_every_language_says_the_same_things() -> None:
    english = words("en")
    for language in LANGUAGES:
        told = words(language)
        assert told.keys() == english.keys()
        for name, text in told.items():
            assert text.strip() and sorted(re.findall(r"{\w+}", text)) == sorted(re.findall(r"{\w+}", english[name])), (
                name
            )


def test_the_page_asks_for_results_in_its_language() -> None:
    choice = Choice(labels="mer6", own_labels=None)
    for language in LANGUAGES:
        assert choice.settings(words(language)["language"]).language == language


def test_every_word_that_is_used_is_there_and_the_other_way_round() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in PAGE.iterdir() if path.suffix in (".py", ".j2"))
    used = set(re.findall(r"""\bw(?:ords)?(?:\.|\[")(\w+)""", code))
    made = {name for name in words("en") if name.startswith(("stage_", "task_", "ask_", "example_", "person_"))}
    plain = set(words("en")) - made - {"video", "audio", "text", "supported", "contradicted", "unverifiable", "words"}
    assert plain <= used
    assert used - set(words("en")) <= {"get", "items"}


@pytest.mark.parametrize(
    ("header", "language"),
    [("zh-CN,zh;q=0.9,en;q=0.8", "zh"), ("de,en;q=0.5", "en"), ("", "en"), ("fr", "en"), ("en,zh", "en")],
)
def test_the_browsers_language_is_taken(header: str, language: str) -> None:
    assert preferred(header) == language


def test_with_keys_the_page_its_uploads_and_its_files_need_one(
    make_app: Callable[..., Any], tmp_path: Path, wait_for: Callable[..., None]
) -> None:
    pytest.importorskip("gradio", reason="the page needs gradio: emotion-llama[serve]")
    from starlette.testclient import TestClient

    from emotion_llama.serve.page.mount import add_page

    keys = tmp_path / "keys"
    keys.write_text(f"page {KEY}\n", encoding="utf-8")
    app = make_app(api_key_file=keys, max_upload_mb=1)
    add_page(app)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        for path in ("/", "/zh/", "/config", "/gradio_api/upload", "/gradio_api/queue/data", "/gradio_api/file=x"):
            refused = client.get(path)
            assert refused.status_code == 401 and refused.headers["www-authenticate"].startswith("Basic"), path
        wrong = client.get("/", auth=("", KEY + "x"))
        assert wrong.status_code == 401
        page = client.get("/", auth=("anybody", KEY))
        assert page.status_code == 200 and "default-src 'self'" in page.headers["content-security-policy"]
        big = client.post("/gradio_api/upload", files={"files": ("a.mp4", bytes(1_100_000))}, auth=("", KEY))
        assert big.status_code == 413
        other = client.post("/gradio_api/upload", files={"files": ("a.mp4", b"x")}, auth=("", KEY),
                            headers={"Origin": "http://evil.example"})  # fmt: skip
        assert other.status_code == 403
        for name in ("a.html", "a.svg"):
            sent = client.post("/gradio_api/upload", files={"files": (name, b"<script>1</script>")}, auth=("", KEY))
            assert sent.status_code == 200
            back = client.get(f"/gradio_api/file={sent.json()[0]}", auth=("", KEY))
            assert back.status_code == 200 and back.headers["content-security-policy"].startswith("sandbox"), name
            assert back.headers["content-disposition"].startswith("attachment"), name
        for outside in (keys, "/etc/passwd", tmp_path / "jobs.sqlite"):
            assert client.get(f"/gradio_api/file={outside}", auth=("", KEY)).status_code in (403, 404)
        assert client.get("/v1/models", auth=("", KEY)).status_code == 200


def test_a_recording_whose_time_was_over_is_asked_for_again(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="give it again"):
        Given(str(tmp_path / "gone.mp4")).clip()
    assert Given(None, "  ").clip() is None


def test_what_a_session_had_goes_unless_another_has_it_too(tmp_path: Path) -> None:
    sessions, shared = Sessions(tmp_path), tmp_path / "shared.mp4"
    shared.write_bytes(b"x")
    outside = tmp_path.parent / "outside.mp4"
    outside.write_bytes(b"x")
    sessions.note("a", str(shared))
    sessions.note("b", str(shared))
    sessions.forget("a")
    assert shared.exists() and sessions.kept_bytes() == 1
    sessions.note("b", str(outside))
    assert not shared.exists()
    sessions.forget("b")
    assert outside.exists()  # only what lies in the folder is the page's to remove


def test_recordings_of_pages_take_a_bounded_room(make_app: Callable[..., Any]) -> None:
    pytest.importorskip("gradio", reason="the page needs gradio: emotion-llama[serve]")
    from starlette.testclient import TestClient

    from emotion_llama.serve.page.mount import add_page

    app = make_app(max_upload_mb=1, queue=2)
    add_page(app)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        sent = [
            client.post("/gradio_api/upload", files={"files": ("a.mp4", bytes([number]) * 900_000)}).status_code
            for number in range(4)
        ]
    assert sent == [200, 200, 200, 507]


def test_gradios_own_client_asks_the_page(
    open_server: Callable[..., Any], make_clip: Callable[..., Path], tmp_path: Path
) -> None:
    library = pytest.importorskip("gradio_client", reason="needs gradio: emotion-llama[serve]")
    keys = tmp_path / "keys"
    keys.write_text(f"page {KEY}\n", encoding="utf-8")
    address, _ = open_server(with_page=True, api_key_file=keys)
    headers = {"Authorization": f"Bearer {KEY}"}
    client = library.Client(address, headers=headers, verbose=False, analytics_enabled=False)

    def asked(recording: Any, words: str | None, labels: str, tasks: str) -> Any:
        return client.predict(recording, words, labels, tasks, api_name="/analyze")

    found = asked(library.handle_file(str(make_clip("a.mp4"))), None, "calm,tense", "emotion,reason")
    assert found["emotion"] == "calm" and found["reasoning"].startswith("reason of") and found["clip"] == "a.mp4"
    words = asked(None, "hello", "mer6", "emotion")
    assert words["clip"] == "text" and words["reasoning"] is None
    with pytest.raises(library.exceptions.AppError, match="labels"):
        asked(None, "hello", "", "emotion")
    with pytest.raises(library.exceptions.AppError):  # a file of the server
        asked({"path": str(keys), "meta": {"_type": "gradio.FileData"}}, None, "mer6", "emotion")
    with pytest.raises(library.exceptions.AuthenticationError):
        library.Client(address, verbose=False, analytics_enabled=False)

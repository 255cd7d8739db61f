"""The hub folder: a card that says what the record says and no more; an upload that says what to do when it fails."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import huggingface_hub
import pytest
import yaml
from huggingface_hub import ModelCard

from emotion_llama.errors import OutputError, UsageError
from emotion_llama.model import adapter_sha256, load_adapter
from emotion_llama.model.checkpoint import is_merged, load_merged
from emotion_llama.train.export.card import without_folders
from emotion_llama.train.export.hub import check_push, export_hub, push
from emotion_llama.train.export.licence import licence_notes, licence_of
from emotion_llama.train.export.merged import Weights
from emotion_llama.train.export.source import open_source


class Hub:
    """As much of a model hub as an upload needs. `refuse`: part of a path → the status that is answered there."""

    def __init__(self, refuse: dict[str, int] | None = None) -> None:
        self.refuse = refuse or {}
        self.created: dict[str, Any] = {}
        self.files: dict[str, bytes] = {}
        self.tokens: set[str | None] = set()
        self._objects: dict[str, bytes] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, body: bytes) -> Any:
        if path.endswith("/create"):
            self.created = json.loads(body)
            return {"url": f"{self.url}/{self.created.get('organization', 'me')}/{self.created['name']}"}
        if path.endswith("/validate-yaml"):
            return {"errors": [], "warnings": []}
        if "/preupload/" in path:
            files = json.loads(body)["files"]
            mode = {True: "lfs", False: "regular"}
            return {
                "files": [
                    {"path": f["path"], "uploadMode": mode[f["path"].endswith(".safetensors")], "shouldIgnore": False}
                    for f in files
                ]
            }
        if path.endswith("/objects/batch"):
            objects = json.loads(body)["objects"]
            uploads = [{**o, "actions": {"upload": {"href": f"{self.url}/put/{o['oid']}"}}} for o in objects]
            return {"transfer": "basic", "objects": uploads}
        if path.startswith("/put/"):
            self._objects[path.rsplit("/", 1)[-1]] = body
            return {}
        if "/commit/" in path:
            self._commit([json.loads(line) for line in body.splitlines()])
            return {"commitUrl": f"{self.url}/o/n/commit/1", "commitOid": "1", "success": True}
        return {"sha": "0", "siblings": []}

    def _commit(self, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                self.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                self.files[value["path"]] = self._objects[value["oid"]]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                path = self.path.split("?")[0]
                if path.startswith("/api/"):
                    hub.tokens.add(self.headers.get("Authorization"))
                status = next((code for part, code in hub.refuse.items() if part in path), 200)
                answer = json.dumps({"error": "no"} if status != 200 else hub.answer(path, body)).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = do_PUT = do_HEAD = _serve

            def log_message(self, *words: object) -> None:
                pass

        return Handler


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    # The chunked protocol asks a second service for storage; the plain one is enough here.
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    huggingface_hub.utils.disable_progress_bars()


@pytest.fixture
def folder(source, tmp_path: Path) -> Path:
    return export_hub(source, tmp_path / "hub", name="owner/calls")


def test_the_card_says_what_the_record_says(folder):
    card = ModelCard.load(folder / "README.md")
    facts = card.data.to_dict()
    assert facts["license"] == "cc-by-4.0" and facts["datasets"] == ["calls"] and "lora" in facts["tags"]
    assert facts["metrics"] == ["accuracy", "ece", "f1", "nll", "recall"]
    (results,) = yaml.safe_load(card.data.to_yaml())["model-index"][0]["results"]
    assert results["dataset"]["name"] == "calls"
    assert {row["name"]: row["value"] for row in results["metrics"]} == {
        "WAR": 0.7123, "UAR": 0.7, "weighted F1": 0.69, "NLL": 0.8, "ECE": 0.05,
    }  # fmt: skip
    text = card.text
    row = next(line for line in text.splitlines() if line.startswith("| calls | 240 |"))
    assert "| 0.250 | 0.712 (0.650–0.770) | 0.700 |" in row and "happy, sad, angry, neutral" in row
    assert f"| calls | {'ab' * 32} | 800 | 100 | 240 |" in text
    assert "| 80 | 0.750 | 0.600 | 0.700 | 0.690 | 0.680 | 0.900 | 100 |" in text
    assert "Best checkpoint: step 80, uar 0.690." in text and "| `schedule.steps` | 120 |" in text
    assert "| git commit | not recorded |" in text and "| seed | 3 |" in text and "A test run." in text
    assert "owner/calls" in text and "A displayed emotion is not a felt one" in text


def test_no_folder_of_this_machine_is_published(folder, llm_dir):
    for path in folder.rglob("*"):
        if path.suffix in (".md", ".json"):
            assert "/home/somebody" not in path.read_text() and str(llm_dir) not in path.read_text(), path
    assert without_folders({"a": ["/x/y.jsonl", "b/c", 3]}) == {"a": ["y.jsonl", "b/c", 3]}


def test_a_run_without_a_record_invents_nothing(make_source, tmp_path):
    text = (export_hub(make_source(None), tmp_path / "hub") / "README.md").read_text()
    facts = yaml.safe_load(text.split("---")[1])
    assert facts["license"] == "unknown" and not {"datasets", "metrics", "model-index", "base_model"} & set(facts)
    assert text.count("not recorded") >= 7
    assert not any(word in text for word in ("None", "nan", "Undefined", "0.000", "{{", "{%"))


def test_values_cannot_break_the_tables(make_source, make_record, tmp_path):
    record = make_record(git_commit="a|b\nc<script>")
    text = (export_hub(make_source(record), tmp_path / "hub") / "README.md").read_text()
    assert r"| git commit | a\|b c&lt;script> |" in text


def test_the_adapter_folder_is_the_checkpoint(folder, source, llm_dir):
    assert adapter_sha256(folder) == adapter_sha256(source.folder)
    load_adapter(folder, llm_dir)
    assert json.loads((folder / "training.json").read_text())["seed"] == 3
    assert json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] == llm_dir.name


def test_the_merged_folder(source, tmp_path):
    out = export_hub(source, tmp_path / "hub", weights=Weights("float32"))
    assert is_merged(out) and not (out / "adapter_model.safetensors").exists()
    load_merged(out)
    text = (out / "README.md").read_text()
    assert "holds the whole model" in text and "| LoRA | rank 4, alpha 8, on q_proj, v_proj |" in text
    again = export_hub(open_source(out), tmp_path / "again")  # from a merged folder
    assert adapter_sha256(again) == adapter_sha256(out)


RAVDESS = {"name": "voices", "path": "/data/RAVDESS_audio", "clips": {"train": 10, "validation": 2, "test": 3}}


@pytest.mark.parametrize(
    ("changes", "licence"),
    [
        ({}, "cc-by-4.0"),
        ({"config": {}}, "unknown"),
        ({"config": {}, "data": [RAVDESS]}, "cc-by-nc-sa-4.0"),
        ({"data": [{**RAVDESS, "clips": {"train": 0, "validation": 0, "test": 3}}]}, "cc-by-4.0"),  # scored on only
        ({"config": {"model": {"init": "nano"}}}, "cc-by-nc-sa-4.0"),  # goes on from the shipped weights
    ],
)
def test_licence_of_the_weights(make_source, make_record, changes, licence):
    assert licence_of(make_source(make_record(**changes))) == licence


def test_licence_is_inherited_from_the_run_it_began_with(make_source, make_record, tmp_path):
    first = tmp_path / "first"
    first.mkdir()
    (first / "training.json").write_text(json.dumps(make_record(config={}, data=[RAVDESS])))
    assert licence_of(make_source(make_record(config={"model": {"init": str(first)}}))) == "cc-by-nc-sa-4.0"


def test_a_licence_that_the_data_forbid_is_refused(make_source, make_record):
    source = make_source(make_record(config={}, data=[RAVDESS]))
    with pytest.raises(UsageError, match=r"licence 'mit'.*RAVDESS.*cc-by-nc-sa-4\.0"):
        licence_of(source, "MIT")
    assert licence_of(source, "CC-BY-NC-SA-4.0") == "cc-by-nc-sa-4.0"


def test_licence_notes_name_data_and_base(make_source, make_record, source):
    notes = licence_notes(make_source(make_record(config={}, data=[RAVDESS])))
    assert "RAVDESS: CC BY-NC-SA 4.0" in notes and "cc-by-nc-sa-4.0" in notes
    assert "calls: terms not recorded" in licence_notes(source)


def test_the_shipped_weights_keep_their_licence():
    assert licence_of(open_source("nano")) == "cc-by-nc-sa-4.0"


def test_push_uploads_the_folder(folder, token):
    with Hub() as hub:
        place = push(folder, "owner/calls", private=True, endpoint=hub.url)
    assert place == f"{hub.url}/owner/calls"
    assert (hub.created["organization"], hub.created["name"]) == ("owner", "calls")
    assert hub.created.get("private") is True or hub.created.get("visibility") == "private"
    assert hub.tokens == {"Bearer hf_test"}
    sent = {name: hashlib.sha256(data).hexdigest() for name, data in hub.files.items()}
    assert sent == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("refuse", "said"),
    [
        ({"": 401}, "HTTP 401, the token is not accepted: log in again"),
        ({"": 403}, "HTTP 403, the token may not write there"),
        ({"/commit/": 413}, "HTTP 413, a file is larger than the server takes.*--max-shard-size"),
        ({"/put/": 413}, "HTTP 413, a file is larger"),
        ({"/create": 418}, "HTTP 418"),
    ],
)
def test_a_refused_push_says_what_to_do(folder, token, refuse, said):
    with Hub(refuse) as hub, pytest.raises(OutputError, match=rf"{said}.*The folder .* is complete.*hf upload"):
        push(folder, "owner/calls", endpoint=hub.url)
    assert (folder / "README.md").is_file()


def test_a_hub_that_is_not_there(folder, token):
    with Hub() as hub:
        url = hub.url
    with pytest.raises(OutputError, match=r"cannot be reached.*check the network and HF_ENDPOINT"):
        push(folder, "owner/calls", endpoint=url)


def test_push_is_checked_before_any_work(token, monkeypatch):
    check_push("owner/calls")
    for wrong in ("calls", "a/b/c", "owner/sp ace", ""):
        with pytest.raises(UsageError, match="--push"):
            check_push(wrong)
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", "/nowhere")
    with pytest.raises(UsageError, match="no token; log in"):
        check_push("owner/calls")

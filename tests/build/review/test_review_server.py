"""The review page over HTTP: what it answers, what it refuses, and that nothing but the clips leaves the machine."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

pytest.importorskip("fastapi", reason="needs fastapi")
pytest.importorskip("sqlalchemy", reason="needs sqlalchemy")

from starlette.testclient import TestClient

from emotion_llama.build.entry import ENTRIES, Entry, write_lines
from emotion_llama.build.preview import preview_path
from emotion_llama.build.review.records import ReviewSettings
from emotion_llama.build.review.server import make_app
from emotion_llama.errors import ManifestError, UsageError

SignedIn = Callable[..., AbstractContextManager[TestClient]]
ALL_POINTS = {"visual": 4, "audio": 3, "text": 5, "process": 4, "result": 5}
PATHS = (
    "/media/../secret.txt", "/media/..%2fsecret.txt", "/media/%2e%2e%2fsecret.txt", "/media/secret.txt",
    "/media/%2fetc%2fpasswd", "/media//etc/passwd", "/media/..%5csecret.txt", "/static/../server.py",
    "/static/..%2fserver.py", "/static/server.py", "/static/%2e%2e/%2e%2e/entry.py", "/secret.txt",
    "/reviews.sqlite", "/entries.jsonl", "/api/clips/..%2f..%2fsecret.txt", "/media/a.mp4",
)  # fmt: skip
SENSELESS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"verdict": "accept", "scores": {"visual": 6}}, "scores.visual"),
    ({"verdict": "accept", "scores": {"visual": -1}}, "scores.visual"),
    ({"verdict": "accept", "scores": {"visual": 2.5}}, "scores.visual"),
    ({"verdict": "accept", "scores": {"visual": True}}, "scores.visual"),
    ({"verdict": "accept", "scores": {"looks": 3}}, "scores.looks"),
    ({"verdict": "perhaps"}, "verdict"),
    ({"verdict": "reject"}, "needs a reason"),
    ({"verdict": "reject", "reason": "  "}, "needs a reason"),
    ({"verdict": "fix"}, "needs a change"),
    ({"verdict": "fix", "changes": {"emotion": "happy"}}, "needs a change"),
    ({"verdict": "fix", "changes": {"emotion": "hapy"}}, "expected one of"),
    ({"verdict": "fix", "changes": {"clip": "other"}}, "changes.clip"),
    ({"verdict": "fix", "changes": {"fine_text": "x" * 10_001}}, "changes.fine_text"),
    ({"verdict": "accept", "changes": {"emotion": "sad"}}, "only a fix"),
    ({"verdict": "accept", "annotator": "Bo"}, "annotator"),
)


def key(clip: str) -> str:
    return preview_path(Path(), clip).stem


def judge(page: TestClient, clip: str, verdict: str = "accept", **more: Any) -> Any:
    return page.post(f"/api/clips/{key(clip)}/judgment", json={"verdict": verdict, "scores": ALL_POINTS, **more})


def todo(page: TestClient, show: str = "todo") -> list[str]:
    return [item["clip"] for item in page.get("/api/queue", params={"show": show}).json()["items"]]


def test_a_clip_is_shown_judged_and_gone_from_the_queue(signed_in: SignedIn) -> None:
    with signed_in("Ann") as page:
        assert todo(page)[0].startswith("b ")  # doubtful: one clue, and the text concludes something else
        view = page.get(f"/api/clips/{key('a.mp4')}").json()
        assert (view["label"], view["mine"], view["others"]) == ("happy", None, 0)
        assert view["media"] == {"type": "video/mp4", "problem": None} and view["span_s"] == [0.0, 1.0]
        assert len(view["mesh"]["points"]) == 468 and len(view["preview"]["times_s"]) == 10
        assert [text["name"] for text in view["texts"]] == ["Fine text", "Coarse text"]
        assert judge(page, "a.mp4").json()["blind"] is True
        assert "a.mp4" not in todo(page) and todo(page, "mine") == ["a.mp4"]
        assert page.get(f"/api/clips/{key('a.mp4')}").json()["mine"]["scores"] == ALL_POINTS


def test_the_second_annotator_does_not_see_the_first_until_done(signed_in: SignedIn) -> None:
    with signed_in("Ann") as ann, signed_in("Bo") as bo:
        judge(ann, "a.mp4", "reject", reason="a face of another person")
        view = bo.get(f"/api/clips/{key('a.mp4')}")
        assert view.json()["others"] == 1 and "another person" not in view.text and "reject" not in view.text
        refused = bo.get(f"/api/clips/{key('a.mp4')}/others")
        assert refused.status_code == 422 and "judge the clip first" in refused.text
        assert judge(bo, "a.mp4").json()["blind"] is True
        (other,) = bo.get(f"/api/clips/{key('a.mp4')}/others").json()
        assert (other["annotator"], other["reason"]) == ("Ann", "a face of another person")
        # both may think again, which is kept apart from the blind judgments
        assert todo(ann)[0] == todo(bo)[0] == "a.mp4"
        assert judge(bo, "a.mp4", "reject", reason="so it is").json()["blind"] is False
        assert "a.mp4" not in todo(bo) and bo.get("/report.json").json()["disputed"] == 0
        (verdict, *_) = bo.get("/report.json").json()["agreement"]
        assert (verdict["what"], verdict["items"], verdict["equal"]) == ("verdict", 1, 0.0)


def test_a_slip_before_anyone_else_judged_stays_blind(signed_in: SignedIn) -> None:
    with signed_in("Ann") as page:
        judge(page, "a.mp4", "reject", reason="slip")
        assert judge(page, "a.mp4").json()["blind"] is True


def test_two_annotators_at_once_lose_nothing(signed_in: SignedIn) -> None:
    clips = ["a.mp4", "c.avi", "words alone", "elsewhere"]
    with signed_in("Ann") as ann, signed_in("Bo") as bo, ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda job: judge(*job).status_code, [(p, c) for c in clips for p in (ann, bo)] * 3))
        assert answers == [200] * 24
        report = ann.get("/report.json").json()
        assert report["annotators"] == {"Ann": 4, "Bo": 4} and report["judged_twice"] == 4


def test_report_has_means_by_emotion_and_reads_back_as_csv(signed_in: SignedIn) -> None:
    with signed_in("Ann") as ann, signed_in("Bo") as bo:
        judge(ann, "a.mp4", scores={**ALL_POINTS, "audio": None})
        judge(bo, "a.mp4", "fix", changes={"emotion": "surprise"})
        judge(ann, "words alone", scores={"visual": 1})
        rows = {row["emotion"]: row for row in csv.DictReader(io.StringIO(ann.get("/report.csv").text))}
        assert list(rows) == ["all", "happy", "sad", "surprise"]
        assert (rows["happy"]["visual"], rows["happy"]["audio"], rows["happy"]["audio_n"]) == ("4.0", "3.0", "1")
        assert (rows["sad"]["visual"], rows["sad"]["audio"], rows["all"]["visual"]) == ("1.0", "", "3.0")
        assert rows["all"]["emotion_items"] == "1" and rows["surprise"]["emotion_equal"] == "0.0"
        assert "attachment" in ann.get("/report.csv").headers["content-disposition"]
        page = ann.get("/report").text
        assert "Points by emotion" in page and "3.00" in page and "Krippendorff" in page


def test_nothing_is_told_to_those_not_signed_in(signed_in: SignedIn) -> None:
    with signed_in() as page:
        assert "Sign in" in page.get("/report").text
        for path in ("/api/queue", "/report.json", "/report.csv", f"/media/{key('a.mp4')}"):
            assert page.get(path).status_code == 401
        assert judge(page, "a.mp4").status_code == 401
        assert "Sign in" in page.get("/").text


def test_wrong_passwords_are_refused_and_soon_slowed(signed_in: SignedIn) -> None:
    with signed_in() as page:
        for name in ("Ann", "Nobody"):
            answer = page.post("/api/sign-in", json={"name": name, "password": "wrong-password"})
            assert answer.status_code == 401 and answer.json()["detail"] == "name or password is wrong"
        good = page.post("/api/sign-in", json={"name": "Ann", "password": "ann-password"})
        assert good.status_code == 200 and page.get("/api/me").json() == {"annotator": "Ann"}
        cookie = good.headers["set-cookie"]
        assert "HttpOnly" in cookie and "samesite=strict" in cookie.lower()
        for _ in range(8):  # as many as make ten
            page.app.state.sessions.failed()
        assert page.post("/api/sign-in", json={"name": "Ann", "password": "ann-password"}).status_code == 429


def test_signing_out_ends_the_session(signed_in: SignedIn) -> None:
    with signed_in("Ann") as page:
        cookie = dict(page.cookies)
        page.post("/api/sign-out", json={})
        page.cookies.update(cookie)
        assert page.get("/api/queue").status_code == 401


def test_media_answers_ranges_with_a_fixed_type(signed_in: SignedIn, dataset: Path) -> None:
    whole = (dataset / "a.mp4").read_bytes()
    with signed_in("Ann") as page:
        part = page.get(f"/media/{key('a.mp4')}", headers={"Range": "bytes=10-19"})
        assert part.status_code == 206 and part.content == whole[10:20]
        assert part.headers["content-range"] == f"bytes 10-19/{len(whole)}"
        assert part.headers["content-type"] == "video/mp4"
        assert page.get(f"/media/{key('a.mp4')}", headers={"Range": "bytes=99999999-"}).status_code == 416
        # named by the entry with its full path, so it may lie elsewhere
        assert page.get(f"/media/{key('elsewhere')}").status_code == 200


def test_what_a_browser_cannot_play_is_said(signed_in: SignedIn) -> None:
    with signed_in("Ann") as page:
        view = page.get(f"/api/clips/{key('c.avi')}").json()
        assert "do not play .avi" in view["media"]["problem"] and view["preview"]["waveform"]
        assert page.get(f"/media/{key('c.avi')}").status_code == 404
        assert "text alone" in page.get(f"/api/clips/{key('words alone')}").json()["media"]["problem"]


def test_no_path_of_the_browser_is_ever_read(signed_in: SignedIn) -> None:
    with signed_in("Ann") as page:
        for path in PATHS:
            answer = page.get(path)
            assert answer.status_code in (404, 405), path
            for secret in ("not for the browser", "root:", "import"):
                assert secret not in answer.text, path


def test_entries_cannot_lead_outside_either(dataset: Path, tmp_path: Path, entry: Callable[..., Entry]) -> None:
    (tmp_path / "outside.mp4").write_bytes(b"outside")
    (tmp_path / "outside.txt").write_bytes(b"outside")
    (dataset / "link.mp4").symlink_to(tmp_path / "outside.mp4")
    paths = ["../outside.mp4", "link.mp4", str(tmp_path / "outside.txt"), "gone.mp4", "secret.txt"]
    write_lines([entry(f"clip {n}", "happy", path) for n, path in enumerate(paths)], dataset / ENTRIES)
    with TestClient(make_app(dataset, ReviewSettings()), base_url="http://127.0.0.1") as page:
        page.post("/api/first", json={"name": "Ann", "password": "ann-password"})
        for n in range(len(paths)):
            assert page.get(f"/media/{key(f'clip {n}')}").status_code == 404
            assert page.get(f"/api/clips/{key(f'clip {n}')}").json()["media"]["problem"]


def test_unknown_clips_are_refused(signed_in: SignedIn) -> None:
    with signed_in("Ann") as page:
        for path in ("/api/clips/0123456789abcdef0123", "/media/0123456789abcdef0123"):
            assert page.get(path).status_code == 404
        assert judge(page, "never heard of").status_code == 404


def test_a_judgment_that_makes_no_sense_is_refused(signed_in: SignedIn) -> None:
    with signed_in("Ann") as page:
        for form, message in SENSELESS:
            answer = page.post(f"/api/clips/{key('a.mp4')}/judgment", json=form)
            assert answer.status_code == 422 and message in answer.json()["detail"], form
        assert page.get("/report.json").json()["judged"] == 0


def test_requests_that_another_page_forges_are_refused(signed_in: SignedIn) -> None:
    path, form = f"/api/clips/{key('a.mp4')}/judgment", {"verdict": "accept"}
    with signed_in("Ann") as page:
        for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
            assert page.post(path, json=form, headers=headers).status_code == 403
        assert page.post(path, data={"verdict": "accept"}).status_code == 415
        assert (
            page.post(path, content=b'{"verdict":"accept"}', headers={"Content-Type": "text/plain"}).status_code == 415
        )
        assert page.post(path, json={**form, "reason": "x" * 300_000}).status_code == 413
        assert page.get("/", headers={"Host": "evil.example"}).status_code == 421
        same = page.post(path, json=form, headers={"Origin": "http://127.0.0.1:8400", "Sec-Fetch-Site": "same-origin"})
        assert same.status_code == 200


def test_every_answer_has_the_headers_and_nothing_is_inline(signed_in: SignedIn) -> None:
    with signed_in("Ann") as page:
        for path in ("/", "/report", "/static/review.js", "/api/queue", f"/media/{key('a.mp4')}", "/nothing"):
            headers = page.get(path).headers
            assert headers["content-security-policy"].startswith(
                "default-src 'none'; script-src 'self'; style-src 'self'"
            )
            assert headers["x-content-type-options"] == "nosniff" and "unsafe" not in headers["content-security-policy"]
        for path in ("/", "/report"):
            text = page.get(path).text
            assert "style=" not in text and "onclick" not in text and "<style" not in text and "http" not in text
            assert text.count("<script") == 1 and 'src="/static/review.js"' in text


def test_markup_in_names_is_shown_as_text(dataset: Path) -> None:
    name = "<script>alert(1)</script>"
    with TestClient(make_app(dataset, ReviewSettings()), base_url="http://127.0.0.1") as page:
        assert "You are the first here" in page.get("/").text
        assert page.post("/api/first", json={"name": name, "password": "short"}).status_code == 422
        assert page.post("/api/first", json={"name": name, "password": "long enough"}).status_code == 200
        judge(page, "a.mp4")
        for path in ("/", "/report"):
            assert name not in page.get(path).text and "&lt;script&gt;alert(1)" in page.get(path).text
        again = page.post("/api/first", json={"name": "Eve", "password": "eve-password"})
        assert again.status_code == 409


def test_another_host_needs_a_token(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="token_file"):
        ReviewSettings(host="0.0.0.0")
    file = tmp_path / "token"
    for text in ("short", "spaces are not allowed here"):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(UsageError, match="letters and digits"):
            make_app(dataset, ReviewSettings(host="0.0.0.0", token_file=file))
    with pytest.raises(UsageError, match="make one with"):
        make_app(dataset, ReviewSettings(token_file=tmp_path / "none"))


def test_the_token_opens_the_page_and_nothing_else_does(dataset: Path, tmp_path: Path) -> None:
    token = "0123456789abcdef"
    (tmp_path / "token").write_text(f"{token}\n", encoding="utf-8")
    app = make_app(dataset, ReviewSettings(host="0.0.0.0", token_file=tmp_path / "token"))
    with TestClient(app, base_url="http://lab.example:8400") as page:
        for path in ("/", "/?token=", "/?token=0123456789abcdeg", "/api/me", f"/media/{key('a.mp4')}?token=wrong"):
            answer = page.get(path)
            assert answer.status_code == 403 and "first here" not in answer.text
        assert page.post("/api/first", json={"name": "Eve", "password": "eve-password"}).status_code == 403
        assert page.get(f"/?token={token}").status_code == 200
        assert "first here" in page.get("/").text  # the cookie carries it from here on
        assert page.post("/api/first", json={"name": "Ann", "password": "ann-password"}).status_code == 200
        assert page.get(f"/media/{key('a.mp4')}").status_code == 200


def test_a_data_set_that_changes_under_the_page_is_said(
    signed_in: SignedIn, dataset: Path, entry: Callable[..., Entry]
) -> None:
    with signed_in("Ann") as page:
        write_lines([entry("a.mp4", "sad", "a.mp4")], dataset / ENTRIES)
        answer = judge(page, "a.mp4")
        assert answer.status_code == 422 and "start it again" in answer.json()["detail"]


def test_a_damaged_preview_does_not_hold_up_the_review(signed_in: SignedIn, dataset: Path) -> None:
    preview_path(dataset, "a.mp4").write_text("{", encoding="utf-8")
    with signed_in("Ann") as page:
        view = page.get(f"/api/clips/{key('a.mp4')}").json()
        assert view["preview"] is None and "not a preview" in view["preview_problem"]


def test_bad_data_sets_are_named(tmp_path: Path, entry: Callable[..., Entry]) -> None:
    with pytest.raises(ManifestError, match="no such file"):
        make_app(tmp_path, ReviewSettings())
    write_lines([], tmp_path / ENTRIES)
    with pytest.raises(UsageError, match="at least one entry"):
        make_app(tmp_path, ReviewSettings())
    write_lines([entry("a"), entry("a")], tmp_path / ENTRIES)
    with pytest.raises(ManifestError, match="twice"):
        make_app(tmp_path, ReviewSettings())
    (tmp_path / ENTRIES).write_text('{"clip": 3}\n', encoding="utf-8")
    with pytest.raises(ManifestError, match=r"entries\.jsonl:1"):
        make_app(tmp_path, ReviewSettings())

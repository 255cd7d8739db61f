"""The review page over HTTP: a small API, the recordings by key, one page, its style and its script."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import Field

from emotion_llama.build.review.access import HEADERS, Sessions, host_is_ours, read_token, same_origin, token_fits
from emotion_llama.build.review.clips import ReviewClip
from emotion_llama.build.review.desk import ReviewDesk
from emotion_llama.build.review.queue import Show
from emotion_llama.build.review.records import (
    CRITERIA,
    MAX_POINTS,
    VERDICTS,
    Changes,
    ReviewSettings,
    Scores,
    Text,
    Verdict,
)
from emotion_llama.build.review.report import report_csv
from emotion_llama.build.review.store import LONGEST_NAME
from emotion_llama.clip import Record
from emotion_llama.errors import EmotionLlamaError, UsageError

MOST_BODY_BYTES = 200_000
_STATIC = {"review.css": "text/css", "review.js": "text/javascript"}
_HERE = Path(__file__).parent
_EVERYWHERE = ("0.0.0.0", "::")


class SignIn(Record):
    """Name and password, as typed."""

    name: Annotated[str, Field(max_length=LONGEST_NAME)]
    password: Annotated[str, Field(max_length=200)]


class JudgmentForm(Record):
    """A judgment, as the page sends it."""

    verdict: Verdict
    reason: Text = ""
    scores: Scores = Scores()
    changes: Changes = Changes()


def serve_reviews(dataset: Path, settings: ReviewSettings) -> None:
    """Open the review page and wait until Ctrl-C. Prints its address, with the token where one is asked for.

    Raises `UsageError` for a port that is taken, a bad token file or database; `ManifestError` for a bad data set.
    """
    app = make_app(dataset, settings)
    opened = _open_socket(settings)
    host = socket.gethostname() if settings.host in _EVERYWHERE else settings.host
    host = f"[{host}]" if ":" in host else host
    token = app.state.token
    print(f"Review of {dataset}: http://{host}:{opened.getsockname()[1]}/{f'?token={token}' if token else ''}")
    if not app.state.desk.store.annotators():
        print("Nobody may sign in yet: the page asks for the first annotator's name and password.")
    print("Ctrl-C ends it; everything judged is kept.", flush=True)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=2
    )
    try:
        uvicorn.Server(config).run(sockets=[opened])
    except KeyboardInterrupt:
        print("\nEnded.")
    finally:
        opened.close()
        app.state.desk.store.close()


def make_app(dataset: Path, settings: ReviewSettings) -> FastAPI:
    """Give the application for any ASGI server. Raises like `serve_reviews`, the port aside."""
    app = FastAPI(title="Emotion-LLaMA review", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.desk = ReviewDesk(dataset, settings)
    app.state.token = read_token(settings)
    app.state.sessions = Sessions()
    # browsers keep one jar for all ports of a host: two reviews at once need names of their own
    app.state.session_cookie = f"emotion_llama_review_{settings.port}"
    app.state.token_cookie = f"emotion_llama_token_{settings.port}"
    app.state.page = Environment(
        loader=PackageLoader("emotion_llama.build.review", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template("page.html.j2")
    app.middleware("http")(_guard)
    app.exception_handler(EmotionLlamaError)(_say_error)
    app.exception_handler(RequestValidationError)(_say_invalid)
    for method, path, answer in _ROUTES:
        app.add_api_route(path, answer, methods=[method], response_model=None)
    return app


async def _guard(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
    """Turn away what is not from this page, and send the security headers with every answer."""
    refused = _refusal(request)
    response = refused if refused is not None else await go_on(request)
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _refusal(request: Request) -> Response | None:
    app, headers, path = request.app, request.headers, request.url.path
    if not host_is_ours(headers, app.state.desk.settings):
        return _plain("this name is not one of the server's", 421)
    token = request.query_params.get("token") or request.cookies.get(app.state.token_cookie)
    if not token_fits(token, app.state.token) and not path.startswith("/static/"):
        return HTMLResponse(_page(app, "locked"), 403) if path == "/" else _plain("the token is missing or wrong", 403)
    if request.method in ("GET", "HEAD"):
        return None
    if not same_origin(headers):
        return _plain("only the review page itself may send this", 403)
    if headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        return _plain("expected JSON (Content-Type: application/json)", 415)
    size = headers.get("content-length", "")
    if not size.isdigit() or int(size) > MOST_BODY_BYTES:
        return _plain(f"expected at most {MOST_BODY_BYTES} bytes with their number in Content-Length", 413)
    return None


def _session(request: Request) -> str | None:
    return request.cookies.get(request.app.state.session_cookie)


def _annotator(request: Request) -> str:
    name: str | None = request.app.state.sessions.annotator(_session(request))
    if name is None:
        raise HTTPException(401, "sign in first")
    return name


def _desk(request: Request) -> ReviewDesk:
    desk: ReviewDesk = request.app.state.desk
    return desk


def _clip(key: str, desk: Annotated[ReviewDesk, Depends(_desk)]) -> ReviewClip:
    clip = desk.clips.get(key)
    if clip is None:
        raise HTTPException(404, f"no clip {key!r} in this data set")
    return clip


Desk = Annotated[ReviewDesk, Depends(_desk)]
Person = Annotated[str, Depends(_annotator)]
Found = Annotated[ReviewClip, Depends(_clip)]


def _root(request: Request, desk: Desk) -> Response:
    name = request.app.state.sessions.annotator(_session(request))
    view = "review" if name else ("sign-in" if desk.store.annotators() else "first")
    response = HTMLResponse(_page(request.app, view, annotator=name))
    if request.app.state.token:
        # the page's script takes the token out of the address; from here on the cookie carries it
        response.set_cookie(request.app.state.token_cookie, request.app.state.token, httponly=True, samesite="strict")
    return response


def _sign_in(request: Request, form: SignIn, desk: Desk) -> Response:
    sessions = request.app.state.sessions
    if sessions.rests():
        raise HTTPException(429, "too many wrong passwords; wait a minute")
    if not desk.store.signs_in(form.name.strip(), form.password):
        sessions.failed()
        raise HTTPException(401, "name or password is wrong")
    return _signed_in(request.app, form.name.strip())


def _first(request: Request, form: SignIn, desk: Desk) -> Response:
    """Take the first annotator; all others are added on the command line."""
    if desk.store.annotators():
        raise HTTPException(409, "there are annotators already: sign in, or let one be added on the command line")
    desk.store.add_annotator(form.name.strip(), form.password)
    return _signed_in(request.app, form.name.strip())


def _signed_in(app: FastAPI, name: str) -> Response:
    response = JSONResponse({"annotator": name})
    response.set_cookie(app.state.session_cookie, app.state.sessions.start(name), httponly=True, samesite="strict")
    return response


def _sign_out(request: Request) -> Response:
    request.app.state.sessions.end(_session(request))
    response = JSONResponse({})
    response.delete_cookie(request.app.state.session_cookie, httponly=True, samesite="strict")
    return response


def _me(request: Request) -> dict[str, str | None]:
    return {"annotator": request.app.state.sessions.annotator(_session(request))}


def _queue(desk: Desk, name: Person, show: Show = "todo") -> dict[str, Any]:
    return desk.queue(name, show)


def _view(clip: Found, desk: Desk, name: Person) -> dict[str, Any]:
    return desk.view(clip, name)


def _judge(clip: Found, form: JudgmentForm, desk: Desk, name: Person) -> dict[str, Any]:
    return desk.judge(clip, name, form.verdict, form.reason, form.scores, form.changes).model_dump()


def _others(clip: Found, desk: Desk, name: Person) -> list[dict[str, Any]]:
    return desk.others(clip, name)


def _media(clip: Found, desk: Desk, name: Person) -> Response:
    recording = desk.recording(clip)
    if recording.path is None:
        raise HTTPException(404, recording.problem)
    # answers requests for a range of bytes, which players need to seek
    return FileResponse(
        recording.path, media_type=recording.media_type, headers={"Cache-Control": "private, max-age=600"}
    )


def _report_page(request: Request, desk: Desk) -> Response:
    name = request.app.state.sessions.annotator(_session(request))
    if name is None:
        return RedirectResponse("/", 303)
    return HTMLResponse(_page(request.app, "report", annotator=name, report=desk.report()))


def _report_json(desk: Desk, name: Person) -> Response:
    text = desk.report().model_dump_json(indent=2) + "\n"
    return _download(text, "application/json", f"{desk.name}-review.json")


def _report_csv(desk: Desk, name: Person) -> Response:
    return _download(report_csv(desk.report()), "text/csv", f"{desk.name}-review.csv")


def _static(name: str) -> Response:
    if name not in _STATIC:
        raise HTTPException(404, f"no file {name!r}")
    return FileResponse(_HERE / name, media_type=_STATIC[name], headers={"Cache-Control": "no-cache"})


_ROUTES: tuple[tuple[str, str, Callable[..., Any]], ...] = (
    ("GET", "/", _root),
    ("GET", "/report", _report_page),
    ("GET", "/report.json", _report_json),
    ("GET", "/report.csv", _report_csv),
    ("GET", "/media/{key}", _media),
    ("GET", "/static/{name}", _static),
    ("POST", "/api/sign-in", _sign_in),
    ("POST", "/api/first", _first),
    ("POST", "/api/sign-out", _sign_out),
    ("GET", "/api/me", _me),
    ("GET", "/api/queue", _queue),
    ("GET", "/api/clips/{key}", _view),
    ("POST", "/api/clips/{key}/judgment", _judge),
    ("GET", "/api/clips/{key}/others", _others),
)


def _page(app: FastAPI, view: str, **values: Any) -> str:
    known = {"annotator": None, "report": None, "criteria": CRITERIA, "verdicts": VERDICTS, "points": MAX_POINTS}
    text: str = app.state.page.render(view=view, dataset=app.state.desk.name, **(known | values))
    return text


def _download(text: str, media_type: str, name: str) -> Response:
    from urllib.parse import quote

    return Response(
        text, media_type=media_type, headers={"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
    )


def _plain(text: str, status: int) -> Response:
    return JSONResponse({"detail": text}, status)


async def _say_error(_request: Request, error: Exception) -> Response:
    status = 422 if isinstance(error, UsageError) else 500
    return _plain(str(error), status)


async def _say_invalid(_request: Request, error: Exception) -> Response:
    wrong = error.errors()[0] if isinstance(error, RequestValidationError) else {"loc": (), "msg": str(error)}
    return _plain(f"{'.'.join(str(part) for part in wrong['loc'][1:])}: {wrong['msg']}", 422)


def _open_socket(settings: ReviewSettings) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        return socket.create_server((settings.host, settings.port), family=family, backlog=128)
    except OSError as error:
        raise UsageError(
            f"{settings.host}:{settings.port} cannot be opened ({error.strerror or error}); give another --port"
        ) from error

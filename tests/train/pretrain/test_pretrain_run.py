"""A run from recordings to an encoder: the same twice, the same after a stop, whole checkpoints, clear errors."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.numpy import load_file, save_file
from transformers import TrainerCallback

from emotion_llama import assets
from emotion_llama.clip import Clip
from emotion_llama.encoders.face_mae import FaceMae
from emotion_llama.encoders.face_videomae import FaceVideoMae
from emotion_llama.errors import ModelError, OutputError, UsageError
from emotion_llama.train.pretrain.nets import make_net
from emotion_llama.train.pretrain.run import Request, pretrain, run_pretraining
from emotion_llama.train.pretrain.search import held_back
from emotion_llama.train.pretrain.settings import KINDS, PretrainSettings
from emotion_llama.train.pretrain.tracks import find_tracks

Make = Callable[..., PretrainSettings]


class AtStep(TrainerCallback):
    """Does something when a step has ended."""

    def __init__(self, step: int, act: Callable[[Any], None]) -> None:
        self.step, self.act = step, act

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        if state.global_step == self.step:
            self.act(model)


def _stop(_: Any) -> None:
    raise KeyboardInterrupt


@pytest.fixture()
def run(four_films: list[Clip], reader: Any, tmp_path: Path) -> Callable[..., Path]:
    """Pre-train on the four films: `run("name", settings, *callbacks)` gives the result's folder."""

    def go(name: str, settings: PretrainSettings, *callbacks: TrainerCallback, clips: list[Clip] | None = None) -> Path:
        pretrain(settings, clips or four_films, tmp_path / name, lambda: reader, callbacks)
        return tmp_path / name

    return go


@pytest.fixture(scope="module")
def whole(
    films: tuple[list[Clip], Path], make_reader: Any, settings: Make, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """A run of each kind that was never stopped."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMOTION_LLAMA_CACHE", str(films[1]))
        for kind in KINDS:
            pretrain(settings(kind), films[0], folder / kind, make_reader)
    return {kind: folder / kind for kind in KINDS}


def _weights(folder: Path) -> dict[str, np.ndarray]:
    return load_file(folder / "model.safetensors")


def _equal(one: Path, other: Path) -> bool:
    first, second = _weights(one), _weights(other)
    return first.keys() == second.keys() and all((first[name] == second[name]).all() for name in first)


@pytest.mark.parametrize("kind", ["face-mae", "face-videomae"])
def test_a_stopped_run_goes_on_to_the_same_weights(
    kind: str, whole: dict[str, Path], run: Callable[..., Path], settings: Make, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run("stopped", settings(kind), AtStep(5, _stop))
    assert not (tmp_path / "stopped" / "pretraining.json").exists()
    stopped = run("stopped", settings(kind))
    assert _equal(whole[kind], stopped)
    records = [json.loads((folder / "pretraining.json").read_text()) for folder in (whole[kind], stopped)]
    assert records[0]["losses"] == records[1]["losses"] and records[0]["held_back"] == records[1]["held_back"]
    assert [record["resumed_at_step"] for record in records] == [None, 4]
    assert not _equal(whole[kind], whole[kind] / "checkpoints" / "checkpoint-4")


def test_another_seed_is_another_run(whole: dict[str, Path], run: Callable[..., Path], settings: Make) -> None:
    assert not _equal(whole["face-mae"], run("other", settings(seed=1)))


def test_the_result_explains_itself_and_opens_as_an_encoder(whole: dict[str, Path], settings: Make) -> None:
    out = whole["face-mae"]
    record = json.loads((out / "pretraining.json").read_text())
    assert record["schema"] == "1" and record["kind"] == "face-mae" and record["seed"] == 0
    assert PretrainSettings.model_validate(record["settings"]) == settings()
    assert [row["faces"] for row in record["data"]] == [12] * 4
    assert sorted(row["side"] for row in record["data"]) == ["held-back", "train", "train", "train"]
    assert [row["step"] for row in record["losses"]] == [1, 2, 3, 4, 5, 6]
    assert [row["step"] for row in record["held_back"]] == [0, 3, 6]
    assert all(np.isfinite(row["loss"]) for row in record["losses"] + record["held_back"])
    assert [row["learning_rate"] for row in record["losses"]][:2] == [0.0, 1e-3]  # before each step; one warms up
    assert {"torch", "transformers", "python"} <= record["versions"].keys()
    for step in (0, 3, 6):
        with Image.open(out / "reconstructions" / f"step-{step}.png") as picture:
            assert picture.size == (300, 200)
    assert any((out / "tensorboard").iterdir())
    assert sorted(path.name for path in (out / "checkpoints").iterdir()) == ["checkpoint-4", "checkpoint-6"]
    encoder = FaceMae(out)
    row = encoder(np.random.default_rng(0).integers(0, 255, (3, 160, 160, 3), dtype=np.uint8))
    assert row.shape == (1, 16) and encoder.width == 16


def test_a_temporal_encoder_opens_too(whole: dict[str, Path]) -> None:
    crops = np.random.default_rng(0).integers(0, 255, (9, 160, 160, 3), dtype=np.uint8)
    row = FaceVideoMae(whole["face-videomae"])(crops)
    assert row.shape == (1, 16) and np.isfinite(row).all()


def test_it_learns(run: Callable[..., Path], settings: Make) -> None:
    schedule = {"steps": 60, "batch_size": 12, "learning_rate": 5e-3, "warmup_steps": 5}
    out = run("mae", settings(schedule=schedule, log_every=10, save_every=60, held_back={"every": 60}))
    record = json.loads((out / "pretraining.json").read_text())
    assert record["losses"][-1]["loss"] < 0.95 * record["losses"][0]["loss"]


def test_accumulated_batches_are_one_large_batch(
    whole: dict[str, Path], run: Callable[..., Path], settings: Make
) -> None:
    large = _weights(whole["face-mae"])
    parts = _weights(run("parts", settings(schedule={"batch_size": 2, "accumulate": 2})))
    assert all(np.abs(large[name] - parts[name]).max() < 1e-4 for name in large)


def test_a_finished_run_is_left_as_it_is_and_never_mixed_with_another(
    whole: dict[str, Path], settings: Make, four_films: list[Clip], make_reader: Any
) -> None:
    out = whole["face-mae"]
    before = (out / "pretraining.json").stat().st_mtime_ns
    assert pretrain(settings(), four_films, out, make_reader) == 0
    assert (out / "pretraining.json").stat().st_mtime_ns == before
    with pytest.raises(UsageError, match=r"schedule.steps \(6 before, 7 now\)"):
        pretrain(settings(schedule={"steps": 7}), four_films, out, make_reader)
    with pytest.raises(UsageError, match="differs in the recordings"):
        pretrain(settings(), four_films[:3], out, make_reader)


def test_a_loss_that_is_no_number_names_the_tracks(
    run: Callable[..., Path], settings: Make, four_films: list[Clip], reader: Any
) -> None:
    def spoil(model: Any) -> None:
        with torch.no_grad():
            model.decoder.mask_token.fill_(float("nan"))

    chosen = settings(schedule={"batch_size": 36}, held_back={"every": 6})
    with pytest.raises(ModelError, match="step 2: the loss is nan") as told:
        run("mae", chosen, AtStep(1, spoil))
    cache = assets.cache_dir() / "face-tracks"
    found = [find_tracks(clip, chosen.faces, cache, lambda: reader) for clip in four_films]
    back = held_back([track for one in found for track in one.tracks], 0.25, 0)
    for one in found:  # a batch of 36 holds every face that is learned from, and none that is held back
        assert (f"{one.clip} face 0" in str(told.value)) == (one.sha256 not in back)


@pytest.fixture()
def small_files() -> Iterator[Callable[[int], None]]:
    """Lets no file grow over so many bytes from the call on, as on a full disk; 0 ends it."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda most: resource.setrlimit(resource.RLIMIT_FSIZE, (most or limits[0], limits[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, before)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # TensorBoard's writing thread
@pytest.mark.parametrize(("most_bytes", "told"), [(400_000, "checkpoint-4: the checkpoint"), (4096, "the log")])
def test_a_full_disk_leaves_the_last_whole_checkpoint(
    most_bytes: int, told: str, run: Callable[..., Path], settings: Make, small_files: Callable[[int], None]
) -> None:
    chosen = settings(held_back={"every": 6}, model={"hidden_size": 64})  # weights of 350 kB, twice that for Adam
    with pytest.raises(OutputError, match=f"{told} cannot be written .*free space"):
        run("full", chosen, AtStep(3, lambda _: small_files(most_bytes)))
    small_files(0)
    out = run("full", chosen)
    assert json.loads((out / "pretraining.json").read_text())["resumed_at_step"] == 2


def test_too_little_memory_names_the_setting(run: Callable[..., Path], settings: Make) -> None:
    def exhaust(_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(UsageError, match=r"lower schedule.batch_size \(now 4\)"):
        run("mae", settings(), AtStep(1, exhaust))


def test_a_run_goes_on_from_an_earlier_result(whole: dict[str, Path], run: Callable[..., Path], settings: Make) -> None:
    first = whole["face-mae"]
    second = run("second", settings(init=str(first), model=None, schedule={"steps": 1, "learning_rate": 1e-12}))
    before, after = _weights(first), _weights(second)
    assert all(np.abs(before[name] - after[name]).max() < 1e-6 for name in before)
    with pytest.raises(ModelError, match="wants a net of type 'videomae', found 'vit_mae'"):
        run("third", settings("face-videomae", init=str(first), model=None))


def test_init_without_a_decoder_is_refused(whole: dict[str, Path], settings: Make, tmp_path: Path) -> None:
    for name in ("config.json", "preprocessor_config.json"):
        (tmp_path / name).write_bytes((whole["face-mae"] / name).read_bytes())
    tensors = _weights(whole["face-mae"])
    encoder = {name: value for name, value in tensors.items() if not name.startswith("decoder.")}
    save_file(encoder, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="expected a pre-training checkpoint with encoder and decoder"):
        make_net(settings(init=str(tmp_path), model=None))


def test_damaged_recordings_count_in_the_exit_code(
    four_films: list[Clip], reader: Any, settings: Make, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "torn.mp4").write_bytes(b"\0" * 300)
    config = tmp_path / "tiny.yaml"
    config.write_text(yaml.safe_dump(settings().model_dump(mode="json")))
    words = (str(tmp_path), str(four_films[0].path.parent))
    request = Request("face-mae", words, config, tmp_path / "out" / "run", ("schedule.steps=1",))
    assert run_pretraining(request, lambda: reader) == 1
    assert "1 of 5 recordings gave no usable face; 1 could not be read" in capfd.readouterr().err
    with pytest.raises(UsageError, match="expected kind face-videomae, found face-mae"):
        run_pretraining(Request("face-videomae", (str(tmp_path),), config, tmp_path / "out" / "run"))


@pytest.mark.slow
def test_a_killed_process_goes_on_to_the_same_weights(
    run: Callable[..., Path], settings: Make, four_films: list[Clip], tmp_path: Path
) -> None:
    chosen = settings(schedule={"steps": 400}, save_every=10, log_every=100, held_back={"every": 400})
    config = tmp_path / "killed.json"
    config.write_text(chosen.model_dump_json())
    whole = run("whole", chosen)  # its faces are kept, so that the killed process need not look for them
    words = [str(clip.path) for clip in four_films]
    code = (
        "import sys; from pathlib import Path; from emotion_llama.train.pretrain.run import Request, run_pretraining;"
        "run_pretraining(Request('face-mae', tuple(sys.argv[3:]), Path(sys.argv[1]), Path(sys.argv[2])))"
    )
    out = tmp_path / "killed"
    # as many threads as this process has: other numbers round differently
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    process = subprocess.Popen([sys.executable, "-c", code, str(config), str(out), *words], env=os.environ | threads)
    deadline = time.monotonic() + 200
    while not (out / "checkpoints" / "checkpoint-20").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert not (out / "pretraining.json").exists()
    run("killed", chosen)
    assert json.loads((out / "pretraining.json").read_text())["resumed_at_step"] >= 20
    assert _equal(whole, out)

"""From a recording to the analysis of the whole: real files, stand-ins for the nets and the language model."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from emotion_llama.analyze.analyzer import Result
from emotion_llama.analyze.baseline import Beside
from emotion_llama.analyze.formats import FORMATS, write_files
from emotion_llama.analyze.perceive import Percept
from emotion_llama.analyze.render.film import film_span_s
from emotion_llama.analyze.report import ReportMaterial
from emotion_llama.analyze.results import build_material
from emotion_llama.analyze.timeline.focus import Focus
from emotion_llama.analyze.timeline.record import Recording
from emotion_llama.analyze.timeline.run import examine_over_time
from emotion_llama.analyze.timeline.whole import portraits_of
from emotion_llama.clip import Analysis, Clip, PeakFrame, Transcript
from emotion_llama.errors import MediaError, UsageError
from emotion_llama.measurements import FaceBox, FaceMeasures
from emotion_llama.media.types import Frame
from emotion_llama.perception.people import People
from emotion_llama.perception.tracking import FaceTracker
from emotion_llama.settings import AnalyzeSettings
from emotion_llama.timeline import Window
from tests.analyze.timeline.films import LABELS, Film, FlatNet, OneFace, looks_of, model_of
from tests.perception.talking import still, talker

if TYPE_CHECKING:
    from emotion_llama import EmotionLlama

SETTINGS = AnalyzeSettings(labels=LABELS, timeline=True, transcribe=False, tasks=("emotion",))


class Model:
    """A loaded preset that sees a face in every bright picture and judges windows by time."""

    focus: Focus | None = None
    settings: AnalyzeSettings

    def __init__(self, analysis: Analysis, happy: Callable[[float], float] = lambda middle_s: 0.8) -> None:
        self.film = Film(0.0, happy=happy)
        self.looked_at: list[tuple[float | None, float | None]] = []
        self.asked: list[tuple[str, ...]] = []
        self.analysis = analysis
        reader = SimpleNamespace(tracker=lambda: FaceTracker(OneFace(), OneFace()), people=lambda: People(looks_of))
        parts = SimpleNamespace(face_reader=reader, expression_net=FlatNet(), own_global=None)
        self.model = model_of(self.film.judge(), self.examine, parts)

    def examine(self, clip: Clip, settings: AnalyzeSettings, focus: Focus | None = None) -> Result:
        self.focus, self.settings = focus, settings
        self.looked_at.append((clip.start_s, clip.end_s))
        self.asked.append(settings.tasks)
        best = "happy" if self.film.happy(clip.start_s or 0.0) > 0.5 else "sad"
        found = {"clip": clip.clip, "emotion": best, "transcript": Transcript(text=None, source="none")}
        return Result(self.analysis.model_copy(update=found), ReportMaterial())

    def over_time(self, path: Path, settings: AnalyzeSettings = SETTINGS, **clip: Any) -> Analysis:
        return examine_over_time(self.model, Clip(clip="a", path=path, **clip), settings).analysis


def test_the_whole_is_the_mean_and_reasons_are_of_the_strongest_stretch(
    make_clip: Callable[..., Path], analysis: Analysis
) -> None:
    model = Model(analysis, lambda middle_s: 0.9 if middle_s > 20 else 0.2)
    found = model.over_time(make_clip("a.mp4", seconds=50, size=(64, 48), level=0.0))
    timeline = found.timeline
    assert timeline is not None and (timeline.window_s, timeline.step_s) == (6.0, 3.0)
    assert [stretch.emotion for stretch in timeline.stretches] == ["sad", "happy"]
    assert timeline.transitions == {"sad": {"happy": 1}}
    assert found.emotion == "happy" and 0.55 < found.probabilities["happy"] < 0.65  # 30 of 50 s, nobody speaks
    assert found.duration_s == pytest.approx(50, abs=0.2)
    ((start_s, end_s),) = model.looked_at
    assert start_s is not None and start_s > 20 and end_s is not None and end_s - start_s == pytest.approx(6)
    assert any("mean over 16 windows, weighted by their length" in warning for warning in found.warnings)


def test_windows_come_while_it_runs_and_are_those_of_the_timeline(
    make_clip: Callable[..., Path], analysis: Analysis
) -> None:
    model, told = Model(analysis), list[tuple[Window, float | None]]()
    path = make_clip("a.mp4", seconds=40, size=(64, 48), level=None)
    found = examine_over_time(
        model.model, Clip(clip="a", path=path), SETTINGS, lambda window, end_s: told.append((window, end_s))
    )
    assert found.analysis.timeline is not None
    assert tuple(window for window, _ in told) == found.analysis.timeline.windows
    assert {round(end_s or 0) for _, end_s in told} == {40}


def test_a_span_of_a_recording_keeps_the_recording_s_times(make_clip: Callable[..., Path], analysis: Analysis) -> None:
    model = Model(analysis)
    found = model.over_time(make_clip("a.mp4", seconds=30, size=(64, 48), level=0.2), start_s=10.0, end_s=20.0)
    assert found.timeline is not None
    windows = found.timeline.windows
    assert windows[0].start_s == 10.0 and windows[-1].end_s == pytest.approx(20.0, abs=0.2)
    assert found.duration_s == pytest.approx(10.0, abs=0.2)


def test_nobody_at_all_is_no_emotion_and_no_reasons(make_clip: Callable[..., Path], analysis: Analysis) -> None:
    model = Model(analysis)
    path = make_clip("dark.mp4", seconds=20, size=(64, 48), level=0.0, grey=0)
    found = model.over_time(path, SETTINGS.model_copy(update={"tasks": ("emotion", "reason")}))
    assert (found.emotion, found.confidence, found.probabilities, found.valence) == (None, None, {}, None)
    assert found.timeline is not None and found.timeline.stretches == () and model.asked == [("emotion",)]
    assert any("Nobody is seen or heard in 6 of 6 windows" in warning for warning in found.warnings)


def test_not_sure_enough_is_two_candidates_and_no_stretch(make_clip: Callable[..., Path], analysis: Analysis) -> None:
    unsure = SETTINGS.model_copy(update={"min_confidence": 0.9})
    found = Model(analysis).over_time(make_clip("a.mp4", seconds=12, level=0.0), unsure)
    assert found.emotion is None and found.candidates == ("happy", "sad") and found.confidence == pytest.approx(0.8)
    assert found.timeline is not None and found.timeline.stretches == ()
    assert all(w.emotion is None and w.probabilities for w in found.timeline.windows)


def test_a_given_transcript_has_no_times(make_clip: Callable[..., Path], analysis: Analysis) -> None:
    found = Model(analysis).over_time(make_clip("a.mp4", seconds=8, level=0.2), transcript="I told you so")
    assert found.timeline is not None and {w.text for w in found.timeline.windows} == {None}
    assert any("no times" in warning for warning in found.warnings)


def test_pictures_and_words_have_no_timeline_and_are_told_so(
    make_clip: Callable[..., Path], analysis: Analysis, tmp_path: Path
) -> None:
    from PIL import Image

    picture = tmp_path / "a.png"
    Image.new("RGB", (64, 48)).save(picture)
    found = Model(analysis).over_time(picture)
    assert found.timeline is None and any("a still picture has no course of time" in w for w in found.warnings)
    words = examine_over_time(Model(analysis).model, Clip(clip="text", transcript="hi"), SETTINGS).analysis
    assert words.timeline is None and any("words alone have no" in w for w in words.warnings)


def test_sound_alone_has_a_timeline(make_clip: Callable[..., Path], analysis: Analysis) -> None:
    found = Model(analysis).over_time(make_clip("a.wav", seconds=20, size=None, level=0.2))
    assert found.timeline is not None and found.timeline.windows[-1].end_s == pytest.approx(20.0, abs=0.1)
    assert found.timeline.cuts_s == () and found.timeline.expressions == ()


def test_people_of_the_whole_and_a_number_that_nobody_has(make_clip: Callable[..., Path], analysis: Analysis) -> None:
    path, model = make_clip("a.mp4", seconds=14, size=(64, 48), level=0.0), Model(analysis)
    found = model.over_time(path, SETTINGS.model_copy(update={"person": "all"}))
    (one,) = found.people
    assert Model(analysis).over_time(path, SETTINGS).people == ()
    assert (one.person, one.role, one.emotion) == (0, "all", "happy") and one.seconds == pytest.approx(14, abs=0.2)
    assert model.focus is not None and model.focus.face is not None and model.focus.face.track == 0
    assert model.settings.person == "active"
    assert Model(analysis).over_time(path, SETTINGS.model_copy(update={"person": 0})).emotion == "happy"
    with pytest.raises(UsageError, match=r"a: nobody there has the number 4; found 0$"):
        Model(analysis).over_time(path, SETTINGS.model_copy(update={"person": 4}))
    with pytest.raises(UsageError, match="found none: no face is seen"):
        dark = make_clip("dark.mp4", seconds=8, size=(64, 48), level=0.0, grey=0)
        Model(analysis).over_time(dark, SETTINGS.model_copy(update={"person": 0}))


def test_boxes_are_kept_all_along_and_what_the_windows_are_compared_with_is_told_once(
    make_clip: Callable[..., Path], analysis: Analysis
) -> None:
    model = Model(analysis)
    beside = Beside(warnings=("nothing was taken off",))
    asked: list[bool] = []

    def of(clip: Clip, settings: AnalyzeSettings, watch: object) -> Beside:
        asked.append(settings.timeline)
        return beside

    model.model.beside = of
    path = make_clip("a.mp4", seconds=40, size=(64, 48), level=0.0)
    result = examine_over_time(model.model, Clip(clip="a", path=path, start_s=2.0, end_s=38.0), SETTINGS)
    (boxes,) = result.material.face_boxes
    assert boxes.main and boxes.time_s[0] == pytest.approx(2.0, abs=0.1) and boxes.time_s[-1] > 37.8
    assert len(boxes.time_s) == pytest.approx(360, abs=2)
    assert film_span_s(result.material) == (2.0, pytest.approx(38.0, abs=0.1))
    assert model.focus is not None and model.focus.beside is beside and asked == [True]
    assert sum("taken off" in warning for warning in result.analysis.warnings) == 0  # the close look says it


def test_with_hidden_faces_nothing_that_is_kept_shows_one(make_clip: Callable[..., Path], analysis: Analysis) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (160, 160, 3), dtype=np.uint8)
    track = talker(0, still, 3.0)
    track = replace(track, samples=tuple(replace(sample, crop=noise) for sample in track.samples))
    picture = np.tile(noise, (2, 2, 1))

    class Everywhere:
        def find(self, rgb: NDArray[np.uint8], fine: bool = False) -> list[FaceBox]:
            return [FaceBox(np.array([0, 0, 320, 320], np.float32), np.zeros((6, 2), np.float32), 0.9)]

    class Hiding(Model):
        def examine(self, clip: Clip, settings: AnalyzeSettings, focus: Focus | None = None) -> Result:
            faces = FaceMeasures(45, (track,), 0, None, None, None, 3)
            peak = PeakFrame(index=3, time_s=track.samples[3].time_s, policy="peak")
            said = Transcript(text=None, source="none")
            percept = Percept(clip, None, faces, Frame(picture, 3, peak.time_s), peak, None, None, said, ())
            material = build_material(percept, Everywhere() if settings.blur_faces else None)
            return Result(super().examine(clip, settings, focus).analysis, material)

    path = make_clip("a.mp4", seconds=8, size=(64, 48), level=0.0)

    def kept(blur: bool) -> list[NDArray[np.uint8]]:
        asked = SETTINGS.model_copy(update={"blur_faces": blur, "person": "all"})
        material = examine_over_time(Hiding(analysis).model, Clip(clip="a", path=path), asked).material
        assert material.faces_hidden == blur and material.faces is not None and material.peak_rgb is not None
        crops = [sample.crop for one in material.faces.tracks for sample in one.samples]
        return [material.peak_rgb, *crops]

    def grain(rgb: NDArray[np.uint8]) -> float:
        """Mean difference of neighbouring pixels in the middle of a picture."""
        middle = rgb[40:120, 40:120].astype(float)
        return float(np.abs(np.diff(middle, axis=0)).mean())

    assert min(map(grain, kept(False))) > 60 and max(map(grain, kept(True))) < 15 and len(kept(True)) > 40
    record = Recording()
    record.portraits[3] = noise
    assert grain(portraits_of(record, hidden=False)[3]) > 60 and grain(portraits_of(record, hidden=True)[3]) < 15


def test_what_is_no_recording_is_an_error(tmp_path: Path, analysis: Analysis) -> None:
    (tmp_path / "a.mp4").write_text("text")
    with pytest.raises(MediaError, match=r"a\.mp4"):
        Model(analysis).over_time(tmp_path / "a.mp4")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"window_s": 0.5}, "window_s must be 1 to 60"),
        ({"step_s": 7.0}, "step_s must be 0.5 seconds to the length of a window"),
        ({"label_method": "generate-last-word"}, "scored by likelihood"),
        ({"features": Path("x")}, "feature files are of whole recordings"),
    ],
)
def test_settings_that_do_not_fit_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AnalyzeSettings.model_validate({"timeline": True, **change})


def test_the_real_model_over_the_sample(nano: EmotionLlama, tmp_path: Path) -> None:
    from emotion_llama import assets

    path = assets.path("sample-speech") / "obama_speech.mp4"
    asked = SETTINGS.model_copy(update={"transcribe": True, "person": "all", "blur_faces": True, "baseline": ("auto",)})
    result = nano.examine(Clip(clip=str(path), path=path), asked)
    timeline = result.analysis.timeline
    assert timeline is not None and timeline.windows and timeline.stretches
    assert all(sum(w.probabilities.values()) == pytest.approx(1) for w in timeline.windows)
    assert [w.person for w in timeline.windows] == [0, 1] * (len(timeline.windows) // 2)
    assert {w.speaking for w in timeline.windows if w.person == 0} == {True}
    assert all(w.inputs == ("video",) and w.text is None for w in timeline.windows if w.person == 1)  # he listens
    assert {(one.person, one.role) for one in result.analysis.people} == {
        (0, "all"), (0, "speaking"), (1, "all"), (1, "listening"),
    }  # fmt: skip
    assert [(face.track, face.main) for face in result.analysis.faces] == [(0, True), (1, False)]
    assert sum("gives no baseline" in warning for warning in result.analysis.warnings) == 1
    assert result.material.faces_hidden and set(result.material.portraits) == {0, 1}
    assert "negotiations" in (timeline.windows[0].text or "") and timeline.windows[0].inputs == (
        "video",
        "audio",
        "text",
    )
    assert result.material.action_units is not None and len(result.material.action_units.time_s) > 100
    for file in write_files(result, tmp_path, [name for name in FORMATS if name != "parquet"]):
        assert file.stat().st_size > 0
    read = Analysis.model_validate(json.loads((tmp_path / "obama_speech.json").read_text(encoding="utf-8")))
    assert read.timeline == timeline

"""Judgments are kept, in order and whole, whatever happens beside."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy", reason="needs sqlalchemy")

from emotion_llama.build.review.passwords import hash_password, password_fits
from emotion_llama.build.review.records import Changes, Scores
from emotion_llama.build.review.store import ReviewStore, Said, add_annotator, add_annotators
from emotion_llama.errors import ManifestError, OutputError, UsageError


def said(annotator: str, clip: str = "a", **more: object) -> Said:
    return Said.model_validate(
        {"clip": clip, "annotator": annotator, "verdict": "accept", "content_sha256": "0", **more}
    )


def test_nothing_is_overwritten_and_another_process_sees_it(tmp_path: Path) -> None:
    store = ReviewStore(tmp_path)
    store.add_judgment(said("Ann", verdict="fix", changes=Changes(transcript=""), scores=Scores(visual=0)))
    other = ReviewStore(tmp_path)
    first = other.judgments()
    second = other.add_judgment(said("Ann", verdict="reject", reason="no"))
    assert store.judgments() == (*first, second) == other.judgments()
    assert (first[0].changes.transcript, first[0].scores.visual, first[0].scores.audio) == ("", 0, None)
    store.close()
    other.close()


def test_blind_is_what_nobody_could_have_been_swayed_in(tmp_path: Path) -> None:
    store = ReviewStore(tmp_path)
    order = ("Ann", "Ann", "Bo", "Bo", "Ann", "Cy")
    assert [store.add_judgment(said(name)).blind for name in order] == [True, True, True, False, False, True]
    assert store.add_judgment(said("Ann", content_sha256="1")).blind  # the entry was built anew
    store.close()


def test_passwords_are_salted_hashes_and_the_newest_counts(tmp_path: Path) -> None:
    hashed = hash_password("correct horse")
    assert "horse" not in hashed and hashed != hash_password("correct horse")
    assert password_fits("correct horse", hashed) and not password_fits("correct hors", hashed)
    add_annotator(tmp_path, "Ann", "first-password")
    add_annotator(tmp_path, "Ann", "second-password")
    store = ReviewStore(tmp_path)
    assert store.annotators() == ("Ann",)
    assert store.signs_in("Ann", "second-password")
    assert not store.signs_in("Ann", "first-password") and not store.signs_in("Bo", "second-password")
    store.close()
    assert b"-password" not in (tmp_path / "reviews.sqlite").read_bytes()


@pytest.mark.parametrize(
    ("name", "password"), [("", "long enough"), (" Ann", "long enough"), ("A\nB", "long enough"), ("Ann", "short")]
)
def test_bad_names_and_passwords_are_refused(tmp_path: Path, name: str, password: str) -> None:
    with pytest.raises(UsageError, match="expected"):
        add_annotator(tmp_path, name, password)


def test_annotators_come_from_a_file(tmp_path: Path) -> None:
    store, file = ReviewStore(tmp_path), tmp_path / "annotators.csv"
    file.write_text('name,password\nAnn,ann-password\n"Bo, B.",bo-password\n', encoding="utf-8")
    add_annotators(store, file)
    assert store.annotators() == ("Ann", "Bo, B.")
    file.write_text("name,password\nCy,short\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"annotators\.csv:2: .*8 characters"):
        add_annotators(store, file)
    file.write_text("name,pass\nCy,cy-password\n", encoding="utf-8")
    with pytest.raises(UsageError, match="columns name and password"):
        add_annotators(store, file)
    with pytest.raises(ManifestError, match="cannot read"):
        add_annotators(store, tmp_path / "none.csv")
    store.close()


def test_databases_that_cannot_be_had_are_named_without_their_password(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be opened"):
        ReviewStore(tmp_path, "no url at all")
    with pytest.raises(UsageError, match=r"nowhere://…@host/db") as caught:
        ReviewStore(tmp_path, "nowhere://me:hidden@host/db")
    assert "hidden" not in str(caught.value)
    with pytest.raises(UsageError, match="may write to"):
        ReviewStore(tmp_path / "no such folder")


def test_a_database_that_takes_nothing_says_so(tmp_path: Path) -> None:
    store = ReviewStore(tmp_path)
    with sqlite3.connect(tmp_path / "reviews.sqlite") as other:
        other.execute("CREATE TRIGGER full BEFORE INSERT ON judgments BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
    with pytest.raises(OutputError, match="nothing was saved"):
        store.add_judgment(said("Ann"))
    assert store.judgments() == ()
    store.close()

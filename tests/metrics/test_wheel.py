import os
from statistics import mean

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from emotion_llama.errors import ManifestError, UsageError
from emotion_llama.labels import SYNONYMS, is_known, known_words
from emotion_llama.metrics import wheel_tables
from emotion_llama.metrics.label_sets import word_set
from emotion_llama.metrics.object_npz import read_object
from emotion_llama.metrics.resample import point_scores
from emotion_llama.metrics.wheel import hit_statistic, own_tables, read_official, wheel_statistic, wheel_values
from emotion_llama.metrics.wheel_tables import WheelTables, has_official, make_wheel

ONE = {"joy": {"cheer": ["happy", "amused"], "calmness": ["calm"]}, "grief": {"sorrow": ["sad", "hurt"]}}
TWO = {"pleasant": {"good": ["happy", "calm", "amused"]}, "painful": {"low": ["sad"]}}
FORMS = {"happy": ("happy",), "happiness": ("happy",), "glad": ("glad",), "calm": ("calm",), "sad": ("sad",)}
FORMS |= {"amused": ("amused",), "hurt": ("hurt",), "bittersweet": ("bittersweet",), "joy": ("joy",)}
SYNONYM = {word: (word,) for word in ("happy", "calm", "sad", "amused", "hurt", "joy")}
SYNONYM |= {"glad": ("happy",), "bittersweet": ("sad", "happy")}


@pytest.fixture
def tables():
    return WheelTables(FORMS, SYNONYM, {"one": make_wheel(ONE), "two": make_wheel(TWO)}, "test", {})


def naive_ew(truths, predictions, tables, level, strict=False):
    """The metric told once more, in loops and without arrays."""

    def cluster(words, wheel):
        sectors = tables.wheels[wheel].level1 if level == 1 else tables.wheels[wheel].level2
        found = set()
        for word in words:
            reached = sorted({w for base in tables.forms.get(word, ()) for w in tables.synonyms.get(base, ())})
            held = [w for w in reached if w in sectors]
            if held:
                found.add(("sector", sectors[held[0]]))
            elif strict:
                found.add(("word", word))
        return found

    per_wheel = []
    for wheel in tables.wheels:
        pairs = [(cluster(g, wheel), cluster(p, wheel)) for g, p in zip(truths, predictions, strict=True)]
        pairs = [(g, p) for g, p in pairs if g]
        precision = mean(len(g & p) / len(p) if p else 0.0 for g, p in pairs)
        recall = mean(len(g & p) / len(g) for g, p in pairs)
        per_wheel.append(2 * precision * recall / (precision + recall) if precision + recall else 0.0)
    return mean(per_wheel)


def test_chain_from_form_to_sector(tables):
    assert tables.reach("Happiness") == ("happy",)
    assert tables.sector("glad", "one", 1) == "joy"
    assert tables.sector("glad", "one", 2) == "cheer"
    assert tables.sector("hurt", "one", 2) == "sorrow"
    assert tables.sector("hurt", "two", 1) is None
    assert tables.sector("zorbic", "one", 1) is None


def test_first_reachable_wheel_word_by_alphabet_decides(tables):
    assert tables.reach("bittersweet") == ("happy", "sad")
    assert tables.sector("bittersweet", "one", 1) == "joy"


def test_inner_word_goes_to_its_first_child_at_level_2(tables):
    assert tables.sector("joy", "one", 1) == "joy"
    assert tables.sector("joy", "one", 2) == "calmness"


def test_hand_worked_scores(tables):
    truths = [word_set(w) for w in (["happy", "sad"], ["calm"], ["zorbic"], ["hurt", "zorbic"])]
    said = [word_set(w) for w in (["glad", "amused"], ["sad", "blorp"], ["happy"], ["sad"])]
    scores = wheel_values(truths, said, tables)
    # wheel one: (joy, grief | joy), (joy | grief), dropped, (grief | grief); wheel two holds no "hurt": clip 4 dropped
    p1, r1 = (1 + 0 + 1) / 3, (1 / 2 + 0 + 1) / 3
    p2, r2 = (1 + 0) / 2, (1 / 2 + 0) / 2
    assert scores["ew_precision_level1"] == pytest.approx((p1 + p2) / 2)
    assert scores["ew_recall_level1"] == pytest.approx((r1 + r2) / 2)
    f1, f2 = 2 * p1 * r1 / (p1 + r1), 2 * p2 * r2 / (p2 + r2)
    assert scores["ew_f1_level1"] == pytest.approx((f1 + f2) / 2)
    assert scores["ew_f1_level1:one"] == pytest.approx(f1)
    assert scores["samples_kept"] == pytest.approx((3 / 4 + 2 / 4) / 2)
    assert scores["truth_coverage"] == pytest.approx((4 / 6 + 3 / 6) / 2)
    assert scores["prediction_coverage"] == pytest.approx(5 / 6)
    # strict, wheel one: "blorp", "zorbic" are sectors of their own
    sp, sr = (1 + 0 + 0 + 1) / 4, (1 / 2 + 0 + 0 + 1 / 2) / 4
    sp2, sr2 = (1 + 0 + 0 + 0) / 4, (1 / 2 + 0 + 0 + 0) / 4
    assert scores["ew_precision_level1_strict"] == pytest.approx((sp + sp2) / 2)
    assert scores["ew_recall_level1_strict"] == pytest.approx((sr + sr2) / 2)


VOCABULARY = ["happy", "happiness", "glad", "calm", "sad", "amused", "hurt", "bittersweet", "joy", "zorbic", "blorp"]
KNOWN = VOCABULARY[:6]
PAIRS = st.lists(
    st.tuples(
        st.frozensets(st.sampled_from(VOCABULARY), max_size=3).map(lambda words: words | {"sad"}),
        st.frozensets(st.sampled_from(VOCABULARY), max_size=4),
    ),
    min_size=1,
    max_size=8,
)


def fixed_tables():
    return WheelTables(FORMS, SYNONYM, {"one": make_wheel(ONE), "two": make_wheel(TWO)}, "test", {})


@given(PAIRS)
@settings(max_examples=30, deadline=None)
def test_agrees_with_the_naive_metric(pairs):
    tables = fixed_tables()
    truths, said = map(list, zip(*pairs, strict=True))
    scores = wheel_values(truths, said, tables)
    for level in (1, 2):
        assert scores[f"ew_f1_level{level}"] == pytest.approx(naive_ew(truths, said, tables, level), abs=1e-6)
        assert scores[f"ew_f1_level{level}_strict"] == pytest.approx(
            naive_ew(truths, said, tables, level, strict=True), abs=1e-6
        )


@given(PAIRS)
@settings(max_examples=20, deadline=None)
def test_a_perfect_answer_scores_one(pairs):
    truths = [truth for truth, _ in pairs]
    scores = wheel_values(truths, truths, fixed_tables())
    assert [scores[f"ew_f1_level{level}{kind}"] for level in (1, 2) for kind in ("", "_strict")] == pytest.approx(
        [1] * 4
    )


@given(PAIRS)
@settings(max_examples=20, deadline=None)
def test_unknown_answered_words_cost_coverage_and_strict_precision_only(pairs):
    tables = fixed_tables()
    unheld = {"zorbic", "blorp", "hurt", "joy"}  # the last two by wheel two
    truths = [truth - unheld for truth, _ in pairs]
    said = [words - unheld | {"happy"} for _, words in pairs]
    before = wheel_values(truths, said, tables)
    after = wheel_values(truths, [words | {"zorbic"} for words in said], tables)
    assert after["prediction_coverage"] < before["prediction_coverage"]
    assert after["truth_coverage"] == before["truth_coverage"]
    assert after["ew_f1_level1"] == before["ew_f1_level1"]
    assert after["ew_precision_level1_strict"] <= before["ew_precision_level1_strict"]
    assert after["ew_recall_level1_strict"] == before["ew_recall_level1_strict"]
    # no unknown word is shared, so keeping them can only cost
    assert after["ew_precision_level1_strict"] <= after["ew_precision_level1"] + 1e-6


@given(st.lists(st.tuples(st.frozensets(st.sampled_from(KNOWN), min_size=1), st.frozensets(st.sampled_from(KNOWN)))))
@settings(max_examples=15, deadline=None)
def test_strict_is_the_same_where_every_word_is_known(pairs):
    pairs = [*pairs, (frozenset(["sad"]), frozenset(["sad"]))]
    truths, said = map(list, zip(*pairs, strict=True))
    scores = wheel_values(truths, said, fixed_tables())
    assert scores["ew_f1_level2_strict"] == pytest.approx(scores["ew_f1_level2"], abs=1e-6)
    assert scores["truth_coverage"] == 1


def test_no_clip_kept_is_undefined_not_zero(tables):
    scores = wheel_values([word_set(["zorbic"])], [word_set(["happy"])], tables)
    assert scores["ew_f1_level1"] is None
    assert scores["samples_kept"] == 0
    assert scores["ew_f1_level1_strict"] == 0


def test_statistic_counts_a_repeated_clip_twice(tables):
    truths, said = [word_set(["happy"]), word_set(["sad"])], [word_set(["glad"]), word_set(["happy", "sad"])]
    statistic = wheel_statistic(truths, said, tables)
    twice = wheel_statistic([*truths, truths[1]], [*said, said[1]], tables)
    sums = (statistic.columns * np.array([[1], [2]])).sum(axis=0)[None]
    weighted = statistic.finish(np.array([[3.0]]), sums)
    for name, value in point_scores(twice).items():
        assert weighted[name][0] == pytest.approx(value[0])


def test_unequal_lengths(tables):
    with pytest.raises(UsageError, match="found 1 for 2"):
        wheel_statistic([frozenset()] * 2, [frozenset()], tables)


def test_hit_rate_by_hand(tables):
    truths = ["happy", "sad", "zorbic"]
    said = [word_set(["glad", "hurt"]), word_set(["calm", "blorp"]), word_set(["happy"])]
    scores = {k: float(v[0]) for k, v in point_scores(hit_statistic(truths, said, ["happy", "sad"], tables)).items()}
    # wheel one: hit with joy and grief named (1/2), miss; wheel two does not hold "hurt": hit alone (1/1), miss
    assert scores["hit_rate"] == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert scores["mscore"] == pytest.approx((1 / 4 + 1 / 2) / 2)
    assert scores["samples_kept"] == pytest.approx(2 / 3)


def test_sectors_outside_the_candidates_do_not_lower_the_companion():
    tables = own_tables()
    for candidates, expected in ((["happy", "sad"], 1), (["happy", "sad", "angry"], 1 / 2)):
        statistic = hit_statistic(["happy"], [word_set(["joyful", "furious"])], candidates, tables)
        assert point_scores(statistic)["mscore"][0] == pytest.approx(expected)


def test_naming_everything_wins_the_hit_rate_and_loses_the_companion():
    tables, labels = own_tables(), ["happy", "sad", "angry", "fear", "disgust", "surprise"]
    everything = [word_set(labels)] * len(labels)
    scores = {k: float(v[0]) for k, v in point_scores(hit_statistic(labels, everything, labels, tables)).items()}
    assert scores["hit_rate"] == 1
    assert scores["mscore"] < 0.25


# ---- our own lexicon


def lexicon():
    return yaml.safe_load(wheel_tables._OWN.read_text(encoding="utf-8"))


def test_own_lexicon_size_and_labels():
    tables = own_tables()
    assert len(tables.forms) > 1000
    assert len(tables.synonyms) > 450
    assert len(tables.wheels) == 5
    assert [word for word in known_words() if not tables.reach(word)] == []


def test_own_words_lead_to_one_family_and_every_wheel_holds_it():
    tables = own_tables()
    assert [form for form in tables.forms if len(tables.reach(form)) != 1] == []
    for form in tables.forms:
        for wheel in tables.wheels:
            assert tables.sector(form, wheel, 1) and tables.sector(form, wheel, 2), (form, wheel)


def test_words_of_one_label_share_a_sector():
    tables = own_tables()
    for name, words in SYNONYMS.items():
        for wheel in tables.wheels:
            assert len({tables.sector(word, wheel, 1) for word in (name, *words)}) == 1, (name, wheel)


@pytest.mark.parametrize(
    ("wheel", "apart"),
    [
        ("ekman", ("happy", "surprise", "fear", "sad", "angry", "disgust", "neutral")),
        ("plutchik", ("happy", "trust", "fear", "surprise", "sad", "disgust", "angry", "anticipation", "neutral")),
        ("shaver", ("love", "happy", "surprise", "angry", "sad", "fear", "neutral")),
        (
            "izard",
            ("curious", "happy", "surprise", "sad", "angry", "disgust", "contempt", "fear", "ashamed", "remorse"),
        ),
        ("circumplex", ("happy", "excited", "surprise", "worried", "hurt", "sad", "tired", "calm", "neutral")),
    ],
)
def test_inner_rings_part_what_their_theories_part(wheel, apart):
    tables = own_tables()
    assert len({tables.sector(word, wheel, 1) for word in apart}) == len(apart)


def test_ring_names_are_unique_and_do_not_pull_families_elsewhere():
    families = set(lexicon()["families"])
    for wheel in lexicon()["wheels"].values():
        names = [name for inner, ring in wheel["rings"].items() for name in (inner, *ring)]
        assert len(names) == len(set(names))
        for inner, ring in wheel["rings"].items():
            held = {word for words in ring.values() for word in words.split()}
            assert {inner, *ring} & families <= held


def test_every_family_has_exactly_one_valence():
    book = lexicon()
    assert {name for name in book["families"] if not is_known(name)} == set(book["valence"])


def test_hash_names_the_content(tables):
    assert own_tables().sha256 == own_tables().sha256
    other = WheelTables({**FORMS, "blorp": ("sad",)}, SYNONYM, tables.wheels, "test", {})
    assert other.sha256 != tables.sha256


# ---- official forms


def write_sheet(path, rows):
    book = Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)


def write_official(folder):
    folder.mkdir(exist_ok=True)
    heading = ["level1", "level2", "level3"]
    for number in range(1, 6):
        rows = [["Joy ", "cheer", "happy"], [None, None, "amused"], [None, "calmness", "calm"]]
        write_sheet(folder / f"wheel{number}.xlsx", [heading, *rows, ["grief", "sorrow", "sad"]])
    names = [f"{kind}_run{run}" for run in range(1, 9) for kind in ("word", "synonym")]
    runs = [["happy", "['Glad', 'joyful']"], ["happy", "['merry']"], *[["happy", ""]] * 6]
    sad = [["sad", "['bittersweet']"]] * 8
    joy = [["joy", "['bittersweet']"]] * 8
    write_sheet(folder / "synonym.xlsx", [names, *([cell for run in row for cell in run] for row in (runs, sad, joy))])
    (folder / "format.csv").write_text(
        'name,format\nglad,"gladly,gladness"\nmerry,"merry,merrily"\nsad,\nbittersweet,\n'
    )
    return folder


def test_official_spreadsheets(tmp_path):
    tables = read_official(write_official(tmp_path / "emotion_wheel"))
    assert has_official(tmp_path / "emotion_wheel")
    assert list(tables.wheels) == ["wheel1", "wheel2", "wheel3", "wheel4", "wheel5"]
    assert tables.reach("gladly") == ("happy",)
    assert tables.sector("merrily", "wheel3", 2) == "cheer"
    assert tables.reach("bittersweet") == ("joy", "sad")
    assert tables.sector("bittersweet", "wheel1", 1) == "joy"
    assert tables.sector("bittersweet", "wheel1", 2) == "calmness"
    assert tables.sector("sad", "wheel2", 2) == "sorrow"
    assert tables.reach("happy") == ()  # it has no row in format.csv
    assert "official" in tables.source


def test_official_mapping(tmp_path):
    write_official(tmp_path / "e")
    levels = {"level1": {"happy": "joy"}, "level2": {"happy": "cheer"}}
    np.savez(
        tmp_path / "e" / "wheel_mapping.npz",
        format_mapping=np.array({"gladly": ["glad"]}, dtype=object),
        raw_mapping=np.array({"glad": ["happy"]}, dtype=object),
        wheel_map_whole=np.array({f"wheel{n}": levels for n in range(1, 6)}, dtype=object),
    )
    tables = read_official(tmp_path / "e")
    assert "wheel_mapping.npz" in tables.source
    assert tables.sector("gladly", "wheel5", 1) == "joy"
    assert tables.sector("gladly", "wheel5", 2) == "cheer"


def test_mapping_without_a_wheel(tmp_path):
    plain = np.array({}, dtype=object)
    np.savez(tmp_path / "wheel_mapping.npz", format_mapping=plain, raw_mapping=plain, wheel_map_whole=plain)
    with pytest.raises(ManifestError, match="wheel1"):
        read_official(tmp_path)


def test_numbers_in_object_arrays_are_read(tmp_path):
    np.savez(tmp_path / "a.npz", corpus=np.array({"x": {"val": np.float64(0.5), "emo": np.str_("sad")}}, dtype=object))
    assert read_object(tmp_path / "a.npz", "corpus") == {"x": {"val": 0.5, "emo": "sad"}}


class Harmful:
    def __reduce__(self):
        return os.mkdir, ("harm-was-done",)


def test_a_harmful_pickle_is_refused_before_it_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "bad.npz", corpus=np.array([Harmful()], dtype=object))
    with pytest.raises(ManifestError, match="mkdir"):
        read_object(tmp_path / "bad.npz", "corpus")
    assert not (tmp_path / "harm-was-done").exists()


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("wheel3.xlsx", b"not a sheet", r"wheel3\.xlsx: cannot be read as a spreadsheet"),
        ("format.csv", b"word,forms\na,b\n", r"format\.csv: expected the columns name and format"),
    ],
)
def test_damaged_official_files(tmp_path, file, content, message):
    folder = write_official(tmp_path / "e")
    (folder / file).write_bytes(content)
    with pytest.raises(ManifestError, match=message):
        read_official(folder)


def test_missing_columns_and_files_are_named(tmp_path):
    folder = write_official(tmp_path / "e")
    write_sheet(folder / "wheel2.xlsx", [["level1", "level2"], ["joy", "cheer"]])
    with pytest.raises(ManifestError, match="missing level3"):
        read_official(folder)
    with pytest.raises(ManifestError, match=r"wheel1\.xlsx"):
        read_official(tmp_path)

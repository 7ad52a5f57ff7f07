"""Every declared table: it loads, its cells compose, its contrasts can be settled; and what is no table is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from rnnbench.config.notes import setting_notes
from rnnbench.options import BadOption
from rnnbench.reproduction.collect import wanted_metrics
from rnnbench.reproduction.declaration import cell_settings, load_declaration, table_names, unreachable_contrasts
from rnnbench.reproduction.grid import Gap, Seeds

GRID = {
    "title": "Trial",
    "about": "Small.",
    "columns": {"lstm": {"title": "LSTM", "words": "model=lstm"}, "gru": {"words": ["model=gru"]}},
    "rows": {
        "adding": {
            "title": "Adding",
            "words": "task=adding task.length=8 task.sequences=20 model.hidden_size=4",
            "margin": 0.01,
            "scales": {
                "paper": {"words": ["train.steps=6"], "seeds": {"first": 3}, "minutes": 0.1},
                "laptop": {
                    "words": ["train.steps=4"],
                    "seeds": {"first": 3, "more": 2, "most": 8},
                    "reduction": "4 of 6 steps",
                },
            },
            "quirks": {
                "anywhere": {"words": ["task.marks=anywhere"], "says": "marks anywhere"},
                "value": {"words": ["train.clip_by=value"], "says": "clipped by value"},
            },
            "ladder": {"columns": ["lstm"]},
            "says": "the LSTM is larger",
            "claim": 1,
            "contrasts": {
                "larger": {"says": "parameters", "a": "lstm", "b": "gru", "metric": "parameters", "expect": "more"},
                "third": {
                    "says": "by a third",
                    "a": "lstm",
                    "b": "gru",
                    "metric": "parameters",
                    "expect": "same",
                    "ratio": 4 / 3,
                    "margin": 0.1,
                },
            },
        }
    },
}
REPORTED = {
    "sources": {"one": {"title": "A paper", "authors": "Somebody", "year": 2018, "where": "arXiv:0"}},
    "values": {"adding/lstm": [{"value": 0.1, "source": "one", "at": "Table 1", "sure": "seen", "estimator": "single"}]},
}


def write(folder: Path, grid: dict = GRID, reported: dict = REPORTED) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "grid.yaml").write_text(yaml.safe_dump(grid, sort_keys=False))
    (folder / "reported.yaml").write_text(yaml.safe_dump(reported))
    return folder


SHORTENED = {  # rows that are too short at a scale for what the paper's training does later
    ("bai2018", row, "laptop"): {"train.schedule=plateau"} for row in ("jsb", "nottingham", "ptb_word", "ptb_char")
}


@pytest.mark.parametrize("name", table_names())
def test_a_table_that_comes_with_the_program(name):
    table = load_declaration(name)
    for row, about in table.grid.rows.items():
        for scale in table.scales(row):
            arms = [cell for group in (*table.rungs(row), *table.readings(row)) for cell in group]
            for cell in [*table.cells(row, scale), *arms]:
                settings = cell_settings(cell.words)
                assert settings.seed == 0 and settings.test, cell.name
                assert cell.minutes is not None, f"{cell.name}: what a run costs"
                notes = setting_notes(settings) if scale != "smoke" else []
                assert {note.split()[0] for note in notes} <= SHORTENED.get((name, row, scale), set()), cell.name
        assert all(len(values) for values in table.reports.values.values())
        assert about.claim is None or (about.says and about.refuted_by and about.contrasts)
    assert not unreachable_contrasts(table), "contrasts that so few seeds can never settle"
    assert set(wanted_metrics(table)) == set(table.grid.rows)


def test_rungs_take_quirks_away_one_by_one(tmp_path):
    table = load_declaration(str(write(tmp_path / "t")))
    (rungs,) = table.rungs("adding")
    assert [cell.quirks for cell in rungs] == [("anywhere", "value"), ("value",), ()]
    assert rungs[-1] == table.cell("adding", "lstm", "laptop")
    assert "task.marks=anywhere" in rungs[0].words and "task.marks=anywhere" not in rungs[1].words


TIMED = {"margin": None, "ratio": 1.5, "metric": "steps_to_solve"}
READ = {
    "columns": ["lstm"],
    "scale": "laptop",
    "seeds": 2,
}
DETAILS = {
    "anywhere": {"words": ["task.marks=anywhere"], "says": "marks anywhere", "detail": "marks"},
    "longer": {"words": ["task.length=9"], "says": "9 steps", "detail": "length"},
    "longest": {"words": ["task.length=10"], "says": "10 steps", "detail": "length"},
    "narrow": {"words": [], "says": "2 units", "detail": "units", "struck": "10 weights where 20 are printed"},
}


def test_readings_are_every_combination_of_what_is_not_struck(tmp_path):
    """As stated first; of one detail no two readings together; each with the seeds of readings."""
    table = load_declaration(str(write(tmp_path, edited(ladder=None, quirks=DETAILS, readings=READ, **TIMED))))
    (cells,) = table.readings("adding")
    assert [cell.quirks for cell in cells] == [
        (), ("longer",), ("longest",), ("anywhere",), ("anywhere", "longer"), ("anywhere", "longest"),
    ]  # fmt: skip
    assert [cell.seeds.first for cell in cells] == [3, 2, 2, 2, 2, 2]
    assert cells[0].place == table.cell("adding", "lstm", "laptop").place
    assert cells[-1].words[-2:] == ("task.marks=anywhere", "task.length=10")


@pytest.mark.parametrize(
    ("name", "row", "digest"),
    [("hochreiter1997", "temporal_order_6a", "19a22899"), ("hochreiter1997", "adding_100", "412a68a4")],
)
def test_a_declaration_without_readings_has_the_digest_that_it_had(name, row, digest):
    assert load_declaration(name).digest(row) == digest


def test_a_quirk_may_differ_by_column_and_is_then_of_no_other(tmp_path):
    quirks = {**GRID["rows"]["adding"]["quirks"], "wide": {"words": {"gru": "model.hidden_size=5"}, "says": "wider"}}
    ladder = {"columns": ["lstm", "gru"], "first": "ours", "last": "published"}
    table = load_declaration(str(write(tmp_path / "t", edited(quirks=quirks, ladder=ladder))))
    lstm, gru = table.rungs("adding")
    assert [cell.quirks for cell in lstm] == [("anywhere", "value"), ("value",), ()]
    assert [cell.quirks for cell in gru] == [("anywhere", "value", "wide"), ("value", "wide"), ("wide",), ()]
    assert "model.hidden_size=5" in gru[0].words and "model.hidden_size=5" not in gru[-1].words
    called = load_declaration(str(write(tmp_path / "u", edited(quirks=quirks, ladder={**ladder, "last": "other"}))))
    assert called.digest("adding") == table.digest("adding"), "what the ends of a ladder are called is not declared"


def test_smoke_is_two_steps_and_one_seed(tmp_path):
    cell = load_declaration(str(write(tmp_path / "t"))).cell("adding", "gru", "smoke")
    assert cell_settings(cell.words).train.steps == 2 and cell.seeds.looks == [1]


@pytest.mark.parametrize(
    ("seeds", "looks"),
    [
        ({"first": 5}, [5]),
        ({"first": 8, "more": 4, "most": 16}, [8, 12, 16]),
        ({"first": 8, "more": 5, "most": 16}, [8, 13, 16]),
    ],
)
def test_looks(seeds, looks):
    assert Seeds(**seeds).looks == looks


@pytest.mark.parametrize(
    ("seeds", "judged"),
    [
        ({"first": 5}, {5: 1}),
        ({"first": 8, "more": 4, "most": 16}, {8: 1 / 3, 12: 1 / 3, 16: 1 / 3}),
        ({"first": 5, "added": [10]}, {5: 1}),  # nothing was left
        ({"first": 8, "more": 8, "most": 24, "added": [12]}, {8: 1 / 3, 12: 1 / 3, 16: 1 / 6, 24: 1 / 12}),
        ({"first": 8, "more": 8, "most": 16, "added": [10, 20]}, {8: 1 / 2, 10: 1 / 4, 16: 1 / 8, 20: 1 / 16}),
    ],
)
def test_the_level_of_each_look(seeds, judged):
    """An equal share for those of the plan; half of what is left from the first that was added later on."""
    found = dict(Seeds(**seeds).judged(0.05))
    assert found == pytest.approx({count: share * 0.05 for count, share in judged.items()})


@pytest.mark.parametrize(
    ("pilot", "first"), [(0.1, 3), (0.3, 3), (0.31, 4), (0.5, 4), (0.75, 8), (1.0, 12), (1.2, 30), (1.5, 30)]
)
def test_a_first_look_is_declared_from_a_pilot(pilot, first):
    assert Seeds(pilot=pilot).looks == [first]


@pytest.mark.parametrize(
    ("between", "digit", "margin"),
    [((8.45, 8.10), 0.01, 0.35 / 3), ((1.36, 1.35), 0.01, 0.01), ((0.35, 0.97), 0.001, 0.62 / 3)],
)
def test_the_margin_is_a_third_of_the_gap_and_not_below_the_printed_digit(tmp_path, between, digit, margin):
    gap = {"between": list(between), "digit": digit, "says": "LSTM and TCN", "at": "table 1"}
    table = load_declaration(str(write(tmp_path / "t", edited(margin=None, gap=gap))))
    assert table.grid.rows["adding"].value_margin == pytest.approx(margin)


def test_of_errors_near_zero_the_margin_is_a_factor_where_that_is_less():
    """What lies five hundred times above a printed error of 5.8e-5 is not the same, however small the difference."""
    gap = load_declaration("bai2018").grid.rows["adding_600"].gap
    assert gap.margin_at(0.000058) == pytest.approx(0.000058 * ((0.164 / 0.000058) ** (1 / 3) - 1))
    assert gap.margin_at(0.000058) < 0.0008
    assert gap.margin_at(0.164) == gap.margin == pytest.approx((0.164 - 0.000058) / 3)
    with pytest.raises(ValueError, match="between two values above 0"):
        Gap(between=(0.164, 0), digit=0.001, factor=True, says="", at="")


def test_what_was_declared_before_still_loads(tmp_path):
    """A margin as a number, differences as words, looks without a plan of their own."""
    old = {**REPORTED["values"]["adding/lstm"][0], "differs": "another loss"}
    table = load_declaration(str(write(tmp_path / "t", GRID, {**REPORTED, "values": {"adding/lstm": [old]}})))
    assert table.grid.rows["adding"].value_margin == 0.01
    assert table.reports.values["adding/lstm"][0].differs.kind == "other"
    bare = load_declaration(str(write(tmp_path / "u", GRID, {**REPORTED, "values": {"adding/lstm": [{**old, "differs": ""}]}})))
    assert bare.reports.values["adding/lstm"][0].differs is None


def tried(kind: str, *words: str) -> dict:
    differs = {"kind": kind, "says": "the width", "tried": list(words)}
    return {**REPORTED, "values": {"adding/lstm": [{**REPORTED["values"]["adding/lstm"][0], "differs": differs}]}}


def test_the_digest_changes_with_what_is_declared_and_not_with_how_it_is_called(tmp_path):
    def changed(**row) -> str:
        grid = {**GRID, "rows": {"adding": {**GRID["rows"]["adding"], **row}}}
        return load_declaration(str(write(tmp_path / "t", grid))).digest("adding")

    assert changed() == changed(title="Other", priority=1)
    assert len({changed(), changed(margin=0.02), changed(words="task=adding task.length=9"), changed(refuted_by="no")}) == 4


def edited(**row) -> dict:
    return {**GRID, "rows": {"adding": {**GRID["rows"]["adding"], **row}}}


LARGER = GRID["rows"]["adding"]["contrasts"]["larger"]


@pytest.mark.parametrize(
    ("grid", "reported", "said"),
    [
        (edited(wods="x"), REPORTED, "rows.adding.wods: no such key; did you mean 'words'?"),
        (edited(words="task=adding seed=3"), REPORTED, "adding/lstm: seed=3: words of a cell are task="),
        (GRID, {**REPORTED, "valuse": {}}, "valuse: no such key; did you mean 'values'?"),
        (edited(scales={"laptop": {"seeds": {"frist": 3}}}, ladder=None), REPORTED, "no such key; did you mean 'first'?"),
        (edited(contrasts={"x": {**LARGER, "expcet": 1}}), REPORTED, "no such key; did you mean 'expect'?"),
        (edited(columns={"x": {"tilte": "x"}}), REPORTED, "tilte: no such key; did you mean 'title'?"),
        (GRID, {"sorces": {}}, "sorces: no such key; did you mean 'sources'?"),
        (
            GRID,
            {**REPORTED, "values": {"adding/lstm": [{**REPORTED["values"]["adding/lstm"][0], "valeu": 1}]}},
            "valeu: no such key; did you mean 'value'?",
        ),
        (edited(margin=float("inf")), REPORTED, "rows.adding.margin"),
        (edited(scales={}), REPORTED, "a scale is missing"),
        (edited(scales={"huge": {}}), REPORTED, "rows.adding.scales.huge"),
        (edited(columns=["lstm", "gruu"]), REPORTED, "rows.adding: no column 'gruu'; did you mean 'gru'?"),
        (edited(metric="scor"), REPORTED, "no metric 'scor'; did you mean 'score'?"),
        (edited(margin=None), REPORTED, "a margin is missing"),
        (edited(contrasts={"x": {**LARGER, "b": "gruu"}}), REPORTED, "no column 'gruu'; did you mean 'gru'?"),
        (edited(contrasts={"x": {**LARGER, "expect": "same"}}), REPORTED, "needs a margin"),
        (edited(contrasts={"x": {**LARGER, "metric": "steps_to_solve", "ratio": 2}}), REPORTED, "no ratio"),
        (edited(contrasts={"x": {**LARGER, "metric": "solved", "b": 0.5}}), REPORTED, "between two columns"),
        (
            edited(
                metric="steps_to_solve",
                contrasts={"x": {k: v for k, v in {**LARGER, "expect": "same", "margin": 1}.items() if k != "metric"}},
            ),
            REPORTED,
            "steps",
        ),
        (edited(scales={"laptop": {"seeds": {"first": 3, "most": 8}}}, ladder=None), REPORTED, "stand together"),
        (edited(scales={"laptop": {"minutes": {"lstm": -1}}}, ladder=None), REPORTED, "minutes lstm: -1: above 0"),
        (edited(contrasts={"x": {**LARGER, "b": LARGER["a"]}}), REPORTED, "a and b are both adding/lstm"),
        (edited(contrasts={"x": {**LARGER, "b": "adding/lstm"}}), REPORTED, "a and b are both adding/lstm"),
        (edited(metric="test.accuracy"), REPORTED, "better: more or less of test.accuracy must be said"),
        ({**GRID, "rows": {}}, REPORTED, "rows"),
        (edited(scales={"laptop": {"seeds": {"pilot": 1.6}}}, ladder=None), REPORTED, "pilot 1.6: 1.5 at most"),
        (edited(scales={"laptop": {"seeds": {"pilot": 1, "first": 3}}}, ladder=None), REPORTED, "`first` or `pilot`"),
        (edited(scales={"laptop": {"seeds": {"first": 5, "added": [4]}}}, ladder=None), REPORTED, "is above `first`"),
        (edited(scales={"laptop": {"seeds": {"first": 5, "added": [5]}}}, ladder=None), REPORTED, "is above `first`"),
        (edited(gap={"between": [1, 2], "digit": 0.1, "says": "", "at": ""}), REPORTED, "`margin` or `gap`"),
        (edited(margin=None, gap={"between": [1, 2], "digit": 0, "says": "", "at": ""}), REPORTED, "rows.adding.gap.digit"),
        (edited(margin=None, gap={"between": [1, 2], "digit": 0.1, "says": ""}), REPORTED, "rows.adding.gap.at"),
        (edited(answers={"open": "{large.a} parameters"}), REPORTED, "answers.open: no contrast 'large'"),
        (edited(answers={"open": "{larger.c} parameters"}), REPORTED, "{larger.c}: {contrast.a}, .b or .ratio"),
        (edited(answers={"open": "{larger.a:x} parameters"}), REPORTED, "{larger.a:x}: {contrast.a}, .b or .ratio"),
        (edited(answers={"perhaps": "so"}), REPORTED, "rows.adding.answers.perhaps"),
        (GRID, tried("unknown", "model.hidden_size=4", "model.hidden_size=8"), "three values at least; got 2"),
        (GRID, tried("unknown", *["model.hidden_size=4"] * 3), "three values at least; got 1"),
        (GRID, tried("other", "model.hidden_size=4"), "this is of kind other"),
        (GRID, tried("some", "model.hidden_size=4"), "differs.kind"),
        (GRID, tried("unknown", *(f"model.hidden_size={size}" for size in (5, 6, 7))), "has none of what was tried"),
        (GRID, tried("unknown", *(f"seed={size}" for size in (4, 5, 6))), "words of a cell are task="),
        (edited(quirks={"x": {"words": {"lstn": []}, "says": "x"}}), REPORTED, "rows.adding: no column 'lstn'"),
        (
            GRID,
            {**REPORTED, "values": {"adding/lstm": [{**REPORTED["values"]["adding/lstm"][0], "selection": "best"}]}},
            "selection",
        ),
        (
            GRID,
            {**REPORTED, "values": {"adding/lstm": [{**REPORTED["values"]["adding/lstm"][0], "seeds": 3, "solved": 4}]}},
            "solved: 4 of seeds: 3",
        ),
        (edited(ladder={"columns": ["lstn"]}), REPORTED, "rows.adding: no column 'lstn'"),
        (
            edited(ladder=None, quirks=DETAILS, readings={**READ, "columns": ["lstn"]}, **TIMED),
            REPORTED,
            "no column 'lstn'",
        ),
        (edited(ladder=None, quirks=DETAILS, readings=READ), REPORTED, "`readings` are of a row with a `ratio`"),
        (edited(ladder=None, quirks=DETAILS, readings={**READ, "scale": "smoke"}), REPORTED, "rows.adding.readings.scale"),
        (edited(ladder=None, quirks=DETAILS), REPORTED, "those of `readings` have a `detail`"),
        (edited(quirks=DETAILS), REPORTED, "those of a `ladder` have none"),
        (edited(ladder=None, readings=READ), REPORTED, "those of `readings` have a `detail`"),
        (edited(quirks={"x": {"says": "x", "struck": "4 weights"}}), REPORTED, "is of a `detail`"),
        (edited(ratio=1.5), REPORTED, "`ratio` is of steps_to_solve and sequences_to_solve"),
        (edited(margin=None, ratio=1.0, metric="steps_to_solve"), REPORTED, "rows.adding.ratio"),
        (GRID, {"values": {"adding/lstm": [{**REPORTED["values"]["adding/lstm"][0], "source": "two"}]}}, "no source 'two'"),
        (GRID, {"values": {"adding/lstm": [{**REPORTED["values"]["adding/lstm"][0], "sure": "memory"}]}}, "sure"),
        (GRID, {"values": {"addin/lstm": []}}, "no row 'addin'; did you mean 'adding'?"),
    ],
)
def test_what_is_no_table_is_refused_in_one_line(tmp_path, grid, reported, said):
    with pytest.raises(BadOption) as error:
        load_declaration(str(write(tmp_path / "t", grid, reported)))
    assert said in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("title: t\nabout: a\ntitle: u\n", "line 3: duplicate key 'title'"),
        ("rows: [\n", "cannot be read as YAML"),
        ("? [a, b]\n: c\n", "a key is one word"),
        ("- a\n", "name: value"),
    ],
)
def test_a_file_that_is_no_mapping_with_every_key_once_is_refused(tmp_path, text, said):
    (write(tmp_path / "t") / "grid.yaml").write_text(text)
    with pytest.raises(BadOption) as error:
        load_declaration(str(tmp_path / "t"))
    assert said in str(error.value) and "\n" not in str(error.value)


def test_an_unknown_table_is_refused_with_the_nearest():
    with pytest.raises(BadOption, match="no table or folder 'nothing'"):
        load_declaration("nothing")


def test_too_few_seeds_for_so_many_contrasts_are_noticed(tmp_path):
    contrasts = {f"c{k}": LARGER for k in range(20)}
    grid = edited(contrasts=contrasts, scales={"laptop": {"seeds": {"first": 4}}}, ladder=None)
    found = unreachable_contrasts(load_declaration(str(write(tmp_path / "t", grid))))
    assert len(found) == 20 and "4 seeds reach p = 0.029 at best, and 20 contrasts of its family" in found["adding.c0"]

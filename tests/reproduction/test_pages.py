"""The pages of tables: what stands first, what every row says of its margin, numbers in the unit of the source."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from rnnbench.analysis.formatting import format_plus_minus
from rnnbench.analysis.intervals import Estimate
from rnnbench.analysis.render import to_markdown, to_terminal
from rnnbench.reproduction.cell_results import better_of
from rnnbench.reproduction.claim_table import claim_answer, claims_table
from rnnbench.reproduction.contrast_results import DRIFT, ClaimResult, ContrastResult
from rnnbench.reproduction.declaration import SWEEPS, load_declaration, table_names
from rnnbench.reproduction.evaluate import evaluate_table, measure_table
from rnnbench.reproduction.grid import Contrast, Reported
from rnnbench.reproduction.matrix import matrix_tables
from rnnbench.reproduction.overview import AS_STATED, OWN_CHOICE, count_table, judged_as, missing_hours, overview_tables
from rnnbench.reproduction.planning import open_questions
from rnnbench.reproduction.readme import table_details, table_readme
from rnnbench.reproduction.units import in_percent, printed_text
from rnnbench.reproduction.verdict_table import (
    CELLS,
    INTERVAL_NOTE,
    MARGIN_NOTES,
    REPORTED_NOTE,
    WORD_NOTES,
    cells_table,
    summary_text,
)
from rnnbench.reproduction.verdicts import NEWLY, Verdict, claim_verdict
from tests.reproduction.test_declared import GRID, edited, write
from tests.reproduction.test_reproductions import TRIED, judge, lines, reports, scored, sealed

NAMES = table_names()


@pytest.mark.parametrize("name", NAMES)
def test_a_page_says_first_what_was_found_and_leaves_the_rest_to_its_details(name):
    readme, details = ((SWEEPS / name / file).read_text(encoding="utf-8") for file in ("README.md", "DETAILS.md"))
    head, found = readme.split("\n## What was found\n", 1)
    assert len(head.split("\n")) < 6, "nothing stands before it but the title"
    first = found.strip().split("\n\n")[0]
    assert 1 <= len(re.findall(r"\.( |$)", first.replace("\n", " "))) <= 5, first
    assert "printed as" not in readme + details and "--again" not in readme and "holds only when" not in readme
    anchors = set(re.findall(r'<a id="(\w+)"></a>', details))
    assert set(re.findall(r"\(DETAILS\.md#(\w+)\)", readme)) <= anchors == {*load_declaration(name).grid.rows, "rows"}


@pytest.mark.parametrize("name", NAMES)
def test_every_row_with_reported_values_says_where_its_margin_is_from(name):
    table = load_declaration(name)
    details = (table.folder / "DETAILS.md").read_text(encoding="utf-8")
    for row in {place.partition("/")[0] for place in table.reports.values}:
        about = table.grid.rows[row]
        assert [bool(about.gap), bool(about.ratio), bool(about.margin_note)].count(True) == 1, f"{name}/{row}: where it is from"
        if about.gap:
            assert about.gap.at and about.value_margin == max(
                abs(about.gap.between[0] - about.gap.between[1]) / 3, about.gap.digit
            )
        assert "Margin" in details.split(f'<a id="{row}"></a>')[1].split("<a id=")[0]


@pytest.mark.parametrize("name", NAMES)
def test_notes_explain_what_stands_in_the_lines_and_no_more(name):
    """Of what is run, and of the same table before anything is."""
    table = load_declaration(name)
    for results in (measure_table(table, None), evaluate_table(table, ())):
        found = cells_table(results)
        of = {column.title: [line[place] for line in found.rows] for place, column in enumerate(CELLS)}
        shown = {title: any(cell.text not in ("", "–") for cell in cells) for title, cells in of.items()}
        assert (INTERVAL_NOTE in found.notes) == shown["measured"]
        assert (REPORTED_NOTE in found.notes) == shown["reported"]
        assert {note in found.notes for note in MARGIN_NOTES} == {shown["m* (margin)"]}
        said, explained = " ".join(cell.text for cell in of["verdict"]), "\n".join(found.notes)
        for cell in of["verdict"]:
            word = cell.values[0]
            assert word in ("", "missing", "both at floor") or f"{word}:" in explained or f"{word}," in explained, word
        for words, note in WORD_NOTES.items():
            assert (note in found.notes) <= any(word in said for word in words)


@pytest.mark.parametrize("name", NAMES)
def test_terminal_and_page_say_the_same_of_what_is_missing(name):
    results = measure_table(load_declaration(name), None)
    left = missing_hours(count_table(results).missing)
    page = (SWEEPS / name / "README.md").read_text(encoding="utf-8")
    for text in (summary_text(results), page):
        assert (f"what is missing takes about {left}, on one core" if left else "") in text
        assert ("what is missing takes" in text) == bool(left)


def test_words_about_a_margin_do_not_change_what_is_declared(tmp_path):
    one, other = (
        load_declaration(str(write(tmp_path / name, edited(**changes))))
        for name, changes in (("a", {}), ("b", {"margin_note": "none", "answers": {"open": "{larger.a} parameters"}}))
    )
    moved = load_declaration(str(write(tmp_path / "c", edited(margin=0.02))))
    assert one.digest("adding") == other.digest("adding") != moved.digest("adding")


def test_rules_that_were_changed_after_the_runs_are_shown(tmp_path):
    table = load_declaration(str(write(tmp_path / "t")))
    found = scored(table, lstm=[0.1, 0.101, 0.099])
    for changed in (False, True):
        digest = "0" * 8 if changed else table.digest("adding")
        lines(table.folder / "results.jsonl", [sealed({**one, "declared": {"t/adding": digest}}) for one in found])
        own = judge(table)
        assert ("Rules were changed after runs had been collected, of adding" in table_readme(own, to_markdown)) == changed
        assert (f"(declaration {table.digest('adding')} (was 00000000))" in table_details(own, to_markdown)) == changed


@pytest.mark.parametrize(
    ("lstm", "more", "shown"),
    [
        ([0.1, 0.101, 0.099], {"value": 0.1}, "0.1000 ± 0.0025 / 0.1 ✓"),
        ([0.1, 0.101, 0.099], {"value": 0.1, "printed": "0.100"}, "0.1000 ± 0.0025 / 0.100 ✓"),
        ([0.1, 0.101, 0.099], {"value": 0.05}, "0.1000 ± 0.0025 / 0.05 ▼"),
        ([0.1, 0.101, 0.099], {"value": 0.15}, "0.1000 ± 0.0025 / 0.15 ▲"),
        ([0.1, 0.101, 0.099], {"value": 0.1, "printed": "10.0"}, "10.00 ± 0.25 / 10.0 ✓"),
        ([0.1, 0.101, 0.099], {"value": 0.1, "differs": "another loss"}, "0.1000 ± 0.0025 / (0.1)"),
        ([0.1, 0.101, 0.099], {"value": 0.1, "estimator": "unknown"}, "0.1000 ± 0.0025 / (0.1)"),
        ([], {"value": 0.1}, "· / 0.1"),
        ([], {"value": 5.3e-5, "printed": "5.3e-5"}, "· / 5.3e−5"),
    ],
)
def test_the_matrix_has_ours_beside_the_printed_value_marked_by_verdict(tmp_path, lstm, more, shown):
    table = load_declaration(str(write(tmp_path / "t", GRID, reports(**more))))
    lines(table.folder / "results.jsonl", scored(table, lstm=lstm))
    (matrix,) = matrix_tables(judge(table))
    ((title, cell, gru),) = matrix.rows
    assert cell.text.replace("\u00a0", " ") == shown and gru.text == "·"
    assert title.text.endswith("%") == (more.get("printed") == "10.0") == in_percent(table, "adding")
    assert f"[{title.text}](DETAILS.md#adding)" in to_markdown([matrix])
    for sign in "✓▲▼°·(":
        assert (sign in shown + gru.text) == any(note.startswith(sign) or f" {sign}" in note for note in matrix.notes)


def test_scales_stand_apart_and_a_reduced_one_beside_no_printed_value(tmp_path):
    table = load_declaration(str(write(tmp_path / "t")))
    found = [
        *scored(table, lstm=[0.1, 0.101, 0.099]),
        *scored(table, "laptop", lstm=[0.2, 0.201, 0.199], gru=[0.3, 0.301, 0.299]),
    ]
    lines(table.folder / "results.jsonl", found)
    paper, laptop = matrix_tables(judge(table))
    assert [cell.text.replace("\u00a0", " ") for cell in paper.rows[0][1:]] == ["0.1000 ± 0.0025 / 0.1 ✓", "·"]
    assert [cell.text.replace("\u00a0", " ") for cell in laptop.rows[0][1:]] == ["0.200 ± 0.005", "0.300 ± 0.005"]


@pytest.mark.parametrize(
    ("value", "low", "high", "estimator", "shown"),
    [
        (8.33, 8.29, 8.37, "mean", "8.33 ± 0.04"),
        (0.1765, 0.17649, 0.17651, "mean", "0.1765 ± 1e−5"),
        (0.16, 0.0, 0.40, "mean", "0.16 [0.00, 0.40]"),
        (8.1e-5, 6.7e-5, 9.9e-5, "geometric mean", "8.1e−5 [6.7e−5, 9.9e−5]"),
        (0.25, None, None, "one seed", "0.25"),
        (1.0, 1.0, 1.0, "mean", "1.000 ± 0.000"),
    ],
)
def test_an_interval_is_shown_by_its_half_where_it_is_symmetric(value, low, high, estimator, shown):
    assert format_plus_minus(Estimate(value, low, high, estimator)) == shown


@pytest.mark.parametrize(
    ("value", "printed", "shown"),
    [
        (0.872, "87.2", "87.2"),
        (78.93, "", "78.93"),
        (5.3e-5, "5.3e-5", "5.3e−5"),
        (-1.5, "", "−1.5"),
        (31390, "31,390", "31,390"),
    ],
)
def test_a_value_is_shown_as_its_source_prints_it(value, printed, shown):
    about = {"value": value, "printed": printed, "source": "one", "at": "", "sure": "seen", "estimator": "mean"}
    assert printed_text(Reported.model_validate(about, strict=False)) == shown


@pytest.mark.parametrize(
    ("changes", "how"),
    [
        ({}, AS_STATED),
        ({"differs": {"kind": "unknown", "says": "the width", "tried": TRIED}}, OWN_CHOICE),
        ({"differs": {"kind": "other", "says": "another loss"}}, ""),
        ({"differs": {"kind": "scale", "says": "a tenth"}}, ""),
        ({"estimator": "unknown"}, ""),
        ({"estimator": "best"}, ""),
        ({"estimator": "best", "seeds": 1}, AS_STATED),
        ({"estimator": "best", "seeds": 2}, ""),  # three seeds are declared: fewer than twice as many
    ],
)
def test_what_can_be_judged_at_all(tmp_path, changes, how):
    table = load_declaration(str(write(tmp_path / "t", GRID, reports(**changes))))
    (value,) = table.reports.values["adding/lstm"]
    assert judged_as(table, "adding", "lstm", value) == how
    counts = count_table(judge(table))
    assert (counts.values, counts.judged, counts.verdicts) == (1, {how: 1} if how else {}, {"missing": 1} if how else {})
    assert f"{int(how == AS_STATED)} can be judged as stated" in table_readme(judge(table), to_markdown)


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["holds", "holds"], "yes"),
        (["holds", "fails"], "partly"),
        (["holds", "fails", "undecided"], "partly"),
        (["holds", "undecided"], "open"),
        (["undecided"], "open"),
        (["missing", "missing"], "open"),
        (["fails", "fails"], "no"),
        (["equivalent"], "no"),
        (["fails", "undecided"], "no"),
        (["equivalent", *["undecided"] * 9], "open"),
    ],
)
def test_the_answer_to_a_claim(words, answer):
    contrast = Contrast(says="", a="a", b="b", expect="more")
    found = tuple(
        ContrastResult("row", str(index), contrast, "", None, Verdict(word, "", "")) for index, word in enumerate(words)
    )
    verdict = claim_verdict([(one.verdict, "") for one in found])
    assert claim_answer(ClaimResult("row", 1, "", verdict, found)) == answer


@pytest.mark.parametrize(
    ("sentence", "shown"),
    [
        ("{larger.a} against {larger.b}, {larger.ratio} times", "400 against 300, 1.33 times"),
        ("{larger.a:ms} or {larger.a:percent} or {larger.a:abs}", "400k ms or 40k % or 400"),
        ("", "Of 2 contrasts: 2 holds."),
    ],
)
def test_a_claim_is_answered_in_a_sentence_with_the_numbers_of_now(tmp_path, sentence, shown):
    answers = {"yes": sentence} if sentence else {"no": "the sentence of another answer is not shown"}
    table = load_declaration(str(write(tmp_path / "t", edited(answers=answers))))
    lines(table.folder / "results.jsonl", scored(table, "laptop", lstm=[0.1] * 8, gru=[0.2] * 8))
    ((claim, answer, found),) = claims_table(judge(table)).rows
    assert (claim.text, answer.text, found.text) == ("1. the LSTM is larger", "yes", shown)


def test_the_claims_of_the_notes_are_in_order_each_with_a_sentence_of_its_own():
    own = claims_table(measure_table(load_declaration("course_notes"), None))
    assert [row[0].values[0] for row in own.rows] == list(range(1, 21))
    for claim, answer, found in own.rows:
        assert answer.text in ("yes", "partly", "no", "open") and not found.text.startswith("Of "), claim.text
        assert found.text.endswith(".") and ". " not in found.text and not re.search(r"[{}–]", found.text), found.text


@pytest.mark.parametrize("written", ["Three sentences.\n\n### In detail\n\nMore.\n", "### In detail\n\nMore.\n", ""])
def test_the_head_of_what_is_written_by_hand_stands_first(tmp_path, written):
    table = load_declaration(str(write(tmp_path / "t")))
    (table.folder / "findings.md").write_text(written)
    page = table_readme(judge(table), to_markdown)
    first = page.split("## What was found\n\n")[1].split("\n")[0]
    assert first == "Three sentences." if written.startswith("T") else first.startswith("Nothing of it has been run yet")
    assert page.count("### In detail") == written.count("###") and "\n\n\n" not in page


def test_the_page_of_all_tables_sums_them():
    tables = [evaluate_table(load_declaration(name), []) for name in NAMES]
    for overview in overview_tables(tables):
        *lines_, total = overview.rows
        assert [line[0].text for line in lines_] == NAMES and total[0].text == "all"
        for index in range(1, len(total)):
            assert total[index].values[0] == pytest.approx(sum(line[index].values[0] for line in lines_), abs=1e-2)


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_number_and_no_word_of_a_claim_is_cut_in_a_terminal(width):
    shown = to_terminal([claims_table(measure_table(load_declaration("course_notes"), None))], width)
    assert max(map(len, shown.split("\n"))) <= max(width, 50)
    assert {"parameters", "initialisation"} & set(re.findall(r"\w+", shown)) and "23.1" in shown


@pytest.fixture(scope="module")
def notes():
    return measure_table(load_declaration("course_notes"), None)


def test_times_of_sides_that_did_not_run_in_turn_settle_only_what_no_drift_explains(notes):
    """Every contrast of times in the notes was run one side after the other."""
    times = {(row, name): one for (row, name), one in notes.contrasts.items() if row in ("speed", "parallel", "squashing")}
    del times["speed", "products"]
    words, notes_of = dict[bool, set[str]](), set()
    for one in (*times.values(), notes.contrasts["transformer", "seconds"]):
        assert one.answer is not None
        a, b = one.answer.shows
        limit = DRIFT * (1 + (one.about.margin or 0) if one.about.expect == "same" else 1)
        far = not 1 / limit < a / b / (one.about.ratio or 1) < limit
        words.setdefault(far, set()).add(one.verdict.word)
        notes_of |= set() if far else {one.verdict.why}
    assert words == {False: {"undecided"}, True: {"holds", "fails"}}
    assert notes_of == {"the sides did not run in turn, and a machine may drift by a factor of 2"}, "seeds would not help"


def test_two_sides_at_the_floor_are_not_the_same():
    """Nor is it asked for more seeds, which would not leave the floor."""
    found = measure_table(load_declaration("bai2018"), None)
    one = found.contrasts["adding_600", "tcn_learns_adding_600"]
    assert one.at_floor and one.verdict.word == "undecided" and "no run has left the floor" in one.verdict.why
    assert not any(question.chance for question in open_questions(found, ["adding_600"], "laptop"))
    others = [other.at_floor for place, other in found.contrasts.items() if place[0] != "adding_600"]
    assert others and not any(others)


def test_no_hours_are_spent_on_times_that_will_not_have_been_taken_in_turn(notes):
    """Seeds of one side alone are missing, so that it stays a block; where both sides lack theirs, they will take turns."""
    place = ("speed", "parameters_rnn_gru")

    def asked(results):
        (one,) = (one for one in open_questions(results, ["speed"]) if one.name == ".".join(place))
        return len({run.cell for run in one.missing}), one.chance > 0

    assert notes.contrasts[place].verdict.word == "undecided" and asked(notes) == (1, False)
    sides = [notes.table.cell("speed", column, "laptop").place for column in ("rnn_parameters", "gru_parameters")]
    short = {side: notes.runs.cells[side].of(8) for side in sides}
    assert asked(replace(notes, runs=replace(notes.runs, cells={**notes.runs.cells, **short}))) == (2, True)


@pytest.mark.parametrize(
    ("table", "place", "expect", "word"),
    [
        ("course_notes", ("transformer", "copy"), "less", "holds"),  # a loss: 10 of 12 solve it, and 0 of 12
        ("bai2018", ("copy_50", "tcn_remembers_more"), "more", "holds"),  # an accuracy: 4 of 5, and 0 of 5
    ],
)
def test_where_some_runs_solve_their_task_the_shares_are_compared(table, place, expect, word):
    one = measure_table(load_declaration(table), None).contrasts[place]
    assert one.about.expect == expect
    assert one.verdict.word == word
    assert one.answer.shows[0] > 0.75 and one.answer.shows[1] == 0


def test_of_runs_of_which_some_solve_it_sameness_is_not_judged(notes):
    one = notes.contrasts["range", "slope"]
    assert (one.verdict.word, one.answer) == ("undecided", None)
    assert "9/12 solved and 0/12 solved: means" in one.verdict.why


def test_what_only_a_new_declaration_can_settle_says_so(notes):
    """A contrast of which no look is left; one of the notes has its second look to come."""
    open_ = {place: one.verdict.why for place, one in notes.contrasts.items() if one.verdict.why.startswith("about ")}
    assert [place for place, why in open_.items() if not why.endswith(NEWLY)] == [("short_memory", "recalled")]
    assert len(open_) > 10


@pytest.mark.parametrize(
    ("metric", "better"), [("score", "less"), ("test.accuracy", "more"), ("test.skill", ""), ("seconds_per_step", "")]
)
def test_which_way_a_metric_is_better_is_never_guessed(metric, better):
    """copy_50 is judged by a loss, and asks of an accuracy; of other names nobody knows."""
    results = measure_table(load_declaration("bai2018"), None)
    (sides,) = ([results.runs.cells[place] for place in results.runs.cells if place[0] == "copy_50/tcn"],)
    records = [record for side in sides for record in side.records]
    assert better_of(results.runs, "adding_200", metric, records) == better

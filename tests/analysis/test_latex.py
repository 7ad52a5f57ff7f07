"""Tables for LaTeX: every sign is set as it is, and no table is wider than a page. No TeX is needed here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rnnbench.analysis.latex import SIGNS, to_latex
from rnnbench.analysis.table import Cell, Column, Table
from rnnbench.cli.main import main
from tests.analysis.test_tables import write


def table_of(*rows: tuple[str, ...], spare: tuple[int, ...] = (), words: bool = True, title: str = "t") -> Table:
    columns = tuple(
        Column(f"c{index}", (f"c{index}",), left=True, words=words, spare=spare[index] if spare else 0)
        for index in range(len(rows[0]))
    )
    return Table(title, "", {}, columns, tuple(tuple(Cell(text, (text,)) for text in row) for row in rows))


def body(text: str) -> list[str]:
    """The rows of a table as LaTeX."""
    return text.partition("\\endhead\n")[2].partition("\\bottomrule")[0].splitlines()


@pytest.mark.parametrize(
    ("words", "latex"),
    [
        ("my_gru", r"my\_gru"),
        ("50 %", r"50 \%"),
        ("a & b", r"a \& b"),
        ("#1 {x} $5", r"\#1 \{x\} \$5"),
        ("~/data", r"\textasciitilde{}/data"),
        ("x^2", r"x\textasciicircum{}2"),
        (r"a\b", r"a\textbackslash{}b"),
        ("0.5 ± 0.1", r"0.5 $\pm$ 0.1"),
        ("−0.5", "$-$0.5"),
        ("1–2", "1--2"),
        ("--format", "-{}-format"),
        ("a---b", "a-{}-{}-b"),
        ("a|b", r"a\textbar{}b"),
        ("`x`", r"\textasciigrave{}x\textasciigrave{}"),
        ('so ("SGD") and "x y"', "so (``SGD'') and ``x y''"),
        ("σ of Ω, λ", r"$\sigma$ of $\Omega$, $\lambda$"),
        ("Çelik’s façade", "Çelik’s façade"),
        ("a\x1bb", r"a\textbackslash{}x1bb"),
        ("[0, 1]", "{}[0, 1]"),  # else the option of the line before
        ("* all", "{}* all"),
    ],
)
def test_every_sign_is_set_as_it_is(words: str, latex: str) -> None:
    assert body(to_latex([table_of((words, "end"))])) == [rf"{latex} & end \\"]
    assert rf"\caption{{{latex.removeprefix('{}')}}}" in to_latex([table_of(("x",), title=words)])


@pytest.mark.parametrize("sign", SIGNS)
def test_no_sign_stays_that_is_none_of_latex(sign: str) -> None:
    assert SIGNS[sign].isascii() and SIGNS[sign] != sign


@pytest.mark.parametrize(
    ("texts", "before", "columns"),
    [
        (("gru", "0.5 [0.4, 0.6]"), r"\begin{longtable}", "ll"),
        (("g" * 20, "x" * 40), r"\begin{longtable}", "ll"),
        (("g" * 20, "many words " * 10), r"{\footnotesize\setlength{\tabcolsep}{3pt}\begin{longtable}", r"l>{?}p{29em}"),
        (
            tuple("x" * 11 for _ in range(10)),
            r"\begin{landscape}\footnotesize\setlength{\tabcolsep}{3pt}\begin{longtable}",
            "l" * 10,
        ),
    ],
    ids=["narrow", "just a line", "texts in lines", "turned"],
)
def test_a_table_is_no_wider_than_a_page(texts: tuple[str, ...], before: str, columns: str) -> None:
    text = to_latex([table_of(texts)])
    ragged = r">{\raggedright\arraybackslash}"
    assert text.startswith(f"{before}{{{columns.replace('>{?}', ragged)}}}\n")
    begun, ended = (re.findall(rf"\\{word}\{{(\w+)\}}", text) for word in ("begin", "end"))
    assert begun == ended[::-1]
    assert text.count("{") == text.count("}")


def test_names_in_several_lines_break_at_their_signs() -> None:
    path = "/data/" + "my_runs/" * 20
    (row, *_) = body(to_latex([table_of(("gru", path))]))
    assert row.count(r"\allowbreak") == 20 * 2 + 1  # after each but the last sign
    escaped = path.replace("_", r"\_")
    assert row.replace(r"\allowbreak ", "") == rf"gru & {escaped} \\"


def test_spare_columns_are_left_out_of_a_table_that_is_wider_and_that_is_said() -> None:
    wide = table_of(tuple("x" * 30 for _ in range(6)), spare=(0, 0, 0, 0, 1, 2), words=False)
    text = to_latex([wide, table_of(("y" * 30, "z" * 30), spare=(0, 1), words=False)])
    assert body(text)[0].count("x" * 30) == 4
    assert "Left out: c4, c5; -{}-format csv shows all.\\par" in text and text.count("Left out") == 1
    assert "z" * 30 in text  # of another table nothing is


def test_the_caption_stands_once_where_a_table_has_several_pages() -> None:
    text = to_latex([table_of(("x", "y"))])
    head = r"\toprule c0 & c1 \\ \midrule"
    assert text.count(r"\caption{") == text.count(r"\label{") == 1
    assert text.index(r"\caption{") < text.index(rf"{head} \endfirsthead") < text.index(rf"{head} \endhead")


def test_the_columns_that_were_asked_for_are_in_latex(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, rows=1)
    assert main(["compare", str(tmp_path), "--columns", "score,parameters,train.learning_rate", "--format", "latex"]) == 0
    assert r"parameters & train.learning\_rate \\ \midrule \endhead" in capfd.readouterr().out

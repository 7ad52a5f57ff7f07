"""The contrasts and claims of a table for readers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..analysis.formatting import format_brief, format_interval, format_share
from ..analysis.table import Cell, Column, Table
from .contrast_results import ContrastResult
from .declaration import metric_of, unreachable_contrasts
from .evaluate import Results
from .grid import Contrast
from .verdicts import ContrastTest

CONTRASTS = (
    Column("row", ("row",), left=True),
    Column("scale", ("scale",), left=True, spare=4),
    Column("asked", ("contrast", "says"), left=True, words=True),
    Column("a", ("a", "a_value"), left=True),
    Column("b", ("b", "b_value"), left=True),
    Column("metric", ("metric",), left=True, spare=2),
    Column("a − b", ("effect", "low", "high", "estimator"), left=True),
    Column("p", ("p_holm", "p")),
    Column("verdict", ("verdict", "why"), left=True, words=True),
    Column("seeds", ("seeds_a", "seeds_b"), spare=3),
    Column("declared", ("digest",), left=True, spare=5),
)
CLAIMS = (
    Column("claim", ("claim",)),
    Column("says", ("row", "says"), left=True, words=True),
    Column("verdict", ("verdict", "why"), left=True, words=True),
    Column("evidence", ("evidence",), left=True, words=True),
)


def contrasts_table(results: Results, rows: Sequence[str] | None = None) -> Table | None:
    """A line a contrast; None where there is none."""
    lines = [_contrast_line(results, one) for (row, _), one in results.contrasts.items() if not rows or row in rows]
    notes = (
        "p: after Holm's correction over the contrasts of the row, or of the rows that make one claim. Each planned look is "
        f"taken at an equal share of {results.table.grid.level:g}, one that was added later at half of what those before it "
        "left, and a verdict that is reached stays. Means and times (log-rank) by permutation, shares by Fisher's test, "
        "sameness by two one-sided t tests; intervals are Welch's and Newcombe's, at the level of the look (of sameness at "
        "twice that, as its tests have it). What is seen to differ by less than its margin does not hold.",
        "declared: digest of settings, margins, looks, level and of the rules themselves; was: as it stood when runs were "
        "collected. The rules of families, looks and margins were changed after that, so that every digest is another now.",
    )
    gaps = tuple(
        f"{name}: {why}"
        for name, why in unreachable_contrasts(results.table).items()
        if not rows or name.partition(".")[0] in rows
    )
    return Table("Contrasts", "", {"table": results.table.name}, CONTRASTS, tuple(lines), gaps, notes) if lines else None


def _contrast_line(results: Results, one: ContrastResult) -> tuple[Cell, ...]:
    about, answer, metric = one.about, one.answer, metric_of(results.table, one.row, one.about)
    shows = answer.shows if answer else (None, None)
    effect, counts = (answer.effect, answer.counts) if answer else (None, (None, None))
    sides = (
        Cell(f"{side}" + (f" {format_brief(v)}" if v is not None and isinstance(side, str) else ""), (str(side), v))
        for side, v in zip((about.a, about.b), shows, strict=True)
    )
    word = one.verdict.word + (f": {one.verdict.why}" if one.verdict.why else "")
    raw = (effect.value, effect.low, effect.high, effect.estimator) if effect else (None,) * 4
    return (
        Cell(one.row, (one.row,)),
        Cell(one.scale, (one.scale,)),
        Cell(f"{about.says} ({_expected(about)})", (one.name, about.says)),
        *sides,
        Cell(metric, (metric,)),
        Cell(_effect_text(answer) if answer else "", raw),
        Cell(f"{one.p:.2g}" if answer else "", (one.p, answer.p if answer else None)),
        Cell(word, (one.verdict.word, one.verdict.why), one.verdict.tone),
        Cell(f"{counts[0]}, {counts[1]}" if answer else "", counts),
        Cell(_declared(results, one.row), (results.table.digest(one.row),)),
    )


def _effect_text(answer: ContrastTest) -> str:
    if answer.unit == "time":
        return {1: "slower", -1: "faster", 0: "–"}[answer.sign]
    return format_interval(answer.effect) + (" (log)" if answer.unit == "log" else "")


def _declared(results: Results, row: str) -> str:
    """The digest of what is declared of a row now, and of what was when its runs were collected, where that differs."""
    now, name = results.table.digest(row), f"{results.table.name}/{row}"
    records = [record for cell in results.cells[row] for record in cell.runs.records]
    before = {record["declared"][name] for record in records if name in record.get("declared", {})} - {now}
    return f"{now} (was {', '.join(sorted(before))})" if before else now


def _expected(one: Contrast) -> str:
    times = f" × {one.ratio:g}" if one.ratio else ""
    margin = "" if one.margin is None else f" ± {f'{one.margin:.0%}' if one.ratio else f'{one.margin:g}'}"
    return {"more": f"a > b{times}", "less": f"a < b{times}", "same": f"a = b{times}{margin}"}[one.expect]


def claims_table(results: Results, rows: Sequence[str] | None = None) -> Table | None:
    """A line a claim: its verdict from its contrasts; None where none is made."""
    lines = []
    for claim in (results.claims[row] for row in rows or results.rows if row in results.claims):
        word = claim.verdict.word + (f" ({claim.verdict.why})" if claim.verdict.why else "")
        evidence = "; ".join(_evidence(one) for one in claim.contrasts)
        lines.append(
            (
                Cell("" if claim.number is None else str(claim.number), (claim.number,)),
                Cell(claim.says, (claim.row, claim.says)),
                Cell(word, (claim.verdict.word, claim.verdict.why), claim.verdict.tone),
                Cell(evidence, (evidence,)),
            )
        )
    return (
        Table("Claims", verdict_counts(results, rows), {"table": results.table.name}, CLAIMS, tuple(lines)) if lines else None
    )


def _evidence(one: ContrastResult) -> str:
    if one.answer is None:
        return f"{one.name}: {one.verdict.word}" + (f" ({one.verdict.why})" if one.verdict.why else "")
    a, b = one.answer.shows
    sides = " against ".join((format_share if one.answer.unit == "share" else format_brief)(value) for value in (a, b))
    scale = "" if one.scale == "laptop" else f" at {one.scale} scale"
    return f"{one.name}: {sides}, {one.verdict.word}{scale}"


def verdict_counts(results: Results, rows: Sequence[str] | None = None) -> str:
    """`verdicts of values: 3 reproduced, 1 worse; of contrasts: 5 holds; of claims: ...`"""
    shown = list(rows or results.rows)
    values = [one for row in shown for cell in results.cells[row] for one in cell.reported]
    as_stated = Counter(one.verdict.word for one in values if not one.own_choice)
    own_choice = Counter(one.verdict.word for one in values if one.own_choice)
    of_contrasts = Counter(one.verdict.word for (row, _), one in results.contrasts.items() if not rows or row in rows)
    words = [results.claims[row].verdict.word for row in shown if row in results.claims]
    of_claims = Counter("holds only when ..." if word.startswith("holds only") else word for word in words)
    parts = (
        ("values", as_stated),
        ("values under our choice", own_choice),
        ("contrasts", of_contrasts),
        ("claims", of_claims),
    )
    counted = [f"{kind}: " + ", ".join(f"{n} {word}" for word, n in found.most_common()) for kind, found in parts if found]
    return "Verdicts on " + "; on ".join(counted) if counted else ""

"""The contrasts and claims of a table for readers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

from ..analysis.formatting import format_brief, format_interval, format_number
from ..analysis.table import Cell, Column, Table
from .contrast_results import DRIFT, ClaimResult, ContrastResult
from .declaration import NUMBER, metric_of, unreachable_contrasts
from .evaluate import Results
from .grid import RATES, Contrast
from .verdicts import NEWLY, NEWLY_NOTE, ContrastTest

CONTRASTS = (
    Column("row", ("row",), left=True),
    Column("scale", ("scale",), left=True, spare=4),
    Column("asked", ("contrast", "says"), left=True, words=True),
    Column("a", ("a", "a_value"), left=True, words=True),
    Column("b", ("b", "b_value"), left=True, words=True),
    Column("metric", ("metric",), left=True, spare=2),
    Column("a − b", ("effect", "low", "high", "estimator"), left=True),
    Column("p", ("p_holm", "p")),
    Column("verdict", ("verdict", "why"), left=True, words=True),
    Column("seeds", ("seeds_a", "seeds_b"), spare=3),
    Column("declared", ("digest",), left=True, spare=5),
)
CLAIMS_TITLE = "Claims"
ANSWERS = ("yes", "partly", "no", "open")
CLAIMS = (
    Column("claim", ("claim", "row", "says"), left=True, words=True),
    Column("answer", ("answer", "verdict", "why"), left=True),
    Column("what was found", ("found",), left=True, words=True),
)

FORMS: dict[str, Callable[[float], str]] = {  # of numbers in the sentences of claims
    "": format_brief,
    "abs": lambda value: format_brief(abs(value)),
    "ms": lambda value: f"{format_brief(1000 * value)} ms",
    "percent": lambda value: f"{format_brief(100 * value)} %",
}


def contrasts_table(results: Results, rows: Sequence[str] | None = None) -> Table | None:
    """A line a contrast; None where there is none."""
    lines = [_contrast_line(results, one) for (row, _), one in results.contrasts.items() if not rows or row in rows]
    texts = [cell.text for line in lines for cell in line]
    p = [column.title for column in CONTRASTS].index("p")
    tested = (
        "p: after Holm's correction over the contrasts of the row, or of the rows that make one claim. Each planned look is "
        f"taken at an equal share of {results.table.grid.level:g}, one that was added later at half of what those before it "
        "left, and a verdict that is reached stays. Means and times (log-rank) by permutation, shares by Fisher's test, "
        "sameness by two one-sided t tests; intervals are Welch's and Newcombe's, at the level of the look (of sameness at "
        "twice that, as its tests have it). What is seen to differ by less than its margin does not hold. Where some runs "
        "of a side solved their task and others did not, the shares that did are compared (solved). Times a step of sides that "
        f"did not run in turn settle nothing below a factor of {DRIFT}.",
    )
    was = (
        " Was: as it stood when runs were collected; the rules of families and looks, of bimodal scores and of times were "
        "changed after that."
    )
    notes = (
        *(tested if any(line[p].text for line in lines) else ()),
        *([NEWLY_NOTE] if any(NEWLY in text for text in texts) else []),
        "declared: digest of settings, margins, looks, level and of the rules themselves."
        + (was if any("(was " in text for text in texts) else ""),
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
        Cell(_effect_text(answer, metric) if answer else "", raw),
        Cell(f"{one.p:.2g}" if answer else "", (one.p, answer.p if answer else None)),
        Cell(word, (one.verdict.word, one.verdict.why), one.verdict.tone),
        Cell(f"{counts[0]}, {counts[1]}" if answer else "", counts),
        Cell(declared_text(results, one.row), (results.table.digest(one.row),)),
    )


def _effect_text(answer: ContrastTest, metric: str) -> str:
    if answer.unit == "time":
        return {1: "slower", -1: "faster", 0: "–"}[answer.sign]
    exact = answer.effect.low == answer.effect.high  # the same for every seed
    unit = {"log": " (log)", "share": " (solved)" if metric not in RATES else ""}.get(answer.unit, "")
    return (format_number(answer.effect.value) if exact else format_interval(answer.effect)) + unit


def declared_text(results: Results, row: str) -> str:
    """The digest of what is declared of a row now, and of what was when its runs were collected, where that differs."""
    before = results.declared_before(row)
    return results.table.digest(row) + (f" (was {', '.join(before)})" if before else "")


def _expected(one: Contrast) -> str:
    times = f" × {one.ratio:g}" if one.ratio else ""
    margin = "" if one.margin is None else f" ± {f'{100 * one.margin:g}%' if one.ratio else f'{one.margin:g}'}"
    return {"more": f"a > b{times}", "less": f"a < b{times}", "same": f"a = b{times}{margin}"}[one.expect]


def claims_table(results: Results, rows: Sequence[str] | None = None) -> Table | None:
    """A line a claim, by number: its answer, and what was found in a sentence; None where none is made."""
    lines = []
    claims = [results.claims[row] for row in rows or results.rows if row in results.claims]
    for claim in sorted(claims, key=lambda claim: claim.number or 0):
        answer, found = claim_answer(claim), claim_sentence(results, claim)
        number = "" if claim.number is None else f"{claim.number}. "
        lines.append(
            (
                Cell(f"{number}{claim.says}", (claim.number, claim.row, claim.says), link=f"DETAILS.md#{claim.row}"),
                Cell(answer, (answer, claim.verdict.word, claim.verdict.why), claim.verdict.tone),
                Cell(found, (found,)),
            )
        )
    notes = (
        "yes: all contrasts of the claim hold. partly: some hold, some were shown not to. no: none holds, and half of them or "
        "more were shown not to. open: none or too few were shown not to hold, and not all hold.",
    )
    words = Counter(line[1].text for line in lines)
    caption = f"Of {len(lines)} claims: {', '.join(f'{words[word]} {word}' for word in ANSWERS if words[word])}."
    return Table(CLAIMS_TITLE, caption, {"table": results.table.name}, CLAIMS, tuple(lines), (), notes) if lines else None


def claim_answer(claim: ClaimResult) -> str:
    """yes, partly, no or open, of a claim's verdict."""
    word = claim.verdict.word
    if word in ("holds", "missing"):
        return {"holds": "yes", "missing": "open"}[word]
    if word.startswith("holds"):
        return "partly"
    failed = sum(one.verdict.word in ("fails", "equivalent") for one in claim.contrasts)
    return "no" if 2 * failed >= len(claim.contrasts) else "open"


def claim_sentence(results: Results, claim: ClaimResult) -> str:
    """What the table says for this answer, with the numbers of now; how many contrasts hold, where it says nothing for it."""
    if written := results.table.grid.rows[claim.row].answers.get(claim_answer(claim)):  # type: ignore[call-overload]
        contrasts = {one.name: one for one in claim.contrasts}
        return NUMBER.sub(lambda found: _number(contrasts[found[1]], found[2], found[3] or ""), written)
    words = Counter(one.verdict.word for one in claim.contrasts)
    return f"Of {len(claim.contrasts)} contrasts: {', '.join(f'{count} {word}' for word, count in words.most_common())}."


def _number(one: ContrastResult, side: str, form: str) -> str:
    """A number of a contrast: of side a or b, or their ratio; FORMS says how it is shown."""
    if one.answer is None:
        return "–"
    a, b = one.answer.shows
    value = a / b if side == "ratio" and b else {"a": a, "b": b, "ratio": math.inf}[side]
    return FORMS[form](value)

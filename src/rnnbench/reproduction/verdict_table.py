"""A reproduced table for readers: its cells, contrasts, claims and ladders as tables, and all of it as a README."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ..analysis.comparison import rank_cell
from ..analysis.comparison_words import RANKED
from ..analysis.formatting import format_brief, format_compact, format_duration, format_interval, format_number, format_share
from ..analysis.intervals import Estimate, against_floor
from ..analysis.significance import difference
from ..analysis.table import Cell, Column, Table
from .declaration import metric_of, unreachable_contrasts
from .evaluate import (
    ContrastResult,
    Results,
    cell_estimate,
    cell_floor,
    cell_lower_is_better,
    judge_claim,
    judge_value,
    row_ranks,
)
from .grid import RATES, TIMES, Contrast, Reported
from .matching import CellRuns
from .verdicts import theirs

MARKS = {"seen": "", "secondary": " (secondary)"}


def cell_text(own: Results, measured: CellRuns) -> str:
    """The value of a cell in a few words."""
    metric, found = own.table.grid.rows[measured.cell.row].metric, cell_estimate(own, measured)
    if found is None:
        return "diverged" if measured.diverged else "–"
    if metric in TIMES:
        _, solved = measured.times(metric)
        return f"{format_brief(found.value)} ({sum(solved)}/{len(solved)} solved)"
    if metric in RATES:
        return f"{format_share(found.value)} [{format_share(found.low or 0)}, {format_share(found.high or 0)}]"
    return format_interval(found)


# Tables


def cells_table(own: Results, rows: Sequence[str] | None = None) -> Table:
    """A line a cell: what was measured, what was reported, and the verdict."""
    columns = (
        Column("row", ("row", "title"), left=True, words=True),
        Column("column", ("column",), left=True),
        Column("scale", ("scale",), left=True),
        Column("measured", ("metric", "estimator", "value", "low", "high"), left=True),
        Column("floor", ("floor", "against_floor"), left=True, spare=2),
        Column("solved", ("solved", "solved_of"), left=True, spare=3),
        Column("#", ("rank",), spare=4),
        Column("reported", ("reported", "source", "sure", "theirs", "ours_by_theirs"), left=True),
        Column("verdict", ("verdict", "why"), left=True, words=True),
        Column("parameters", ("parameters",), spare=5),
        Column("seeds", ("seeds", "missing", "diverged")),
        Column("cost", ("core_hours", "core_hours_missing"), spare=1),
    )
    lines, gaps = [], []
    for row in rows or own.rows:
        places = {name: rank_cell(place) for name, place in row_ranks(own, row).items()}
        for measured in own.of_row(row):
            values = own.table.reports.values.get(f"{row}/{measured.cell.column}", ())
            for index, reported in enumerate(values or (None,)):
                lines.append(_line(own, measured, reported, places.get(measured.cell.name, ""), first=index == 0))
    for measured in (m for row in rows or own.rows for m in own.of_row(row) if m.runs):
        about = own.table.grid.rows[measured.cell.row].scales.get(measured.cell.scale)  # type: ignore[call-overload]
        if about and about.reduction:
            gaps.append(f"{measured.cell.row} at {measured.cell.scale} scale: {about.reduction}")
    shown = set(rows or own.rows)
    for measured in (m for m in own.cells.values() if m.cell.row in shown):
        gaps += [f"run again: {line}" for line in measured.repeated(own.table.grid.rows[measured.cell.row].metric)]
    others = {line for m in own.cells.values() if m.cell.row not in shown for line in m.refused}
    gaps += [f"refused: {line}" for line in own.complaints if line not in others]
    gaps = list(dict.fromkeys(gaps))
    notes = tuple(note for note in NOTES if not note.startswith("#") or any(line[6].text for line in lines))
    return Table(own.table.grid.title, summary_text(own), {"table": own.table.name}, columns, tuple(lines), tuple(gaps), notes)


NOTES = (
    "[ ] is a 95 % interval: Student's t over seeds, BCa of interquartile means if a whole row has 10, Wilson's for a share.",
    "Verdicts, ranks and contrasts are of means; where a run of a cell has no score (it diverged, say), it has none of them.",
    f"#: {RANKED} Where a row has several looks, each has its share of the 5 %. Ranks take scores to be about normal, "
    "contrasts do not: where the two disagree, the contrast counts.",
    "not comparable: measured in another setting than the reported one, which is named.",
    "underpowered: these seeds leave it open.",
)


def _line(own: Results, measured: CellRuns, reported: Reported | None, rank: str, first: bool) -> tuple[Cell, ...]:
    cell, row = measured.cell, own.table.grid.rows[measured.cell.row]
    found, level = cell_estimate(own, measured), cell_floor(own, measured)
    records = measured.records
    against = against_floor(found, level) if found and level is not None else ""
    solved = [bool(record["solved"]) for record in records if record["solved"] is not None]
    missing = measured.missing()
    cost = len(missing) * (cell.minutes or 0) / 60
    named = [
        Cell(cell.row, (cell.row, row.title)),
        Cell(own.table.columns(cell.row)[cell.column].title or cell.column, (cell.column,)),
    ]
    value = found or Estimate(float("nan"), None, None, "")
    raw = (row.metric, value.estimator, value.value if found else None, value.low, value.high)
    shown = [
        *named,
        Cell(cell.scale if records else "", (cell.scale,)),
        Cell(cell_text(own, measured), raw, "" if found else "warn"),
        Cell("" if level is None else f"{format_number(level)} {against}".strip(), (level, against)),
        Cell(f"{sum(solved)}/{len(solved)}" if solved else "", (sum(solved) if solved else None, len(solved) or None)),
        Cell(rank, (rank,)),
    ]
    if reported:
        verdict = judge_value(own, measured, reported)
        values = [] if measured.lost(row.metric) else measured.values(row.metric)
        ours = theirs(values, reported.estimator, reported.seeds, cell_lower_is_better(own, measured)) if values else None
        by = "" if not ours or ours[1] == "mean" else f", ours {format_number(ours[0])} by {ours[1]}"
        printed = f" (printed as {reported.printed})" if reported.printed else ""
        words = f"{format_number(reported.value)}{printed} {reported.estimator}{MARKS[reported.sure]}{by}"
        own_by = ours[0] if ours else None
        shown.append(
            Cell(words, (reported.value, f"{reported.source}, {reported.at}", reported.sure, reported.estimator, own_by))
        )
        shown.append(
            Cell(verdict.word + (f": {verdict.why}" if verdict.why else ""), (verdict.word, verdict.why), verdict.tone)
        )
    else:
        shown += [Cell("", (None,) * 5), Cell("" if records else "missing", ("" if records else "missing", ""))]
    parameters = records[0]["model"]["parameters"] if records else None
    seeds = f"{len(measured.finished)}" + (f" + {len(measured.diverged)} diverged" if measured.diverged else "")
    shown.append(Cell(format_compact(parameters) if parameters else "", (parameters,)))
    numbers = (" ".join(map(str, sorted(measured.runs))), " ".join(map(str, missing)), len(measured.diverged))
    shown.append(Cell(seeds if not missing else f"{seeds}/{cell.seeds.first}", numbers, "warn" if missing else ""))
    took = format_duration(measured.seconds) if records else (f"about {format_duration(cost * 3600)}" if cost else "")
    shown.append(Cell(took, (round(measured.seconds / 3600, 4), round(cost, 4))))
    if not first:  # one cell, several reported values: its own numbers once
        shown = [Cell("" if index not in (7, 8) else one.text, one.values, one.tone) for index, one in enumerate(shown)]
    return tuple(shown)


def summary_text(own: Results) -> str:
    """How much of the table there is: cells by scale, seeds, hours, and what the holes would take."""
    there = [m for m in own.measured if m.runs]
    scales = Counter(m.cell.scale for m in there)
    counted = ", ".join(f"{scales[scale]} at {scale} scale" for scale in ("paper", "laptop", "smoke") if scales[scale])
    seconds = {record["id"]: record["speed"]["seconds"] or 0 for m in own.cells.values() for record in m.records}
    holes = sum(len(m.missing()) * (m.cell.minutes or 0) * 60 for m in own.measured)
    words = f"{len(there)} of {len(own.measured)} cells measured{f' ({counted})' if counted else ''}, {len(seconds)} runs"
    words += f", {format_duration(sum(seconds.values()))} of training" if seconds else ""
    return words + (f"; the holes would take about {format_duration(holes)} on one core" if holes else "")


def contrasts_table(own: Results, rows: Sequence[str] | None = None) -> Table | None:
    """A line a contrast; None where there is none."""
    columns = (
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
    lines = []
    for (row, name), one in own.asked.items():
        if rows and row not in rows:
            continue
        about, answer = one.about, one.answer
        a, b = answer.shows if answer else (None, None)
        effect = answer.effect if answer else None
        says = Cell(f"{about.says} ({_expected(about)})", (name, about.says))
        sides = [
            Cell(f"{side}" + (f" {format_brief(v)}" if v is not None and isinstance(side, str) else ""), (str(side), v))
            for side, v in ((about.a, a), (about.b, b))
        ]
        shown = ""
        if effect and answer:
            shown = {1: "slower", -1: "faster", 0: "–"}[answer.sign] if answer.unit == "time" else format_interval(effect)
            shown += " (log)" if answer.unit == "log" else ""
        p = "" if answer is None else f"{one.p:.2g}"
        word = one.verdict.word + (f": {one.verdict.why}" if one.verdict.why else "")
        raw = (effect.value, effect.low, effect.high, effect.estimator) if effect else (None,) * 4
        counts = answer.counts if answer else (None, None)
        lines.append(
            (
                Cell(row, (row,)),
                Cell(one.scale, (one.scale,)),
                says,
                *sides,
                Cell(metric_of(own.table, row, about), (metric_of(own.table, row, about),)),
                Cell(shown, raw),
                Cell(p, (one.p, answer.p if answer else None)),
                Cell(word, (one.verdict.word, one.verdict.why), one.verdict.tone),
                Cell("" if answer is None else f"{counts[0]}, {counts[1]}", counts),
                Cell(_declared(own, row), (own.table.digest(row),)),
            )
        )
    notes = (
        f"p: after Holm's correction over the {len(own.table.contrasts)} contrasts of the table; each look of a row is taken "
        f"at {own.table.grid.level:g} / its number of looks. Means and times (log-rank) by permutation, shares by "
        "Fisher's test, sameness by two one-sided t tests; intervals are Welch's and Newcombe's, of 95 %.",
        "declared: digest of settings, margins, level and stopping rule; was: as it stood when runs were collected.",
    )
    gaps = tuple(
        f"{name}: {why}" for name, why in unreachable_contrasts(own.table).items() if not rows or name.partition(".")[0] in rows
    )
    return Table("Contrasts", "", {"table": own.table.name}, columns, tuple(lines), gaps, notes) if lines else None


def _declared(own: Results, row: str) -> str:
    """The digest of what is declared of a row now, and of what was when its runs were collected, where that differs."""
    now, name = own.table.digest(row), f"{own.table.name}/{row}"
    records = [record for measured in own.of_row(row) for record in measured.records]
    before = {record["declared"][name] for record in records if name in record.get("declared", {})} - {now}
    return f"{now} (was {', '.join(sorted(before))})" if before else now


def _expected(one: Contrast) -> str:
    times = f" × {one.ratio:g}" if one.ratio else ""
    margin = "" if one.margin is None else f" ± {f'{one.margin:.0%}' if one.ratio else f'{one.margin:g}'}"
    return {"more": f"a > b{times}", "less": f"a < b{times}", "same": f"a = b{times}{margin}"}[one.expect]


def claims_table(own: Results, rows: Sequence[str] | None = None) -> Table | None:
    """A line a claim: its verdict from its contrasts; None where none is made."""
    lines = []
    for row in rows or own.rows:
        about = own.table.grid.rows[row]
        if not about.says:
            continue
        asked = [one for (place, _), one in own.asked.items() if place == row]
        verdict = judge_claim(asked)
        evidence = "; ".join(_evidence(one) for one in asked)
        named = Cell("" if about.claim is None else str(about.claim), (about.claim,))
        word = verdict.word + (f" ({verdict.why})" if verdict.why else "")
        lines.append(
            (
                named,
                Cell(about.says, (row, about.says)),
                Cell(word, (verdict.word, verdict.why), verdict.tone),
                Cell(evidence, (evidence,)),
            )
        )
    columns = (
        Column("claim", ("claim",)),
        Column("says", ("row", "says"), left=True, words=True),
        Column("verdict", ("verdict", "why"), left=True, words=True),
        Column("evidence", ("evidence",), left=True, words=True),
    )
    return Table("Claims", verdict_counts(own, rows), {"table": own.table.name}, columns, tuple(lines)) if lines else None


def _evidence(one: ContrastResult) -> str:
    if one.answer is None:
        return f"{one.name}: {one.verdict.word}" + (f" ({one.verdict.why})" if one.verdict.why else "")
    a, b = one.answer.shows
    sides = " against ".join((format_share if one.answer.unit == "share" else format_brief)(value) for value in (a, b))
    scale = "" if one.scale == "laptop" else f" at {one.scale} scale"
    return f"{one.name}: {sides}, {one.verdict.word}{scale}"


def verdict_counts(own: Results, rows: Sequence[str] | None = None) -> str:
    """`verdicts of values: 3 reproduced, 1 worse; of contrasts: 5 holds; of claims: ...`"""
    of_values: Counter[str] = Counter()
    for row in rows or own.rows:
        for measured in own.of_row(row):
            for reported in own.table.reports.values.get(f"{row}/{measured.cell.column}", ()):
                of_values[judge_value(own, measured, reported).word] += 1
    of_contrasts = Counter(one.verdict.word for (row, _), one in own.asked.items() if not rows or row in rows)
    of_claims: Counter[str] = Counter()
    for row in rows or own.rows:
        if own.table.grid.rows[row].says:
            word = judge_claim([one for (place, _), one in own.asked.items() if place == row]).word
            of_claims["holds only when ..." if word.startswith("holds only") else word] += 1
    parts = (("values", of_values), ("contrasts", of_contrasts), ("claims", of_claims))
    counted = [f"{kind}: " + ", ".join(f"{n} {word}" for word, n in found.most_common()) for kind, found in parts if found]
    return "Verdicts on " + "; on ".join(counted) if counted else ""


def ladder_tables(own: Results, rows: Sequence[str] | None = None) -> Iterator[Table]:
    """From the published setting to the fair one, a quirk less each rung, and what each costs or gains."""
    for row, about in own.table.grid.rows.items():
        if rows and row not in rows:
            continue
        for rungs in own.table.rungs(row):
            there = [own.cells[cell.place] for cell in rungs if cell.place in own.cells]
            if len(there) < len(rungs):
                continue
            lines = []
            taken = ["published", *(f"without {name}" for name in about.quirks)]
            for index, (name, measured) in enumerate(zip(taken, there, strict=True)):
                values, before = measured.values(about.metric), there[index - 1].values(about.metric) if index else []
                change, raw = "", (None, None, None)
                if len(values) > 1 and len(before) > 1:
                    found = difference(values, before)
                    change = format_interval(Estimate(found.value, found.low, found.high, ""))
                    raw = (found.value, found.low, found.high)  # type: ignore[assignment]
                lower = cell_lower_is_better(own, measured)
                best = theirs(values, "best", None, lower)[0] if values else None
                levels = {format_number(f) for f in [cell_floor(own, measured)] if f is not None}
                about_quirk = "every quirk" if not index else list(about.quirks.values())[index - 1].says
                title = "fair" if index == len(there) - 1 else name
                lines.append(
                    (
                        Cell(title, (title,)),
                        Cell(about_quirk, (about_quirk,)),
                        Cell(cell_text(own, measured), (cell_estimate(own, measured).value if values else None,)),  # type: ignore[union-attr]
                        Cell("".join(levels), (cell_floor(own, measured),)),
                        Cell(change, raw),
                        Cell("" if best is None else format_number(best), (best,)),
                        Cell(str(len(values)), (len(values),)),
                    )
                )
            columns = (
                Column("rung", ("rung",), left=True, words=True),
                Column("quirk", ("quirk",), left=True, words=True),
                Column("measured", ("value",), left=True),
                Column("floor", ("floor",)),
                Column("change", ("change", "low", "high"), left=True),
                Column("best seed", ("best",)),
                Column("seeds", ("seeds",)),
            )
            column = own.table.columns(row)[rungs[0].column].title or rungs[0].column
            title = f"Ladder: {about.title}, {column}, {rungs[0].scale} scale"
            note = ("change: against the rung above, with its 95 % interval. best seed: of all seeds, which is no estimate.",)
            yield Table(title, "", {"table": own.table.name}, columns, tuple(lines), (), note)


def all_tables(own: Results, rows: Sequence[str] | None = None) -> list[Table]:
    """Everything, in the order in which it is read."""
    claims, cells, contrasts = claims_table(own, rows), cells_table(own, rows), contrasts_table(own, rows)
    found = [claims, contrasts, cells] if claims else [cells, contrasts]
    return [one for one in [*found, *ladder_tables(own, rows)] if one]

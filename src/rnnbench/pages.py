"""A reproduced table for readers: its cells, contrasts, claims and ladders as tables, and all of it as a README."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from . import verdicts
from .comparisons import difference
from .declared import RATES, TIMES, Contrast, Reported, metric_of, reachable
from .measured import Measured
from .reproductions import Asked, Results, claim, estimate, floor, judged, lower_is_better, ranks
from .statistics import Estimate
from .tables import RANKED, Column, Table, placed
from .tables import Cell as Shown
from .wording import brief, compact, duration, interval, listed, number, share

MADE = "<!-- made by `rnnbench table"
MARKS = {"seen": "", "secondary": " (secondary)"}


def told(own: Results, measured: Measured) -> str:
    """The value of a cell in a few words."""
    metric, found = own.table.grid.rows[measured.cell.row].metric, estimate(own, measured)
    if found is None:
        return "diverged" if measured.diverged else "–"
    if metric in TIMES:
        _, solved = measured.times(metric)
        return f"{brief(found.value)} ({sum(solved)}/{len(solved)} solved)"
    if metric in RATES:
        return f"{share(found.value)} [{share(found.low or 0)}, {share(found.high or 0)}]"
    return interval(found)


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
        places = {name: placed(place) for name, place in ranks(own, row).items()}
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
    return Table(own.table.grid.title, summary(own), {"table": own.table.name}, columns, tuple(lines), tuple(gaps), notes)


NOTES = (
    "[ ] is a 95 % interval: Student's t over seeds, BCa of interquartile means if a whole row has 10, Wilson's for a share.",
    "Verdicts, ranks and contrasts are of means; where a run of a cell has no score (it diverged, say), it has none of them.",
    f"#: {RANKED} Where a row has several looks, each has its share of the 5 %. Ranks take scores to be about normal, "
    "contrasts do not: where the two disagree, the contrast counts.",
    "not comparable: measured in another setting than the reported one, which is named.",
    "underpowered: these seeds leave it open.",
)


def _line(own: Results, measured: Measured, reported: Reported | None, rank: str, first: bool) -> tuple[Shown, ...]:
    cell, row = measured.cell, own.table.grid.rows[measured.cell.row]
    found, level = estimate(own, measured), floor(own, measured)
    records = measured.records
    against = verdicts.against_floor(found, level) if found and level is not None else ""
    solved = [bool(record["solved"]) for record in records if record["solved"] is not None]
    missing = measured.missing()
    cost = len(missing) * (cell.minutes or 0) / 60
    named = [
        Shown(cell.row, (cell.row, row.title)),
        Shown(own.table.columns(cell.row)[cell.column].title or cell.column, (cell.column,)),
    ]
    value = found or Estimate(float("nan"), None, None, "")
    raw = (row.metric, value.estimator, value.value if found else None, value.low, value.high)
    shown = [
        *named,
        Shown(cell.scale if records else "", (cell.scale,)),
        Shown(told(own, measured), raw, "" if found else "warn"),
        Shown("" if level is None else f"{number(level)} {against}".strip(), (level, against)),
        Shown(f"{sum(solved)}/{len(solved)}" if solved else "", (sum(solved) if solved else None, len(solved) or None)),
        Shown(rank, (rank,)),
    ]
    if reported:
        verdict = judged(own, measured, reported)
        values = [] if measured.lost(row.metric) else measured.values(row.metric)
        ours = verdicts.theirs(values, reported.estimator, reported.seeds, lower_is_better(own, measured)) if values else None
        by = "" if not ours or ours[1] == "mean" else f", ours {number(ours[0])} by {ours[1]}"
        printed = f" (printed as {reported.printed})" if reported.printed else ""
        words = f"{number(reported.value)}{printed} {reported.estimator}{MARKS[reported.sure]}{by}"
        own_by = ours[0] if ours else None
        shown.append(
            Shown(words, (reported.value, f"{reported.source}, {reported.at}", reported.sure, reported.estimator, own_by))
        )
        shown.append(
            Shown(verdict.word + (f": {verdict.why}" if verdict.why else ""), (verdict.word, verdict.why), verdict.tone)
        )
    else:
        shown += [Shown("", (None,) * 5), Shown("" if records else "missing", ("" if records else "missing", ""))]
    parameters = records[0]["model"]["parameters"] if records else None
    seeds = f"{len(measured.finished)}" + (f" + {len(measured.diverged)} diverged" if measured.diverged else "")
    shown.append(Shown(compact(parameters) if parameters else "", (parameters,)))
    numbers = (" ".join(map(str, sorted(measured.runs))), " ".join(map(str, missing)), len(measured.diverged))
    shown.append(Shown(seeds if not missing else f"{seeds}/{cell.seeds.first}", numbers, "warn" if missing else ""))
    took = duration(measured.seconds) if records else (f"about {duration(cost * 3600)}" if cost else "")
    shown.append(Shown(took, (round(measured.seconds / 3600, 4), round(cost, 4))))
    if not first:  # one cell, several reported values: its own numbers once
        shown = [Shown("" if index not in (7, 8) else one.text, one.values, one.tone) for index, one in enumerate(shown)]
    return tuple(shown)


def summary(own: Results) -> str:
    """How much of the table there is: cells by scale, seeds, hours, and what the holes would take."""
    there = [m for m in own.measured if m.runs]
    scales = Counter(m.cell.scale for m in there)
    counted = ", ".join(f"{scales[scale]} at {scale} scale" for scale in ("paper", "laptop", "smoke") if scales[scale])
    seconds = {record["id"]: record["speed"]["seconds"] or 0 for m in own.cells.values() for record in m.records}
    holes = sum(len(m.missing()) * (m.cell.minutes or 0) * 60 for m in own.measured)
    words = f"{len(there)} of {len(own.measured)} cells measured{f' ({counted})' if counted else ''}, {len(seconds)} runs"
    words += f", {duration(sum(seconds.values()))} of training" if seconds else ""
    return words + (f"; the holes would take about {duration(holes)} on one core" if holes else "")


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
        says = Shown(f"{about.says} ({_expected(about)})", (name, about.says))
        sides = [
            Shown(f"{side}" + (f" {brief(v)}" if v is not None and isinstance(side, str) else ""), (str(side), v))
            for side, v in ((about.a, a), (about.b, b))
        ]
        shown = ""
        if effect and answer:
            shown = {1: "slower", -1: "faster", 0: "–"}[answer.sign] if answer.unit == "time" else interval(effect)
            shown += " (log)" if answer.unit == "log" else ""
        p = "" if answer is None else f"{one.p:.2g}"
        word = one.verdict.word + (f": {one.verdict.why}" if one.verdict.why else "")
        raw = (effect.value, effect.low, effect.high, effect.estimator) if effect else (None,) * 4
        counts = answer.counts if answer else (None, None)
        lines.append(
            (
                Shown(row, (row,)),
                Shown(one.scale, (one.scale,)),
                says,
                *sides,
                Shown(metric_of(own.table, row, about), (metric_of(own.table, row, about),)),
                Shown(shown, raw),
                Shown(p, (one.p, answer.p if answer else None)),
                Shown(word, (one.verdict.word, one.verdict.why), one.verdict.tone),
                Shown("" if answer is None else f"{counts[0]}, {counts[1]}", counts),
                Shown(_declared(own, row), (own.table.digest(row),)),
            )
        )
    notes = (
        f"p: after Holm's correction over the {len(own.table.contrasts)} contrasts of the table; each look of a row is taken "
        f"at {own.table.grid.level:g} / its number of looks. Means and times (log-rank) by permutation, shares by "
        "Fisher's test, sameness by two one-sided t tests; intervals are Welch's and Newcombe's, of 95 %.",
        "declared: digest of settings, margins, level and stopping rule; was: as it stood when runs were collected.",
    )
    gaps = tuple(f"{name}: {why}" for name, why in reachable(own.table).items() if not rows or name.partition(".")[0] in rows)
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
        verdict = claim(asked)
        evidence = "; ".join(_evidence(one) for one in asked)
        named = Shown("" if about.claim is None else str(about.claim), (about.claim,))
        word = verdict.word + (f" ({verdict.why})" if verdict.why else "")
        lines.append(
            (
                named,
                Shown(about.says, (row, about.says)),
                Shown(word, (verdict.word, verdict.why), verdict.tone),
                Shown(evidence, (evidence,)),
            )
        )
    columns = (
        Column("claim", ("claim",)),
        Column("says", ("row", "says"), left=True, words=True),
        Column("verdict", ("verdict", "why"), left=True, words=True),
        Column("evidence", ("evidence",), left=True, words=True),
    )
    return Table("Claims", verdict_counts(own, rows), {"table": own.table.name}, columns, tuple(lines)) if lines else None


def _evidence(one: Asked) -> str:
    if one.answer is None:
        return f"{one.name}: {one.verdict.word}" + (f" ({one.verdict.why})" if one.verdict.why else "")
    a, b = one.answer.shows
    sides = " against ".join((share if one.answer.unit == "share" else brief)(value) for value in (a, b))
    scale = "" if one.scale == "laptop" else f" at {one.scale} scale"
    return f"{one.name}: {sides}, {one.verdict.word}{scale}"


def verdict_counts(own: Results, rows: Sequence[str] | None = None) -> str:
    """`verdicts of values: 3 reproduced, 1 worse; of contrasts: 5 holds; of claims: ...`"""
    of_values: Counter[str] = Counter()
    for row in rows or own.rows:
        for measured in own.of_row(row):
            for reported in own.table.reports.values.get(f"{row}/{measured.cell.column}", ()):
                of_values[judged(own, measured, reported).word] += 1
    of_contrasts = Counter(one.verdict.word for (row, _), one in own.asked.items() if not rows or row in rows)
    of_claims: Counter[str] = Counter()
    for row in rows or own.rows:
        if own.table.grid.rows[row].says:
            word = claim([one for (place, _), one in own.asked.items() if place == row]).word
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
                    change = interval(Estimate(found.value, found.low, found.high, ""))
                    raw = (found.value, found.low, found.high)  # type: ignore[assignment]
                lower = lower_is_better(own, measured)
                best = verdicts.theirs(values, "best", None, lower)[0] if values else None
                levels = {number(f) for f in [floor(own, measured)] if f is not None}
                about_quirk = "every quirk" if not index else list(about.quirks.values())[index - 1].says
                title = "fair" if index == len(there) - 1 else name
                lines.append(
                    (
                        Shown(title, (title,)),
                        Shown(about_quirk, (about_quirk,)),
                        Shown(told(own, measured), (estimate(own, measured).value if values else None,)),  # type: ignore[union-attr]
                        Shown("".join(levels), (floor(own, measured),)),
                        Shown(change, raw),
                        Shown("" if best is None else number(best), (best,)),
                        Shown(str(len(values)), (len(values),)),
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


def tables(own: Results, rows: Sequence[str] | None = None) -> list[Table]:
    """Everything, in the order in which it is read."""
    claims, cells, contrasts = claims_table(own, rows), cells_table(own, rows), contrasts_table(own, rows)
    found = [claims, contrasts, cells] if claims else [cells, contrasts]
    return [one for one in [*found, *ladder_tables(own, rows)] if one]


# The README


def readme(own: Results, markdown: Callable[[Sequence[Table]], str]) -> str:
    """The page of a table: generated, so that the same records give the same bytes."""
    table, grid = own.table, own.table.grid
    lines = [
        f"# {grid.title}",
        "",
        f"{MADE} {table.name} --write`; what is written here by hand is lost -->",
        "",
    ]
    lines += [" ".join(grid.about.split()), "", f"{summary(own)}.", ""]
    if counts := verdict_counts(own):
        lines += [f"{counts}.", ""]
    if grid.columns:
        lines += [*_matrix(own), ""]
    notes_file = table.folder / "findings.md"
    if notes_file.exists():
        lines += [notes_file.read_text(encoding="utf-8").strip(), ""]
    lines += [markdown([_headed(one, grid.title) for one in tables(own)]), ""]
    if table.reports.sources:
        lines += ["### Sources", ""]
        for key, source in table.reports.sources.items():
            version = f", {source.version}" if source.version else ""
            lines.append(f"- {key}: {source.authors} ({source.year}). {source.title}. {source.where}{version}.")
        lines.append("")
    lines += ["### How to repeat a cell, and its runs", ""]
    lines += ["`--again` makes in ./runs what is committed here, and holds it against that.", ""]
    for row, about in grid.rows.items():
        lines += [f'<a id="{row}"></a>**{about.title}** (declaration {table.digest(row)})', ""]
        for measured in own.of_row(row):
            lines += _repeat(own, measured)
        lines.append("")
        if about.ladder:
            lines += [f"The ladder: `rnnbench reproduce {table.called} --rows {row} --as published`", ""]
        for scale in table.scales(row):
            if reduction := about.scales[scale].reduction:  # type: ignore[index]
                lines += [f"Scale {scale}: {reduction}.", ""]
    return "\n".join(lines).rstrip() + "\n"


def _headed(table: Table, title: str) -> Table:
    """Without what the page has said already."""
    return replace(table, title="Cells" if table.title == title else table.title, caption="")


def _matrix(own: Results) -> Iterator[str]:
    """The table as a paper prints it; a cell links to its runs."""
    columns = {name: column.title or name for name, column in own.table.grid.columns.items()}
    yield f"| | {' | '.join(columns.values())} |"
    yield f"|:--|{'|'.join('--:' for _ in columns)}|"
    for row, about in own.table.grid.rows.items():
        if isinstance(about.columns, dict):
            continue
        there = {m.cell.column: m for m in own.of_row(row)}
        cells = []
        for name in columns:
            measured = there.get(name)
            if measured is None:
                cells.append("")
            elif not measured.runs:
                cells.append("·")
            else:
                found, level = estimate(own, measured), floor(own, measured)
                at = " at floor" if found and level is not None and verdicts.against_floor(found, level) == "at" else ""
                mark = {"paper": "", "laptop": " ᴸ", "smoke": " ˢ"}[measured.cell.scale]
                cells.append(f"[{told(own, measured).split(' [')[0]}](#{row}){at}{mark}")
        yield f"| [{about.title}](#{row}) | {' | '.join(cells)} |"
    yield ""
    yield "ᴸ: laptop scale, a reduction of the paper's setting that the row names. ·: not run yet."


def _repeat(own: Results, measured: Measured) -> Iterator[str]:
    cell = measured.cell
    command = f"rnnbench reproduce {own.table.called} --rows {cell.row} --columns {cell.column} --scale {cell.scale}"
    runs = [f"s{record['seed']} {record['id'][:8]}" for record in measured.records]
    if runs:
        took = f"{len(runs)} seed{'s' * (len(runs) > 1)}, {duration(measured.seconds)} of training"
        took += f"; {listed(missing)} not run yet" if (missing := measured.missing()) else ""
        yield f"- {cell.column}: `{command} --again` ({took}); {', '.join(runs)}"
        return
    cost = f", about {duration(cell.minutes * 60 * cell.seeds.first)} on one core" if cell.minutes else ""
    yield f"- {cell.column}: `{command}` ({cell.seeds.first} seeds{cost}); not run yet"

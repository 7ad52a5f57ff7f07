"""One run whole, and two runs held against each other: what `rnnbench show` prints.

Pure functions of a run's folder; torch is never imported.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..config.identity import versions
from ..config.labels import UNKNOWN, run_name
from ..config.liveness import plain_default
from ..config.schema import NAMING, SINGLE, group_options
from ..console import visible
from ..options import amount, plain_text
from ..store.find import FoundRun
from ..store.log import LogRow
from ..store.record import Config, DamagedRecord, Record
from ..store.run_folder import RunFolder
from .formatting import format_duration, format_number
from .grouping import solved_option, stopped_when_solved

GROUPS = ("task", "model", "network", "train", "budget", "trainer", "tracker")
PARTS = ("result", "settings", "versions", "data", "scores", "speed", "environment")  # that are held against each other
CLOCK = ("started", "ended")  # of the environment, which any two runs differ in
LEGEND = (  # of what the names of runs and the sizes hold
    "id: a hash of settings, versions, data and seed, whose first 8 digits end the folder's name; setting: the same without "
    "the seed; fingerprint: of the data; state_size: numbers carried from step to step; multiply_adds: products a step"
)
Details = dict[str, Any]  # nested, as JSON can hold it


def run_details(run: FoundRun, state: str) -> Details:
    """All that is known of a run: its result, settings, scores, samples, data, versions, environment and folder.

    `state` says how a run stands that is not recorded.
    """
    record, config = run.record, run.config
    rows = _rows(run)
    source: Mapping[str, Any] = record or config
    found: Details = {
        "name": run_name(config, str(source.get("setting", ""))),
        "path": str(run.path),
        "id": source.get("id"),
        "setting": source.get("setting"),
        "sweep": config.get("sweep"),
        "result": _result(record, state, run.failure),
        "settings": listed_settings(config),
        "scores": _scores(record, config, rows),
        "samples": _samples(rows),
        "data": {},
        "versions": _versions(record, config),
        "speed": {},
        "environment": {},
    }
    if record:
        task, model = record["task"], record["model"]
        found["data"] = {"fingerprint": task["fingerprint"], **task["about"]}
        found["model"] = {key: model[key] for key in ("parameters", "state_size", "multiply_adds")}
        found["speed"] = dict(record["speed"])
        found["environment"] = {
            "commit": record["commit"],
            **record["hardware"],
            **record["process"],
            "started": record["started"],
            "ended": record["ended"],
            **({"changes": record["changes"]} if record["changes"] else {}),
        }
        found["stopped_when_solved"] = stopped_when_solved(record)
    return found


def listed_settings(config: Config) -> dict[str, Details]:
    """Every setting by its dotted name, those that are not as by default first: its value, its default and whether it differs.

    The default is null where this version knows none.
    """
    found: dict[str, Details] = {}
    for group in GROUPS:
        values = config.get(group) or {}
        defaults: dict[str, Any] = {}
        with contextlib.suppress(*UNKNOWN):  # of a task or cell that is not here
            known = group_options(group, {key: values[key] for key in NAMING.get(group, ()) if key in values})
            defaults = {name: plain_default(option) for name, option in known.items()}
        for name, value in values.items():
            if name not in NAMING.get(group, ()):
                differs = name not in defaults or value != defaults[name]
                found[f"{group}.{name}"] = {"value": value, "default": defaults.get(name), "differs": differs}
    named = {
        f"{group}.{name}": {"value": config[group][name], "default": None, "differs": True}
        for group in ("task", "model")
        for name in NAMING[group]
        if name in config[group]
    }
    for name in ("seed", "test"):
        value, default = config.get(name, SINGLE[name].default), SINGLE[name].default
        named[name] = {
            "value": value,
            "default": None if name == "seed" else default,
            "differs": name == "seed" or value != default,
        }
    if tracker := (config.get("tracker") or {}).get("name"):
        named["tracker.name"] = {"value": tracker, "default": "auto", "differs": False}
    found = {**named, **found}
    return dict(sorted(found.items(), key=lambda item: not item[1]["differs"]))


def _rows(run: FoundRun) -> list[LogRow]:
    """The rows of its log, each without lists of numbers; none where there is no log that can be read."""
    with contextlib.suppress(OSError, DamagedRecord):
        return [
            {key: value for key, value in row.items() if not key.startswith("train/state_gradient/")}
            for row in RunFolder(run.path).each_row()
        ]
    return []


def _result(record: Record | None, state: str, failure: str | None) -> Details:
    if record is None:
        return {"status": state, **({"reason": failure} if failure else {})}
    found = {key: record[key] for key in ("status", "steps", "best_step")}
    return found | ({"diverged_step": record["diverged_step"]} if record["status"] == "diverged" else {})


def _scores(record: Record | None, config: Config, rows: Sequence[LogRow]) -> Details:
    """Validation and test scores by name, the headline with its floor, and what solves the task."""
    if record is None:
        last = next((row for row in reversed(rows) if any(key.startswith("validation/") for key in row)), {})
        scores = {
            key.removeprefix("validation/"): value
            for key, value in last.items()
            if key.count("/") == 1 and key.startswith("validation/") and isinstance(value, int | float)
        }
        return {"validation": scores or None, "test": None, "at_step": last.get("step")}
    task = record["task"]
    return {
        **{key: task[key] for key in ("headline", "direction", "unit", "floor")},
        "validation": record["scores"]["validation"],
        "test": record["scores"]["test"],
        "solved": record["solved"],
        "solved_step": record["solved_step"],
        "solved_on_test": record["solved_on_test"],
        "solved_by": solved_rule(config),
    }


def solved_rule(config: Config) -> str:
    """What counts as the task solved: `task.solved_above=0.99, accuracy on the remembered symbols`; empty where unknown."""
    if (name := solved_option(config)) is None:
        return ""
    own = config["task"]
    option = group_options("task", {key: own[key] for key in NAMING["task"] if key in own})[name]
    about = option.comment.removesuffix(" that counts as solved")
    return f"task.{name}={plain_text(own.get(name, plain_default(option)))}{f', {about}' if about else ''}"


def _samples(rows: Sequence[LogRow]) -> Details | None:
    """What was written at the last evaluation that wrote anything."""
    last = next((row for row in reversed(rows) if row.get("validation/samples")), None)
    return {"step": last["step"], "rows": last["validation/samples"]} if last else None


def _versions(record: Record | None, config: Config) -> Details:
    """Of the task and the model, and of what they ran on."""
    if record:
        return {"task": record["task"]["version"], "model": record["model"]["version"], **record["versions"]}
    with contextlib.suppress(*UNKNOWN):
        return dict(versions(config))
    return {}


# in words


def details_lines(details: Details) -> Iterator[str]:
    """The run for a terminal: what differs from the defaults first."""
    yield details["name"]
    yield f"  {result_line(details)}"
    settings = details["settings"]
    differing = {key: one for key, one in settings.items() if one["differs"]}
    yield from _block(
        "settings that differ from the options' own defaults; the files of task and model may set some",
        [
            (key, value_text(one["value"]), "" if one["default"] is None else f"default {value_text(one['default'])}")
            for key, one in differing.items()
        ],
    )
    yield from _block(
        "settings at the options' own defaults",
        [(key, value_text(one["value"]), "") for key, one in settings.items() if not one["differs"]],
    )
    yield from _score_lines(details["scores"])
    if samples := details["samples"]:
        yield ""
        yield f"samples, step {samples['step']} (validation)"
        for row in samples["rows"]:
            yield from (f"  {name:<10}  {visible(str(text))}" for name, text in row.items())
            yield ""
    for part in ("data", "model", "speed", "versions", "environment"):
        rows = [(key, value_text(value), "") for key, value in details.get(part, {}).items() if value not in (None, "")]
        yield from _block({"data": "data", "model": "size"}.get(part, part), rows)
    told = [("folder", details["path"], ""), ("id", value_text(details["id"]), "")]
    told += [("setting", value_text(details["setting"]), "")]
    told += [("sweep", details["sweep"], "")] if details["sweep"] else []
    yield from _block("run", told)
    yield from ("", LEGEND)


def result_line(details: Details) -> str:
    """`finished: test mse 0.0021 (floor 0.167); solved at step 400; 2000 steps in 12 s`."""
    result, scores = details["result"], details["scores"]
    if "steps" not in result:
        return result["status"] + (f": {result['reason']}" if result.get("reason") else "")
    seconds = details["speed"]["seconds"]
    end = amount(result["steps"], "step") + (f" in {format_duration(seconds)}" if seconds else "")
    if result["status"] == "diverged":
        return f"diverged at step {result['diverged_step']}; {end}"
    headline, test = scores["headline"], scores["test"]
    value = "not read" if test is None else _number(test.get(headline))
    floor = "" if scores["floor"] is None else f" (floor {format_number(scores['floor'])})"
    return f"finished: test {headline} {value}{floor}; {_solved(scores)}{end}"


def _solved(scores: Details) -> str:
    if scores["solved"] is None:
        return ""
    return f"solved at step {scores['solved_step']}; " if scores["solved"] else "not solved; "


def _score_lines(scores: Details) -> Iterator[str]:
    validation, test = scores["validation"] or {}, scores["test"] or {}
    names = list(dict.fromkeys([*filter(None, [scores.get("headline")]), *validation, *test]))
    if not (validation or test):
        return
    at = f", step {scores['at_step']}" if scores.get("at_step") else ""
    yield ""
    width = max(map(len, names))
    yield f"{'scores':<{width + 2}}  {f'validation{at}':>12}  {'test':>12}"
    for name in names:
        note = ""
        if name == scores.get("headline"):
            better = "lower" if scores["direction"] == "min" else "higher"
            floor = "none" if scores["floor"] is None else format_number(scores["floor"])
            unit = f", {scores['unit']}" if scores["unit"] else ""
            note = f"  {better} is better{unit}; floor {floor}"
        yield f"  {name:<{width}}  {_number(validation.get(name)):>12}  {_number(test.get(name)):>12}{note}"
    if scores.get("solved") is not None:
        how = f" ({scores['solved_by']})" if scores["solved_by"] else ""
        on_test = "solved" if scores["solved_on_test"] else "not solved"
        yield f"  {_solved(scores).rstrip('; ')} by validation{how}; test: {on_test}"


def _number(value: float | None) -> str:
    return "–" if value is None else format_number(value, None) if abs(value) < 1e6 else f"{value:.3g}"


def value_text(value: object) -> str:
    """A value in one line: words as they are, six digits of a number, what is nested as JSON."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if value == "":
        return "''"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else plain_text(value)


def _block(title: str, rows: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    if not rows:
        return
    yield ""
    yield title
    width = max(len(key) for key, _, _ in rows)
    for key, value, note in rows:
        yield f"  {key:<{width}}  {value}{f'  ({note})' if note else ''}"


# two runs


def differences(one: Details, other: Details) -> Details:
    """What differs between two runs, by part: [of the first, of the second] by name; null where one has none."""
    found: Details = {"runs": [one["path"], other["path"]], "names": [one["name"], other["name"]]}
    for part in PARTS:
        left, right = (_flat(part, details) for details in (one, other))
        keys = [key for key in dict.fromkeys([*left, *right]) if part != "settings" or not _is_only_default(key, one, other)]
        found[part] = {key: [left.get(key), right.get(key)] for key in keys if left.get(key) != right.get(key)}
    return found


def _is_only_default(key: str, one: Details, other: Details) -> bool:
    """Whether only one run's task or model has the setting, and there it is as by default."""
    there = [details["settings"][key] for details in (one, other) if key in details["settings"]]
    return len(there) == 1 and not there[0]["differs"]


def _flat(part: str, details: Details) -> Details:
    if part == "settings":
        return {key: one["value"] for key, one in details[part].items()}
    if part != "scores":
        return {key: value for key, value in details[part].items() if key not in CLOCK}
    scores = details[part]
    flat = {f"{split} {name}": value for split in ("validation", "test") for name, value in (scores[split] or {}).items()}
    return flat | {key: scores[key] for key in ("floor", "solved", "solved_step") if key in scores}


def difference_lines(found: Details) -> Iterator[str]:
    """What differs, for a terminal; a line says which parts are the same."""
    for sign, name, path in zip("AB", found["names"], found["runs"], strict=True):
        yield f"{sign}  {name}  {path}"
    for part in PARTS:
        if not (differing := found[part]):
            continue
        rows = [(key, *(value_text(value) if value is not None else "–" for value in pair)) for key, pair in differing.items()]
        wide, left = max(len(row[0]) for row in rows), max(4, *(len(row[1]) for row in rows))
        yield ""
        yield f"{part:<{wide + 2}}  {'A':<{left}}  B"
        yield from (f"  {key:<{wide}}  {of_one:<{left}}  {of_other}" for key, of_one, of_other in rows)
    if same := [part for part in PARTS if not found[part]]:
        yield ""
        yield f"the same: {', '.join('state and steps' if part == 'result' else part for part in same)}"
    yield from ("", LEGEND)

"""What others wrote can neither steer a terminal, nor forge a line, nor be computed by a spreadsheet, nor run in a page."""

from __future__ import annotations

import ast
import base64
import csv
import hashlib
import html
import io
import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

import rnnbench
from rnnbench.analysis.drawing import page_policy
from rnnbench.analysis.heatmaps import gradient_picture, save_picture
from rnnbench.analysis.render import cell_value, export, to_terminal
from rnnbench.analysis.table import Cell, Column, Table
from rnnbench.cli.main import main
from rnnbench.console import masked, say, visible
from rnnbench.launch.manifest import write_manifest
from rnnbench.options import amount
from rnnbench.store.record import digest
from rnnbench.store.run_folder import RunFolder
from tests.analysis.test_tables import write
from tests.launch.test_jobs import stand_in
from tests.support.documents import ROOT

FORGED = "x\n  recorded     adding/lstm/s9-00000000"  # a line as `status` prints them
STEERING = {
    "clears the screen": ("\x1b[2J", "\\x1b[2J"),
    "sets the title": ("\x1b]0;x\x07", "\\x1b]0;x\\x07"),
    "the same in one character": ("\x9b2J", "\\x9b2J"),
    "writes over the line": ("a\rb", "a\\rb"),
    "goes back": ("a\x08b", "a\\x08b"),
    "begins a line": ("a\nb", "a\\nb"),
    "begins a line of Unicode": ("a\u2028b\u2029c\x85d", "a\\u2028b\\u2029c\\x85d"),
    "turns the direction": ("\u202etxt.exe", "\\u202etxt.exe"),
    "isolates": ("\u2066a\u2069", "\\u2066a\\u2069"),
    "is not seen": ("ad\u200bding\ufeff", "ad\\u200bding\\ufeff"),
    "hides as tags": ("a\U000e0041", "a\\U000e0041"),
    "is half a character": ("a\ud800", "a\\ud800"),
    "ends the text": ("a\0b", "a\\x00b"),
}
PLAIN = ["", "adding length=200", "mse ↓", "naïve — 文本 العربية हिन्दी", "👩\u200d💻", "می\u200cخواهم", "a\\x1b", "100 %"]
steering = pytest.mark.parametrize(("text", "shown"), STEERING.values(), ids=STEERING)


@steering
def test_what_a_terminal_obeys_is_shown(text, shown, capsys):
    assert visible(text) == shown and visible(shown) == shown
    say(f"name  {text}")
    assert capsys.readouterr().out == f"name  {shown}\n"


@pytest.mark.parametrize("text", PLAIN, ids=ascii)
def test_what_is_read_stays(text):
    assert visible(text) == text


def test_written_texts_keep_their_lines():
    assert visible("a\n\tb\x1b[0m", "\n\t") == "a\n\tb\\x1b[0m"


def test_every_line_goes_through_one_place():
    """`print` and writes to the standard streams stand in console.py; a pool draws its line of progress; benchmarks print."""
    source, found = Path(rnnbench.__file__).parent, set()
    for path in source.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "sys.stdout.write", "sys.stderr.write"):
                found.add(path.relative_to(source).as_posix())
    assert {name for name in found if not name.startswith("benchmarks/")} == {"console.py", "launch/pool.py"}


# every verb that shows others' words


def unseen(text: str) -> set[str]:
    return {sign for sign in text if sign != "\n" and visible(sign) != sign}


@pytest.mark.parametrize("text", [*(text for text, _ in STEERING.values() if text != "a\ud800" and "\0" not in text), FORGED])
def test_no_verb_passes_it_on(text, clean, capsys):
    evil = f"lstm{text}"
    write(Path("runs"), model="lstm", model_options={"hidden_size": 8, "note": evil})
    write(Path("runs"), model="lstm", model_options={"hidden_size": 8, "note": "other"}, sweep=evil)
    write(Path("runs"), model="gru", seed=1, record=False, task_options={"length": 100, "text": evil})
    path = write(Path("runs"), model="rnn", seed=2)
    body = json.loads((path / "record.json").read_text())
    body = {**{key: value for key, value in body.items() if key != "checksum"}, "task": {**body["task"], "headline": evil}}
    body["scores"] = {"validation": {evil: 0.1}, "test": {evil: 0.1}}
    (path / "record.json").write_text(json.dumps({**body, "checksum": digest(body)}))
    damaged = write(Path("runs"), model="rnn", seed=3) / "record.json"
    damaged.write_text(json.dumps({**(odd := {**body, "status": evil}), "checksum": digest(odd)}))
    failed = RunFolder(write(Path("runs"), seed=4, record=False))
    failed.fail(f"out of memory {evil}")
    job = stand_in(9, "missing")
    job.words = evil
    write_manifest(Path("runs"), "s", [job])
    for words in (
        ["status"],
        ["status", "runs"],
        ["status", "s"],
        ["compare"],
        *(["compare", "--format", form] for form in ("csv", "markdown")),
        ["compare", "--task", evil],
        ["report"],
        ["prune", "--dry-run"],
        ["compare", evil],
        ["sync", "--runs", evil],
    ):
        main(words)
        out, err = capsys.readouterr()
        assert (out or err) and not unseen(out + err), words
        assert not [line for line in (out + err).split("\n") if line.startswith("  recorded")], words


@steering
@pytest.mark.parametrize("form", ["terminal", "csv", "markdown", "latex", "html"])
def test_no_table_passes_it_on(text, shown, form):
    def table(words: str) -> Table:
        columns, row = (Column(f"a{words}", ("a",), left=True),), (Cell(words, (words,)),)
        return Table(f"title {words}", f"caption {words}", {"b": words}, columns, (row,), (f"gap {words}",), (f"note {words}",))

    found = export([table(text)], form)
    assert not unseen(found) and found.count("\n") == export([table("plain")], form).count("\n")


def test_colours_of_a_table_stay():
    table = Table("title", "", {}, (Column("a", ("a",)),), ((Cell("x\x1b[0m", ("x",), "good"),),))
    assert "\x1b[32m" in (text := to_terminal([table], 80, colour=True)) and "x\\x1b[0m" in text


# cells

FORMULAS = ["=1+1", "+1+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "  =1", "\u3000=1", "＝1+1", "＋1", "－1", "＠x", "=", "-x"]
VALUES = [None, 1, -1, -0.5, 1e-9, "", "lstm", "-1", "-1.5e-3", "+2", "a=1", "1-2", '{"length":100}', "'=1"]


@pytest.mark.parametrize("text", FORMULAS, ids=ascii)
def test_a_formula_is_text_in_a_cell(text):
    table = Table("t", "", {"task": text}, (Column("model", ("model",)),), ((Cell("x", (text,)),),))
    _, row = csv.reader(io.StringIO(export([table], "csv")))
    assert row == [f"'{visible(text)}"] * 2


@pytest.mark.parametrize("value", VALUES, ids=ascii)
def test_other_cells_are_what_they_are(value):
    assert cell_value(value) is value or cell_value(value) == value


# pages


def scripts(page: str) -> list[str]:
    return re.findall(r"<script>(.*?)</script>", page, re.DOTALL)


def policy_of(page: str) -> dict[str, list[str]]:
    (found,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', page)
    rules = [rule.split() for rule in html.unescape(found).split(";")]
    return {name: values for name, *values in rules}


def check_page(page: str, count: int) -> None:
    """No network, and exactly the page's own scripts, which are whole."""
    policy = policy_of(page)
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == ["'none'"]
    sources = {source for name, values in policy.items() for source in values if name != "script-src"}
    assert sources <= {"'none'", "'unsafe-inline'", "data:"}
    found = scripts(page)
    assert len(found) == count and page.count("<script") == count + page.count('<script type="application/json"')
    digests = [f"'sha256-{base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()}'" for one in found]
    assert policy["script-src"] == ([*digests, "'unsafe-eval'"] if count else ["'none'"])
    assert page.index("Content-Security-Policy") < min(page.index("<title"), page.index("<style") if "<style" in page else 999)


BREAKOUTS = ["</script><script>alert(1)</script>", "</title><script>alert(1)</script>", "<!--<script>", "' onload=x \"", "&lt;"]


@pytest.mark.parametrize("name", BREAKOUTS)
def test_a_report_runs_nothing_of_others(name, clean):
    write(Path("runs"), model_options={"note": name})
    write(Path("runs"), model_options={"note": "other"}, sweep=name)
    assert main(["report"]) == 0
    page = Path("report.html").read_text(encoding="utf-8")
    check_page(page, 2)
    assert all("vegaEmbed" in one for one in scripts(page))
    assert name not in page or name == "&lt;"


@pytest.mark.parametrize("name", BREAKOUTS)
def test_a_picture_of_gradients_runs_nothing_of_others(name, clean):
    curves = {"at initialisation": {"core.0.0/h": [0.1, 0.2]}, "after training": {"core.0.0/h": [0.2, 0.1]}}
    spec = gradient_picture({f"lstm on {name}, seed 0": (curves, {f"{name}/h": [(1, [0.5, 0.1])]})})
    save_picture(spec, Path("page.html"))
    page = Path("page.html").read_text(encoding="utf-8")
    check_page(page, 2)
    (kept,) = re.findall(r'<script type="application/json" id="spec">(.*?)</script>', page, re.DOTALL)
    assert json.loads(kept) == json.loads(json.dumps(spec))
    assert "alert(1)</script>" not in page


def test_a_table_as_a_page_has_no_scripts():
    page = export([Table("</title><script>x</script>", "", {}, (Column("a", ("a",)),), ((Cell("<b>", ("b",)),),))], "html")
    check_page(page, 0)
    assert page_policy() in page


# passwords

SECRETS = {
    "postgresql://me:SECRET@localhost/x": "postgresql://me:***@localhost/x",
    "mysql+pymysql://me:SECRET@db:3306/x?charset=utf8": "mysql+pymysql://me:***@db:3306/x?charset=utf8",
    "redis://:SECRET@host": "redis://:***@host",
    "https://me:SE%40CRET/%3A@host/x": "https://me:***@host/x",
    "postgresql://host/x?user=me&password=SECRET": "postgresql://host/x?user=me&password=***",
    "postgresql://host/x?sslpassword=SECRET&a=1": "postgresql://host/x?sslpassword=***&a=1",
    "https://host/x?api_key=SECRET": "https://host/x?api_key=***",
    "http://me@127.0.0.1:80/x and a:b@c": "http://me@127.0.0.1:80/x and a:b@c",
    "http://localhost:8080/a@b": "http://localhost:8080/a@b",
    "http://host:80?mail=a@b": "http://host:80?mail=a@b",
    "http://[::1]:80/a@b": "http://[::1]:80/a@b",
    "https://host/a:b@c": "https://host/a:b@c",
    "http://host:80/x, then redis://me:SECRET@host:1/y": "http://host:80/x, then redis://me:***@host:1/y",
    "postgresql://me:12SE34@host:80/x@y": "postgresql://me:***@y",
    "postgresql://me:SE/CRET@host/x": "postgresql://me:***@host/x",
    "sqlite:///study.db": "sqlite:///study.db",
}


@pytest.mark.parametrize("text", SECRETS)
def test_no_password_of_an_address_is_printed_or_kept(text, clean, capsys):
    assert masked(f"cannot reach {text}") == f"cannot reach {SECRETS[text]}"
    say(text)
    assert capsys.readouterr().out == f"{SECRETS[text]}\n"
    folder = RunFolder(Path("run"))
    folder.start({"task": {"name": "adding"}, "model": {"name": "lstm"}})
    folder.fail(f"{text} does not answer")
    assert folder.failure() == f"{SECRETS[text]} does not answer"


@pytest.mark.parametrize("password", ["SECRET", "SE%40CR%2FET", "SE/CRET", "SE@CRET", "SE:CRET", "SE CRET", "SE%20CRET+x"])
@pytest.mark.parametrize("scheme", ["postgresql", "mysql+pymysql", "nosuch", "sqlite"])
def test_the_password_of_a_storage_is_not_echoed(scheme, password, clean, capfd, monkeypatch):
    """Whatever the data base's own library says of it."""

    def refuses(url: str) -> None:
        raise RuntimeError(f"cannot connect to {url}: user 'me' with '{password}' ({unquote(password)})")

    words = ["tune", "adding_short", "lstm", "--trials", "1", "--storage", f"{scheme}://me:{password}@host/x"]
    for patched in (False, True):
        if patched:
            monkeypatch.setattr("optuna.storages.RDBStorage", refuses)
        assert main(words) == 2
        out, err = capfd.readouterr()
        assert out == "" and err.count("\n") == 1 and len(err) <= 400
        assert "CRET" not in err and "SE" not in err and f"{scheme}://me:***@host/x" in err


@pytest.mark.parametrize(
    ("count", "noun", "said"),
    [
        (0, "row", "0 rows"),
        (1, "row", "1 row"),
        (2, "test row", "2 test rows"),
        (1, "class", "1 class"),
        (2, "class", "2 classes"),
        (1, "batch", "1 batch"),
        (0, "batch", "0 batches"),
        (12345, "run", "12,345 runs"),
    ],
)
def test_one_of_a_kind_is_no_plural(count: int, noun: str, said: str):
    assert amount(count, noun) == said


BY_HAND = re.compile(r"""\{['"]s['"] (\*|if)|\{(len\([^{}]*\)|[a-z_.]+)(:,)?\} (rows|texts|classes|trials|jobs|tasks)\b""")


def test_plurals_are_made_in_one_place():
    """Of a number that may be 1; `at most 5 rows` and lists of three and more are not looked at."""
    found = {}
    for part in ("cli", "launch", "search", "store", "config", "tracking", "interface"):
        for path in sorted((ROOT / "src/rnnbench" / part).glob("*.py")):
            lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if BY_HAND.search(line)]
            found |= {path.name: lines} if lines else {}
    assert found == {}

"""What the documentation says is so: every command parses, every link leads somewhere, and `make docs-test` runs them all."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from docs.docstrings import equations, split_blocks, to_latex, to_markdown, to_rst
from docs.gallery import ADDRESS, SWEEPS, hand_written, made_of, page_makers
from rnnbench.cli.parser import make_parser, verbs_of
from rnnbench.config.compose import compose_jobs
from rnnbench.config.experiments import with_experiment
from rnnbench.models.registry import mechanism_files
from rnnbench.signatures import read_class
from tests.support.documents import FAILS, MARKDOWN, PAGES, ROOT, anchors, code_blocks, commands, links

DOCS = ROOT / "docs"
TRAINS = ("train", "estimate")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OTHERS = {"cd", "cat", "python", "python3", "pip", "wandb", "source", "eval", "make", "rnnbench", "torchrun", "git", "pkill"}


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_parses(page: Path) -> None:
    """Of rnnbench by its own parser and checks, of make by the Makefile, of pip by the extras that there are."""
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    for block in code_blocks(page):
        if block.file:  # named on command lines
            Path(block.file).parent.mkdir(exist_ok=True)
            Path(block.file).write_text(block.text, encoding="utf-8")
    for words in commands(page):
        if words[0] == "timeout":
            words = words[words.index("rnnbench") :]
        program, *rest = words
        assert program in OTHERS, words
        if program == "make":
            assert {word for word in rest if "=" not in word} <= set(targets), words
        elif program == "pip":
            for extra in re.findall(r"\[([a-z,]+)\]", " ".join(rest)):
                assert set(extra.split(",")) <= set(PROJECT["optional-dependencies"]), words
        elif program == "rnnbench" and rest[0] in TRAINS:
            overrides = [word for word in rest[1:] if "=" in word]
            if overrides and "--help" not in rest:
                assert compose_jobs(with_experiment(overrides), sweep="-m" in rest or rest[0] == "estimate"), words
        elif program == "rnnbench":
            verbs_of(make_parser())[rest[0]].parse_intermixed_args(rest[1:])


@pytest.mark.parametrize("page", MARKDOWN, ids=name_of)
def test_every_link_leads_to_a_file_of_the_repository(page: Path) -> None:
    """And to a place that is there: a heading, or an anchor."""
    for target, _, place in links(page):
        there = page.parent / target if target else page
        assert there.exists(), target
        assert not place or place in anchors(there), f"{target}#{place}"


@pytest.mark.parametrize("page", [*hand_written(), *SWEEPS.rglob("*README.md")], ids=name_of)
def test_every_link_of_the_built_documentation_leads_to_a_page(page: Path) -> None:
    """Of each link in the repository: the page that is made of it, or a file at the project's address."""
    places = {*page_makers(), *(str(one.relative_to(DOCS)) for one in DOCS.rglob("*.*"))}
    for target, _, _ in links(page):
        if target:
            path = os.path.relpath(page.parent / target, ROOT)
            assert (made := made_of(path)) in places or made == f"{ADDRESS}/{path}", target


def test_pages_are_found() -> None:
    assert len(PAGES) > 12 and sum(len(list(commands(page))) for page in PAGES) > 60


@pytest.mark.docs
@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_runs(page: Path) -> None:
    """The blocks of a page, in order, in one folder; those that need what is not here are left out."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": "."}
    for block in code_blocks(page):
        if block.needs:
            continue
        if block.kind == "file":
            Path(block.file).parent.mkdir(exist_ok=True)
            Path(block.file).write_text(block.text, encoding="utf-8")
            continue
        command = ["bash", "-euc", block.text] if block.kind == "bash" else [sys.executable, "-c", block.text]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=1800)
        expected = 2 if FAILS in block.text else 0
        assert done.returncode == expected, f"{block.text}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


# The pages that are made.

TEXT = "A line with x*y, `a*b_c` and <unk>\nand more.\n\n    h_t = a * b      odd\n\nSource: nobody."


def test_docstrings_keep_their_characters() -> None:
    blocks = split_blocks(TEXT)
    assert [block.literal for block in blocks] == [False, True, False]
    assert to_markdown(blocks[:1]) == r"A line with x\*y, `a*b_c` and \<unk\> and more."
    assert to_rst(TEXT)[:6] == [
        r"A line with x\*y, ``a*b_c`` and <unk> and more.",
        "",
        "::",
        "",
        "    h_t = a * b      odd",
        "",
    ]


@pytest.mark.parametrize(
    ("line", "latex"),
    [
        ("h_t = (1 - z) * n + z * h_{t-1}", r"h_{t} = (1 - z) \odot n + z \odot h_{t-1}"),
        ("n = tanh(W_n x_t + b_in)", r"n = \operatorname{tanh}(W_{n}\,x_{t} + b_{in})"),
        ("a = R_u (y, i)_{t-1}", r"a = R_{u}\,(y, i)_{t-1}"),
        ("u = relu(V_1 *_d x)", r"u = \operatorname{relu}(V_{1} \ast_{d}\,x)"),
    ],
)
def test_equations_as_latex(line: str, latex: str) -> None:
    assert to_latex(line) == latex


@pytest.mark.parametrize("name", mechanism_files())
def test_every_cell_has_equations(name: str) -> None:
    """Each line of the first indented block is shown: as MathML, with its remark."""
    doc = read_class(mechanism_files()[name], base="Mechanism").doc
    (block, *_) = [block for block in split_blocks(doc) if block.literal]
    shown = equations(block.lines)
    assert shown.count("<tr>") == len(block.lines)
    assert shown.count("<math") >= len(block.lines)
    assert "http:" not in shown.replace("http://www.w3.org/1998/Math/MathML", "")


def test_the_page_of_a_task_says_its_floor() -> None:
    page = page_makers()["tasks/adding.md"]()
    assert "**Floor** (the best score without memory). 1/6" in page
    assert "`task.length`" in page and "## Best in the committed results" in page


def test_the_page_of_a_model_says_its_size() -> None:
    page = page_makers()["models/gru.md"]()
    assert "99,072" in page and "Cho et al. 2014" in page and "`reset=before`" in page and "×" in page

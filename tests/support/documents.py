"""The commands and links of the pages that are written by hand.

A block of ```bash or ```console is commands; of a console block, the lines after "$ ". The blocks of a page run in order,
in one folder. A block whose first line is a comment "# needs ..." needs what it says (a network, an account, an extra), and
is only parsed. A line that ends in "# fails" is to fail. A {code-block} with a caption is a file of that name; a ```python
block is a script.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "tasks/README.md", "src/rnnbench/README.md")),
        ROOT / "src/rnnbench/tracking/README.md",
    ]
)
FOLDERS = ("docs", "src", "tasks", "sweeps", "conf", "tests")
MARKDOWN = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))])
BLOCK = re.compile(r"^```(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
CAPTION = re.compile(r":caption: (\S+)\n\n")
FAILS = "# fails"


class CodeBlock(NamedTuple):
    """A block of a page: `bash`, `python` or `file`, its text, and the file's name."""

    kind: str
    text: str
    file: str = ""

    @property
    def needs(self) -> bool:
        """Whether it needs what a test has not."""
        return self.text.startswith("# needs ")


def code_blocks(page: Path) -> Iterator[CodeBlock]:
    """The blocks of a page that are commands, scripts or files."""
    for language, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        if language == "console":
            lines = [line[2:] for line in text.splitlines() if line.startswith(("$ ", "# needs "))]
            yield CodeBlock("bash", "\n".join(lines) + "\n")
        elif language in ("bash", "python"):
            yield CodeBlock(language, text)
        elif found := CAPTION.match(text):
            yield CodeBlock("file", text[found.end() :], found[1])


def commands(page: Path) -> Iterator[list[str]]:
    """The words of every command line of a page, without comments; texts that a command reads from the page are left out."""
    for block in code_blocks(page):
        if block.kind == "bash":
            text = re.sub(r"<<'END'\n.*?^END$", "", block.text, flags=re.MULTILINE | re.DOTALL)
            for line in text.replace("\\\n", " ").splitlines():
                if FAILS not in line and (words := shlex.split(line, comments=True)):
                    yield words


def links(page: Path) -> Iterator[tuple[str, str, str]]:
    """The links of a page to files and to places in them: what stands before the #, the sign, and what stands after it."""
    text = re.sub(r"`[^`\n]*`", "", BLOCK.sub("", page.read_text(encoding="utf-8")))
    for target in LINK.findall(text):
        if not re.match(r"\w+:", target):
            yield target.partition("#")


def anchors(page: Path) -> set[str]:
    """What links to places in a page can name: its headings, as GitHub and myst-parser spell them, and its ids."""
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    heads = (re.sub(r"<[^>]*>", "", head) for head in re.findall(r"^#+ (.*)", text, flags=re.MULTILINE))
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads} | set(re.findall(r'id="([^"]+)"', text))

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


def links(page: Path) -> Iterator[str]:
    """The links of a page to other files, without what follows #."""
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    for target in LINK.findall(text):
        if not target.startswith(("http:", "https:", "#", "mailto:")):
            yield target.partition("#")[0]

"""Settings of Sphinx. The pages that it reads are written by gallery.py; nothing is fetched."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from docs.docstrings import to_rst
from rnnbench import __version__

project = "rnnbench"
author = "the rnnbench authors"
copyright = author
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary"]
html_theme = "furo"
html_title = f"rnnbench {version}"
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_show_sphinx = False
html_copy_source = False
html_domain_indices = False
templates_path: list[str] = []
myst_heading_anchors = 3
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 100
autosummary_generate = False  # every object stands on the page that lists it
suppress_warnings = ["myst.header"]  # the pages of sweeps/ go from # to ###


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", plain_docstring)


def plain_docstring(app: Any, what: str, name: str, value: object, options: object, lines: list[str]) -> None:
    """Our docstrings are plain text, not reStructuredText."""
    lines[:] = to_rst("\n".join(lines))

"""Pages that draw charts: their scripts, and a policy under which they ask nothing of a network."""

from __future__ import annotations

import base64
import functools
import hashlib
import html
import re
import tempfile
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from ..console import visible

EXPOSED = "window.vegaEmbed = vegaEmbed;"  # what other scripts of a page see of it
UNDRAWN = re.compile("[\ufffe\uffff]|\\\\[ux][0-9a-f]+")  # what XML cannot hold, and escapes of what is not seen
BACKSLASH = "\N{REVERSE SOLIDUS OPERATOR}"


def drawable(value: Any) -> Any:
    """A specification whose texts the renderer can draw: it ends the process at a sign that XML cannot hold.

    It reads escapes, too, so no backslash is left.
    """
    if isinstance(value, dict):
        return {drawable(key): drawable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [drawable(item) for item in value]
    if not isinstance(value, str):
        return value
    return UNDRAWN.sub("\N{REPLACEMENT CHARACTER}", visible(value)).replace("\\", BACKSLASH)


@functools.cache
def drawing_script() -> str:
    """Vega, Vega-Lite and vega-embed in one script, which never asks the network for anything.

    Putting it together takes two seconds, so it is kept in the cache, by the version of vl-convert that holds its parts.
    """
    import vl_convert

    from ..data.cache import DataError, cache_entry  # with NumPy, which a page without intervals does not need

    def make(folder: Path) -> None:
        script = str(vl_convert.javascript_bundle(EXPOSED)).replace("</script", "<\\/script")
        (folder / "vega.js").write_text(script, encoding="utf-8")

    key = {"vl_convert": metadata.version("vl-convert-python"), "exposed": EXPOSED}
    try:
        return (cache_entry("drawing", key, make) / "vega.js").read_text(encoding="utf-8")
    except (DataError, OSError):  # no cache can be written, or it was emptied meanwhile
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder))
            return (Path(folder) / "vega.js").read_text(encoding="utf-8")


def page_policy(scripts: Sequence[str] = ()) -> str:
    """The content security policy of a page: no network at all, and no script but `scripts`, told by their digests.

    Vega makes functions of a chart's expressions, hence 'unsafe-eval'; only the scripts of the page can do so.
    """
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join([*(f"'sha256-{digest}'" for digest in digests), "'unsafe-eval'"]) if scripts else "'none'"
    rest = "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    return f"default-src 'none'; script-src {allowed}; {rest}"


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<style>
body {{ font: 14px/1.4 sans-serif }} #says {{ white-space: pre-line }} svg {{ max-width: 100% }}
</style>
</head><body><p id="says"></p><div id="chart"></div>
<script type="application/json" id="spec">{spec}</script>
<script>{library}</script>
<script>{drawing}</script>
</body></html>
"""
DRAWING = """
const spec = JSON.parse(document.getElementById("spec").textContent);
if (innerWidth < 700) {  // a telephone: charts below each other, and the title as text that wraps
  document.getElementById("says").textContent = [spec.title.text, ...(spec.title.subtitle ?? [])].join("\\n");
  delete spec.title;
  spec.vconcat = spec.vconcat.flatMap(row => row.hconcat ?? [row]);
  spec.config.legend.orient = "bottom";
}
const actions = {export: true, source: false, compiled: false, editor: false};
vegaEmbed("#chart", spec, {mode: "vega-lite", renderer: "svg", actions}).catch(console.error);
"""


def chart_page(spec: Mapping[str, object], title: str) -> str:
    """A page that holds one chart and needs no other file; nothing in `spec` can end the script that it stands in."""
    from jinja2.utils import htmlsafe_json_dumps

    return PAGE.format(
        policy=page_policy([drawing_script(), DRAWING]),
        title=html.escape(title),
        spec=htmlsafe_json_dumps(spec),
        library=drawing_script(),
        drawing=DRAWING,
    )

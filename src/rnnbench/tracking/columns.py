"""What the columns of a log are called in a mirror: few sections first, details by layer and gate in those that sort last."""

from __future__ import annotations

import re

SECTIONS = ("step", "validation", "train", "test", "speed", "gradient", "samples")  # in this order; others follow
RENAMED: dict[str, str | None] = {
    **{name: f"speed/{name}" for name in ("seconds", "steps_per_second", "sequences_per_second", "tokens_per_second")},
    **{name: f"speed/{name}" for name in ("characters_per_second", "peak_memory_bytes")},
    "train/update_ratio": "gradient/update_ratio",
    "train/clipped": "gradient/clipped",
    "train/gradient_norm_clipped": "z gradient norm/all after clipping",
    "validation/samples": "samples/validation",
}
BY_LAYER: tuple[tuple[str, str | None], ...] = (  # first part of a name: the section of its details; None: not shown
    ("train/gradient_norm_clipped/", None),
    ("train/gradient_norm/", "z gradient norm"),
    ("train/state_gradient/", None),  # drawn: gradient/through_time
    ("train/horizon/", "z gradient horizon"),
    ("train/blow_up/", "z gradient blow-up"),
    ("validation/gates/", "z gates"),
    ("validation/state/", "z states"),
    ("validation/spectral_radius/", "z spectral radius"),
)
WORDS = {"below_.1": "closed", "above_.9": "open"}  # shares of a gate's values
LAYER = re.compile(r"(core|reader|writer)\.(?:layers\.)?(\d+)\.(\d+)(?:\.cell)*")
DETAILS = tuple(dict.fromkeys(section for _, section in BY_LAYER if section))  # closed in the saved workspace
GATES = "validation/gates/"


def shown_key(name: str, two_forward: bool = False) -> str | None:
    """The name in a mirror of the column `name` of a log; None where it is not shown."""
    if name in RENAMED:
        return RENAMED[name]
    for first, section in BY_LAYER:
        if name.startswith(first):
            return section and f"{section}/{readable(name.removeprefix(first), two_forward)}"
    return name


def readable(place: str, two_forward: bool = False) -> str:
    """`core.0.1/i/below_.1` as `layer 1 backward i closed`: layers from 1 on, the core named where there are two."""

    def layer(found: re.Match[str]) -> str:
        core = "" if found[1] == "core" else f"{found[1]} "
        second = "forward again" if two_forward else "backward"
        return f"{core}layer {int(found[2]) + 1} {'forward' if found[3] == '0' else second}"

    parts = LAYER.sub(layer, place, count=1).split("/")
    return " ".join(WORDS.get(part, part.replace(".", " ")) for part in parts)


def column_rank(key: str) -> tuple[int, bool]:
    """Sections in the order of SECTIONS, scores before what is derived; those that are not named there last."""
    section = key.partition("/")[0]
    return (SECTIONS.index(section) if section in SECTIONS else len(SECTIONS), key.startswith("z "))

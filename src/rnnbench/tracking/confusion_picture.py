"""A confusion matrix as a picture: a row for each right class, its shares by the class that was answered; drawn by Pillow."""

from __future__ import annotations

import io
from collections.abc import Sequence

from .pictures import colour
from .tracker import ConfusionPicture

SMALL, LARGE = 12, 44  # pixels of a cell: with many classes, and with few, whose counts are written
FEW = 12  # classes
LABEL, LETTER = 16, 6  # characters of a name that are shown, and pixels of one
EDGE = 26  # pixels around it


def confusion_picture(split: str, classes: Sequence[str], counts: Sequence[Sequence[int]]) -> ConfusionPicture:
    """The picture of `counts[right][answered]`."""
    names, table = tuple(classes), tuple(map(tuple, counts))
    right, every = sum(row[place] for place, row in enumerate(table)), sum(map(sum, table))
    caption = f"{split}: right class by row, answered class by column; {right:,} of {every:,} right"
    return ConfusionPicture(lambda: draw_confusion(names, table), caption, names, table)


def draw_confusion(classes: Sequence[str], counts: Sequence[Sequence[int]]) -> bytes:
    """A PNG; colours are shares of a row, from 0 to 1."""
    from PIL import Image, ImageDraw

    size = len(classes)
    cell = LARGE if size <= FEW else SMALL
    labels = [shown_label(name, number) for number, name in enumerate(classes)]
    left = EDGE + LETTER * max(map(len, labels))
    image = Image.new("RGB", (left + size * cell + EDGE, left + size * cell + EDGE), "white")
    pen = ImageDraw.Draw(image)
    for right, row in enumerate(counts):
        total = sum(row)
        for answered, count in enumerate(row):
            x, y = left + answered * cell, left + right * cell
            share = count / total if total else 0.0
            pen.rectangle((x, y, x + cell - 2, y + cell - 2), colour(share, 0, 1))
            if size <= FEW:
                pen.text((x + cell // 2, y + cell // 2), str(count), "black" if share > 0.6 else "white", anchor="mm")
        pen.text((left - 6, left + right * cell + cell // 2), labels[right], "black", anchor="rm")
    names = Image.new("RGB", (left - 6, size * cell), "white")  # of the columns: written in rows, then turned
    written = ImageDraw.Draw(names)
    for number, label in enumerate(labels):
        written.text((0, number * cell + cell // 2), label, "black", anchor="lm")
    image.paste(names.transpose(Image.Transpose.ROTATE_90), (left, 0))
    pen.text((4, 4), "right \\ answered", "black")
    output = io.BytesIO()
    image.save(output, "PNG")
    return output.getvalue()


def shown_label(name: str, number: int) -> str:
    """A name as Pillow's own font can draw it: its beginning, or its number where it is not ASCII."""
    return name[:LABEL] if name.isascii() and name.isprintable() else f"class {number}"

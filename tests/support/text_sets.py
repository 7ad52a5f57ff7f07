"""Small data sets in the columns of the real ones, as parquet folders: what the tests of tasks on text and music read."""

from __future__ import annotations

import io
from pathlib import Path

import numpy
import pyarrow
import pyarrow.parquet

WORDS = ["bad", "good", "film", "a", "the", "very", "not", "dull", "fine", "."]
HAN = "天地山水風雲花月春秋"

SMALL = {  # options that make each task read the sets of `write_all`
    "text_classification": {"hub": "someone/reviews", "text_column": "body", "label_column": "stars", "min_frequency": 1},
    "intent": {"min_frequency": 1},
    "word_lm": {"window": 11},
    "tagging": {"data": "atis"},
    "couplet": {"min_frequency": 1},
    "translation": {"min_frequency": 1},
    "pronunciation": {"data": "pypinyin"},
    "photo_caption": {"min_frequency": 1, "side": 6},
    "sequence_classification": {"hub": "local/gestures"},
    "text_regression": {"hub": "local/ratings", "text_column": "body", "value_column": "stars", "min_frequency": 1},
    "text_labels": {"hub": "local/tickets", "text_column": "body", "label_column": "parts", "min_frequency": 1},
    "forecasting": {"hub": "local/weather", "columns": "degrees,rain", "window": 9},
}
FORMS = [
    ("sentiment", {"hub": "lansinuote/ChnSentiCorp", "tokenizer": "characters"}),
    ("sentiment", {"hub": "stanfordnlp/imdb", "tokenizer": "basic_english"}),
    ("intent", {"hub": "tuetschek/atis", "order": "shuffled"}),
    ("char_lm", {"text": "ptb"}),
    ("music", {"data": "nottingham"}),
    ("translation", {"source_symbols": "characters", "target_symbols": "characters", "bleu": "char"}),
    ("caption", {"steps": "rows"}),
]


def write_split(root: Path, name: str, split: str, columns: dict, config: str = "data") -> None:
    folder = root / name / config
    folder.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.table(columns), folder / f"{split}-00000-of-00001.parquet")


def texts(rows: int, seed: int, words: list[str] = WORDS) -> list[str]:
    random = numpy.random.default_rng(seed)
    return [" ".join(random.choice(words, random.integers(1, 9))) for _ in range(rows)]


def numbers(rows: int, seed: int, below: int) -> list[int]:
    return [int(x) for x in numpy.random.default_rng(seed).integers(0, below, rows)]


def labelled(rows: int, seed: int, text: str, label: str, classes: list, words: list[str] = WORDS) -> dict[str, list]:
    """Every class is there at least once where there are rows enough."""
    picked = [*range(len(classes)), *numbers(rows, seed, len(classes))][:rows]
    return {text: texts(rows, seed, words), label: [classes[number] for number in picked]}


def labels(rows: int, seed: int) -> list[list[str]]:
    """None, one or two of three labels a row."""
    return [[label for bit, label in enumerate(["a", "b", "c"]) if (row + seed) % 7 & 2**bit][:2] for row in range(rows)]


def tagged(rows: int, seed: int) -> dict[str, list]:
    """`film` is a slot where it ends a line, so that no word alone says its tag."""
    lines = [line + " film film" for line in texts(rows, seed)]
    tag = {"good": "B-praise", "fine": "I-praise"}
    slots = [" ".join([*(tag.get(word, "O") for word in line.split()[:-1]), "B-thing"]) for line in lines]
    return {"id": list(range(rows)), "intent": ["flight", "airfare"][:rows] * (rows // 2), "text": lines, "slots": slots}


def pieces(rows: int, seed: int) -> dict[str, object]:
    random = numpy.random.default_rng(seed)
    notes = [
        [
            sorted(random.choice(numpy.arange(50, 60), random.integers(0, 4), False).tolist())
            for _ in range(random.integers(2, 9))
        ]
        for _ in range(rows)
    ]
    return {"notes": pyarrow.array(notes, pyarrow.list_(pyarrow.list_(pyarrow.uint8()))), "length": [len(row) for row in notes]}


def couplets(rows: int, seed: int) -> dict[str, list]:
    random = numpy.random.default_rng(seed)
    lengths = random.choice([5, 7], rows)
    return {side: ["".join(random.choice(list(HAN), length)) for length in lengths] for side in ("first", "second")}


def photographs(rows: int, seed: int) -> dict[str, object]:
    """Pictures in the hub's form, of one colour each, and five captions, the first of which says the colour."""
    from PIL import Image

    colours = {"red": (250, 0, 0), "green": (0, 250, 0), "blue": (0, 0, 250)}
    images, first = [], []
    for number in range(rows):
        name = list(colours)[number % 3]
        file = io.BytesIO()
        Image.new("RGB", (9 + number % 5, 8 + seed), tuple(max(0, c - number) for c in colours[name])).save(file, "PNG")
        images.append({"bytes": file.getvalue(), "path": f"{number}.png"})
        first.append(f"a {name} thing .")
    others = {f"caption_{caption}": texts(rows, seed + caption) for caption in range(1, 5)}
    return {"image": images, "caption_0": first, **others}


def gestures(rows: int, seed: int) -> dict[str, list]:
    """Waves of two lengths, in two dimensions."""
    random = numpy.random.default_rng(seed)
    kinds = [number % 2 for number in range(rows)]
    waves = [numpy.sin(numpy.arange(random.integers(6, 12)) * (0.5 + kind) + random.uniform(0, 6)) for kind in kinds]
    return {
        "values": [[[float(x), float(x * x)] for x in wave] for wave in waves],
        "label": [["fast", "slow"][k] for k in kinds],
    }


def weather(steps: int, seed: int) -> dict[str, list]:
    random = numpy.random.default_rng(seed)
    return {
        "degrees": (numpy.sin(numpy.arange(steps) / 3) + random.normal(0, 0.1, steps)).tolist(),
        "rain": random.random(steps),
    }


def write_all(root: Path) -> None:
    """Every set that the tasks of `SMALL` and `FORMS` read, below `root`."""
    sizes = {"train": 40, "validation": 17, "test": 20}
    for seed, (split, rows) in enumerate(sizes.items()):
        only = {"train", "test"}
        for name, columns, config, splits in (
            ("someone/reviews", labelled(rows, seed, "body", "stars", ["one", "two", "three"]), "data", sizes),
            ("clinc/clinc_oos", labelled(rows, seed, "text", "intent", [7, 42, 9]), "plus", sizes),
            ("benayas/snips", labelled(rows, seed, "text", "category", ["PlayMusic", "RateBook"]), "data", only),
            ("mteb/banking77", labelled(rows, seed, "text", "label", [0, 1, 2]), "data", only),
            ("tuetschek/atis", tagged(rows, seed), "data", only),
            ("stanfordnlp/imdb", labelled(rows, seed, "text", "label", [0, 1]), "plain_text", only),
            ("lansinuote/ChnSentiCorp", labelled(rows, seed, "text", "label", [0, 1], list(HAN)), "data", sizes),
            ("ptb-text-only/ptb_text_only", {"sentence": texts(8 * rows, seed)}, "penn_treebank", sizes),
            ("Salesforce/wikitext", {"text": ["", *texts(8 * rows, seed)]}, "wikitext-2-v1", sizes),
            ("local/jsb_chorales", pieces(rows, seed), "data", sizes),
            ("local/nottingham", pieces(rows, seed + 10), "data", sizes),
            ("local/tang_couplets", couplets(rows, seed), "data", sizes),
            ("local/gestures", gestures(rows, seed), "data", sizes),
            ("local/ratings", {"body": texts(rows, seed), "stars": numpy.arange(rows) % 5 / 2}, "data", sizes),
            ("local/tickets", {"body": texts(rows, seed), "parts": labels(rows, seed)}, "data", sizes),
            ("local/weather", weather(20 * rows, seed), "data", sizes),
            ("jxie/flickr8k", photographs(rows, seed), "data", sizes),
            ("bentrevett/multi30k", {"de": texts(rows, seed), "en": texts(rows, seed + 30)}, "data", sizes),
        ):
            if split in splits:
                write_split(root, name, split, columns, config)

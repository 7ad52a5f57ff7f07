"""BLEU (0 to 100) and chrF as sacrebleu counts them, from statistics that add up over batches.

Source: Papineni et al. 2002; Popović 2015 (chrF); Post 2018, arXiv:1804.08771 (sacrebleu, Apache-2.0; extra `translation`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy

ORDERS = range(1, 5)  # of BLEU's n-grams
BLEU = ["hypothesis", "reference", *(f"right_{n}" for n in ORDERS), *(f"all_{n}" for n in ORDERS)]  # sacrebleu's order
CHRF = [f"chrf_{n}_{kind}" for n in range(1, 7) for kind in ("hypothesis", "reference", "right")]
COUNTED = [*BLEU, *CHRF]


def bleu_counts(pairs: Sequence[tuple[str, Sequence[str]]], tokenizer: str, together: bool = False) -> numpy.ndarray:
    """(COUNTED,) sacrebleu's statistics of each (text, references), added up.

    A text's references count one by one, and the mean is taken; or, `together`, as BLEU has it: any of them may be right.
    """
    from sacrebleu.metrics import BLEU as Bleu
    from sacrebleu.metrics import CHRF as Chrf

    metrics, total = (Bleu(tokenize=tokenizer, force=True), Chrf()), numpy.zeros(len(COUNTED))
    for text, references in pairs:
        groups = [list(references)] if together else [[one] for one in references]
        for group in groups:
            found = [metric._extract_corpus_statistics([text], [[one] for one in group])[0] for metric in metrics]
            total += numpy.concatenate(found) / len(groups)
    return total


def bleu_scores(sums: Mapping[str, float]) -> dict[str, float]:
    """BLEU, chrF and how long what was written is, over how long it should be, from the added-up statistics."""
    from sacrebleu.metrics import BLEU as Bleu
    from sacrebleu.metrics import CHRF as Chrf

    right, of = ([sums[f"{kind}_{n}"] for n in ORDERS] for kind in ("right", "all"))
    lengths = {"sys_len": round(sums["hypothesis"]), "ref_len": round(sums["reference"])}
    bleu = Bleu.compute_bleu(right, of, **lengths, smooth_method="exp").score  # type: ignore[arg-type]
    chrf = Chrf()._compute_score_from_stats([sums[name] for name in CHRF]).score  # type: ignore[misc]
    return {"bleu": float(bleu), "chrf": float(chrf), "length_ratio": lengths["sys_len"] / max(1, lengths["ref_len"])}

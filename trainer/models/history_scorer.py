"""Scores the catalogue for a history: an averaged vector, a one-by-one comparison, a popularity prior."""

# Shape suffixes, scoped to this file:
#   U = households asked about, E = distinct texts, I = items, D = width of a vector

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as serialize
from scipy import sparse
from torch import Tensor

from trainer.data.json_texts import parse_json
from trainer.errors import ModelError
from trainer.jobs.schema import ScoreJob
from trainer.models.ease import ItemLinks, read_links, save_links
from trainer.models.mix import Mix, read_mix, save_mix
from trainer.models.weight_checks import check_finite

SETTINGS = "scorer.json"
CENTRE = "scorer.safetensors"
LINKS = "links.safetensors"
LINK_FLOOR = 1e-4  # as below, for items nobody chose together with the history's
NEAR_FLOOR = 1e-3  # keeps the logarithm of a candidate that resembles nothing from ruling everything else out
NUMBERS_AT_A_TIME = 1 << 24  # of how near texts are to one another: 64 MB, however many texts there are

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Scorer:
    """What makes scores of texts and items from a history: settings, centre and links."""

    settings: ScoreJob
    max_tokens: int
    centre_D: Tensor  # mean vector of the catalogue before training; subtracted from every text
    links: ItemLinks | None = None  # what the same people chose, where that counts too
    pooling: str = "mean"  # of a text's states to its vector
    mix: Mix | None = None  # what is repeated and what is new weighed by a network; without it texts alone score

    def unit_vectors(self, vectors_ED: Tensor) -> Tensor:
        """Give (E, D) vectors from the catalogue's centre, at length 1."""
        # Texts of one shop all point much the same way (Ethayarajh 2019): only from their centre do cosines differ.
        return torch.nn.functional.normalize(vectors_ED - self.centre_D.to(vectors_ED.device), dim=1)

    def score(self, unit_ED: Tensor, bag_UE: sparse.csr_array, near_UE: sparse.csr_array) -> Tensor:
        """Give (U, E) scores of distinct texts, the prior left out.

        The bag is one vector a history. It blurs what is bought each week, so the candidates are also held against
        the items one by one: the log of the weighted sum of exp(cosine / temperature), a kernel density over texts.
        """
        bag_UD = torch.from_numpy(np.asarray(bag_UE.astype(np.float32) @ unit_ED.numpy()))
        score_UE = torch.nn.functional.normalize(bag_UD, dim=1) @ unit_ED.T
        score_UE.div_(self.settings.temperature)
        if self.settings.near:
            near_UE = torch.from_numpy(self._nearness(unit_ED, near_UE)).add_(NEAR_FLOOR).log_()
            score_UE.add_(near_UE, alpha=self.settings.near)
        return score_UE

    def _nearness(self, unit_ED: Tensor, near_UE: sparse.csr_array) -> Scores:
        """Give (U, E) weighted sums of exp(cosine / temperature) over the texts of each history."""
        found_UE = np.zeros(near_UE.shape, dtype=np.float32)
        held = np.unique(
            near_UE.indices
        )  # texts of these histories; how near the others are to one another is no matter
        by_text = near_UE.astype(np.float32).tocsc()
        step = max(1, NUMBERS_AT_A_TIME // near_UE.shape[1])
        for start in range(0, len(held), step):
            texts = held[start : start + step]
            # Less 1: no exponent is above nought, so that none overflows however small the temperature.
            kernel = (unit_ED[torch.from_numpy(texts)] @ unit_ED.T).sub_(1).div_(self.settings.near_temperature).exp_()
            found_UE += by_text[:, texts].tocsr() @ kernel.numpy()
        return found_UE

    def score_links(self, recent_UI: sparse.csr_array, links_II: sparse.csr_array) -> Scores:
        """Give (U, I) scores of items by what those who chose the history's items chose too, in logarithms as well."""
        # A logarithm, for the other parts are ones too: what all three like wins, not what one likes beyond measure.
        weight_UI = (recent_UI @ links_II).toarray()
        weight_UI += LINK_FLOOR
        return np.asarray(self.settings.links * np.log(weight_UI, out=weight_UI), dtype=np.float32)


def save_scorer(scorer: Scorer, folder: Path) -> None:
    """Write what load_scorer reads, beside the encoder."""
    settings = {"max_tokens": scorer.max_tokens, "pooling": scorer.pooling, "score": scorer.settings.model_dump()}
    settings |= {} if scorer.mix is None else {"mix": scorer.mix.settings.model_dump()}
    (folder / SETTINGS).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    (folder / CENTRE).write_bytes(serialize({"centre": scorer.centre_D.contiguous()}))
    if scorer.links is not None:
        save_links(scorer.links, folder / LINKS)
    if scorer.mix is not None:
        save_mix(scorer.mix, folder)


def load_scorer(folder: Path) -> Scorer | None:
    """Read the scorer a fitted model was saved with; None where the folder holds a bare encoder."""
    if not (folder / SETTINGS).exists():
        return None
    try:
        settings = parse_json((folder / SETTINGS).read_text(encoding="utf-8"))
        score = ScoreJob.model_validate(settings["score"])
        links = read_links(folder / LINKS) if (folder / LINKS).exists() else None
        centre_D = load_file(folder / CENTRE)["centre"]
        check_finite([("centre", centre_D)], folder / CENTRE)
        mix = read_mix(settings["mix"], folder) if "mix" in settings else None
        return Scorer(score, int(settings["max_tokens"]), centre_D, links, str(settings.get("pooling", "mean")), mix)
    except (OSError, ValueError, KeyError, TypeError, ValidationError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"{folder / SETTINGS}: not a scorer this version can read: {reason}") from None

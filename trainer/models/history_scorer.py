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

from trainer.data.trips import Histories
from trainer.errors import ModelError
from trainer.jobs.schema import ScoreJob
from trainer.models.ease import ItemLinks, read_links, save_links
from trainer.models.weight_checks import check_finite

SETTINGS = "scorer.json"
CENTRE = "scorer.safetensors"
LINKS = "links.safetensors"
LINK_FLOOR = 1e-4  # as below, for items nobody chose together with the history's
NEAR_FLOOR = 1e-3  # keeps the logarithm of a candidate that resembles nothing from ruling everything else out

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Scorer:
    """What makes scores of texts and items from a history: settings, centre and links."""

    settings: ScoreJob
    max_tokens: int
    centre_D: Tensor  # mean vector of the catalogue before training; subtracted from every text
    links: ItemLinks | None = None  # what the same people chose, where that counts too

    def unit_vectors(self, vectors_ED: Tensor) -> Tensor:
        """Give (E, D) vectors from the catalogue's centre, at length 1."""
        # Texts of one shop all point much the same way (Ethayarajh 2019): only from their centre do cosines differ.
        return torch.nn.functional.normalize(vectors_ED - self.centre_D, dim=1)

    def index(self, vectors_ED: Tensor) -> "Index":
        """Compute once a catalogue what every question needs."""
        unit_ED = self.unit_vectors(vectors_ED)
        # Less 1: no exponent is above nought, so that none overflows however small the temperature.
        return Index(unit_ED, torch.exp((unit_ED @ unit_ED.T - 1) / self.settings.near_temperature))

    def score(self, index: "Index", bag_UE: Tensor, near_UE: Tensor) -> Tensor:
        """Give (U, E) scores of distinct texts, the prior left out.

        The bag is one vector a history. It blurs what is bought each week, so the candidates are also held against
        the items one by one: the log of the weighted sum of exp(cosine / temperature), a kernel density over texts.
        """
        user_UD = torch.nn.functional.normalize(bag_UE @ index.unit_ED, dim=1)
        bag_score_UE = user_UD @ index.unit_ED.T / self.settings.temperature
        return bag_score_UE + self.settings.near * torch.log(near_UE @ index.kernel_EE + NEAR_FLOOR)

    def score_links(self, recent_UI: sparse.csr_array, links_II: sparse.csr_array) -> Scores:
        """Give (U, I) scores of items by what those who chose the history's items chose too, in logarithms as well."""
        # A logarithm, for the other parts are ones too: what all three like wins, not what one likes beyond measure.
        weight_UI = (recent_UI @ links_II).toarray()
        return np.asarray(self.settings.links * np.log(weight_UI + LINK_FLOOR), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Index:
    """What every question to a catalogue shares: (E, D) unit vectors, (E, E) nearness of texts."""

    unit_ED: Tensor
    kernel_EE: Tensor


def spread_history(
    histories: Histories, trips: range, text_of_item: npt.NDArray[np.int64], texts: int, *, top: int, power: float
) -> Tensor:
    """Give (U, E) weights of the texts in the *top* items of each history, summing to one a row."""
    spread_UE = np.zeros((len(trips), texts), dtype=np.float32)
    for row, trip in enumerate(trips):
        items, weights = histories.before(trip, top)
        damped = weights**power  # what is bought each week tells little about what else is wanted
        np.add.at(spread_UE[row], text_of_item[items], damped / damped.sum())
    return torch.from_numpy(spread_UE)


def save_scorer(scorer: Scorer, folder: Path) -> None:
    """Write what load_scorer reads, beside the encoder."""
    settings = {"max_tokens": scorer.max_tokens, "score": scorer.settings.model_dump()}
    (folder / SETTINGS).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    (folder / CENTRE).write_bytes(serialize({"centre": scorer.centre_D.contiguous()}))
    if scorer.links is not None:
        save_links(scorer.links, folder / LINKS)


def load_scorer(folder: Path) -> Scorer | None:
    """Read the scorer a fitted model was saved with; None where the folder holds a bare encoder."""
    if not (folder / SETTINGS).exists():
        return None
    try:
        settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        score = ScoreJob.model_validate(settings["score"])
        links = read_links(folder / LINKS) if (folder / LINKS).exists() else None
        centre_D = load_file(folder / CENTRE)["centre"]
        check_finite([("centre", centre_D)], folder / CENTRE)
        return Scorer(score, int(settings["max_tokens"]), centre_D, links)
    except (OSError, ValueError, KeyError, TypeError, ValidationError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"{folder / SETTINGS}: not a scorer this version can read: {reason}") from None

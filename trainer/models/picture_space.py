"""One space for the words of a query and the pictures of products: a linear map of each tower's vectors into it."""

# Shape suffixes, scoped to this file:
#   N = texts or pictures, D = width of a text's vector, W = width of a picture's vector, S = size of the space

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import normalize

Vectors = npt.NDArray[np.float32]

FIRST_TEMPERATURE = 0.07
LOWEST_TEMPERATURE = 0.01  # as in CLIP: lower ones let a training run away
SAME = 1e-6  # spread of a number that is as good as constant


class PictureSpace(torch.nn.Module):
    """The two maps, and the temperature of cosines between what they give (CLIP, Radford et al. 2021)."""

    mean_W: Tensor
    spread_W: Tensor

    def __init__(self, text_width: int, picture_width: int, size: int, temperature: float | None = None) -> None:
        super().__init__()
        self.text = torch.nn.Linear(text_width, size, bias=False)
        self.picture = torch.nn.Linear(picture_width, size, bias=False)
        # What a tower gives has a large mean and numbers of unlike spread; standardised ones are learnt evenly.
        self.register_buffer("mean_W", torch.zeros(picture_width))
        self.register_buffer("spread_W", torch.ones(picture_width))
        start = math.log(1 / (temperature or FIRST_TEMPERATURE))
        self.log_scale = torch.nn.Parameter(torch.tensor(start), requires_grad=temperature is None)

    @torch.no_grad()
    def begin(self, pictures_NW: Vectors, generator: torch.Generator) -> None:
        """Start from small weights of this generator, pictures being standardised as these are."""
        self.mean_W.copy_(torch.from_numpy(pictures_NW.mean(axis=0, dtype=np.float64)))
        spread = pictures_NW.std(axis=0, dtype=np.float64)
        self.spread_W.copy_(torch.from_numpy(np.where(spread > SAME, spread, 1.0)))
        for weight in (self.text.weight, self.picture.weight):
            weight.normal_(0.0, weight.shape[1] ** -0.5, generator=generator)

    def learnt(self) -> list[torch.nn.Parameter]:
        """Give what is trained."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def scale(self) -> Tensor:
        """Give one over the temperature."""
        return self.log_scale.clamp(max=math.log(1 / LOWEST_TEMPERATURE)).exp()

    def place_texts(self, texts_ND: Tensor) -> Tensor:
        """Give the (N, S) unit vectors of texts, of whatever length their own vectors are."""
        placed: Tensor = self.text(normalize(texts_ND, dim=1))
        return normalize(placed, dim=1)

    def place_pictures(self, pictures_NW: Tensor) -> Tensor:
        """Give the (N, S) unit vectors of pictures."""
        placed: Tensor = self.picture((pictures_NW - self.mean_W) / self.spread_W)
        return normalize(placed, dim=1)

    @torch.no_grad()
    def find_queries(self, unit_ND: Vectors) -> Vectors:
        """Give the (N, S) unit vectors of queries, each the same whatever others there are."""
        placed = [self.place_texts(row_D[None])[0] for row_D in torch.from_numpy(unit_ND)]
        return np.stack([np.asarray(one.numpy(), dtype=np.float32) for one in placed])

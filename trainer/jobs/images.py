"""The section `[model.images]`: how pictures of products are read, and learnt beside the texts."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from trainer.jobs.fields import Count, FilePath, PackageName, Positive, Section, Share
from trainer.jobs.running import EarlyStopJob

PictureFormat = Literal["PNG", "JPEG", "WEBP", "GIF"]


class PictureBoundsJob(Section):
    """What a picture may be at most; what is beyond is not opened, or not unpacked."""

    bytes: Count = 10_485_760  # of a file
    pixels: Count = 50_000_000  # unpacked they take up to sixteen bytes each
    formats: Annotated[tuple[PictureFormat, ...], Field(strict=False, min_length=1)] = ("PNG", "JPEG", "WEBP", "GIF")


class ImagesJob(Section):
    """Pictures of products, found by the words of a query: a frozen tower, and maps of both into one space."""

    package: PackageName | None = None  # that carries the weights of an image tower
    folder: FilePath | None = None  # with weights that were converted to safetensors
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None  # of the tower's weights
    size: Annotated[int, Field(ge=2, le=4096)] = 256  # of the space that both are mapped into
    epochs: Count = 10
    batch: Annotated[int, Field(ge=2)] = 128  # pairs a step; each is the others' negative, both ways
    lr: Positive = 1e-3  # of the maps
    temperature: Positive | None = None  # of the cosines; default: learnt, from 0.07
    train_text: bool = False  # the text tower's upper layers learn too, at train.lr
    early_stop: EarlyStopJob | None = None  # by the valid rows' loss of pictures; without it every step is made
    weight: Share | None = None  # of the pictures in the fusion, the rest is the texts'; chosen on the valid rows
    broken: Literal["refuse", "leave out"] = "refuse"  # a picture that cannot be read
    bounds: PictureBoundsJob = PictureBoundsJob()

    @model_validator(mode="after")
    def _names_one_tower(self) -> "ImagesJob":
        if (self.package is None) == (self.folder is None):
            raise ValueError("give either package or folder: where the weights of the image tower are")
        return self

"""The pictures of a job's products as the tower sees them, each looked at once; broken and missing ones are counted."""

# Shape suffixes, scoped to this file:
#   P = distinct pictures, W = width of a picture's vector

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trainer.data.pairs import Pairs
from trainer.data.product_pictures import PictureSource, read_pictures
from trainer.data.told_names import shortened
from trainer.errors import ModelError, PictureError
from trainer.images.pictures import PictureBounds, find_picture
from trainer.images.seen_pictures import see_pictures
from trainer.images.tower import ImageTower, open_tower
from trainer.jobs.images import ImagesJob
from trainer.models.device import Device
from trainer.models.picture_search import NO_PICTURE
from trainer.tasks.memory_needs import check_memory, product

Vectors = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

BROKEN = "pictures that cannot be read"
WITH, WITHOUT = "with", "without"
SLICE = "picture"  # of a query: whether what answers it has one


@dataclass(frozen=True, slots=True)
class ShownProducts:
    """Which product has which picture."""

    tower: ImageTower
    vectors_PW: Vectors
    of_product: Ints  # product -> picture, NO_PICTURE where it has none

    def have(self, products: Ints) -> Mask:
        """Say of some products whether they have one."""
        return np.asarray(self.of_product[products] != NO_PICTURE)

    def facts(self) -> dict[str, str | int]:
        """Say what saw them, for whoever reads the run later."""
        tower = self.tower
        return {
            "model.images.tower": tower.name,
            "model.images.tower_digest": tower.sha256,
            "model.images.tower_licence": tower.licence,
            "model.images.width": tower.width,
        }


def open_job_tower(job: ImagesJob, device: Device, cache: Path | None) -> ImageTower:
    """Open the tower that a job names; raise ModelError."""
    tower = open_tower(job.package if job.package is not None else job.folder or Path(), device, cache)
    if job.sha256 is not None and tower.sha256 != job.sha256:
        raise ModelError(
            f"model.images: the tower's sha256 is {tower.sha256[:12]}..., not {job.sha256[:12]}... as the job file says"
        )
    return tower


def look_at_products(
    job: ImagesJob, pairs: Pairs, tower: ImageTower, where: Path, cache: Path | None
) -> tuple[ShownProducts, Pairs]:
    """Let the tower see every product that has a picture, and note in the card how many have none.

    Raise PictureError for one that cannot be read, unless the job leaves those out.
    """
    assert pairs.pictures is not None  # the job names a column of them
    shown = [(source, place) for place, source in enumerate(pairs.pictures) if source is not None]
    shown.sort(key=lambda one: one[0].number)  # tables are read once more, from their beginnings
    named = np.array([place for _, place in shown], dtype=np.int64)
    check_memory(where, [product([(len(named), "pictures"), (tower.width, "numbers")], "data.catalogue lower")])
    sources = _NamedPictures([source for source, _ in shown])
    names = [f"{source.where()}: the picture of product {pairs.product_keys[place]!r}" for source, place in shown]
    bounds = PictureBounds(job.bounds.bytes, job.bounds.pixels, job.bounds.formats)
    seen = see_pictures(sources, tower, bounds, names=names, cache=cache)
    told = {**seen.refused, **{place: f"{shortened(names[place])}: {why}" for place, why in sources.refused.items()}}
    if told and job.broken == "refuse":
        more = f" ({len(told) - 1} more cannot be read either)" if len(told) > 1 else ""
        raise PictureError(f'{told[min(told)]}{more}; model.images.broken = "leave out" counts them as missing')
    ordered = np.argsort(named)  # the card and the training go by products, in whatever order their rows stand
    chosen = ordered[seen.seen_I[ordered]]
    vectors_PW, picture = _distinct(seen.vectors_ID[chosen])
    of_product = np.full(len(pairs.products), NO_PICTURE, dtype=np.int64)
    of_product[named[chosen]] = picture
    digests = [seen.digests[place] for place in ordered]
    return ShownProducts(tower, vectors_PW, of_product), _noted(pairs, of_product, digests, len(told))


@dataclass(slots=True)
class _NamedPictures:
    """Pictures as bytes, each read when it is asked for, or as paths that lie where they may."""

    sources: Sequence[PictureSource]  # in the order of their tables
    refused: dict[int, str] = field(default_factory=dict)  # by place: what is wrong with a path

    def __len__(self) -> int:
        return len(self.sources)

    def __iter__(self) -> Iterator[bytes | Path | None]:
        contents = read_pictures([source for source in self.sources if source.path is None])
        for place, source in enumerate(self.sources):
            if source.path is None:
                yield next(contents)
                continue
            try:
                yield find_picture(source.folder, source.path)
            except PictureError as error:
                self.refused[place] = str(error)
                yield None


def _distinct(vectors_NW: Vectors) -> tuple[Vectors, Ints]:
    """Give the distinct vectors in the order in which they come, and each one's place among them."""
    first: dict[bytes, int] = {}
    place = np.array([first.setdefault(row.tobytes(), len(first)) for row in vectors_NW], dtype=np.int64)
    _, chosen = np.unique(place, return_index=True)
    return vectors_NW[chosen], place


def _noted(pairs: Pairs, of_product: Ints, digests: Sequence[str | None], broken: int) -> Pairs:
    """Give the pairs with what is known of pictures in the card, its hash included, and in a slice of their own."""
    card, shown = pairs.card, int(np.count_nonzero(of_product[: pairs.card.catalogue_size] != NO_PICTURE))
    content = "\x1e".join(digest or "" for digest in digests)
    card = replace(
        card,
        hash=sha256(f"{card.hash}\x1d{content}".encode()).hexdigest(),
        pictures=shown,
        pictures_missing=card.catalogue_size - shown,
        mended={**(card.mended or {}), **({BROKEN: broken} if broken else {})},
    )
    having = tuple(WITH if has else WITHOUT for has in (of_product[pairs.product_id] != NO_PICTURE).tolist())
    slices = {**pairs.slices} if SLICE in pairs.slices else {**pairs.slices, SLICE: having}
    return replace(pairs, card=card, slices=slices)

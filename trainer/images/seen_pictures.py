"""The vectors of a catalogue's pictures: each picture is looked at once, also by later runs where there is a cache."""

# Shape suffixes, scoped to this file:
#   I = pictures asked for, N = pictures that are new, D = width of a vector

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import groupby, islice
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import PIL
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from trainer.errors import DataError, PictureError
from trainer.images.pictures import BOUNDS, PictureBounds, Pixels, check_bounds, decode, read_picture, tell_picture
from trainer.images.tower import BATCH, ImageTower, Vectors
from trainer.models.kept_files import keep_file
from trainer.tracking.progress import Advance, show_progress

SHARD = 2048  # pictures of a file that is kept: so many are lost at most where a run is killed
MANY = 200  # pictures from which on progress is shown
DECODING = "1"  # of what `decode` does to a picture; another number makes what was kept count as never seen

Digest = bytes  # sha256 of a picture's bytes


class SomePictures(Protocol):
    """Pictures that are known by their number and given one after the other: a list, or what reads them as it goes."""

    def __len__(self) -> int:
        """Give how many there are."""
        ...

    def __iter__(self) -> Iterator[bytes | Path | None]:
        """Give each as bytes or as a path, None where there is none."""
        ...


@dataclass(frozen=True, slots=True)
class SeenPictures:
    """The vectors of some pictures, in their order."""

    vectors_ID: Vectors  # noughts where there is no picture, or one that was refused
    seen_I: npt.NDArray[np.bool_]
    refused: Mapping[int, str]  # by place: why
    digests: tuple[str | None, ...]  # sha256 of each picture's bytes, as far as they were read
    computed: int  # pictures that the tower has looked at; of the others an earlier run's vector was taken


@dataclass(slots=True)
class _Pile:
    """What a run has of its pictures so far."""

    kept: Mapping[Digest, tuple[Path, int]]  # by earlier runs: the file, and the row of it
    known: dict[Digest, npt.NDArray[np.float32]] = field(default_factory=dict)
    digests: list[Digest | None] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)
    fresh: list[Digest] = field(default_factory=list)  # given to the tower, whose vectors are not there yet
    why: dict[Digest, str] = field(default_factory=dict)  # pictures are refused: the sentence behind their names

    def unpack(self, digest: Digest, data: bytes, bounds: PictureBounds, size: int, where: str) -> Pixels:
        """Unpack a picture, raise PictureError; what is refused is tried once, however many products name it."""
        if digest in self.why:
            raise PictureError(f"{where}{self.why[digest]}")
        try:
            return decode(data, bounds, size, name=where)
        except PictureError as error:
            self.why[digest] = str(error).removeprefix(where)
            raise


def see_pictures(
    sources: SomePictures,
    tower: ImageTower,
    bounds: PictureBounds = BOUNDS,
    *,
    names: Sequence[str] | None = None,
    cache: Path | None = None,
    batch: int = BATCH,
) -> SeenPictures:
    """Give the vectors of some pictures; None is where there is none.

    The same bytes are looked at once. What is refused is told by place, with *names* in its sentence; nothing is raised
    for it. Raise DataError where kept vectors are gone before they are read. In a *cache* vectors are kept by what a
    picture's bytes are, for any run with the same tower.
    """
    key = _key(tower)
    pile = _Pile({} if cache is None else _list_kept(cache, key, tower.width))
    computed = 0
    shows = show_progress("pictures", len(sources), "pictures") if len(sources) > MANY else nullcontext(_quiet)
    with shows as advance:
        pixels = _new_pictures(sources, names, bounds, tower.size, pile, advance)
        while len(vectors_ND := tower.vectors(islice(pixels, SHARD), batch=batch)):
            if cache is not None:
                _keep(pile.fresh, vectors_ND, cache, key, tower)
            pile.known.update(zip(pile.fresh, vectors_ND, strict=True))
            pile.fresh.clear()
            computed += len(vectors_ND)
    pile.known.update(_read_kept(pile.kept, pile.kept.keys() & pile.digests))
    vectors_ID = np.zeros((len(sources), tower.width), np.float32)
    seen_I = np.zeros(len(sources), bool)
    for place, digest in enumerate(pile.digests):
        if digest is not None and place not in pile.refused:
            vectors_ID[place], seen_I[place] = pile.known[digest], True
    return SeenPictures(
        vectors_ID, seen_I, pile.refused, tuple(None if one is None else one.hex() for one in pile.digests), computed
    )


def _new_pictures(
    sources: SomePictures,
    names: Sequence[str] | None,
    bounds: PictureBounds,
    size: int,
    pile: _Pile,
    advance: Advance,
) -> Iterator[Pixels]:
    """Give the pixels of what has no vector yet, and note what becomes of each picture."""
    coming: set[Digest] = set()
    for place, source in enumerate(sources):
        name = None if names is None else names[place]
        digest, pixels = None, None
        try:
            if source is not None:
                data = read_picture(source, bounds, name=name) if isinstance(source, Path) else source
                digest = sha256(data).digest()
                if digest in pile.kept or digest in coming:  # of which another job may have allowed more
                    check_bounds(data, bounds, tell_picture(source, name))
                else:
                    pixels = pile.unpack(digest, data, bounds, size, tell_picture(source, name))
        except PictureError as error:
            pile.refused[place] = str(error)
        pile.digests.append(digest)
        if pixels is not None and digest is not None:
            coming.add(digest)
            pile.fresh.append(digest)
            yield pixels
        advance(1, f"{len(pile.refused)} refused" if pile.refused else "")


def _key(tower: ImageTower) -> str:
    parts = (tower.name, tower.sha256, str(tower.size), DECODING, PIL.__version__)
    return sha256("\0".join(parts).encode()).hexdigest()[:16]


def _list_kept(cache: Path, key: str, width: int) -> dict[Digest, tuple[Path, int]]:
    """Say which pictures were kept and where, which other catalogues' may be; a file that is damaged counts as none."""
    kept: dict[Digest, tuple[Path, int]] = {}
    for path in sorted(cache.glob(f"pictures-{key}-*.safetensors")):
        try:
            with safe_open(path, "numpy") as file:
                digests = file.get_tensor("digests")
                shape = file.get_slice("vectors").get_shape()
        except (SafetensorError, OSError):
            continue
        if tuple(shape) == (len(digests), width):
            kept.update((row.tobytes(), (path, place)) for place, row in enumerate(digests))
    return kept


def _read_kept(
    kept: Mapping[Digest, tuple[Path, int]], wanted: Iterable[Digest]
) -> Iterator[tuple[Digest, npt.NDArray[np.float32]]]:
    """Give the vectors of some pictures, one file at a time; raise DataError for one that is gone meanwhile."""
    for path, some in groupby(sorted(wanted, key=kept.__getitem__), key=lambda digest: kept[digest][0]):
        try:
            with safe_open(path, "numpy") as file:
                vectors = file.get_tensor("vectors")
        except (SafetensorError, OSError):
            raise DataError(
                f"{path}: was removed or changed while pictures were seen: start again, and it is computed anew"
            ) from None
        for digest in some:
            yield digest, vectors[kept[digest][1]].copy()


def _keep(digests: Sequence[Digest], vectors_ND: Vectors, cache: Path, key: str, tower: ImageTower) -> None:
    """Add a file of what is new: those that are there are never written over, whoever else is at work."""
    rows = np.frombuffer(b"".join(digests), np.uint8).reshape(len(digests), -1)
    tensors = {"digests": torch.from_numpy(rows.copy()), "vectors": torch.from_numpy(vectors_ND)}
    told = {"tower": tower.name, "sha256": tower.sha256, "size": str(tower.size), "licence": tower.licence}
    content = sha256(rows.tobytes()).hexdigest()[:16]
    keep_file(
        cache / f"pictures-{key}-{content}.safetensors", lambda partial: save_file(tensors, partial, metadata=told)
    )


def _quiet(_count: int, _note: str) -> None:
    """Show no progress of what takes no time."""

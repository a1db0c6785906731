"""Whether a job fits into memory: what it will hold, in its own numbers, is held against what is free before it begins.

What is counted is what grows without bounds: least amounts, so that nothing is refused that would have fitted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import disk_usage

import numpy as np

from trainer.data.pairs import Pairs
from trainer.data.splits import Part
from trainer.environment import FreeMemory, free_memory
from trainer.errors import JobError
from trainer.jobs.schema import AnyJob, MixJob, NextItemJob, RelevanceJob, RetrievalJob
from trainer.models.crew import ALONE, Crew
from trainer.models.device import CPU, Device
from trainer.models.ease import KEPT
from trainer.models.mix_features import FEATURES
from trainer.models.saved_cross_encoder import SavedCrossEncoder
from trainer.models.saved_encoder import SavedEncoder
from trainer.models.source import ModelSource, count_parameters
from trainer.models.text_encoder import LOOKED_AT

NUMBER = 4  # bytes
TOLD = 3  # of what is held, the largest
LEARNT = 4  # numbers a parameter that is trained: itself, its gradient and Adam's two moments
LAYERS = ("num_hidden_layers", "n_layers", "n_layer", "num_layers")  # as configurations call how many there are
STATES = 8  # numbers that each layer keeps of a token and dimension for the way back, at the least


@dataclass(frozen=True, slots=True)
class Need:
    """Something a job holds: its sizes multiplied, and what makes it smaller."""

    what: str
    size: int  # bytes
    instead: str


def check_memory(where: Path, needs: Sequence[Need], free: FreeMemory | None = None) -> None:
    """Raise JobError where what is held at one time is more than is free."""
    free = free or free_memory()
    total = sum(need.size for need in needs)
    if free is None or total <= free.size:
        return
    largest = sorted(needs, key=lambda need: -need.size)[:TOLD]
    sums = "; ".join(f"{need.what} = {readable(need.size)}" for need in largest)
    raise JobError(
        f"{where}: does not fit into memory: {sums}; {readable(total)} in all, of {readable(free.size)} that are free"
        f" ({free.limit}): set {largest[0].instead}"
    )


def readable(size: int) -> str:
    """Give a number of bytes as people read it."""
    for unit, least in (("GiB", 1 << 30), ("MiB", 1 << 20)):
        if size >= least:
            return f"{size / least:,.1f} {unit}"
    return f"{size / 1024:,.1f} KiB"


def product(numbers: Sequence[tuple[int, str]], instead: str, each: int = NUMBER) -> Need:
    """Give what a product of sizes takes at *each* so many bytes."""
    size = each
    for count, _ in numbers:
        size *= count
    told = " x ".join(f"{count:,} {name}" for count, name in numbers)
    return Need(f"{told} x {each} bytes", size, instead)


def fits_whole(source: ModelSource, job: AnyJob, free: int) -> bool:
    """Say whether the weights, and of those that are trained gradients and moments, fit into so many bytes.

    What is kept for the way back comes on top: a model that nearly fills a chip is better cut where that is not set.
    """
    weights = count_parameters(source)
    learnt = round(weights * _learnt_share(source, job))
    return NUMBER * (weights + learnt * (LEARNT - 1)) <= free


def _learnt_share(source: ModelSource, job: AnyJob) -> float:
    """Give the share of the weights that is trained, of layers as if they were all of a model; of adapters none."""
    if isinstance(job, RelevanceJob) and job.model.lora is not None:
        return 0.0
    counts = [source.config[name] for name in LAYERS if isinstance(source.config.get(name), int)]
    if job.train.layers is None or not counts or counts[0] < 1:
        return 1.0
    return min(1.0, job.train.layers / float(counts[0]))


def check_weights(source: ModelSource, job: AnyJob, crew: Crew = ALONE, *, training: bool) -> None:
    """Raise JobError where a model's weights do not fit into memory or, once they are tuned, on the output's disk."""
    check_memory(source.folder, weights_needs(source, job, crew, training=training))
    if training:
        there = next(path for path in job.output.absolute().parents if path.exists())
        size, free = NUMBER * count_parameters(source), disk_usage(there).free
        if size > free:
            raise JobError(
                f"output = {job.output}: the tuned model takes {readable(size)}, and {readable(free)} are free on that"
                " disk: make room, or name another place"
            )


def weights_needs(source: ModelSource, job: AnyJob, crew: Crew = ALONE, *, training: bool) -> list[Need]:
    """Give what a model's weights take; where all of them are trained, what goes with each of them too.

    Of a model that is to be cut each process of a machine reads the whole first.
    """
    if crew.shards:
        read = [(count_parameters(source), "weights"), (crew.local_size, "processes")]
        return [product(read, "fewer processes a machine, or model to a smaller one")]
    whole = training and isinstance(job, RelevanceJob) and job.train.layers is None and job.model.lora is None
    instead = "model to a smaller one" + (", or train.layers or model.lora" if whole else "")
    return [product([(count_parameters(source), "weights")], instead, NUMBER * (LEARNT if whole else 1))]


def next_item_needs(
    job: NextItemJob,
    encoder: SavedEncoder,
    texts: Sequence[str],
    sizes: tuple[int, int],
    *,
    training: bool,
    links: bool,
    rehearsed: int,
) -> list[list[Need]]:
    """Give what a next-item job of so many (users, items) holds, one stage after the other.

    A mix is learned on so many *rehearsed* trips.
    """
    users, items = sizes
    width, tokens = encoder.keep(texts)
    held = [product([(len(texts), "texts"), (width, "numbers"), (2, "vectors")], "model.folder to a narrower model")]
    stages = []
    if links:
        linked = min(items, job.score.link_items)
        square = [(linked, "items"), (linked, "items")]
        stages.append([product(square, "score.link_items lower, or score.links = 0", 8)])
        held.append(product([(linked, "items"), (min(KEPT, linked), "links")], "score.links = 0", 8))
    fitting = [*held, _kept(len(texts), tokens, encoder.kept)] if training or job.model.cache else held
    stages.append(fitting)
    if job.mix is not None and rehearsed:
        stages += [[*fitting, need] for need in mix_needs(job.mix, len(texts), rehearsed)]
    if job.score.factors:
        factors = [(users + items, "users and items"), (job.score.factors, "factors")]
        stages.append([*held, product(factors, "score.factors lower, or to 0", 8)])
    return stages


def mix_needs(mix: MixJob, texts: int, rehearsed: int) -> list[Need]:
    """Give what learning a mix holds, one after the other: links between texts, what is told of the candidates."""
    linked = min(texts, mix.link_texts)
    # Trip by trip, and end to end before those are let go.
    told = [(rehearsed, "trips"), (min(texts, mix.others), "others"), (len(FEATURES), "features"), (2, "copies")]
    return [
        product([(linked, "texts"), (linked, "texts")], "mix.link_texts lower", 8),
        product(told, "mix.trips or mix.others lower"),
    ]


def retrieval_needs(
    job: RetrievalJob, encoder: SavedEncoder, texts: Sequence[str], products: int, *, training: bool
) -> list[Need]:
    """Give what a retrieval job over so many products holds."""
    width, tokens = encoder.keep(texts)
    fewer = "data.catalogue lower"
    # Before and after training; of the catalogue at length 1, and once more in the index.
    vectors = product([(len(texts), "texts"), (width, "numbers"), (2 if training else 1, "vectors")], fewer)
    found = [vectors, product([(products, "products"), (width, "numbers"), (2, "vectors")], fewer)]
    if training or job.model.cache is not None:
        found.append(_kept(len(texts), tokens, encoder.kept))
    return found


def relevance_needs(job: RelevanceJob, model: SavedCrossEncoder, pairs: Pairs, *, training: bool) -> list[Need]:
    """Give what a relevance job over these pairs holds."""
    rows = pairs.rows(Part.TRAIN if training else Part(job.part))
    learnt = min(len(rows), job.train.pairs or len(rows))
    some = rows[np.unique(np.linspace(0, len(rows) - 1, LOOKED_AT).astype(int))]
    tokens = max(1, round(float(model.encode(*pairs.texts(some)).lengths.mean())))
    width = model.width()
    batch = job.train.batch if training else 1
    layers = model.layers() if training else 1
    sizes = [(batch, "pairs"), (tokens, "tokens"), (width, "numbers"), (layers, "layers"), (STATES, "states")]
    # Elsewhere than on the processor a batch's states take none of this memory.
    found = [product(sizes, "train.batch or model.max_tokens lower")] if model.device.kind == CPU else []
    if training:
        found.append(product([(learnt, "pairs"), (tokens, "tokens"), (2, "numbers")], "train.pairs lower", 8))
    return found


def adaptation_needs(weights: int, device: Device) -> list[Need]:
    """Give what a reading of texts holds beside a model of which so many weights learn; on a GPU none of this."""
    if device.kind != CPU:
        return []
    # A gradient, two moments, and what the reading came to, for a fit that goes on behind it.
    return [product([(weights, "weights that read"), (LEARNT, "numbers")], "adapt.layers lower, or leave out [adapt]")]


def _kept(texts: int, tokens: int, width: int) -> Need:
    sizes = [(texts, "texts"), (tokens, "tokens"), (width, "numbers")]
    return product(sizes, "model.max_tokens lower, or fewer items: data.catalogue, data.cleaning.min_users")

"""A set of judged pairs: its rows, which of them are learnt, and a job's view of them."""

# Shape suffixes, scoped to this file:
#   N = rows of the set

from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from trainer.data.pairs import Pairs
from trainer.data.splits import PART_NUMBER, Part, Parts, count_parts
from trainer.jobs.schema import RelevanceJob, RetrievalJob
from trainer.measures.per_example import number
from trainer.transfer.drawing import Drawn, draw_whole

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

AWAY = np.int8(3)  # a part that nothing learns, settles or scores
FEWEST_SETTLED = 20  # valid rows of a draw: of fewer a slope may come out the wrong way round
LEARNING, SETTLING = 0, 1  # of the seed: two draws that have nothing to do with one another


@dataclass(frozen=True, slots=True)
class JudgedSet:
    """Pairs of one market, and the job that reads and splits them."""

    name: str
    job: RelevanceJob | RetrievalJob
    pairs: Pairs

    unit = "pairs"  # that shots count

    def everything(self, seed: int, without: Ints | None = None) -> Drawn:
        """Give all train rows but some, as many as train.pairs allows, and all valid rows."""
        train = self.pairs.rows(Part.TRAIN)
        train = train if without is None else np.setdiff1d(train, without)
        most = self.job.train.pairs
        learn = train if most is None or most >= len(train) else train[self._draw(train, most, seed, LEARNING)]
        return Drawn(learn, self.pairs.rows(Part.VALID), len(learn))

    def few(self, shots: int, seed: int) -> Drawn:
        """Draw train rows, and of the valid rows the same share, whole queries or users where the split keeps them."""
        train, valid = self.pairs.rows(Part.TRAIN), self.pairs.rows(Part.VALID)
        learn = train[self._draw(train, shots, seed, LEARNING)]
        share = round(len(valid) * len(learn) / len(train))
        settle = valid[self._draw(valid, share, seed, SETTLING)]
        if len(settle) < FEWEST_SETTLED:  # of a share above it whole queries may come to less
            settle = valid[:0]
        if self.job.task == "relevance" and len(np.unique(self.pairs.label[settle])) < 2:  # noqa: PLR2004 - one says nothing
            settle = valid[:0]
        return Drawn(learn, settle, len(learn))

    def nothing(self) -> Drawn:
        """Give what a model is scored with that learns nothing here.

        The train rows stay: constants and words, which are scored beside it, are settled on them.
        """
        return Drawn(self.pairs.rows(Part.TRAIN), np.empty(0, dtype=np.int64), 0)

    def given(self, drawn: Drawn) -> Pairs:
        """Give the pairs as a fit on what was drawn sees them."""
        part = np.full(len(self.pairs), AWAY, dtype=np.int8)
        part[self.pairs.rows(Part.TEST)] = PART_NUMBER[Part.TEST]
        part[drawn.learn], part[drawn.settle] = PART_NUMBER[Part.TRAIN], PART_NUMBER[Part.VALID]
        digest = sha256(self.pairs.card.hash.encode() + part.tobytes()).hexdigest()
        return replace(self.pairs, part=part, card=replace(self.pairs.card, hash=digest, parts=count_parts(part)))

    def _draw(self, rows: Ints, wanted: int, seed: int, stream: int) -> Ints:
        return draw_whole(self._units()[rows], wanted, np.random.default_rng([seed, stream]))

    def _units(self) -> Ints:
        match self.job.data.split.by:
            case "query":
                return self.pairs.query_id
            case "user":
                return number(self.pairs.names(np.arange(len(self.pairs)), "user"))
            case _:
                return np.arange(len(self.pairs))


def only_rows(pairs: Pairs, kept_N: Mask) -> Pairs:
    """Give some rows, and of queries and products those that occur in them; a catalogue keeps its order."""
    rows = np.flatnonzero(kept_N)
    queries, query_id = np.unique(pairs.query_id[rows], return_inverse=True)
    products, product_id = np.unique(pairs.product_id[rows], return_inverse=True)
    size = int(np.count_nonzero(products < pairs.card.catalogue_size))
    texts = tuple(pairs.products[place] for place in products.tolist())
    part = pairs.part[rows]
    test = part == PART_NUMBER[Part.TEST]
    card = replace(
        pairs.card,
        rows_kept=len(rows),
        catalogue_size=size,
        distinct_texts=len(set(texts[:size])),
        test_examples=len(np.unique(query_id[test])),
        test_targets=int(np.count_nonzero(test)),
        queries=len(queries),
        parts=count_parts(part),
        hash=sha256(pairs.card.hash.encode() + rows.tobytes()).hexdigest(),
    )
    return Pairs(
        query_id,
        product_id,
        tuple(pairs.queries[place] for place in queries.tolist()),
        texts,
        tuple(pairs.query_keys[place] for place in queries.tolist()),
        tuple(pairs.product_keys[place] for place in products.tolist()),
        pairs.label[rows],
        pairs.classes,
        part,
        {name: tuple(values[row] for row in rows.tolist()) for name, values in pairs.slices.items()},
        None if pairs.users is None else tuple(pairs.users[row] for row in rows.tolist()),
        card,
    )


def as_if_untested(pairs: Pairs) -> Pairs:
    """Give the pairs with the valid rows as their test, the test being away; nothing settles what a fit chooses."""
    part: Parts = np.full(len(pairs), AWAY, dtype=np.int8)
    part[pairs.rows(Part.TRAIN)], part[pairs.rows(Part.VALID)] = PART_NUMBER[Part.TRAIN], PART_NUMBER[Part.TEST]
    return replace(pairs, part=part)


def with_ends(pairs: Pairs, low: float, high: float) -> Pairs:
    """Give the pairs with two rows more that nothing uses, of the lowest and the highest label of all sets.

    The ends of a scale are told from the labels, and a model learnt between others could not be asked.
    """

    def longer(values: Ints) -> Ints:
        return np.concatenate([values, values[:1], values[:1]])

    users = None if pairs.users is None else (*pairs.users, *pairs.users[:1] * 2)
    return replace(
        pairs,
        query_id=longer(pairs.query_id),
        product_id=longer(pairs.product_id),
        label=np.concatenate([pairs.label, [low, high]]),
        part=np.concatenate([pairs.part, [AWAY, AWAY]]).astype(np.int8),
        slices={name: (*values, *values[:1] * 2) for name, values in pairs.slices.items()},
        users=users,
    )

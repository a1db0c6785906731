"""The hash of what a run is scored on: where two runs have the same, their numbers can be compared.

Of the ids of what is asked, of what answers it and how it is judged, and of what it is ranked among: neither what is
learned from, nor histories, nor the wording of texts, nor the order or the place of files has a say in it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from trainer.data.name_numbers import number_names
from trainer.data.pairs import Pairs
from trainer.data.snapshot import TARGET, Snapshot
from trainer.data.splits import Part

Column = tuple[Sequence[str], npt.NDArray[np.integer]]  # names, and which of them each row has


def note_held_out(snapshot: Snapshot) -> Snapshot:
    """Give the snapshot, its card with the hash of whose trips are tested, what they took, and what is ranked."""
    purchases, items = snapshot.purchases, snapshot.catalogue.item_ids
    rows = np.flatnonzero(snapshot.use == TARGET)
    # Several rows of one person are numbered by the order of the source: by the person they are told without it.
    people = purchases.user_ids if snapshot.people is None else snapshot.people
    told = _hash_rows([(people, purchases.user[rows]), (items, purchases.item[rows])], items)
    return replace(snapshot, card=replace(snapshot.card, test_hash=told))


def note_judged(pairs: Pairs, part: Part, searched: Sequence[int] = ()) -> Pairs:
    """Give the pairs, their card with the hash of a part's queries, products and labels, and of what is *searched*."""
    rows = pairs.rows(part)
    # Added to nought: -0.0 and 0.0 are one label.
    values, place = np.unique(pairs.label[rows] + 0.0, return_inverse=True)
    # By name: a class that only other rows have would number these anew.
    labels = [pairs.classes[int(value)] if pairs.classes else repr(float(value)) for value in values]
    columns: list[Column] = [
        (pairs.query_keys, pairs.query_id[rows]),
        (pairs.product_keys, pairs.product_id[rows]),
        (labels, place),
    ]
    told = _hash_rows(columns, [pairs.product_keys[product] for product in searched])
    return replace(pairs, card=replace(pairs.card, test_hash=told))


def _hash_rows(columns: Sequence[Column], candidates: Sequence[str]) -> str:
    """Hash rows, each as often as it comes, and candidates, both in whatever order."""
    digest, coded = sha256(), []
    for names, numbers in columns:
        used, place = np.unique(numbers, return_inverse=True)
        distinct, codes = number_names([names[number] for number in used.tolist()])
        digest.update(_frame(distinct))
        coded.append(codes[place])
    order = np.lexsort(coded)
    for column in coded:
        digest.update(column[order].astype("<i8").tobytes())
    digest.update(_frame(sorted(candidates)))
    return digest.hexdigest()


def _frame(names: Iterable[str]) -> bytes:
    """Give names end to end, each behind its length: whatever letters they have, no two lists give the same."""
    framed = b"".join(b"%d:%b" % (len(name), name) for name in (name.encode() for name in names))
    return b"%d;%b" % (len(framed), framed)

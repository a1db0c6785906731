"""A set of what users chose: its trips, whose of them are learnt, and a job's view of them."""

from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from trainer.data.name_numbers import number_names
from trainer.data.snapshot import ASK, LEARN, TARGET, UNUSED, Catalogue, Snapshot
from trainer.jobs.schema import NextItemJob
from trainer.transfer.drawing import Drawn, draw_whole

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TripSet:
    """Users of one market, and the job that reads and splits what they chose."""

    name: str
    job: NextItemJob
    snapshot: Snapshot

    unit = "users"  # that shots count

    def everything(self, seed: int, without: Ints | None = None) -> Drawn:  # noqa: ARG002 - no seed draws all
        """Give all entries that may be learnt, but some."""
        learn = self._learnable()
        learn = learn if without is None else np.setdiff1d(learn, without)
        return self._drawn(learn)

    def few(self, shots: int, seed: int) -> Drawn:
        """Draw users, of several rows of one person all, with everything of theirs that may be learnt."""
        learn = self._learnable()
        person_N = self.people()[learn]
        people = np.unique(person_N)
        # One row a person: they are drawn, not what they chose.
        chosen = people[draw_whole(people, shots, np.random.default_rng([seed, 0]))]
        return self._drawn(learn[np.isin(person_N, chosen)])

    def nothing(self) -> Drawn:
        """Give no entries: what users chose before is still their history, and teaches nothing."""
        return self._drawn(self._learnable()[:0])

    def given(self, drawn: Drawn) -> Snapshot:
        """Give the snapshot as a fit on what was drawn sees it: all else before the test is history alone."""
        use = np.where(self.snapshot.use == LEARN, ASK, self.snapshot.use).astype(np.int8)
        use[drawn.learn] = LEARN
        digest = sha256(self.snapshot.card.hash.encode() + use.tobytes()).hexdigest()
        return replace(self.snapshot, use=use, card=replace(self.snapshot.card, hash=digest))

    def people(self) -> Ints:
        """Give the person of each entry."""
        snapshot = self.snapshot
        names = snapshot.purchases.user_ids if snapshot.people is None else snapshot.people
        return number_names(names)[1][snapshot.purchases.user]

    def _learnable(self) -> Ints:
        return np.flatnonzero(self.snapshot.use == LEARN)

    def _drawn(self, learn: Ints) -> Drawn:
        return Drawn(learn, learn[:0], len(np.unique(self.people()[learn])))


def only_group(snapshot: Snapshot, group: str) -> Snapshot:
    """Give the items of a group and what was chosen of them; who chose nothing of it before is not tested."""
    catalogue, purchases = snapshot.catalogue, snapshot.purchases
    kept_I = np.array([name == group for name in catalogue.groups])
    items = np.flatnonzero(kept_I)
    rows = np.flatnonzero(kept_I[purchases.item])
    use, user = snapshot.use[rows], purchases.user[rows]
    known = np.zeros(len(purchases.user_ids), dtype=np.bool_)
    known[user[(use == LEARN) | (use == ASK)]] = True
    use = np.where((use == TARGET) & ~known[user], UNUSED, use).astype(np.int8)
    place = np.cumsum(kept_I) - 1
    columns = (catalogue.item_ids, catalogue.texts, catalogue.groups)
    ids, texts, groups = (tuple(column[item] for item in items.tolist()) for column in columns)
    chosen = replace(purchases, user=user, time=purchases.time[rows], item=place[purchases.item[rows]].astype(np.int32))
    target = use == TARGET
    card = replace(
        snapshot.card,
        rows_kept=len(rows),
        catalogue_size=len(items),
        distinct_texts=len(set(texts)),
        users=len(np.unique(user)),
        trips=len(np.unique((user.astype(np.int64) << 33) + chosen.time)),
        test_examples=len(np.unique(user[target])),
        test_targets=int(np.count_nonzero(target)),
        hash=sha256(f"{snapshot.card.hash}\x1f{group}".encode()).hexdigest(),
    )
    return Snapshot(Catalogue(ids, texts, groups), chosen, use, card, snapshot.people)

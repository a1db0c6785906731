"""Pictures of products, searched by the words of a query beside the texts."""

import json
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from tests.trainer.fitting import fit, result_of
from tests.trainer.pictured_shop import (
    make_shown,
    make_tower,
    without_pictures,
    write_pictured_job,
    write_shop,
    write_table,
)
from tests.trainer.queries import make_bert
from trainer.__main__ import main
from trainer.errors import DataError, JobError, ModelError, PictureError, Stopped
from trainer.jobs.file import load_job
from trainer.learning.checkpoints import KeptCheckpoints, NoCheckpoints
from trainer.learning.resuming import resumption
from trainer.models.crew import Crew
from trainer.models.device import PROCESSOR
from trainer.stopping import stoppable
from trainer.tasks.loading import load_task
from trainer.tasks.on_device import check_crew

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")


@pytest.fixture(scope="module")
def bert(tmp_path_factory) -> Path:
    return make_bert(tmp_path_factory.mktemp("bert") / "model")


@pytest.fixture(scope="module")
def tower(tmp_path_factory) -> Path:
    return make_tower(tmp_path_factory.mktemp("tower") / "vit")


@pytest.fixture
def write(tmp_path, bert, tower):
    """Write the job of some rows."""
    return lambda rows, images="": write_pictured_job(
        tmp_path, write_shop(tmp_path / "shop", rows), bert, tower, images
    )


def load(job: Path, *overrides: str):
    return load_task(load_job(job, overrides), training=True, device=PROCESSOR)


def outcome(job: Path, *overrides: str):
    return load(job, *overrides).fit(lambda _: None, NoCheckpoints()).score()


def recall_at_1(found: pa.Table) -> float:
    """Give how often what stands first is right, in expectation over what ties with it."""
    rows = found.to_pylist()
    first = {row["query"]: row["score"] for row in rows if row["rank"] == 1}
    hits = [row["relevant"] / row["tied"] for row in rows if row["score"] == first[row["query"]]]
    return sum(hits) / len(first)


def test_where_only_the_picture_tells_two_products_apart_it_finds_the_right_one(place, bert, tower, capsys):
    job = write_pictured_job(place, write_shop(place / "shop", make_shown()), bert, tower)
    assert fit(job) == 0
    told, found = result_of(place / "pictured"), pq.read_table(place / "pictured" / "found.parquet")
    assert recall_at_1(found) == 1.0
    assert told["metrics"]["mrr"] == 1.0
    assert told["baselines"]["fused without pictures"]["mrr"] == 0.75  # one of two: first or second
    assert told["baselines"]["pictures"]["recall_at_10"] == 1.0
    assert told["baselines"]["chance"]["recall_at_10"] == pytest.approx(10 / 16)
    assert told["metrics"]["pictures_missing"] == 0
    assert 0 < told["metrics"]["picture_weight"] <= 1
    card = json.loads((place / "pictured" / "data_card.json").read_text())
    assert (card["pictures"], card["pictures_missing"]) == (16, 0)
    assert "picture" in pq.read_table(place / "pictured" / "per_example.parquet").column_names
    assert "16 of 16 products have one, 0 have none; seen by vit" in (place / "pictured" / "summary.md").read_text()

    model = place / "pictured" / "model"
    assert main(["evaluate", str(job), "--model", str(model), "--set", f"output={place}/again"]) == 0
    assert pq.read_table(place / "again" / "found.parquet").equals(found)
    again = result_of(place / "again")
    assert again["metrics"]["picture_weight"] == told["metrics"]["picture_weight"]
    assert again["data_hash"] == told["data_hash"]
    capsys.readouterr()
    assert (
        main(
            [
                "recommend",
                str(model),
                "--file",
                str(_write(place / "asked", "new red lamp\nsmall blue rug\n")),
                "--json",
            ]
        )
        == 0
    )
    first = [answer["products"][0]["key"] for answer in json.loads(capsys.readouterr().out)]
    assert first == ["red-lamp", "blue-rug"]
    assert main(["explain", str(model), "--query", "red lamp", "--product", "lamp"]) == 0
    assert "also looks at pictures, which weigh" in capsys.readouterr().err
    assert main(["compress", str(job), "--model", str(model), "--set", f"output={place}/small"]) == 2
    assert "looks at pictures, whose space a smaller model would not share" in capsys.readouterr().err

    bare = json.dumps({"query": "query", "product": "title", "product_id": "product_id", "part": "part"})
    text_job = _write(place / "texts.toml", _without_images(job.read_text(), bare))
    assert main(["evaluate", str(text_job), "--model", str(model), "--set", f"output={place}/texts"]) == 0
    assert "was fitted with pictures, and the job names none: its texts alone are scored" in capsys.readouterr().err
    assert result_of(place / "texts")["metrics"]["mrr"] == 0.75
    assert fit(text_job, f"output={place}/text-model") == 0
    plain = ["evaluate", str(job), "--model", str(place / "text-model" / "model"), "--set", f"output={place}/none"]
    assert main(plain) == 2
    assert "was fitted without pictures: leave [model.images]" in capsys.readouterr().err
    zero = ["model.images.weight=0.0", f"output={place}/zero"]
    assert fit(job, *zero) == 0
    lists = [pq.read_table(place / name / "found.parquet") for name in ("zero", "text-model")]
    assert lists[0].equals(lists[1])  # to the last bit what there is without pictures


def _write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def _without_images(job: str, columns: str) -> str:
    head, _, rest = job.partition("[model.images]")
    head = "\n".join(line for line in head.splitlines() if not line.startswith("columns"))
    columns = columns.replace('": ', '" = ')
    return f"{head}\n[train]{rest.partition('[train]')[2]}".replace("[data]", f"[data]\ncolumns = {columns}")


def test_what_has_no_picture_is_counted_and_found_by_its_text(write):
    rows = without_pictures(make_shown(), "red-lamp", "blue-lamp", "blue-rug")
    found = outcome(write(rows))
    assert found.metrics["pictures_missing"] == 3
    told = found.tables["found.parquet"].to_pylist()
    lamps = [row for row in told if row["query"].endswith("lamp")]
    # Two lamps with the same text and no picture: nothing tells them apart, and nothing stands before them.
    assert {row["product"] for row in lamps if row["rank"] <= 2} == {"red-lamp", "blue-lamp"}
    rugs = {row["query"]: row["product"] for row in told if row["query"].endswith("rug") and row["rank"] == 1}
    assert rugs
    assert all(product == "red-rug" for query, product in rugs.items() if "red" in query)


def test_pictures_in_a_column_of_bytes_are_the_same_data_and_give_the_same_numbers(write, tmp_path):
    rows = make_shown()
    job = write(rows)
    content = [(tmp_path / "shop" / row.image).read_bytes() for row in rows]
    columns = {name: [getattr(row, name) for row in rows] for name in ("query", "product_id", "title", "part")}
    records = [{"bytes": one, "path": None} for one in content]
    for name, image in {"bytes": pa.array(content, pa.binary()), "records": pa.array(records)}.items():
        pq.write_table(pa.table({**columns, "image": image}), tmp_path / f"{name}.parquet")
    paths = load(job)
    for name in ("bytes", "records"):
        found = load(job, f"data.path={tmp_path}/{name}.parquet")
        assert found.card.hash == paths.card.hash
        np.testing.assert_array_equal(found.pictures.shown.vectors_PW, paths.pictures.shown.vectors_PW)
    (tmp_path / "shop" / "red.png").write_bytes(content[-1])
    assert load(job).card.hash != paths.card.hash


def test_a_broken_picture_refuses_the_job_naming_row_and_product_unless_it_is_left_out(write, tmp_path):
    rows = [replace(row, image="bad.png") if row.product_id == "red-sofa" else row for row in make_shown()]
    job = write([replace(row, image="red.png") if row.image == "bad.png" else row for row in rows])
    write_table(tmp_path / "shop" / "pairs.csv", rows)
    first = next(number for number, row in enumerate(rows, 1) if row.image == "bad.png")
    where = rf"pairs.csv: column 'image': row {first}: the picture of product 'red-sofa': "
    for content, why in ((b"<svg/>", "PNG or JPEG"), (b"", "is empty"), (b"\x89PNG\r\n\x1a\n" + b"\0" * 99, "")):
        (tmp_path / "shop" / "bad.png").write_bytes(content)
        with pytest.raises(PictureError, match=f"{where}.*{why}.*model.images.broken") as caught:
            load(job)
        assert "\n" not in str(caught.value)
    left = load(job, "model.images.broken=leave out").card
    assert (left.pictures, left.pictures_missing) == (15, 1)
    assert left.mended["pictures that cannot be read"] == 1
    (tmp_path / "shop" / "bad.png").unlink()
    with pytest.raises(PictureError, match=f"{where}.*no such file"):
        load(job)
    for name in ("../../etc/passwd", "/etc/passwd", "https://example.com/a.png"):
        write_table(
            tmp_path / "shop" / "pairs.csv",
            [replace(row, image=name) if row.image == "bad.png" else row for row in rows],
        )
        with pytest.raises(PictureError, match=f"{where}.*(leads out|is an address)"):
            load(job)
        assert load(job, "model.images.broken=leave out").card.pictures_missing == 1
    with pytest.raises(PictureError, match="pixels"):
        load(write(make_shown()), "model.images.bounds.pixels=100")


def test_of_several_pictures_of_a_product_the_most_frequent_counts(write, tmp_path):
    rows = make_shown()
    job = write(rows)
    odd = next(number for number, row in enumerate(rows) if row.product_id == "red-sofa")
    write_table(tmp_path / "shop" / "pairs.csv", [*rows[:odd], replace(rows[odd], image="blue.png"), *rows[odd + 1 :]])
    task = load(job)
    assert task.card.mended["products with several pictures"] == 1
    shown, keys = task.pictures.shown, task.pairs.product_keys
    assert shown.of_product[keys.index("red-sofa")] == shown.of_product[keys.index("red-lamp")]


def test_a_product_may_have_a_picture_and_no_text(write):
    rows = [replace(row, title="") if row.product_id == "red-lamp" else row for row in make_shown()]
    found = outcome(write(rows))
    assert found.metrics["pictures_missing"] == 0
    assert found.compared["bm25"]["recall_at_10"] < 1
    told = found.tables["found.parquet"].to_pylist()
    assert any(row["product"] == "red-lamp" for row in told)


def test_a_catalogue_of_pictures_alone_is_searched_by_them(write):
    found = outcome(write([replace(row, title="") for row in make_shown()]))
    assert found.compared["bm25"]["recall_at_50"] == 0
    assert found.compared["fused"] == found.compared["pictures"]
    assert found.compared["pictures"]["ndcg_at_10"] > found.compared["chance"]["ndcg_at_10"]


def test_the_text_tower_may_learn_with_the_pictures_and_stop_early(write):
    images = "train_text = true\ntemperature = 0.1\nearly_stop = { looks = 1, patience = 2 }"
    found = outcome(write(make_shown(), images), "model.images.epochs=12")
    assert recall_at_1(found.tables["found.parquet"]) > 0.7


class Cut:
    """Fits that are cut off after some steps and gone on with."""

    def __init__(self, job: Path) -> None:
        self.job = load_job(job, ("train.epochs=2", "model.images.epochs=3"))

    def run(self, cut: int = 0):
        task = load_task(self.job, training=True, device=PROCESSOR)
        with resumption(self.job, task, "auto") as place, stoppable():
            checkpoints = KeptCheckpoints(place, 5.0, "run-1")

            def on_step(report) -> None:
                checkpoints.report(report)
                if len(checkpoints.told) == cut:
                    signal.raise_signal(signal.SIGTERM)

            ready = task.fit(on_step, checkpoints)
            checkpoints.clear()
        weights = {**task.encoder.model.state_dict(), **ready.pictures.placed.space.state_dict()}
        return weights, ready.pictures.placed.unit_PS, checkpoints.told


@pytest.mark.parametrize("images", ["", "train_text = true\nearly_stop = { looks = 1, patience = 9 }"])
def test_a_fit_that_is_cut_off_in_either_training_comes_to_what_it_would_have(write, images):
    cut = Cut(write(make_shown(), images))
    weights, pictures, told = cut.run()
    assert [report.step for report in told] == [*range(1, len(told) + 1)]
    for steps in (2, len(told) - 3):  # of the texts, and of the pictures
        with pytest.raises(Stopped):
            cut.run(steps)
        again = cut.run()
        assert again[2] == told
        assert all(torch.equal(tensor, again[0][name]) for name, tensor in weights.items())
        np.testing.assert_array_equal(again[1], pictures)


def test_several_processes_are_told_that_pictures_are_learnt_by_one(write):
    with pytest.raises(JobError, match=r"model\.images: .* torchrun started 2: start python -m trainer itself"):
        check_crew(load_job(write(make_shown())), Crew(0, 2, 0, 2), "cpu", 0)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (("model.images.package=tower",), "give either package or folder"),
        (("model.images.size=1",), "model.images.size"),
        (("model.images.weight=1.5",), "model.images.weight"),
        (("model.images.broken=ignore",), "'refuse' or 'leave out'"),
        (("model.images.bounds.formats=['TIFF']",), "model.images.bounds.formats"),
        (("explain.worst=1",), "explain.worst says which words put a product first"),
        (("data.columns={query='query', product='title', part='part'}",), r"data.columns.image .* and \[model.images\] go together"),
        (("model.images.tempreture=0.1",), "did you mean 'temperature'"),
    ],
)  # fmt: skip
def test_a_wrong_key_is_told_in_a_sentence(write, overrides, said):
    with pytest.raises(JobError, match=said):
        load_job(write(make_shown()), overrides)


def test_too_few_pictures_and_another_tower_are_told(write, tower):
    job = write(make_shown())
    with pytest.raises(DataError, match=r"have a picture, fewer than model.images.batch = 64"):
        load(job, "model.images.batch=64")
    with pytest.raises(ModelError, match=r"model.images: the tower's sha256 is .*, not 000000000000"):
        load(job, f"model.images.sha256={'0' * 64}")
    with pytest.raises(ModelError, match="'no-such-package' is not installed: pip install"):
        load_task(
            load_job(job).model_copy(update={"model": _of_package(load_job(job).model)}),
            training=True,
            device=PROCESSOR,
        )


def _of_package(model):
    images = model.images.model_copy(update={"folder": None, "package": "no-such-package"})
    return model.model_copy(update={"images": images})

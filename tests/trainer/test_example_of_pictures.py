"""The example of pictures beside texts runs as its page says, here with towers that have learnt nothing."""

import runpy
from pathlib import Path
from shutil import copytree

from tests.trainer.pictured_shop import make_tower
from tests.trainer.queries import make_bert
from trainer.jobs.file import load_job
from trainer.learning.checkpoints import NoCheckpoints
from trainer.models.device import PROCESSOR
from trainer.tasks.loading import load_task

EXAMPLE = Path("examples/product_pictures")


def test_the_shop_is_drawn_and_its_pictures_are_learnt(tmp_path, capsys):
    folder = Path(copytree(EXAMPLE, tmp_path / "example"))
    runpy.run_path(str(folder / "make_shop.py"), run_name="__main__")
    assert "144 pairs of 48 products" in capsys.readouterr().out
    job = load_job(folder / "fit.toml", ["model.images.epochs=2"])
    images = job.model.images.model_copy(update={"package": None, "folder": make_tower(tmp_path / "vit")})
    told = {"package": None, "sha256": None, "cache": None, "folder": make_bert(tmp_path / "bert"), "images": images}
    model = job.model.model_copy(update={**told, "max_tokens": 8})
    train = job.train.model_copy(update={"layers": 2})
    task = load_task(job.model_copy(update={"model": model, "train": train}), training=True, device=PROCESSOR)
    assert (task.card.pictures, task.card.pictures_missing) == (47, 1)
    outcome = task.fit(lambda _: None, NoCheckpoints()).score()
    assert {"chance", "pictures", "fused without pictures", "fused"} <= outcome.compared.keys()

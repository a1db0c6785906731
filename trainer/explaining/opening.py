"""Opens a saved model to be asked why: which kind it is, and what it explains."""

from pathlib import Path

from trainer.errors import ModelError
from trainer.explaining.pair_judge import PairJudge
from trainer.jobs.running import DeviceJob
from trainer.models.source import not_saved
from trainer.tracking.progress import say

ANY = DeviceJob()  # what is there
RELEVANCE, RETRIEVAL, NEXT_ITEM = "relevance.json", "retrieval.json", "scorer.json"


def open_judge(folder: Path) -> PairJudge:
    """Open a model of pairs; raise ModelError for one of another kind."""
    check_folder(folder)
    if (folder / RELEVANCE).exists():
        return _open_relevance(folder)
    if (folder / RETRIEVAL).exists():
        return _open_retrieval(folder)
    if (folder / NEXT_ITEM).exists():
        raise ModelError(f"{folder}: is a next_item model, which is asked with --user ID, not --query")
    raise not_saved(folder, RELEVANCE, RETRIEVAL, NEXT_ITEM)


def check_next_item(folder: Path) -> None:
    """Raise ModelError for a model that knows no users."""
    check_folder(folder)
    if not (folder / NEXT_ITEM).exists():
        kind = (
            "a relevance" if (folder / RELEVANCE).exists() else "a retrieval" if (folder / RETRIEVAL).exists() else ""
        )
        told = f"is {kind} model, which is asked with --query, not --user" if kind else f"holds no {NEXT_ITEM}"
        raise ModelError(f"{folder}: {told}")


def check_folder(folder: Path) -> None:
    """Raise ModelError where there is none."""
    if not folder.is_dir():
        raise ModelError(f"{folder}: there is no such model folder")


def _open_relevance(folder: Path) -> PairJudge:
    from trainer.explaining.relevance_judge import RelevanceJudge
    from trainer.jobs.schema import PairModelJob
    from trainer.models.device import prepare_device
    from trainer.models.label_scale import load_settings
    from trainer.models.saved_cross_encoder import open_cross_encoder
    from trainer.models.source import find_source

    saved = load_settings(folder)
    assert saved is not None  # the file is there
    job = PairModelJob.model_validate({"folder": folder, "max_tokens": saved.max_tokens, "pooling": saved.pooling})
    device = prepare_device(ANY)
    # No layer learns: gradients are wanted of what is read alone.
    return RelevanceJudge(open_cross_encoder(find_source(job), job, saved.scale.outputs, 0, device), saved)


def _open_retrieval(folder: Path) -> PairJudge:
    from trainer.explaining.similarity_judge import SimilarityJudge
    from trainer.models.hybrid_search import load_settings
    from trainer.models.saved_pictures import load_pictures
    from trainer.results.asked_user import open_saved

    settings, pictures = load_settings(folder), load_pictures(folder)
    assert settings is not None  # the file is there
    if pictures is not None:
        say(
            f"trainer: {folder}: also looks at pictures, which weigh {pictures.settings.weight:g} in its lists: what"
            " follows is of the texts alone"
        )
    return SimilarityJudge(open_saved(folder, settings.max_tokens, settings.pooling, ANY))

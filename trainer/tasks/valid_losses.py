"""The loss of the valid rows, in the measure that is learnt: what says when a training has to end."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from trainer.data.pairs import Pairs
from trainer.data.splits import Part
from trainer.errors import DataError
from trainer.jobs.schema import RelevanceJob, RetrievalJob
from trainer.learning.contrastive_loss import contrast_loss, make_contrast
from trainer.learning.hard_negatives import Known
from trainer.learning.pair_loss import pair_loss
from trainer.models.cross_encoder import CrossEncoder
from trainer.models.kept_states import Hidden
from trainer.models.text_encoder import TextEncoder
from trainer.tasks.retrieval_questions import EncodedTexts

Ints = npt.NDArray[np.int64]


def check_valid_rows(job: RelevanceJob | RetrievalJob, pairs: Pairs) -> None:
    """Raise DataError where a training is to end by valid rows that are not there."""
    if job.train.early_stop is not None and not len(pairs.rows(Part.VALID)):
        raise DataError(f"{job.data.path}: train.early_stop looks at the valid rows, and no row is for valid")


def valid_pair_loss(
    model: CrossEncoder, pairs: Pairs, wanted_of: Callable[[Ints], npt.NDArray[np.float32] | Ints]
) -> Callable[[], float]:
    """Give what measures the mean cross-entropy of the judged valid pairs."""
    rows = pairs.rows(Part.VALID)
    tokens, wanted = model.encode(*pairs.texts(rows)), torch.from_numpy(wanted_of(rows))

    def measure() -> float:
        output_NC = torch.from_numpy(model.score_all(tokens)).float()
        return model.device.crew.as_the_first(float(pair_loss(output_NC, wanted, torch.ones(len(rows)))))

    return measure


def valid_contrast_loss(
    encoder: TextEncoder, hidden: Hidden, pairs: Pairs, texts: EncodedTexts, job: RetrievalJob
) -> Callable[[], float]:
    """Give what measures the mean loss of the valid rows' relevant pairs, against the others of fixed batches."""
    rows = pairs.rows(Part.VALID)
    rows = rows[pairs.label[rows] >= job.relevant]
    query_N, text_N = pairs.query_id[rows], texts.of_product[pairs.product_id[rows]]
    count = len(texts.all_E) - texts.queries
    known = Known(np.unique(query_N * count + text_N), count, {})
    order = np.random.default_rng(job.seed).permutation(len(rows))
    batches = np.array_split(order, max(1, round(len(rows) / job.train.batch)))
    nothing = np.empty(0, dtype=np.int64)

    def measure() -> float:
        total = 0.0
        with torch.no_grad():
            for places in batches:
                contrast = make_contrast(query_N[places], text_N[places], nothing, known, encoder.device.put)
                query_QD = encoder.encode(hidden, torch.from_numpy(contrast.queries_Q))
                text_CD = encoder.encode(hidden, texts.products(contrast.texts_C))
                loss = contrast_loss(query_QD, text_CD, contrast, job.train.temperature)
                total += float(loss) * len(places) / len(rows)
        return encoder.device.crew.as_the_first(total)

    return measure

"""What can be made of a tuned retrieval model: graphs, and students of its vectors."""

# Shape suffixes, scoped to this file:
#   E = texts the encoder knows, B = rows of a batch, D = width, V = tokens of the vocabulary

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import assert_never

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.compression.candidates import Candidate, Scored
from trainer.compression.int8 import SHOWN, quantize, quantize_by_samples, samples_of
from trainer.compression.layer_reader import LayerReader, open_reader
from trainer.compression.layered_students import LayerLessons, make_half, make_pruned
from trainer.compression.onnx_export import export_encoder
from trainer.compression.static_student import Lessons, distil_vocabulary, teach
from trainer.data.splits import Part
from trainer.errors import ModelError
from trainer.jobs.schema import ModelJob, RetrievalJob
from trainer.measures.bootstrap import Interval, table_intervals
from trainer.measures.per_example import PerExample, aggregate
from trainer.models.hybrid_search import SETTINGS, Found, fuse, load_catalogue, load_settings
from trainer.models.model_form import FORM, QUERIES, Form, ModelForm, copy_files, read_form, write_form
from trainer.models.pair_tokens import Tokens, tokens_of
from trainer.models.saved_encoder import SavedEncoder, as_tuned, open_encoder, refuse_to_tune
from trainer.models.saved_pictures import load_pictures
from trainer.models.source import find_source, not_saved
from trainer.models.static_encoder import write_static
from trainer.models.text_encoder import TextEncoder, unit
from trainer.task import Outcome
from trainer.tasks.retrieval import BM25, VECTORS, Retrieval, load

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LabelledQueries:
    """See trainer.compression.importance.LabelledRows: a query and a product that answers it."""

    queries: Tokens
    products: Tokens
    text_N: Tensor  # a number a distinct product
    temperature: float

    def __len__(self) -> int:
        return len(self.queries)

    def loss_of(self, reader: LayerReader, rows: Ints) -> Tensor:
        """Give the mean cross-entropy of each product against the others of these rows."""
        unit_BD, wanted_BD = (
            torch.nn.functional.normalize(reader.read(tokens.pad(rows, reader.pad_token))[0], dim=1)
            for tokens in (self.queries, self.products)
        )
        text_B, right_B = self.text_N[torch.from_numpy(rows)], torch.arange(len(rows))
        same_BB = (text_B[:, None] == text_B[None]) & (right_B[:, None] != right_B[None])
        logits_BB = (unit_BD @ wanted_BD.T / self.temperature).masked_fill(same_BB, -torch.inf)
        return torch.nn.functional.cross_entropy(logits_BB, right_B)


class RetrievalCandidates:
    """See trainer.compression.candidates.Compressible."""

    candidates: tuple[Candidate, ...] = tuple(Candidate)
    metric = "ndcg_at_10"
    answers_at_once = 64

    def __init__(self, job: RetrievalJob, scratch: Path) -> None:
        self.job, self.scratch = job, scratch
        # The lists are weighed anew for each candidate, on the valid rows, as a fit weighs them.
        source = find_source(job.model)
        refuse_to_tune(source, training=True)
        if job.model.images is not None or load_pictures(source.folder) is not None:
            raise ModelError(
                f"{source.folder}: looks at pictures, whose space a smaller model would not share: only models of texts"
                " alone are compressed"
            )
        self.task: Retrieval = load(job, training=False, weigh=True)
        if load_settings(self.task.encoder.source.folder) is None:
            raise not_saved(self.task.encoder.source.folder, SETTINGS)
        self.teacher: TextEncoder = as_tuned(self.task.encoder)
        self.questions = len(self.task.asked.queries_Q)
        self.vectors_ED = self._read_vectors()
        self.outcomes: dict[str, Outcome] = {}

    def original(self) -> Scored:
        """Score the model at the weight it was saved with."""
        saved = load_settings(self.teacher.source.folder)
        assert saved is not None  # checked before
        search = self.task.job.search.model_copy(update={"weight": saved.weight})
        task = replace(self.task, job=self.task.job.model_copy(update={"search": search}))
        return self._score("", task, self.vectors_ED)

    def make(self, candidate: Candidate, folder: Path) -> Scored:
        """Make a candidate, write its folder as `fit` would, and score it."""
        bare = self.scratch / f"bare-{candidate}"
        match candidate:
            case Candidate.ONNX:
                export_encoder(self.teacher, bare)
            case Candidate.INT8 | Candidate.STATIC_INT8:
                self._shrink(candidate, bare)
            case Candidate.STATIC:
                self._teach(bare, self.job.compress.dimensions)
            case Candidate.ASYMMETRIC:
                self.teacher.save(bare)
                self._teach(bare / QUERIES, None)
                static = read_form(bare / QUERIES)
                heads = read_form(self.teacher.source.folder).heads
                write_form(replace(static, form=Form.ASYMMETRIC, heads=heads), bare)
            case Candidate.HALF:
                make_half(self._lessons(), bare)
            case Candidate.PRUNED:
                make_pruned(self._lessons(), bare)
            case _:
                assert_never(candidate)
        encoder = self._open(bare)
        texts, queries = self.task.texts.all_E, self.task.texts.queries
        if candidate is Candidate.ASYMMETRIC:  # its products' vectors are the model's own
            vectors_ED = torch.cat([encoder.embed_queries(texts[:queries]), self.vectors_ED[queries:]])
        else:
            vectors_ED = encoder.read_vectors(texts, None, queries)
        task = replace(self.task, encoder=encoder)
        scored = self._score(candidate, task, vectors_ED)
        task.take(vectors_ED).save(folder)
        return scored

    def lose(self, candidate: Candidate, metric: str) -> tuple[float, Interval | None]:
        """Give what a candidate loses of a metric, and the interval, paired by query."""
        first, second = self.outcomes[""].table, self.outcomes[candidate].table
        lost = {metric: first.values[metric] - second.values[metric]}
        paired = PerExample(first.example_ids, {}, first.weights, lost, first.clusters, first.unit)
        return aggregate(paired)[metric], table_intervals(paired).get(metric)

    def _score(self, name: str, task: Retrieval, vectors_ED: Tensor) -> Scored:
        ready = task.take(vectors_ED)
        outcome, engine, settings = ready.score(), ready.indexes.of_catalogue(task.asked), ready.settings
        self.outcomes[name] = outcome
        names = [task.pairs.queries[query] for query in task.asked.queries_Q.tolist()]
        encoder = task.encoder

        def ask(places: Sequence[int]) -> Tensor:
            return encoder.embed_queries([names[place] for place in places])

        def answer(places: Sequence[int]) -> list[Found]:
            unit_QD, top = unit(ask(places)), settings.top
            asked = zip(unit_QD, places, strict=True)
            return [
                fuse(engine.by_vector(unit_D, top), engine.by_words(names[place], top), settings.weight, top)
                for unit_D, place in asked
            ]

        metrics = {name: outcome.metrics[name] for name in outcome.table.values}
        alone = {f"{of}/{name}": value for of in (VECTORS, BM25) for name, value in outcome.compared[of].items()}
        return Scored(metrics | alone, ask, answer, encoder.megabytes())

    def _open(self, folder: Path) -> SavedEncoder:
        teacher = self.teacher
        return open_encoder(
            find_source(ModelJob(folder=folder)), max_tokens=teacher.max_tokens, pooling=teacher.pooling
        )

    def _teach(self, folder: Path, dimensions: int | None) -> None:
        """Write a static student of the model's vectors of the train rows' queries and of the products."""
        settings, places = self.job.compress, self._learnt()
        read = [self.task.texts.all_E[place] for place in places.tolist()]
        start_VD, basis_DD = distil_vocabulary(self.teacher, read, dimensions)
        target_ED = self.vectors_ED[torch.from_numpy(places)] @ basis_DD
        lessons = Lessons(settings.epochs, settings.lr, seed=settings.seed)
        vectors_VD = teach(start_VD, self.teacher.tokenizer, read, target_ED, lessons)
        form = ModelForm(Form.STATIC, self.teacher.source.digest, vectors_VD.shape[1], len(vectors_VD), "fp16")
        copy_files(folder, folder, ())  # made where it is missing
        write_static(vectors_VD, form, self.teacher.source.folder, folder)

    def _learnt(self) -> Ints:
        """Give the places of the texts that students learn to read."""
        texts, pairs = self.task.texts, self.task.pairs
        train = np.unique(pairs.query_id[pairs.rows(Part.TRAIN)])
        # Never the queries of other parts: how the model reads those is what is measured.
        return np.concatenate([train, np.arange(texts.queries, len(texts.all_E))])

    def _lessons(self) -> LayerLessons:
        settings, teacher = self.job.compress, self.teacher
        tokens = self._sample(settings.recovery.rows)
        return LayerLessons(lambda: open_reader(teacher.source, teacher.pooling), tokens, self._labelled, settings)

    def _sample(self, count: int) -> Tokens:
        places = np.random.default_rng(self.job.compress.seed).permutation(self._learnt())[:count]
        return self._tokens([self.task.texts.all_E[place] for place in np.sort(places).tolist()])

    def _shrink(self, candidate: Candidate, bare: Path) -> None:
        exported = self.scratch / f"bare-{Candidate.ONNX}"
        if not (exported / FORM).exists():
            export_encoder(self.teacher, exported)
        if candidate is Candidate.INT8:
            quantize(exported, read_form(exported), bare)
            return
        samples = samples_of(self._sample(SHOWN), self.teacher.pad_token, self.job.compress.seed)
        quantize_by_samples(exported, read_form(exported), bare, samples)

    def _labelled(self) -> LabelledQueries:
        pairs = self.task.pairs
        rows = pairs.rows(Part.TRAIN)
        rows = rows[pairs.label[rows] >= self.job.relevant]
        if not len(rows):
            raise ModelError(
                f"{self.job.data.path}: no train row has a label of relevant = {self.job.relevant:g} or more: nothing"
                " shows which heads and layers matter"
            )
        _, first = np.unique(pairs.query_id[rows], return_index=True)  # one of each: else some were their own negatives
        rows = rows[first]
        queries = [pairs.queries[query] for query in pairs.query_id[rows].tolist()]
        products = [pairs.products[product] for product in pairs.product_id[rows].tolist()]
        _, number = np.unique(products, return_inverse=True)
        temperature = self.job.train.temperature
        return LabelledQueries(self._tokens(queries), self._tokens(products), torch.from_numpy(number), temperature)

    def _tokens(self, texts: Sequence[str]) -> Tokens:
        return tokens_of(self.teacher.tokenizer, texts, self.teacher.pad_token)

    def _read_vectors(self) -> Tensor:
        """Give the model's vectors of all texts: of products that the folder has vectors of, those."""
        texts, queries = self.task.texts.all_E, self.task.texts.queries
        catalogue, unit_ID = load_catalogue(self.teacher.source.folder)
        place = {text: number for number, text in enumerate(catalogue.texts)}
        known = np.array([place.get(text, -1) if number >= queries else -1 for number, text in enumerate(texts)])
        vectors_ED = torch.empty((len(texts), unit_ID.shape[1]))
        vectors_ED[torch.from_numpy(known >= 0)] = torch.from_numpy(unit_ID[known[known >= 0]])
        missing = np.flatnonzero(known < 0).tolist()
        vectors_ED[missing] = self.teacher.embed([texts[number] for number in missing])
        return vectors_ED

"""Pretraining: raw text to packed rows, what is predicted in them, and the run; chapters 7 and 8.

| module | what it holds |
| --- | --- |
| reading | files, folders, tables and registered data sets as streams of documents |
| cleaning, sifting | what is done to a paragraph; what is kept, what is held out |
| bulk | many texts to ids at once |
| packing | cutting documents, and filling rows with the pieces |
| writing | the files of a corpus while it is being made |
| preparing | `prepare_corpus`: all of this in one pass |
| corpus | `PackedCorpus`: rows and documents from memory-mapped files |
| masking, words | which tokens are asked for, one by one or as whole words |
| sentences | next sentence and sentence order |
| contrast | replaced tokens; the next token |
| draws, batches | masks that depend on seed, epoch and row alone; masked batches |
| held_out, watching | loss and accuracy on held-out rows; the speed of a run |
| speed, time_box | arithmetic by formula, the measured peak; updates that fit into minutes |
| opening, starting | the corpus and the model that a run begins with |
| head_start | weights that know which tokens are alike, and look at their neighbours |
| run, result | `pretrain`, and what it leaves behind |
"""

from companion.pretraining.batches import MaskedBatches, Masking
from companion.pretraining.corpus import CorpusSplit, PackedCorpus
from companion.pretraining.preparing import prepare_corpus
from companion.pretraining.result import PretrainingResult
from companion.pretraining.run import pretrain

__all__ = [
    "CorpusSplit",
    "MaskedBatches",
    "Masking",
    "PackedCorpus",
    "PretrainingResult",
    "prepare_corpus",
    "pretrain",
]

"""From a corpus to a pretrained BERT, in one call (chapter 8)."""

import hashlib
import json
import math
import shutil
import time
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from accelerate import PartialState
from accelerate.utils import broadcast_object_list, parse_flag_from_env

from companion.errors import SettingsError
from companion.model import BertForMaskedLM
from companion.pretraining.batches import MaskedBatches, Masking, WholeWords
from companion.pretraining.corpus import PackedCorpus
from companion.pretraining.head_start import start_run_ahead
from companion.pretraining.held_out import HeldOut
from companion.pretraining.masking import MASK_RATE
from companion.pretraining.opening import Sources, open_corpus
from companion.pretraining.result import (
    PLAN_FILE,
    PretrainingResult,
    count_tokens,
    device_name,
    finished_run,
    measured,
    notes,
    read_plan,
    save_result,
)
from companion.pretraining.speed import flops_per_token, measure_peak, tokens_attended
from companion.pretraining.starting import (
    Start,
    check_start,
    default_batch_size,
    default_learning_rate,
    default_pieces,
    fingerprint,
    positions_at_start,
    starting_model,
)
from companion.pretraining.time_box import MOST_SECONDS, SHARE, fit_steps, measure_pace
from companion.pretraining.watching import Watch
from companion.training import TrainSettings, choose_precision, train, write_atomically
from companion.training.checkpoints import refuse_other_run

DEFAULT_MINUTES = 30.0
VECTORS_FILE = "neighbours.npy"
EVALUATIONS = 10  # of a run whose number of updates is given


def pretrain(
    corpus: PackedCorpus | Sources,
    *,
    out: str | Path,
    model: Start = "mini",
    minutes: float | None = None,
    steps: int | None = None,
    resume: bool = False,
    tokenizer: str | Path | None = None,
    row_length: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    mask_rate: float = MASK_RATE,
    whole_words: WholeWords = "no",
    head_start: bool | None = None,
    dropout: float = 0.0,
    dev_rows: int = 256,
    progress: bool = True,
    **settings: Any,
) -> PretrainingResult:
    """Pretrain a BERT on masked words, and write it to a folder that Hugging Face's library reads.

    Args:
        corpus: raw text (see `find_sources`), which is prepared in `out`/corpus; or a prepared
            corpus, or its folder.
        out: folder for the model, metrics.json, history.csv and training_curves.png; while it
            trains, also for checkpoints.
        model: where to start: a preset of `BertConfig` (tiny, mini, small, medium, base, large)
            or a config, with random weights; a folder; or a model, for example one whose
            embeddings were set beforehand, which is itself left as it is.
        minutes: how long training, evaluations and saves may take together; preparing the corpus
            is not counted. The speed is measured first, and the schedule fitted to it. By
            default 30, unless `steps` is given.
        steps: the number of updates, in place of `minutes`.
        resume: go on where a killed run in `out` stopped, to the number of updates that its
            first start has fixed; the result is the same as of a run that was not killed.
        tokenizer: a folder, for raw text; by default the shipped Chinese and English one.
        row_length: positions in a row, for raw text; by default 128.
        batch_size: rows in an update, over all devices; by default `default_batch_size`.
        learning_rate: peak; by default `default_learning_rate`.
        mask_rate, whole_words: see `Masking`.
        head_start: whether random weights know at the start which tokens are alike, and look at
            their neighbours (see `companion.pretraining.head_start`): the loss falls many times
            sooner. By default a preset or a config does, and a model that is given does not.
        dropout: while pretraining. None is needed where no text is read often (Lan et al. 2020,
            Geiping and Goldstein 2023), and it costs time. The config that is saved keeps its own.
        dev_rows: at most so many held-out rows of each source are scored.
        progress: show a bar, and a line after each evaluation.
        settings: any other field of `TrainSettings`.

    Raises:
        SettingsError: an unknown or impossible setting, or `out` holds another run.
        DataError, NotFoundError: texts or corpus cannot be used.
        CheckpointError: the disk refuses, or a checkpoint cannot be read.
    """
    out = Path(out)
    if finished := finished_run(out, resume=resume):
        return finished
    masking = Masking(rate=mask_rate, whole_words=whole_words)
    head_start = check_start(model, head_start)
    _check(minutes, steps, dropout, dev_rows, batch_size, learning_rate, settings)
    # Accelerate settles here once which processes there are; alone it would overlook this wish.
    state = PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU"))
    packed = open_corpus(corpus, out / "corpus", tokenizer, row_length, progress)
    began = time.monotonic()
    split = packed.split("train")
    batch_size = batch_size or default_batch_size(packed.row_length, state.device.type)
    batch_size = min(batch_size, len(split))
    started, config = starting_model(model, packed, dropout, settings.get("seed", 42))
    run = TrainSettings(
        batch_size=batch_size,
        learning_rate=learning_rate or default_learning_rate(config),
        **{
            "gradient_accumulation_steps": default_pieces(batch_size, packed.row_length),
            "best_metric": "dev_loss",
            **settings,
        },
    )
    batches = MaskedBatches(
        split, packed.tokenizer, batch_size=batch_size, masking=masking, seed=run.seed
    )
    if head_start:
        start_run_ahead(started, batches, out / VECTORS_FILE, minutes, run.seed)
    held_out = held_out_rows(packed, dev_rows)
    plan = fixed_plan(out, minutes, steps, resume, started, batches, run, held_out, began)
    run = with_steps(run, plan, batches)
    identity = {
        "minutes": plan["minutes"],
        "corpus": hashlib.sha256(json.dumps(packed.manifest["files"]).encode()).hexdigest()[:16],
        "start": fingerprint(started),
        "head_start": head_start,
        "dropout": dropout,
        "dev_rows": dev_rows,
        **masking.identity(),
    }
    longest = max(packed.row_length, positions_at_start(model, config))
    _, documents = split.rows(range(min(64, len(split))))
    flops = flops_per_token(config, masking.rate, tokens_attended(documents))
    peak = plan["peak_flops"] * state.num_processes
    watch = Watch(held_out, batches, flops, peak, shown=progress)
    history = train(
        started,
        batches,
        run,
        evaluate=watch if held_out else None,
        out=out,
        resume=resume,
        identity=identity,
        progress=progress,
    )
    count_tokens(history, batches)
    trained = BertForMaskedLM(config).eval()  # with the config's dropout again, for fine-tuning
    trained.load_state_dict({name: value.cpu() for name, value in started.state_dict().items()})
    metrics = {
        "model": str(model) if isinstance(model, str | Path) else type(model).__name__,
        "parameters": trained.num_parameters(),
        **measured(history, flops, peak),
        "device": device_name(state.device),
        "processes": state.num_processes,
        "precision": choose_precision(run.precision, state.device),
        "settings": {**asdict(run), **identity, "row_length": packed.row_length},
        "corpus": {key: packed.manifest[key] for key in ("sources", "splits", "tokenizer")},
        "versions": {name: version(name) for name in ("torch", "accelerate", "tokenizers")},
        "notes": notes(longest, config.max_position_embeddings, history, held_out),
    }
    result = PretrainingResult(trained, packed.tokenizer, history, metrics)
    if state.is_main_process:
        save_result(result, out, longest)
        (out / VECTORS_FILE).unlink(missing_ok=True)
    state.wait_for_everyone()
    return result


def held_out_rows(corpus: PackedCorpus, rows: int) -> HeldOut:
    """The held-out rows of each source; sources of one language are scored together as well."""
    sources = corpus.manifest["sources"]
    of_language = {
        language: [s["name"] for s in sources if s["language"] == language]
        for language in corpus.languages
    }
    splits = {s["name"]: corpus.split("dev", source=s["name"]) for s in sources}
    return HeldOut(splits, corpus.tokenizer, rows, groups=of_language)


def fixed_plan(
    out: Path,
    minutes: float | None,
    steps: int | None,
    resume: bool,
    model: BertForMaskedLM,
    batches: MaskedBatches,
    settings: TrainSettings,
    held_out: HeldOut,
    began: float,
) -> dict[str, Any]:
    """What the first start fixes: updates, evaluations, measured peak; the same on all processes.

    Raises SettingsError when a resumed run is given other minutes or steps than it began with.
    """
    state = PartialState()
    if resume and (plan := read_plan(out)):
        wanted = {"minutes": minutes, "steps": steps}
        refuse_other_run(out, plan, {k: v for k, v in wanted.items() if v is not None})
        return plan
    precision = choose_precision(settings.precision, state.device)
    plan = {"minutes": None, "steps": steps, "peak_flops": measure_peak(state.device, precision)}
    if steps is not None:
        plan["eval_steps"] = max(1, math.ceil(steps / EVALUATIONS))
    else:
        minutes = DEFAULT_MINUTES if minutes is None else minutes
        scratch = out / "measuring"
        seconds = min(MOST_SECONDS, SHARE * 60 * minutes)
        try:
            pace = measure_pace(model, batches, settings, held_out, scratch, seconds)
        finally:
            state.wait_for_everyone()
            shutil.rmtree(scratch, ignore_errors=True)
        spent = broadcast_object_list([time.monotonic() - began])[0]
        fitted, eval_steps = fit_steps(minutes, spent, pace)
        plan |= {"minutes": minutes, "steps": fitted, "eval_steps": eval_steps} | asdict(pace)
    plan = broadcast_object_list([plan])[0]
    if state.is_main_process:
        write_atomically(out / PLAN_FILE, json.dumps(plan, indent=2).encode())
    return plan


def with_steps(
    settings: TrainSettings, plan: dict[str, Any], batches: MaskedBatches
) -> TrainSettings:
    """The settings of a run with the number of updates that was fixed."""
    return replace(
        settings,
        max_steps=plan["steps"],
        epochs=math.ceil(plan["steps"] / len(batches)),
        eval_steps=settings.eval_steps or plan["eval_steps"],
    )


def _check(
    minutes: float | None,
    steps: int | None,
    dropout: float,
    dev_rows: int,
    batch_size: int | None,
    learning_rate: float | None,
    settings: dict[str, Any],
) -> None:
    """Refuse what cannot be, before anything is read."""
    known = TrainSettings.names() - {"epochs", "max_steps", "batch_size", "learning_rate"}
    if unknown := set(settings) - known:
        raise SettingsError(
            f"There is no setting {', '.join(sorted(unknown))}. There are: "
            f"{', '.join(sorted(known))}."
        )
    if minutes is not None and steps is not None:
        raise SettingsError("Give minutes or steps, not both: each fixes the length of the run.")
    if minutes is not None and not minutes > 0:
        raise SettingsError(f"minutes is {minutes}; it must be above 0.")
    if steps is not None and steps < 1:
        raise SettingsError(f"steps is {steps}; it must be a whole number from 1 up.")
    if not 0 <= dropout < 1:
        raise SettingsError(f"dropout is {dropout}; it is a share, from 0 up to but not 1.")
    if dev_rows < 1:
        raise SettingsError(f"dev_rows is {dev_rows}; it must be at least 1.")
    asked: dict[str, Any] = {"batch_size": batch_size, "learning_rate": learning_rate}
    TrainSettings(**settings, **{k: v for k, v in asked.items() if v is not None})

"""The loop against plain PyTorch, and the laws that a training loop must keep."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from companion.errors import SettingsError, TrainingError
from companion.training import (
    TrainSettings,
    choose_precision,
    linear_warmup_decay,
    parameter_groups,
    train,
)
from companion.training.best import BestWeights
from companion.training.optimizer import scheduled_rate
from tests.training.worker import loss_on, make_batches, make_model

FP32 = {"precision": "fp32", "batch_size": 8, "learning_rate": 1e-3}


def weights_after(settings: TrainSettings, dropout: float = 0.0, **options) -> dict:
    model = make_model(dropout=dropout)
    batches = make_batches(batch_size=settings.batch_size)
    train(model, batches, settings, progress=False, **options)
    return model.state_dict()


def test_the_loop_equals_ten_lines_of_plain_pytorch():
    settings = TrainSettings(epochs=2, weight_decay=0.1, warmup_ratio=0.2, **FP32)
    batches, model = make_batches(), make_model(dropout=0.0).train()
    decay = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}], lr=1e-3
    )
    total = 2 * len(batches)
    warmup = math.ceil(0.2 * total)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda s: (s + 1) / warmup if s < warmup else (total - s) / (total - warmup),
    )
    for epoch in range(2):
        for batch in batches.epoch(epoch):
            model(**batch).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    for name, weight in weights_after(settings).items():
        torch.testing.assert_close(weight, model.state_dict()[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("pieces", [2, 3, 8])
def test_cutting_a_batch_into_pieces_does_not_change_the_result(pieces):
    whole = weights_after(TrainSettings(epochs=1, **FP32))
    cut = weights_after(TrainSettings(epochs=1, gradient_accumulation_steps=pieces, **FP32))
    for name in whole:
        torch.testing.assert_close(cut[name], whole[name], rtol=1e-3, atol=2e-5)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    one, two, other = (
        weights_after(TrainSettings(epochs=1, seed=seed, **FP32), dropout=0.1) for seed in (1, 1, 2)
    )
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_learnable_task_is_learned(precision):
    model, batches = make_model(), make_batches()
    settings = TrainSettings(epochs=25, batch_size=8, learning_rate=2e-3, precision=precision)
    history = train(model, batches, settings, evaluate=loss_on, progress=False)
    assert history.column("dev_loss", "eval")[0] > 0.6
    assert min(history.column("dev_loss", "eval")) < 0.2
    assert not model.training
    assert model(**next(batches.epoch(0))).logits.dtype == torch.float32


def test_the_best_weights_are_kept_and_waiting_has_an_end():
    scores = iter([0.5, 0.9, 0.7, 0.8, 0.95])
    seen = []

    def evaluate(model):
        seen.append({k: v.clone() for k, v in model.state_dict().items()})
        return {"dev_accuracy": next(scores)}

    model = make_model()
    settings = TrainSettings(epochs=5, early_stopping_patience=2, **FP32)
    history = train(model, make_batches(), settings, evaluate=evaluate, progress=False)
    assert len(history.rows("eval")) == 4, "two evaluations without a gain end the run"
    assert all(torch.equal(v, seen[1][k]) for k, v in model.state_dict().items())


def test_a_loss_is_minimised_and_a_score_maximised():
    model = torch.nn.Linear(1, 1)
    for metric, kept in (("dev_loss", 0.3), ("dev_accuracy", 0.8)):
        best = BestWeights(metric)
        for value in (0.5, 0.8, 0.3):
            model.bias.data.fill_(value)
            best.offer({metric: value}, model)
        assert best.weights["bias"].item() == pytest.approx(kept)
    with pytest.raises(SettingsError, match='best_metric is "f1", but the evaluation gives acc'):
        BestWeights("f1").offer({"acc": 1.0}, model)


def test_history_counts_every_update_and_real_tokens():
    batches = make_batches()
    history = train(make_model(), batches, TrainSettings(epochs=2, **FP32), progress=False)
    assert history.column("step") == list(range(1, 2 * len(batches) + 1))
    assert sum(history.column("tokens")) == 2 * int(batches.lengths.sum())
    assert history.column("seconds") == sorted(history.column("seconds"))


def test_a_loss_that_is_no_number_ends_the_run_with_a_remedy():
    model = make_model()
    with torch.no_grad():
        model.classifier.bias.fill_(float("nan"))
    with pytest.raises(TrainingError, match=r"loss is nan at step .* Lower learning_rate"):
        train(model, make_batches(), TrainSettings(epochs=1, **FP32), progress=False)


def test_a_resumed_run_must_be_the_same_run(tmp_path):
    settings = TrainSettings(epochs=1, **FP32)
    train(make_model(), make_batches(), settings, out=tmp_path, progress=False)
    other = TrainSettings(epochs=1, precision="fp32", batch_size=8, learning_rate=2e-3)
    with pytest.raises(SettingsError, match=r"learning_rate was 0.001, now 0.002"):
        train(make_model(), make_batches(), other, out=tmp_path, resume=True, progress=False)


@given(st.integers(1, 400), st.floats(0, 0.9))
def test_the_schedule_rises_to_one_falls_in_a_line_and_wastes_no_update(total, ratio):
    warmup = math.ceil(ratio * total)
    rates = [linear_warmup_decay(step, total, warmup) for step in range(total)]
    assert all(0 < rate <= 1 for rate in rates)
    assert max(rates) == pytest.approx(1)
    assert rates[:warmup] == sorted(rates[:warmup])
    falls = [a - b for a, b in zip(rates[warmup:], rates[warmup + 1 :], strict=False)]
    assert all(fall == pytest.approx(1 / (total - warmup)) for fall in falls)
    assert linear_warmup_decay(total, total, warmup) == 0


@given(st.integers(1, 400), st.floats(0, 0.5), st.floats(0, 0.5))
def test_the_trapezoid_stays_at_its_peak_until_the_fall(total, warmup_ratio, decay_ratio):
    settings = TrainSettings(warmup_ratio=warmup_ratio, decay_ratio=decay_ratio, learning_rate=0.5)
    rates = [scheduled_rate(step, total, settings) / 0.5 for step in range(total)]
    warmup, decay = math.ceil(warmup_ratio * total), math.ceil(decay_ratio * total)
    assert all(rate == 1 for rate in rates[warmup : total - decay + 1])
    # Counted from the end, the fall is 1/decay, 2/decay, ... up to the warm-up at the latest.
    falling = rates[max(warmup, total - decay) :][::-1]
    assert falling == [pytest.approx((i + 1) / decay) for i in range(len(falling))]


def test_biases_and_norms_do_not_decay():
    model = make_model()
    decays, plain = parameter_groups(model, 0.01)
    names = {id(p): name for name, p in model.named_parameters()}
    assert {names[id(p)] for p in plain["params"]} == {
        name for name, _ in model.named_parameters() if name.endswith("bias") or "LayerNorm" in name
    }
    assert plain["weight_decay"] == 0 and decays["weight_decay"] == 0.01
    assert len(names) == len(decays["params"]) + len(plain["params"])


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"epochs": 0}, "epochs is 0; it must be a whole number from 1 up"),
        ({"batch_size": -3}, "batch_size is -3"),
        ({"learning_rate": 5}, "between 0 and 1"),
        ({"warmup_ratio": 1.0}, "a share of the run"),
        ({"warmup_ratio": 0.2, "decay_ratio": 0.9}, "up to what the warm-up of 0.2 leaves"),
        ({"decay_ratio": -0.1}, "decay_ratio is -0.1"),
        ({"precision": "int3"}, 'precision is "int3"; use auto, fp32, bf16 or fp16'),
        ({"batch_size": 4, "gradient_accumulation_steps": 8}, "into empty pieces"),
        ({"weight_decay": -1.0}, "weight_decay must be 0 or more"),
        ({"layer_decay": 1.5}, "layer_decay is 1.5; it is the factor"),
        ({"layer_decay": 0}, "above 0 and at most 1"),
        ({"average_weights": 1.0}, 'average_weights is 1.0; it is "auto" or the decay'),
        ({"average_weights": "ema"}, "average_weights is 'ema'"),
    ],
)
def test_impossible_settings_are_refused_in_a_sentence(settings, sentence):
    with pytest.raises(SettingsError, match=sentence):
        TrainSettings(**settings)


def test_precision_is_chosen_by_the_device():
    cpu = torch.device("cpu")
    assert choose_precision("fp32", cpu) == "fp32"
    assert choose_precision("auto", cpu) in ("fp32", "bf16")
    assert choose_precision("auto", torch.device("mps")) == "fp32"
    with pytest.raises(SettingsError, match=r"fp16 needs a GPU"):
        choose_precision("fp16", cpu)


def test_a_second_run_of_a_model_has_its_own_precision():
    model = make_model(dropout=0.0)
    seen = []
    part = next(model.children())  # the switch is set inside the model's own forward
    part.register_forward_pre_hook(lambda *_: seen.append(torch.is_autocast_enabled("cpu")))
    for precision in ("fp32", "bf16", "fp32", "bf16"):
        settings = TrainSettings(max_steps=1, precision=precision, batch_size=8)
        train(model, make_batches(), settings, progress=False)
    assert seen == [False, True, False, True]


def test_tokens_are_counted_in_rows_of_several_documents_too():
    batches, model = make_batches(), make_model(dropout=0.0)
    want = int(batches.collate(batches.plan(0)[0])["attention_mask"].sum())
    collate = batches.collate
    # Document numbers in place of ones, as packed rows have them.
    batches.collate = lambda rows: {
        name: 3 * x if name == "attention_mask" else x for name, x in collate(rows).items()
    }
    history = train(model, batches, TrainSettings(max_steps=1, batch_size=8), progress=False)
    assert history.column("tokens") == [want]


def test_who_watches_sees_every_update_and_can_end_the_run():
    settings = TrainSettings(epochs=2, **FP32)
    seen = []

    def watch(step, history):
        seen.append(step)
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(make_model(), make_batches(), settings, watch=watch, progress=False)
    assert seen == [1, 2, 3]

"""The book's BERT computes what Hugging Face's computes: values, gradients, a training step."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from .reference import CONFIGS, KINDS, gradients, inputs, pair

# The readable path is held to their eager code, the fast one to their fused attention.
PATHS = pytest.mark.parametrize("attention", ["eager", "sdpa"])
LENGTHS = {"padded": [7, 12, 1, 12, 5], "one token": [1, 1], "512 tokens": [512]}


def close(ours, theirs):
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def gradients_close(ours, theirs):
    """1e-5 of the parameter's largest gradient (at least of 1): sums over many tokens are large."""
    wanted = gradients(theirs)
    found = gradients(ours)
    assert found.keys() == wanted.keys()
    for name, gradient in wanted.items():
        scale = max(1.0, gradient.abs().max().item())
        torch.testing.assert_close(
            found[name], gradient, atol=1e-5 * scale, rtol=0, msg=lambda m, n=name: f"{n}: {m}"
        )


@PATHS
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS.keys())
@pytest.mark.parametrize("name", CONFIGS)
def test_the_body_gives_equal_states_and_gradients(name, lengths, attention):
    config = CONFIGS[name]
    theirs, ours = pair(config, attention=attention)
    batch = inputs(config, lengths)
    wanted = theirs(**batch, output_hidden_states=True)
    found = ours(**batch, output_hidden_states=True)
    real = batch["attention_mask"].bool()
    assert len(found.hidden_states) == len(wanted.hidden_states) == config.num_hidden_layers + 1
    for mine, reference in zip(found.hidden_states, wanted.hidden_states, strict=True):
        close(mine[real], reference[real])
    close(found.pooler_output, wanted.pooler_output)

    direction = torch.randn(wanted.last_hidden_state.shape)[real]
    for output in (wanted, found):
        loss = (output.last_hidden_state[real] * direction).sum() / real.sum()
        (loss + output.pooler_output.sum()).backward()
    gradients_close(ours, theirs)


@pytest.mark.parametrize("name", CONFIGS)
def test_attention_weights_are_equal(name):
    config = CONFIGS[name]
    theirs, ours = pair(config)
    batch = inputs(config, [9, 4])
    wanted = theirs(**batch, output_attentions=True).attentions
    found = ours(**batch, output_attentions=True).attentions
    assert len(found) == len(wanted) == config.num_hidden_layers
    for mine, reference in zip(found, wanted, strict=True):
        close(mine, reference)  # at padded queries too


@PATHS
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "BertModel"])
@pytest.mark.parametrize("name", CONFIGS)
def test_every_head_gives_equal_loss_logits_and_gradients(name, kind, attention):
    config = CONFIGS[name]
    theirs, ours = pair(config, kind, attention)
    batch = inputs(config, [11, 6, 9, 2])
    real = batch["attention_mask"].bool()
    if kind == "BertForSequenceClassification":
        batch["labels"] = torch.arange(4) % config.num_labels
        real = torch.ones(4, dtype=torch.bool)
    else:
        # One label in three; the others and the padding are ignored.
        asked = real & (torch.arange(11) % 3 == 1)
        batch["labels"] = torch.where(asked, batch["input_ids"], -100)
    if kind == "BertForPreTraining":
        batch["next_sentence_label"] = torch.tensor([0, 1, 1, 0])
    wanted = theirs(**batch)
    options = {} if "Sequence" in kind else {"masked_only": False}
    found = ours(**batch, **options)
    for field in set(vars(found)) - {"hidden_states", "attentions", "loss"}:
        mask = real if getattr(found, field).dim() == 3 else slice(None)
        close(getattr(found, field)[mask], getattr(wanted, field)[mask])
    close(found.loss, wanted.loss)
    wanted.loss.backward()
    found.loss.backward()
    gradients_close(ours, theirs)

    if options:  # the default computes the labelled positions only
        ours.zero_grad()
        short = ours(**batch)
        logits = wanted.prediction_logits if "PreTraining" in kind else wanted.logits
        close(short.logits, logits[batch["labels"] != -100])
        close(short.loss, wanted.loss)
        short.loss.backward()
        gradients_close(ours, theirs)


@PATHS
@pytest.mark.parametrize("cast", ["weights", "autocast"])
@pytest.mark.parametrize("name", CONFIGS)
def test_in_bfloat16_the_error_is_no_larger_than_the_reference_makes(name, cast, attention):
    """bfloat16 keeps 8 bits, and each path rounds after other operations, so two correct results
    differ by some 2**-8 of the values. The yardstick is therefore float32: ours may lie at most
    a quarter further from it than theirs, and the two at most 2**-8 apart per block. A ReLU is
    left out: its gradient jumps where rounding turns a sign."""
    config = CONFIGS[name]
    config = replace(config, hidden_act=config.hidden_act.replace("relu", "gelu"))
    theirs, ours = pair(config, attention=attention)
    batch = inputs(config, [30, 17, 1, 30])
    real = batch["attention_mask"].bool()
    direction = torch.randn(4, 30, config.hidden_size)[real]

    def run(model):
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=low and cast == "autocast"):
            output = model(**batch)
        states = output.last_hidden_state[real].float()
        (states * direction).sum().backward()
        flat = torch.cat([g.float().flatten() for g in gradients(model).values()])
        return states.detach(), output.pooler_output.float().detach(), flat

    low = False
    exact = run(theirs)
    low = True
    if cast == "weights":
        theirs.bfloat16(), ours.bfloat16()
    for found, wanted, truth in zip(run(ours), run(theirs), exact, strict=True):
        error, allowed = (found - truth).norm(), (wanted - truth).norm()
        assert error <= 1.25 * allowed
        blocks = 2 * config.num_hidden_layers + 1
        assert (found - wanted).norm() <= blocks * 2**-8 * truth.norm()


@PATHS
@pytest.mark.parametrize("kind", KINDS)
def test_one_training_step_changes_the_weights_as_theirs(kind, attention):
    """AdamW at BERT's own rate and epsilon, with weight decay; three steps, then all weights."""
    config = CONFIGS["three heads"]
    models = pair(config, kind, attention)
    start = {name: p.detach().clone() for name, p in models[1].named_parameters()}
    batch = inputs(config, [13, 8, 3])
    if "Sequence" in kind:
        batch["labels"] = torch.tensor([0, 4, 2])
    elif kind != "BertModel":
        batch["labels"] = torch.where(batch["input_ids"] % 4 == 1, batch["input_ids"], -100)
    if kind == "BertForPreTraining":
        batch["next_sentence_label"] = torch.tensor([0, 1, 1])
    target = torch.randn(3, config.hidden_size)
    for model in models:
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, eps=1e-6, weight_decay=0.01)
        for _ in range(3):
            output = model(**batch)
            loss = F.mse_loss(output.pooler_output, target) if kind == "BertModel" else output.loss
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
    theirs = dict(models[0].named_parameters())
    for name, parameter in models[1].named_parameters():
        close(parameter, theirs[name])
    moved = max((p - start[name]).abs().max() for name, p in models[1].named_parameters())
    assert moved > 1e-3


@PATHS
def test_positions_given_by_hand_are_used_as_theirs(attention):
    config = CONFIGS["deep"]
    theirs, ours = pair(config, attention=attention)
    batch = inputs(config, [6, 6])
    for positions in (torch.arange(6).flip(0)[None], torch.randint(0, 512, (2, 6))):
        wanted = theirs(**batch, position_ids=positions.expand(2, 6)).last_hidden_state
        close(ours(**batch, position_ids=positions).last_hidden_state, wanted)


@PATHS
def test_padding_in_front_and_holes_are_read_as_theirs(attention):
    config = CONFIGS["three heads"]
    theirs, ours = pair(config, attention=attention)
    batch = inputs(config, [8, 8])
    batch["attention_mask"] = torch.tensor([[0, 0, 1, 1, 1, 1, 1, 1], [1, 0, 1, 1, 0, 1, 0, 1]])
    real = batch["attention_mask"].bool()
    wanted = theirs(**batch).last_hidden_state[real]
    close(ours(**batch).last_hidden_state[real], wanted)
    batch["attention_mask"] = real
    close(ours(**batch).last_hidden_state[real], wanted)

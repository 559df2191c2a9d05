"""What must hold for any BERT, whatever its weights."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from companion.errors import DataError
from companion.model import BertConfig, BertForPreTraining, BertModel
from companion.model.packing import BLOCK_TOKENS, Packing

from .reference import CONFIGS, gradients, inputs

PATHS = pytest.mark.parametrize("fast", [True, False], ids=["fast", "readable"])
CONFIG = CONFIGS["three heads"]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = BertModel(replace(CONFIG, initializer_range=0.3))
    return model.eval()


def close(found, wanted):
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=6),
    st.booleans(),
    st.booleans(),
    st.integers(0, 2**31),
)
def test_the_two_paths_compute_the_same(lengths, training, pretraining, seed):
    """Random lengths, rows of nothing but padding among them; values and gradients."""
    torch.manual_seed(seed)
    kind = BertForPreTraining if pretraining else BertModel
    model = kind(replace(CONFIG, initializer_range=0.2)).train(training)
    batch = inputs(CONFIG, [*lengths, 3], seed)
    results = []
    for fast in (True, False):
        model.fast = fast
        model.zero_grad()
        if pretraining:
            labels = torch.where(batch["input_ids"] % 3 == 1, batch["input_ids"], -100)
            follows = torch.arange(len(lengths) + 1) % 2
            empty = batch["attention_mask"].sum(1) == 0
            labels[batch["attention_mask"] == 0] = -100
            output = model(**batch, labels=labels)
            values = (output.loss, output.logits, output.seq_relationship_logits[~empty])
            loss = output.loss + (values[2] * follows[~empty, None]).sum()
        else:
            values = (model(**batch).last_hidden_state[batch["attention_mask"] == 1],)
            loss = values[0].square().mean()
        loss.backward()
        results.append((values, gradients(model)))
    (fast_values, fast_gradients), (values, slow_gradients) = results
    close(fast_values, values)
    for name, gradient in slow_gradients.items():
        scale = max(1.0, gradient.abs().max().item())
        torch.testing.assert_close(fast_gradients[name], gradient, atol=1e-5 * scale, rtol=0)


@PATHS
@settings(max_examples=15, deadline=None)
@given(length=st.integers(1, 20), padding=st.integers(1, 20), seed=st.integers(0, 2**31))
def test_padding_never_changes_a_real_token(model, fast, length, padding, seed):
    model.fast = fast
    torch.manual_seed(seed)
    ids = torch.randint(0, CONFIG.vocab_size, (2, length))
    alone = model(ids).last_hidden_state
    rubbish = torch.randint(0, CONFIG.vocab_size, (2, padding))  # whatever stands in the padding
    mask = torch.tensor([[1] * length + [0] * padding] * 2)
    padded = model(torch.cat([ids, rubbish], 1), mask)
    close(padded.last_hidden_state[:, :length], alone)
    close(padded.pooler_output, model(ids).pooler_output)


@PATHS
def test_neighbours_in_a_batch_never_change_a_text(model, fast):
    model.fast = fast
    batch = inputs(CONFIG, [5, 31, 31, 2])
    together = model(**batch).last_hidden_state
    for i, length in enumerate([5, 31, 31, 2]):
        single = {name: x[i : i + 1, :length] for name, x in batch.items()}
        close(together[i, :length], model(**single).last_hidden_state[0])


@PATHS
def test_documents_packed_into_rows_are_read_as_if_alone(model, fast):
    """A mask that numbers documents keeps them apart, in whatever order and place they stand."""
    model.fast = fast
    documents = torch.tensor([[1, 1, 1, 2, 2, 2, 2, 0], [7, 3, 3, 7, 7, 0, 3, 3]])
    positions = torch.tensor([[0, 1, 2, 0, 1, 2, 3, 0], [0, 0, 1, 1, 2, 0, 2, 3]])
    torch.manual_seed(0)
    ids = torch.randint(0, CONFIG.vocab_size, documents.shape)
    packed = model(ids, documents, position_ids=positions).last_hidden_state
    for row, number in ((0, 1), (0, 2), (1, 7), (1, 3)):
        own = documents[row] == number
        close(packed[row, own], model(ids[row, own][None]).last_hidden_state[0])


@PATHS
def test_without_positions_permuting_the_tokens_permutes_the_output(model, fast):
    blind = BertModel(CONFIG).eval()
    blind.load_state_dict(model.state_dict())
    blind.fast = fast
    torch.manual_seed(0)
    ids, order = torch.randint(0, CONFIG.vocab_size, (3, 19)), torch.randperm(19)
    ordered = blind(ids).last_hidden_state
    assert (blind(ids[:, order]).last_hidden_state - ordered[:, order]).abs().max() > 0.1
    torch.nn.init.zeros_(blind.embeddings.position_embeddings.weight)
    close(blind(ids[:, order]).last_hidden_state, blind(ids).last_hidden_state[:, order])


def test_every_row_of_attention_sums_to_one_also_in_training(model):
    batch = inputs(CONFIG, [13, 4, 1])
    noisy = BertModel(replace(CONFIG, attention_probs_dropout_prob=0.4)).train()
    for network in (model, noisy):
        for weights in network(**batch, output_attentions=True).attentions:
            assert weights.shape == (3, 3, 13, 13)
            torch.testing.assert_close(weights.sum(-1), torch.ones(3, 3, 13))
            assert not weights[1, ..., 4:].any()  # nothing looks at padding


@PATHS
def test_a_row_of_nothing_but_padding_gives_no_nan(model, fast):
    model.fast = fast
    batch = inputs(CONFIG, [6, 3])
    batch["attention_mask"][1] = 0
    model.zero_grad()
    output = model(**batch, output_hidden_states=True)
    output.last_hidden_state.square().sum().backward()
    assert all(x.isfinite().all() for x in (*output.hidden_states, output.pooler_output))
    assert all(g.isfinite().all() for g in gradients(model).values())
    first = {name: x[:1] for name, x in batch.items()}
    close(output.last_hidden_state[0], model(**first).last_hidden_state[0])
    batch["attention_mask"][:] = 0
    assert model(**batch).last_hidden_state.isfinite().all()


def test_the_fast_path_leaves_zeros_at_padding(model):
    model.fast = True
    batch = inputs(CONFIG, [6, 3])
    output = model(**batch, output_hidden_states=True)
    assert all(not states[1, 3:].any() for states in output.hidden_states)


def test_the_fast_path_computes_no_padding():
    seen = []
    model = BertModel(CONFIG)
    for layer in model.encoder.layer:
        layer.intermediate.register_forward_hook(lambda _, x, y: seen.append(tuple(x[0].shape)))
    model(**inputs(CONFIG, [9, 40, 2]))
    assert seen == [(51, CONFIG.hidden_size)] * 2


def test_blocks_hold_every_sequence_once_and_stay_small():
    lengths = torch.tensor([1, 1, 600, 600, 600, 37] + [256] * 9)
    mask = torch.arange(600) < lengths[:, None]
    packing = Packing(mask, mask)
    tokens = [length for count, length in packing.blocks for _ in range(count)]
    assert tokens == packing.lengths == lengths.sort().values.tolist()
    assert all(count == 1 or count * length <= BLOCK_TOKENS for count, length in packing.blocks)


def test_packing_and_unpacking_keep_every_real_token_in_its_place():
    torch.manual_seed(0)
    mask = torch.rand(5, 9) < 0.5
    ids = torch.arange(45).view(5, 9)
    packing = Packing(mask, mask)
    restored = packing.unpack(packing.pack(ids)[:, None].float()).squeeze(-1)
    assert torch.equal(restored, (ids * mask).float())


@PATHS
def test_wrong_ids_and_masks_are_named(model, fast):
    model.fast = fast
    ids = torch.ones(2, 4, dtype=torch.long)
    with pytest.raises(DataError, match=r"input_ids run from 1 to 97.*rows 0 to 96.*vocabulary"):
        model(torch.tensor([[1, 97]]))
    with pytest.raises(DataError, match=r"position_ids run from 0 to 512.*truncate"):
        model(torch.ones(1, 513, dtype=torch.long))
    with pytest.raises(DataError, match=r"token_type_ids run from 2 to 2"):
        model(ids, token_type_ids=ids * 2)
    with pytest.raises(DataError, match=r"attention_mask is \(2, 3\).*input_ids are \(2, 4\)"):
        model(ids, torch.ones(2, 3))


def test_one_text_of_512_tokens_and_one_token():
    model = BertModel(BertConfig.tiny(vocab_size=50)).eval()
    for length in (1, 512):
        ids = torch.randint(0, 50, (1, length))
        model.fast = True
        fast = model(ids).last_hidden_state
        model.fast = False
        close(fast, model(ids).last_hidden_state)


class Pooled(torch.nn.Module):
    """Only the pooled vector, as a plain tensor."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        return self.model(input_ids, attention_mask).pooler_output


def test_an_exported_graph_reads_other_shapes_than_its_example(model):
    """Recording a graph takes the readable path, which holds for any mask."""
    model.fast = True
    names = ("input_ids", "attention_mask")
    example, other = (
        tuple(inputs(CONFIG, lengths)[name] for name in names) for lengths in ([6, 5], [9, 2, 8])
    )
    axes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    with torch.no_grad():
        exported = torch.export.export(
            Pooled(model), example, dynamic_shapes=(axes, axes), strict=False
        )
        close(exported.module()(*other), model(*other).pooler_output)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_on_a_gpu_the_two_paths_compute_the_same(model, dtype):
    network = BertModel(CONFIG).to("cuda", dtype)
    batch = {name: x.cuda() for name, x in inputs(CONFIG, [9, 40, 2]).items()}
    real = batch["attention_mask"] == 1
    found = []
    for network.fast in (True, False):
        network.zero_grad()
        output = network.train()(**batch).last_hidden_state[real]
        output.square().mean().backward()
        found.append((output, gradients(network)))
    tolerance = 1e-5 if dtype == torch.float32 else 0.05
    torch.testing.assert_close(*found, atol=tolerance, rtol=tolerance)

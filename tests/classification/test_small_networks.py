"""Averaged n-grams, the convolution and the recurrent net: by hand, by law, saved, opened."""

import numpy as np
import pytest
import torch

from companion.classification import load_classifier, train_baseline
from companion.classification.baselines.small_networks import (
    BiLstm,
    BiLstmConfig,
    TextCnn,
    TextCnnConfig,
    WordVectors,
    WordVectorsConfig,
)
from companion.classification.baselines.training import NETWORKS
from companion.classification.baselines.word_vocabulary import word_tokenizer
from companion.errors import SettingsError

SMALL = {
    "word-vectors": {"hidden_size": 8, "buckets": 512},
    "text-cnn": {"hidden_size": 8, "filters": 6},
    "bilstm": {"hidden_size": 8, "state_size": 6},
}
QUICK = {"epochs": 10, "batch_size": 16, "learning_rate": 1e-2, "progress": False}


def network(name, **sizes):
    torch.manual_seed(0)
    kind = NETWORKS[name]
    return kind.model(kind.config(vocab_size=50, num_labels=3, **SMALL[name], **sizes)).eval()


def ids(*rows):
    return torch.tensor(rows)


@pytest.mark.parametrize("name", NETWORKS)
def test_padding_changes_nothing(name):
    model = network(name)
    for length in (2, 3, 7):
        row = torch.randint(1, 50, (1, length), generator=torch.Generator().manual_seed(length))
        padded = torch.cat([row, torch.full((1, 5), 0)], 1)
        other = torch.randint(1, 50, (1, length + 5))
        batch = torch.cat([padded, other])
        mask = torch.cat([(torch.arange(length + 5) < length)[None], torch.ones(1, length + 5)])
        with torch.no_grad():
            alone, beside = model(row).logits, model(batch, attention_mask=mask).logits[:1]
        torch.testing.assert_close(alone, beside, atol=1e-6, rtol=1e-5)
        rubbish = torch.where(mask.bool(), batch, torch.randint(1, 50, batch.shape))
        with torch.no_grad():
            torch.testing.assert_close(
                model(rubbish, attention_mask=mask).logits[:1], alone, atol=1e-6, rtol=1e-5
            )


@pytest.mark.parametrize("name", NETWORKS)
def test_the_loss_is_the_mean_cross_entropy_and_reaches_every_weight(name):
    model = network(name)
    out = model(ids([1, 2, 3, 4], [5, 6, 7, 8]), labels=torch.tensor([0, 2]))
    wanted = -out.logits.log_softmax(-1)[[0, 1], [0, 2]].mean()
    torch.testing.assert_close(out.loss, wanted)
    out.loss.backward()
    idle = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not idle


def test_the_convolution_by_hand():
    """One word vector of width 2, two filters of width 2, a text of three words."""
    config = TextCnnConfig(
        vocab_size=4, hidden_size=2, filters=2, widths=[2], num_labels=2, dropout=0.0
    )
    model = TextCnn(config).eval()
    with torch.no_grad():
        # Words 1, 2 and 3 are (1, 0), (0, 2) and (-1, 1).
        model.embeddings.weight.copy_(torch.tensor([[9.0, 9], [1, 0], [0, 2], [-1, 1]]))
        # Filter A adds the first number of this word and the second of the next;
        # filter B takes the first of this word off the first of the next.
        model.convolutions[0].weight.copy_(
            torch.tensor([[[1.0, 0], [0, 1]], [[-1, 1], [0, 0]]])  # (filters, D, width)
        )
        model.convolutions[0].bias.copy_(torch.tensor([0.5, -0.25]))
        model.classifier.weight.copy_(torch.tensor([[1.0, 0], [1, 10]]))
        model.classifier.bias.copy_(torch.tensor([0.0, 1]))
        # A: 1+2+0.5, 0+1+0.5, -1+0+0.5 -> 3.5;  B: -1+0-0.25, 0-1-0.25, 1+0-0.25 -> 0.75
        found = model(ids([1, 2, 3])).logits
    torch.testing.assert_close(found, torch.tensor([[3.5, 3.5 + 7.5 + 1]]))


def test_the_convolution_finds_its_phrase_wherever_it_stands():
    model = network("text-cnn", widths=[2])
    front, back = ids([11, 12, 1, 1, 1, 1]), ids([1, 1, 1, 1, 11, 12])
    with torch.no_grad():
        a, b = (model.text_vectors(x, x > 0) for x in (front, back))
        one = model.text_vectors(ids([11, 12]), ids([11, 12]) > 0)
        alone = model.text_vectors(ids([1, 1, 1]), ids([1, 1, 1]) > 0)
    # A filter's answer is at least what the phrase gives it, wherever the phrase is.
    inside = torch.minimum(a, b)
    words = model.embeddings(ids([11, 12])).transpose(1, 2)
    phrase = model.convolutions[0](words)[..., 0].relu()
    assert (inside >= phrase - 1e-6).all() and (one >= phrase - 1e-6).all()
    assert (alone >= 0).all()


def test_averaged_words_by_hand():
    """(e1 + e2 + e3 + g(1,2) + g(2,3)) / 5, with the rows of the pairs as the model says."""
    model = network("word-vectors")
    x = ids([4, 7, 9])
    ((rows, whole),) = model.ngrams(x, x > 0)
    assert rows.shape == (1, 2) and whole.all()
    vectors, pairs = model.embeddings.weight, model.ngram_embeddings.weight
    wanted = (vectors[4] + vectors[7] + vectors[9] + pairs[rows[0, 0]] + pairs[rows[0, 1]]) / 5
    torch.testing.assert_close(model.text_vectors(x, x > 0)[0], wanted)


def test_without_ngrams_order_does_not_matter_and_with_them_it_does():
    bag, pairs = network("word-vectors", longest=1), network("word-vectors", longest=2)
    x, y = ids([4, 7, 9, 9]), ids([9, 4, 9, 7])
    torch.testing.assert_close(bag(x).logits, bag(y).logits)
    assert not torch.allclose(pairs(x).logits, pairs(y).logits)


def test_a_repeated_text_keeps_the_mean_of_its_words():
    bag = network("word-vectors", longest=1)
    torch.testing.assert_close(bag(ids([4, 7])).logits, bag(ids([4, 7] * 5)).logits)


def test_an_ngram_has_the_same_row_wherever_it_stands():
    model = network("word-vectors", longest=3)
    x = ids([3, 8, 21, 5, 3, 8, 21])
    (pairs, _), (triples, _) = model.ngrams(x, x > 0)
    assert pairs[0, 0] == pairs[0, 4] and pairs[0, 1] == pairs[0, 5]
    assert triples[0, 0] == triples[0, 4] and triples.shape == (1, 5)
    assert (pairs >= 0).all() and (pairs < 512).all()


def test_pairs_spread_over_the_table():
    """As many rows are hit as random throws would hit, within four standard deviations."""
    buckets, words = 4096, 64
    config = WordVectorsConfig(vocab_size=20_000, hidden_size=2, buckets=buckets, num_labels=2)
    model = WordVectors(config)
    chosen = torch.randperm(20_000, generator=torch.Generator().manual_seed(1))[:words]
    x = torch.cartesian_prod(chosen, chosen)  # 4096 pairs
    ((rows, _),) = model.ngrams(x, torch.ones_like(x, dtype=torch.bool))
    hit = len(rows.unique())
    expected, spread = buckets * (1 - np.exp(-1)), np.sqrt(buckets * np.exp(-1) * (1 - np.exp(-1)))
    assert abs(hit - expected) < 4 * spread


def test_attention_is_a_weighted_mean_of_the_states():
    """With w = 0 all words weigh the same: the text's vector is the mean of the LSTM's states."""
    model = BiLstm(BiLstmConfig(vocab_size=50, hidden_size=8, state_size=6, num_labels=2)).eval()
    x = ids([1, 2, 3, 4])
    with torch.no_grad():
        states, _ = model.lstm(model.embeddings(x))
        model.attention.weight.zero_()
        torch.testing.assert_close(model.text_vectors(x, x > 0), states.mean(1))
        # With a very large w one word takes it all: the one with the largest score.
        model.attention.weight.normal_().mul_(1e4)
        winner = model.attention(states.tanh()).argmax(1).item()
        torch.testing.assert_close(model.text_vectors(x, x > 0), states[:, winner])


def test_the_vocabulary_has_words_of_the_texts_and_single_chinese_characters():
    tokenizer = word_tokenizer(["Good room, 很好", "good 好"], min_frequency=1, max_length=16)
    assert tokenizer.tokenize("GOOD 好room nowhere") == ["good", "好", "room", "[UNK]"]
    assert tokenizer("good")["input_ids"][0] == tokenizer.cls_token_id
    assert tokenizer.pad_token_id == 0 and tokenizer.model_max_length == 16
    assert "很" not in word_tokenizer(["很好", "好"], min_frequency=2).get_vocab()


@pytest.fixture(scope="module", params=list(NETWORKS))
def trained(request, easy_data, tmp_path_factory):
    out = tmp_path_factory.mktemp("networks") / request.param
    settings = {**SMALL[request.param], **QUICK}
    return train_baseline(request.param, easy_data, out=out, **settings), out


def test_a_network_learns_and_opened_again_answers_the_same(trained, easy_data):
    classifier, out = trained
    assert classifier.result.test.accuracy > 0.95
    names = {path.name for path in out.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "history.csv"} <= names
    texts = easy_data["test"]["text"][:10]
    again = load_classifier(out)
    assert again.labels == ("差", "好") and again.max_length == 256
    assert torch.equal(again.logits(texts), classifier.logits(texts))


def test_words_of_the_texts_are_an_option_and_nonsense_is_refused(easy_data):
    small = {**SMALL["word-vectors"], **QUICK, "max_steps": 1}
    words = train_baseline("word-vectors", easy_data, vocabulary="words", **small)
    assert words.model.config.vocab_size == len(words.tokenizer) < 60
    shipped = train_baseline("word-vectors", easy_data, **small)
    assert shipped.model.config.vocab_size == len(shipped.tokenizer) == 16_000
    for settings, sentence in (
        ({"vocabulary": "mine"}, "vocabulary is 'mine'"),
        ({"max_length": 2}, "max_length is 2"),
        ({"filters": 3}, r"word-vectors has no setting filters. It has: .*batch_size"),
        ({"epochs": 0}, "epochs is 0"),
    ):
        with pytest.raises(SettingsError, match=sentence):
            train_baseline("word-vectors", easy_data, **{**small, **settings})

"""Each objective against its law: shares, independence, and what may be asked of whom."""

import math
from itertools import pairwise

import jieba
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from companion.errors import SettingsError
from companion.model import BertConfig, BertForMaskedLM
from companion.pretraining.contrast import (
    CausalPrediction,
    ReplacedTokenDetection,
    causal_visibility,
    next_tokens,
    replace_tokens,
    sample_tokens,
)
from companion.pretraining.draws import uniform_draws
from companion.pretraining.masking import choose_positions, choose_words, replace_chosen
from companion.pretraining.opening import ASSETS
from companion.pretraining.sentences import (
    join_pair,
    next_sentence_pairs,
    sentence_order_pairs,
)
from companion.pretraining.words import ChineseWords, WordPieces
from companion.text import WordPieceTokenizer

LIKELY = 1e-4  # a true law fails a test once in so many seeds; the seeds here are fixed
MASK, PLAIN = 4, 7  # [MASK], and the one word of a text
STRANGERS = torch.arange(100, 200)


@pytest.fixture(scope="module")
def shipped() -> WordPieceTokenizer:
    return WordPieceTokenizer.from_folder(ASSETS)


@pytest.fixture(scope="module")
def million() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A million tokens through the mask: what was chosen, what is read, what is asked."""
    ids = torch.full((1000, 1000), PLAIN)
    draws = uniform_draws(42, 0, range(1000), 1000, count=3)
    chosen = choose_positions(torch.ones_like(ids, dtype=torch.bool), draws[0])
    seen, labels = replace_chosen(ids, chosen, draws[1:], mask_id=MASK, ordinary_ids=STRANGERS)
    return chosen, seen, labels


def test_fifteen_percent_of_a_million_tokens_are_chosen(million):
    chosen, _, labels = million
    assert stats.binomtest(int(chosen.sum()), chosen.numel(), 0.15).pvalue > LIKELY
    assert torch.equal(labels != -100, chosen) and (labels[chosen] == PLAIN).all()


def test_of_the_chosen_80_percent_are_hidden_10_replaced_and_10_kept(million):
    chosen, seen, _ = million
    hidden, kept = int((seen[chosen] == MASK).sum()), int((seen[chosen] == PLAIN).sum())
    count = int(chosen.sum())
    observed = [hidden, count - hidden - kept, kept]
    expected = [0.8 * count, 0.1 * count, 0.1 * count]
    assert stats.chisquare(observed, expected).pvalue > LIKELY
    assert (seen[~chosen] == PLAIN).all()


def test_a_random_token_is_any_ordinary_one_with_equal_chance(million):
    chosen, seen, _ = million
    strangers = seen[chosen & (seen != MASK) & (seen != PLAIN)]
    counts = torch.bincount(strangers, minlength=200)[100:]
    assert counts.sum() == len(strangers)
    assert stats.chisquare(counts.numpy()).pvalue > LIKELY


@pytest.mark.parametrize("shift", [(0, 1), (0, 2), (1, 0), (1, 1)])
def test_neighbours_are_chosen_independently(million, shift):
    rows, columns = shift
    chosen = million[0]
    one, two = chosen[rows:, columns:], chosen[: 1000 - rows, : 1000 - columns]
    assert stats.binomtest(int((one & two).sum()), one.numel(), 0.15**2).pvalue > LIKELY


def test_another_epoch_or_seed_is_another_mask():
    first = uniform_draws(42, 0, range(500), 500)[0] < 0.15
    for seed, epoch in ((42, 1), (43, 0), (42, 1000)):
        other = uniform_draws(seed, epoch, range(500), 500)[0] < 0.15
        assert stats.binomtest(int((first & other).sum()), 250_000, 0.15**2).pvalue > LIKELY


def test_draws_are_uniform_and_belong_to_their_row_alone():
    draws = uniform_draws(1, 2, range(1000), 500, count=2)
    assert draws.shape == (2, 1000, 500)
    assert stats.kstest(draws.flatten().numpy(), "uniform").pvalue > LIKELY
    some = uniform_draws(1, 2, [7, 999, 3], 500, count=2)
    assert torch.equal(some, draws[:, [7, 999, 3]])
    assert float(draws.min()) >= 0 and float(draws.max()) < 1


@given(
    hnp.arrays(bool, (3, 40)),
    hnp.arrays(bool, (3, 40)),
    st.integers(0, 2**31),
    st.floats(0.05, 0.9),
)
def test_a_whole_word_is_chosen_or_none_of_it(candidates, continues, seed, rate):
    chosen = choose_words(
        torch.from_numpy(candidates),
        torch.from_numpy(continues),
        uniform_draws(seed, 0, range(3), 40)[0],
        rate,
    ).numpy()
    assert not (chosen & ~candidates).any()
    for row in range(3):
        for i in range(1, 40):
            one_word = candidates[row, i] and candidates[row, i - 1] and continues[row, i]
            assert not one_word or chosen[row, i] == chosen[row, i - 1]


def test_whole_words_leave_each_token_its_fifteen_percent():
    words = torch.ones(1000, 1000, dtype=torch.bool)
    continues = (uniform_draws(5, 0, range(1000), 1000)[0] < 0.5).clone()
    continues[:, 0] = False
    chosen = choose_words(words, continues, uniform_draws(6, 0, range(1000), 1000)[0])
    starts = ~continues
    assert stats.binomtest(int(chosen[starts].sum()), int(starts.sum()), 0.15).pvalue > LIKELY
    # Tokens of a word are chosen together: words of 2 tokens on average, so a wider spread.
    assert math.isclose(chosen.float().mean(), 0.15, abs_tol=0.003)


def test_english_words_are_joined_from_their_pieces(shipped):
    encoding = shipped.encode("Unbelievably, tokenization works")
    ids = torch.tensor([encoding.ids])
    assert any(token.startswith("##") for token in encoding.tokens)
    continues = WordPieces(shipped.tokens).continues(ids)[0].tolist()
    assert continues == [token.startswith("##") for token in encoding.tokens]


def test_chinese_words_are_those_of_jieba(shipped):
    text = "我们昨天在北京大学参加了自然语言处理的会议，this is unbelievably good。"
    encoding = shipped.encode(text)
    continues = ChineseWords(shipped.tokens).continues(torch.tensor([encoding.ids]))[0].tolist()
    words: list[str] = []
    for token, goes_on in zip(encoding.tokens, continues, strict=True):
        if goes_on:
            words[-1] += token.removeprefix("##")
        else:
            words.append(token)
    spelt = [encoding.tokens[0], *jieba.lcut(text.lower()), encoding.tokens[-1]]
    assert words == [word for word in spelt if word.strip()]
    assert "北京大学" in words and "unbelievably" in words


def test_jieba_is_only_needed_where_it_is_asked_for(monkeypatch, shipped):
    monkeypatch.setitem(__import__("sys").modules, "jieba", None)
    WordPieces(shipped.tokens)
    with pytest.raises(SettingsError, match="pip install jieba"):
        ChineseWords(shipped.tokens)


def make_documents(count: int, paragraphs: int, seed: int = 0) -> list[list[list[int]]]:
    """Documents in which token number k of document d is 100,000 d + k."""
    rng = np.random.default_rng(seed)
    documents = []
    for d in range(count):
        ends = np.cumsum(rng.integers(1, 30, paragraphs))
        tokens = 100_000 * d + np.arange(ends[-1])
        documents.append([part.tolist() for part in np.split(tokens, ends[:-1])])
    return documents


DOCUMENTS = make_documents(60, 400)
ROW = 64


@pytest.fixture(scope="module")
def pairs():
    return list(next_sentence_pairs(DOCUMENTS, ROW, np.random.default_rng(0)))


def owner(segment: list[int]) -> int:
    """The document of a segment; a segment must be a stretch of one document."""
    assert segment and all(b == a + 1 for a, b in pairwise(segment))
    return segment[0] // 100_000


def test_half_of_the_next_sentences_are_real(pairs):
    assert len(pairs) > 4000
    real = sum(pair.label == 0 for pair in pairs)
    assert stats.binomtest(real, len(pairs), 0.5).pvalue > LIKELY


def test_a_real_next_sentence_follows_and_a_false_one_is_of_another_document(pairs):
    for pair in pairs:
        assert pair.documents == (owner(pair.first), owner(pair.second))
        if pair.label:
            assert pair.documents[0] != pair.documents[1]
        else:
            gap = pair.second[0] - pair.first[-1]
            assert pair.documents[0] == pair.documents[1] and 1 <= gap <= ROW + 30


def test_negatives_come_from_all_other_documents_alike(pairs):
    counts = np.bincount([p.documents[1] for p in pairs if p.label], minlength=len(DOCUMENTS))
    assert stats.chisquare(counts).pvalue > LIKELY


def test_pairs_fit_and_a_tenth_of_them_are_short(pairs):
    sizes = np.array([len(pair.first) + len(pair.second) for pair in pairs])
    assert sizes.max() == ROW - 3 and sizes.min() >= 2
    ends = [len(DOCUMENTS[p.documents[1]][-1]) for p in pairs]
    last = [DOCUMENTS[p.documents[1]][-1][-1] for p in pairs]
    inside = np.array([p.second[-1] < end - ROW for p, end in zip(pairs, last, strict=True)])
    assert len(ends) == len(pairs) and inside.mean() > 0.9
    room = ROW - 3
    short = 0.1 * (1 - 1 / (room - 1))  # a short room is drawn from 2 to the full one
    count = int((sizes[inside] < room).sum())
    assert stats.binomtest(count, int(inside.sum()), short).pvalue > LIKELY


def test_every_document_is_read_to_its_end():
    read: dict[int, int] = {}
    for pair in next_sentence_pairs(DOCUMENTS[:5], ROW, np.random.default_rng(3)):
        for segment in (pair.first, pair.second) if not pair.label else (pair.first,):
            read[owner(segment)] = max(read.get(owner(segment), 0), segment[-1] % 100_000)
    for number, document in enumerate(DOCUMENTS[:5]):
        assert read[number] > sum(map(len, document)) - 2 * ROW


def test_a_pair_is_written_as_bert_reads_it():
    pair = next(next_sentence_pairs(DOCUMENTS, ROW, np.random.default_rng(0)))
    ids, types = join_pair(pair, 101, 102)
    a, b = len(pair.first), len(pair.second)
    assert ids == [101, *pair.first, 102, *pair.second, 102] and len(ids) <= ROW
    assert types == [0] * (a + 2) + [1] * (b + 1)


def test_sentence_order_swaps_half_of_neighbouring_segments():
    pairs = list(sentence_order_pairs(DOCUMENTS, ROW, np.random.default_rng(1)))
    swapped = sum(pair.label for pair in pairs)
    assert stats.binomtest(swapped, len(pairs), 0.5).pvalue > LIKELY
    for pair in pairs:
        before, after = (pair.second, pair.first) if pair.label else (pair.first, pair.second)
        assert owner(before) == owner(after) and after[0] - before[-1] == 1
        assert len(before) + len(after) <= ROW - 3


def test_the_lengths_of_two_segments_do_not_tell_their_order():
    """Whoever guesses from the lengths alone is right about half the time."""
    pairs = [
        pair
        for seed in range(40)
        for pair in sentence_order_pairs(DOCUMENTS, ROW, np.random.default_rng(seed))
        if len(pair.first) != len(pair.second)
    ]
    right = sum((len(pair.first) > len(pair.second)) == pair.label for pair in pairs)
    assert len(pairs) > 5000 and abs(right / len(pairs) - 0.5) < 0.03


def test_pairs_need_two_documents_and_room():
    rng = np.random.default_rng(0)
    with pytest.raises(SettingsError, match="at least two documents"):
        next(next_sentence_pairs(DOCUMENTS[:1], ROW, rng))
    with pytest.raises(SettingsError, match="no room for two segments"):
        next(next_sentence_pairs(DOCUMENTS, 4, rng))


def test_the_generator_samples_from_its_softmax():
    logits = torch.tensor([0.0, 1.0, -1.0, 2.0, 0.5]).expand(200_000, 5)
    counts = torch.bincount(sample_tokens(logits, torch.Generator().manual_seed(0)), minlength=5)
    expected = logits[0].softmax(0).double() * len(logits)
    expected *= len(logits) / expected.sum()
    assert stats.chisquare(counts.numpy(), expected.numpy(), sum_check=False).pvalue > LIKELY


@given(st.integers(0, 2**31))
def test_replaced_are_the_tokens_that_differ_from_the_text_and_no_others(seed):
    generator = torch.Generator().manual_seed(seed)
    text = torch.randint(5, 9, (4, 12), generator=generator)
    mask = torch.ones(4, 12, dtype=torch.long)
    mask[2, 8:] = 0
    chosen = (torch.rand(4, 12, generator=generator) < 0.4) & (mask == 1)
    masked, labels = text.masked_fill(chosen, MASK), text.masked_fill(~chosen, -100)
    sampled = torch.randint(5, 9, (int(chosen.sum()),), generator=generator)
    corrupted, replaced = replace_tokens(masked, labels, sampled, mask)
    assert torch.equal(corrupted[chosen], sampled)
    assert torch.equal(corrupted[~chosen], text[~chosen])
    assert torch.equal(replaced, (corrupted != text).long().masked_fill(mask == 0, -100))


def packed(seed: int, rows: int = 3, width: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    """Random ids in rows that several documents share, with padding."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(5, 50, (rows, width), generator=generator)
    documents = (torch.rand(rows, width, generator=generator) < 0.25).long().cumsum(1) + 1
    documents[0, width - 3 :] = 0
    return ids, documents


@given(st.integers(0, 2**31))
def test_the_next_token_is_asked_for_within_a_document_only(seed):
    ids, documents = packed(seed)
    labels = next_tokens(ids, documents)
    for row in range(3):
        for t in range(16):
            inside = t + 1 < 16 and documents[row, t] == documents[row, t + 1] != 0
            assert labels[row, t] == (ids[row, t + 1] if inside else -100)


@given(st.integers(0, 2**31))
@settings(max_examples=20)
def test_causal_visibility_is_what_stands_before_in_the_document(seed):
    _, documents = packed(seed)
    visible = causal_visibility(documents)
    assert visible.shape == (3, 1, 16, 16)
    for row in range(3):
        for i in range(16):
            for j in range(16):
                wanted = j <= i and documents[row, i] == documents[row, j] != 0
                assert visible[row, 0, i, j] == wanted


TINY = BertConfig(
    vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
    intermediate_size=32, max_position_embeddings=32, hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
)  # fmt: skip


def test_no_prediction_of_the_causal_model_knows_what_comes_later():
    torch.manual_seed(0)
    model = CausalPrediction(BertForMaskedLM(TINY)).eval()
    ids, documents = packed(1)
    labels, positions = next_tokens(ids, documents), torch.arange(16).expand(3, 16)
    changed = ids.clone()
    changed[:, 9] = 5 + (changed[:, 9] - 4) % 45
    one = model(ids, documents, positions, labels)
    two = model(changed, documents, positions, labels)
    rows, at = (labels != -100).nonzero(as_tuple=True)
    same_document = documents[rows, at] == documents[rows, 9]
    blind = (at < 9) | ~same_document
    torch.testing.assert_close(one.logits[blind], two.logits[blind])
    assert not torch.allclose(one.logits[~blind], two.logits[~blind])
    assert torch.equal(one.loss.detach(), one.parts["next token"])


def test_generator_and_discriminator_share_tables_and_no_gradient_through_the_sample():
    torch.manual_seed(0)
    model = ReplacedTokenDetection(TINY)
    assert model.discriminator.embeddings is model.generator.bert.embeddings
    ids, documents = packed(2)
    chosen = (documents != 0) & (torch.arange(16) % 4 == 1)
    labels = ids.masked_fill(~chosen, -100)
    batch = (ids.masked_fill(chosen, MASK), documents, torch.arange(16).expand(3, 16), labels)
    gradients = []
    for weight in (0.0, 50.0):
        model.weight = weight
        model.zero_grad()
        torch.manual_seed(1)
        output = model(*batch)
        output.loss.backward()
        gradients.append(model.generator.cls.predictions.transform.dense.weight.grad.clone())
        parts = output.parts
        total = parts["generator"] + weight * parts["discriminator"]
        torch.testing.assert_close(output.loss.detach(), total)
    torch.testing.assert_close(*gradients)
    assert output.logits.shape == (3, 16)

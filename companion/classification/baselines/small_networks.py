"""Three networks from before BERT: averaged n-grams, a convolution, a recurrent net (chapter 2).

Each turns the token ids of a text into one vector, and a linear layer scores that vector:

- `WordVectors`: the mean of the vectors of all words and n-grams (Joulin et al. 2017, fastText).
- `TextCnn`: filters as wide as a few words; of each, its largest answer (Kim 2014).
- `BiLstm`: two LSTMs, forward and backward; attention weighs their states (Zhou et al. 2016).

They are ordinary Hugging Face models, so the engine trains them and `Classifier` saves, opens and
runs them as it does BERT. Padding changes the answer of none of them.

Letters: B texts, T tokens, D width of a word's vector, F width of a text's vector, C classes.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import SequenceClassifierOutput


class WordVectorsConfig(PretrainedConfig):
    """Sizes of `WordVectors`; n-grams up to `longest` words share `buckets` vectors."""

    model_type = "word-vectors"
    vocab_size: int = 30_000
    pad_token_id: int | None = 0
    max_position_embeddings: int = 512  # the longest text that `Classifier` passes on
    hidden_size: int = 32
    dropout: float = 0.3
    longest: int = 2
    buckets: int = 1 << 16


class TextCnnConfig(PretrainedConfig):
    """Sizes of `TextCnn`: `filters` of each of the `widths`."""

    model_type = "text-cnn"
    vocab_size: int = 30_000
    pad_token_id: int | None = 0
    max_position_embeddings: int = 512
    hidden_size: int = 64
    dropout: float = 0.5
    filters: int = 64
    widths: list[int] | tuple[int, ...] = (2, 3, 4)


class BiLstmConfig(PretrainedConfig):
    """Sizes of `BiLstm`: `state_size` for each direction."""

    model_type = "bilstm"
    vocab_size: int = 30_000
    pad_token_id: int | None = 0
    max_position_embeddings: int = 512
    hidden_size: int = 128
    dropout: float = 0.3  # of the words' vectors, and of the text's
    state_size: int = 128


class SmallNetwork(PreTrainedModel, ABC):
    """What the three share: word vectors at the bottom, a linear layer on top."""

    config: PretrainedConfig
    main_input_name = "input_ids"

    def __init__(self, config: PretrainedConfig, text_size: int) -> None:
        super().__init__(config)
        self.embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(text_size, config.num_labels or 2)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        **_: object,
    ) -> SequenceClassifierOutput:
        """Logits of shape (B, C), and with labels of shape (B,) their mean cross-entropy.

        Args:
            input_ids: int64 of shape (B, T).
            attention_mask: of that shape, 0 where there is padding.
            token_type_ids: not used; a tokenizer may pass them.
        """
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        texts = self.text_vectors(input_ids, mask != 0)  # (B, F)
        logits = self.classifier(self.dropout(texts))  # (B, C)
        loss = None if labels is None else cross_entropy(logits.float(), labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)

    @abstractmethod
    def text_vectors(self, input_ids: Tensor, real: Tensor) -> Tensor:
        """One vector a text, (B, F), of token ids (B, T); `real` (B, T) is False at padding."""

    def get_input_embeddings(self) -> nn.Module:
        return self.embeddings

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.1)
        elif isinstance(module, nn.Linear | nn.Conv1d | nn.LSTM):
            module.reset_parameters()


class WordVectors(SmallNetwork):
    """The mean of the vectors of a text's words, pairs of words and so on.

    "not good" is a word pair with a vector of its own. There are too many pairs for a table with
    a row each, so a hash chooses one of `buckets` rows, and pairs that meet there share it.
    """

    config_class = WordVectorsConfig

    def __init__(self, config: WordVectorsConfig) -> None:
        super().__init__(config, text_size=config.hidden_size)
        self.ngram_embeddings = nn.Embedding(config.buckets, config.hidden_size)
        self.post_init()

    def text_vectors(self, input_ids: Tensor, real: Tensor) -> Tensor:
        total = (self.embeddings(input_ids) * real[..., None]).sum(1)  # (B, D)
        count = real.sum(1)  # (B,)
        for rows, whole in self.ngrams(input_ids, real):
            total = total + (self.ngram_embeddings(rows) * whole[..., None]).sum(1)  # (B, D)
            count = count + whole.sum(1)
        return total / count.clamp(min=1)[:, None]  # (B, D)

    def ngrams(self, input_ids: Tensor, real: Tensor) -> list[tuple[Tensor, Tensor]]:
        """For n = 2, 3, …: table rows of the n-grams, (B, T-n+1), and whether each is whole."""
        found, key = [], input_ids
        for n in range(2, self.config.longest + 1):
            # Ids of n words as one number: a polynomial, modulo a prime that is far from 2^64.
            key = (key[:, :-1] * 1_000_003 + input_ids[:, n - 1 :]) % 2_147_483_647
            found.append((key % self.config.buckets, real[:, n - 1 :]))
        return found


class TextCnn(SmallNetwork):
    """Filters that each look for one short phrase, wherever it stands.

    A filter of width k scores every k neighbouring words; its answer for the text is its largest
    score, or 0 where all are negative. Behind its end a text goes on with vectors of zeros, so
    that also one shorter than k is scored.
    """

    config_class = TextCnnConfig

    def __init__(self, config: TextCnnConfig) -> None:
        super().__init__(config, text_size=config.filters * len(config.widths))
        self.convolutions = nn.ModuleList(
            nn.Conv1d(config.hidden_size, config.filters, width) for width in config.widths
        )
        self.post_init()

    def text_vectors(self, input_ids: Tensor, real: Tensor) -> Tensor:
        words = self.embeddings(input_ids) * real[..., None]  # (B, T, D)
        words = words.transpose(1, 2)  # (B, D, T)
        answers = []
        for width, convolution in zip(self.config.widths, self.convolutions, strict=True):
            scores = convolution(pad(words, (0, width - 1))).relu()  # (B, filters, T)
            answers.append((scores * real[:, None]).amax(-1))  # (B, filters)
        return torch.cat(answers, dim=-1)  # (B, filters · widths)


class BiLstm(SmallNetwork):
    """A reader from the left and one from the right, and attention to the words that decide.

    Attention here is one learned vector w that is compared with every state h: the weights are
    softmax(w · tanh(h)), and the text's vector is the weighted mean of the states.
    """

    config_class = BiLstmConfig

    def __init__(self, config: BiLstmConfig) -> None:
        super().__init__(config, text_size=2 * config.state_size)
        self.lstm = nn.LSTM(
            config.hidden_size, config.state_size, batch_first=True, bidirectional=True
        )
        self.attention = nn.Linear(2 * config.state_size, 1, bias=False)
        self.post_init()

    def text_vectors(self, input_ids: Tensor, real: Tensor) -> Tensor:
        words = self.dropout(self.embeddings(input_ids))  # (B, T, D)
        # Packed, the reader from the right starts at a text's own last word, not at padding.
        packed = pack_padded_sequence(
            words, real.sum(1).clamp(min=1).cpu(), batch_first=True, enforce_sorted=False
        )
        states, _ = pad_packed_sequence(
            self.lstm(packed)[0], batch_first=True, total_length=input_ids.shape[1]
        )  # (B, T, 2 · state_size)
        scores = self.attention(states.tanh()).squeeze(-1)  # (B, T)
        weights = scores.float().masked_fill(~real, -torch.inf).softmax(-1)  # (B, T)
        return torch.einsum("bt,bts->bs", weights.to(states.dtype), states)  # (B, 2 · state_size)


for _config, _network in (
    (WordVectorsConfig, WordVectors),
    (TextCnnConfig, TextCnn),
    (BiLstmConfig, BiLstm),
):
    AutoConfig.register(_config.model_type, _config, exist_ok=True)
    AutoModelForSequenceClassification.register(_config, _network, exist_ok=True)

"""A vocabulary of whole words, made from the training texts alone (chapter 2).

BERT's tokenizer comes with its pretraining. A network that starts from nothing may as well have
the words of its own task: English by the word, Chinese by the character, all in lower case.
"""

from collections.abc import Iterable

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

SPECIAL = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}


def word_tokenizer(
    texts: Iterable[str], *, size: int = 30_000, min_frequency: int = 2, max_length: int = 256
) -> PreTrainedTokenizerBase:
    """A tokenizer that knows the `size` most frequent words of `texts`.

    Args:
        texts: the training texts.
        size: tokens in all, four special ones included.
        min_frequency: how often a word must occur to be known; others become [UNK].
        max_length: stored as the longest text that a model of this tokenizer reads.
    """
    tokenizer = Tokenizer(models.WordLevel(unk_token=SPECIAL["unk_token"]))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, handle_chinese_chars=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordLevelTrainer(
        vocab_size=size,
        min_frequency=min_frequency,
        special_tokens=list(SPECIAL.values()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    cls, sep = SPECIAL["cls_token"], SPECIAL["sep_token"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{cls} $A {sep}",
        pair=f"{cls} $A {sep} $B {sep}",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in (cls, sep)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=max_length,
        model_input_names=["input_ids", "attention_mask"],
        **SPECIAL,
    )

"""Text to tokens and back: normalisation, WordPiece, and training a vocabulary; chapter 5.

| module | what it holds |
| --- | --- |
| normalize | text to words, each character remembering where it came from |
| wordpiece | `WordPieceTokenizer`: words to pieces, encoding, decoding |
| encoding | what encoding returns; truncation and padding |
| trainer | training a vocabulary, merge by merge |
| files | vocab.txt, tokenizer.json and tokenizer_config.json |
| fast | the same tokenizer and trainer in the `tokenizers` library, for bulk work |
| vocabulary | the command that made the shipped bilingual vocabulary |
| sources | streaming texts from files, for the two commands |
| coverage | how well a vocabulary fits texts |
"""

from companion.text.encoding import Encoding
from companion.text.normalize import Normalizer
from companion.text.wordpiece import WordPieceTokenizer

__all__ = ["Encoding", "Normalizer", "WordPieceTokenizer"]

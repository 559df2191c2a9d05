"""Naive Bayes, logistic regression and the linear SVM on TF-IDF (chapter 2).

A text becomes a long sparse vector: for every word, word pair or run of characters, how often it
occurs, weighed down where many texts have it. The three methods choose their weights by three
arguments, but what they choose is the same thing: a column of weights and a bias for each class.

    logits = x · W + b        x (n, V) sparse, W (V, C), b (C,)

So all three are stored as safetensors and JSON, and opened without running anybody's code.
"""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.svm import LinearSVC
from tqdm.auto import tqdm

from companion.classification.interface import TextClassifier, read_config, writing
from companion.errors import CheckpointError, DataError, SettingsError
from companion.training.history import History

TEXTS_AT_ONCE = 2000
FEW_TEXTS = 1000  # so few that a gram which only one of them has may still matter
ABSENT = -1e4  # bias of a class without a training text: its probability is zero
SCALES = (0.1, 20.0)
HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
HAN_SHARE = 0.2  # of the signs that are not blank; a Chinese sign is worth several letters

# The number says how strongly each is held back: Laplace's smoothing for naive Bayes, for the
# other two the weight C of the training error against the size of the weights. They did best, or
# as good as best, among three values each on the dev texts of ChnSentiCorp and of SST-2.
ESTIMATORS: dict[str, tuple[float, Callable[[float], Any]]] = {
    "naive-bayes": (0.3, lambda alpha: MultinomialNB(alpha=alpha)),
    "logistic-regression": (10.0, lambda c: LogisticRegression(C=c, max_iter=1000)),
    "linear-svm": (1.0, lambda c: LinearSVC(C=c, random_state=0)),
}


def jieba_words(text: str) -> list[str]:
    """The words that jieba finds, without the blanks between them."""
    return [word for word in _segmenter().cut(text) if not word.isspace()]


# What is counted: single words and pairs; runs of one to three signs; jieba's words and pairs.
GRAMS: dict[str, dict[str, Any]] = {
    "words": {"token_pattern": r"\w+", "ngram_range": (1, 2)},
    "characters": {"analyzer": "char", "ngram_range": (1, 3)},
    "jieba": {"tokenizer": jieba_words, "token_pattern": None, "ngram_range": (1, 2)},
}


class TfidfClassifier(TextClassifier):
    """A linear classifier on TF-IDF; `fit` makes one.

    Args:
        method: "naive-bayes", "logistic-regression" or "linear-svm".
        grams: what is counted, "words", "characters" or "jieba".
        vectorizer: from texts to x.
        weight: W, float32 of shape (V, C).
        bias: b, float32 of shape (C,).
        labels: the C class names.
    """

    def __init__(
        self,
        method: str,
        grams: str,
        vectorizer: TfidfVectorizer,
        weight: np.ndarray,
        bias: np.ndarray,
        labels: Sequence[str],
    ) -> None:
        self.method, self.grams = method, grams
        self.vectorizer, self.weight, self.bias = vectorizer, weight, bias
        self._labels = tuple(labels)
        self.history = History()

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names in the order of the logits."""
        return self._labels

    @classmethod
    def fit(
        cls,
        method: str,
        texts: Sequence[str],
        targets: Sequence[int],
        labels: Sequence[str],
        *,
        grams: str = "auto",
        min_texts: int | None = None,
        strength: float | None = None,
        held_out: tuple[Sequence[str], Sequence[int]] | None = None,
    ) -> "TfidfClassifier":
        """Learn from texts and their class indices.

        Naive Bayes and logistic regression say probabilities by themselves. The SVM says how far
        a text lies from the boundary; its probabilities are the softmax of these margins times
        one number, which makes the texts of `held_out` most likely (1 without them). The number
        changes no label.

        Args:
            method: see the class.
            texts, targets: the training texts and their indices in `labels`.
            grams: see the class; "auto" takes characters where the texts are Chinese.
            min_texts: how many texts must have a gram for it to count; by default 2 for
                characters and jieba where there are `FEW_TEXTS` or more, else 1.
            strength: alpha for naive Bayes (0.3), C for logistic regression (10) and the SVM (1).
            held_out: texts and targets that nothing was learned from.

        Raises:
            SettingsError: an unknown method or kind of grams; jieba is not installed.
            DataError: one class only, or no gram in any text.
        """
        if method not in ESTIMATORS:
            raise SettingsError(f"There is no method {method!r}. There are: {_listed(ESTIMATORS)}.")
        if grams == "auto":
            grams = grams_for(texts)
        if len(set(targets)) < 2:
            raise DataError("The training texts are all of one class; a classifier needs two.")
        if min_texts is None:
            min_texts = 2 if grams != "words" and len(texts) >= FEW_TEXTS else 1
        vectorizer = make_vectorizer(grams, min_df=min_texts)
        try:
            x = vectorizer.fit_transform(texts)  # (n, V)
        except ValueError as error:
            raise DataError(
                f"No {grams} can be counted in the training texts ({error}). For Chinese, or for "
                'texts of single letters, count grams="characters".'
            ) from error
        usual, make = ESTIMATORS[method]
        strength = usual if strength is None else strength
        if not strength > 0:
            raise SettingsError(f"strength is {strength}; it must be above 0.")
        weight, bias = linear_form(make(strength).fit(x, targets), len(labels))
        found = cls(method, grams, vectorizer, weight, bias, labels)
        if method == "linear-svm" and held_out is not None and len(held_out[0]):
            scale = best_scale(found.logits(held_out[0]), torch.as_tensor(held_out[1]))
            found.weight, found.bias = weight * scale, bias * scale
        return found

    def logits(
        self, texts: Sequence[str], *, batch_size: int = 64, progress: bool = False
    ) -> torch.Tensor:
        """Scores before softmax, fp32 of shape (n, C); `batch_size` makes no difference here."""
        scores = np.empty((len(texts), len(self.labels)), dtype=np.float32)
        with tqdm(total=len(texts), unit="text", disable=not progress) as bar:
            for start in range(0, len(texts), TEXTS_AT_ONCE):
                part = texts[start : start + TEXTS_AT_ONCE]
                x: csr_matrix = self.vectorizer.transform(part)  # (n, V)
                scores[start : start + len(part)] = x @ self.weight + self.bias  # (n, C)
                bar.update(len(part))
        return torch.from_numpy(scores)

    def save(self, folder: str | Path) -> Path:
        """Write config.json, vocabulary.json (the V grams) and model.safetensors (idf, W, b)."""
        folder = Path(folder)
        config = {
            "model_type": "tfidf",
            "method": self.method,
            "grams": self.grams,
            "id2label": dict(enumerate(self.labels)),
        }
        grams = sorted(self.vectorizer.vocabulary_, key=self.vectorizer.vocabulary_.__getitem__)
        tensors = {"idf": self.vectorizer.idf_, "weight": self.weight, "bias": self.bias}
        with writing(folder) as partial:
            write_json(partial / "config.json", config)
            write_json(partial / "vocabulary.json", grams)
            arrays = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
            save_file(arrays, partial / "model.safetensors")
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> "TfidfClassifier":
        """Open what `save` wrote.

        Raises:
            NotFoundError: there is no such folder.
            CheckpointError: the folder is not a whole baseline on TF-IDF.
        """
        folder = Path(folder)
        config, labels = read_config(folder)
        try:
            grams = json.loads((folder / "vocabulary.json").read_text("utf-8"))
            tensors = load_file(folder / "model.safetensors")
            weight, bias = tensors["weight"], tensors["bias"]
            if weight.shape != (len(grams), len(labels)) or bias.shape != (len(labels),):
                raise ValueError(
                    f"weights of shape {weight.shape} for {len(grams)} grams, {len(labels)} labels"
                )
            vectorizer = make_vectorizer(
                config["grams"], vocabulary={gram: i for i, gram in enumerate(grams)}
            )
            vectorizer.idf_ = tensors["idf"]
            return cls(config["method"], config["grams"], vectorizer, weight, bias, labels)
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            if isinstance(error, SettingsError):
                raise
            raise CheckpointError(
                f"The baseline in {folder} cannot be read: {error}. Train it again."
            ) from error


def grams_for(texts: Sequence[str]) -> str:
    """ "characters" where at least `HAN_SHARE` of the signs are Chinese, else "words"."""
    signs = "".join("".join(text.split()) for text in texts[:5000])
    return "characters" if len(HAN.findall(signs)) >= HAN_SHARE * max(len(signs), 1) else "words"


def make_vectorizer(grams: str, **options: Any) -> TfidfVectorizer:
    """Scikit-learn's counter of one kind of grams.

    Raises:
        SettingsError: an unknown kind, or jieba is not installed.
    """
    if grams not in GRAMS:
        raise SettingsError(f"There are no grams {grams!r}. There are: auto, {_listed(GRAMS)}.")
    if grams == "jieba":
        _segmenter()
    return TfidfVectorizer(**GRAMS[grams], **options)


def linear_form(estimator: Any, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """W (V, C) and b (C,) of a fitted scikit-learn estimator, such that softmax(x·W + b) is its
    `predict_proba` where it has one.

    For two classes scikit-learn keeps one column, the second against the first. Half of it goes
    to each side: the softmax of (-z/2, z/2) is the logistic function of z.
    """
    if isinstance(estimator, MultinomialNB):
        weight, bias = estimator.feature_log_prob_.T, estimator.class_log_prior_
    else:
        weight, bias = estimator.coef_.T, estimator.intercept_
        if weight.shape[1] == 1:
            weight, bias = np.hstack([-weight, weight]) / 2, np.hstack([-bias, bias]) / 2
    full_weight = np.zeros((len(weight), classes), dtype=np.float32)
    full_bias = np.full(classes, ABSENT, dtype=np.float32)
    full_weight[:, estimator.classes_], full_bias[estimator.classes_] = weight, bias
    return full_weight, full_bias


def best_scale(margins: torch.Tensor, true: torch.Tensor) -> float:
    """The factor on margins (n, C) that makes the true classes (n,) most probable.

    Known as temperature scaling (Guo et al. 2017). It stays within `SCALES`: where held-out
    texts are few and all right, nothing else would stop it.
    """

    def loss(log_scale: float) -> float:
        return torch.nn.functional.cross_entropy(margins * np.exp(log_scale), true).item()

    return float(np.exp(minimize_scalar(loss, bounds=np.log(SCALES), method="bounded").x))


def write_json(path: Path, content: Any) -> None:
    """Readable by people: Chinese as it is."""
    path.write_text(json.dumps(content, ensure_ascii=False), "utf-8")


def _segmenter() -> Any:
    """jieba, silent."""
    try:
        import jieba
    except ImportError:
        raise SettingsError(
            'grams="jieba" needs the segmenter jieba: pip install jieba, or count '
            'grams="characters", which needs nothing.'
        ) from None
    jieba.setLogLevel("WARNING")
    return jieba


def _listed(names: Any) -> str:
    return ", ".join(names)

"""Several classifiers that answer as one: the mean of their probabilities (chapter 13).

Networks trained from other seeds, or on other folds, make partly different mistakes, and the mean
of their answers makes fewer (Hansen & Salamon 1990; Lakshminarayanan et al. 2017). One thing is
certain beforehand: since -log is convex, the cross-entropy of the mean is never above the mean of
the members' cross-entropies (Jensen's inequality). The price is as many passes as members.
"""

import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch

from companion.classification.interface import TextClassifier, read_config, writing
from companion.errors import CheckpointError, SettingsError
from companion.training import write_atomically
from companion.training.history import History

MODEL_TYPE = "ensemble"


class Ensemble(TextClassifier):
    """Classifiers of the same labels, of whatever kinds, whose probabilities are averaged.

    Args:
        members: two or more make sense; one is allowed and answers as it does alone. Their labels
            may stand in different orders; the ensemble keeps the order of the first.

    Raises:
        SettingsError: there is no member, or their labels differ.
    """

    def __init__(self, members: Sequence[TextClassifier]) -> None:
        if not members:
            raise SettingsError("An ensemble needs at least one classifier; the list is empty.")
        self.members = tuple(members)
        self.history = History()
        for number, member in enumerate(self.members, 1):
            if sorted(member.labels) != sorted(self.labels):
                raise SettingsError(
                    f"Member {number} knows the labels {', '.join(member.labels)}, the first "
                    f"{', '.join(self.labels)}. An ensemble needs the same labels everywhere."
                )

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names in the order of the logits: that of the first member."""
        return self.members[0].labels

    def logits(
        self, texts: Sequence[str], *, batch_size: int = 64, progress: bool = False
    ) -> torch.Tensor:
        """The logarithm of the mean probabilities, fp32 of shape (n, C).

        Its softmax is that mean, so everything that reads a classifier's logits reads these.
        """
        total = torch.full((len(texts), len(self.labels)), -torch.inf)
        for member in self.members:
            scores = member.logits(texts, batch_size=batch_size, progress=progress)
            order = [member.labels.index(label) for label in self.labels]
            # A sum of exponentials that cannot overflow: log(e^a + e^b).
            total = torch.logaddexp(total, torch.log_softmax(scores.float(), dim=-1)[:, order])
        return total - math.log(len(self.members))

    def save(self, folder: str | Path) -> Path:
        """Write each member into a sub-folder, member-1 and so on, and config.json, which is last.

        Raises:
            CheckpointError: the disk refuses to take it.
        """
        folder = Path(folder)
        names = [f"member-{number}" for number in range(1, len(self.members) + 1)]
        with writing(folder) as partial:
            for name, member in zip(names, self.members, strict=True):
                member.save(partial / name)
            # An older ensemble makes room: a folder does not move over one that is there.
            (folder / "config.json").unlink(missing_ok=True)
            for old in folder.glob("member-*"):
                shutil.rmtree(old)
            write_config(partial, names, self.labels)
        return folder

    @classmethod
    def load(cls, folder: str | Path, *, device: str | torch.device | None = None) -> "Ensemble":
        """Open what `save` or `cross_validate` wrote.

        Args:
            device: where to put the members that are networks; by default a GPU when there is one.

        Raises:
            NotFoundError: there is no such folder.
            CheckpointError: the folder is not a whole ensemble.
        """
        # Opening a member may mean opening any kind, an ensemble among them.
        from companion.classification.opening import load_classifier

        folder = Path(folder)
        config, labels = read_config(folder)
        names = config.get("members")
        if config.get("model_type") != MODEL_TYPE or not names:
            raise CheckpointError(
                f"{folder} holds no ensemble. Open it with "
                "companion.classification.load_classifier."
            )
        for name in names:
            if Path(name).name != name or name in ("", ".", ".."):
                raise CheckpointError(
                    f"{folder / 'config.json'} names the member {name!r}; a member is a sub-folder."
                )
        ensemble = cls([load_classifier(folder / name, device=device) for name in names])
        if list(ensemble.labels) != labels:
            raise CheckpointError(
                f"{folder / 'config.json'} names the labels {', '.join(labels)}, its members "
                f"{', '.join(ensemble.labels)}. The files come from different ensembles."
            )
        return ensemble


def write_config(folder: Path, members: Sequence[str], labels: Sequence[str]) -> None:
    """The small file that makes a folder of classifiers an ensemble."""
    config = {
        "model_type": MODEL_TYPE,
        "members": list(members),
        "id2label": {str(i): label for i, label in enumerate(labels)},
    }
    content = json.dumps(config, ensure_ascii=False, indent=2)
    write_atomically(folder / "config.json", content.encode())

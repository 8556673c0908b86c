"""Models that were trained before: by their name, a Keras file, or a run."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fedcli.datasets.base import DatasetConfig, DataSpec
from fedcli.datasets.cache import fetch
from fedcli.datasets.origin import resolve_cache_dir
from fedcli.errors import ConfigError, DataError, FedcliError
from fedcli.models.architecture import Recognised, recognise
from fedcli.models.base import ModelConfig
from fedcli.models.keras_files import read_keras_file
from fedcli.runs.directory import RunDirectory
from fedcli.shell import shown_path
from fedcli.suggest import did_you_mean

#: Published models: name -> path at the origin.
PUBLISHED = {"dickens": "tff-models-public/dickens_rnn.batch1.kerasmodel"}

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SUFFIXES = (".keras", ".h5", ".hdf5", ".kerasmodel")


@dataclass(frozen=True, kw_only=True)
class Pretrained(Recognised):
    """A model with weights, and where it is from.

    Attributes:
        source: The name, file or run that was asked for.
        path: The file that the weights are from.
    """

    source: str
    path: Path

    @property
    def description(self) -> str:
        """What it is, in a few words."""
        fields = ", ".join(f"{key}={value}" for key, value in vars(self.model).items() if key != "name")
        of = "characters" if self.model.kind == "text" else "classes"
        return f"{self.model.name} ({f'{fields}, ' if fields else ''}{self.num_classes} {of})"

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the weights, hexadecimal: the same for any file that holds them."""
        digest = hashlib.sha256()
        for weight in self.weights:
            digest.update(f"{weight.dtype.str}{weight.shape}".encode())
            digest.update(np.ascontiguousarray(weight).tobytes())
        return digest.hexdigest()

    def check(self, spec: DataSpec) -> None:
        """Refuses a data set whose inputs or targets the model does not have.

        Raises:
            ConfigError: It does not fit.
        """
        classes = "characters" if spec.kind == "text" else "classes"
        if not self.model.takes(spec.kind):
            raise ConfigError(
                f"{self.source} is a model for {self.model.kind}: {self.description}",
                f"the data set holds {spec.kind}: choose a model for {spec.kind} with {spec.num_classes} {classes}",
            )
        if self.num_classes != spec.num_classes or self.x_shape not in (None, spec.x_shape):
            shape = "" if self.x_shape is None else f" from inputs of shape {list(self.x_shape)}"
            expected = "" if self.x_shape is None else f" and inputs of shape {list(spec.x_shape)}"
            raise ConfigError(
                f"{self.source} predicts {self.num_classes} {classes}{shape}",
                f"the data set has {spec.num_classes} {classes}{expected}: choose a model trained for that",
            )

    def check_trainable(self) -> None:
        """Refuses a model that is not to be trained as a whole.

        Raises:
            ConfigError: It has frozen layers.
        """
        if self.frozen:
            frozen = ", ".join(self.frozen)
            raise ConfigError(
                f"{self.source} has layers that are not trainable ({frozen}), but fine-tuning trains every layer",
                "set trainable = True for these layers in Keras and save the model again",
            )


def load_pretrained(source: str, *, origin: str | None = None, cache_dir: str | Path | None = None) -> Pretrained:
    """Loads a pretrained model. Imports no TensorFlow, and runs nothing that a file carries.

    Args:
        source: A name (`dickens`, or one that `fedcli pretrain` made), else a Keras file or a run directory. A file
            that is called like a name is given as `./dickens`.
        origin: Where published models are fetched from; see `fedcli.datasets.origin.resolve_origin`.
        cache_dir: Root of the cache; see `resolve_cache_dir`.

    Raises:
        ConfigError: There is no such model, or it is none that fedcli can use.
        DataError: It cannot be fetched or read, or is damaged.
    """
    if source in PUBLISHED:
        return _read(source, fetch(PUBLISHED[source], origin, cache_dir, verify=_verify))
    if _NAME.fullmatch(source) and pretrained_path(source, cache_dir).is_file():
        return _read(source, pretrained_path(source, cache_dir))
    path = Path(source).expanduser() if source else Path("-")
    try:
        is_file, is_folder = path.is_file(), path.is_dir()
    except ValueError:  # a zero byte
        is_file = is_folder = False
    if source and is_folder:
        return _from_run(source, RunDirectory(path))
    if source and is_file:
        return _read(source, path)
    if os.sep in source or path.suffix in _SUFFIXES:
        there = "\0" not in source and path.exists()
        what = "neither a regular file nor a run directory" if there else "no such file or run directory"
        raise ConfigError(f"{source}: {what}", "check the path")
    names = pretrained_names(cache_dir)
    raise ConfigError(
        f"{source or '(nothing)'}: no pretrained model of that name",
        f"{_names_hint(source, names)}; or give a Keras file or a run directory",
    )


def _names_hint(source: str, names: list[str]) -> str:
    # All of them, however many: nothing else lists them.
    return did_you_mean(source, names, "names") if len(names) <= 20 else f"names: {', '.join(names)}"


def pretrained_path(name: str, cache_dir: str | Path | None = None) -> Path:
    """Returns where `fedcli pretrain` keeps the model of a name, there or not."""
    return resolve_cache_dir(cache_dir) / "pretrained" / name / "model.keras"


def about_file(path: Path) -> Path:
    """Returns the file that says how the model of a name was made, there or not."""
    return path.with_name("about.json")


def pretrained_names(cache_dir: str | Path | None = None) -> list[str]:
    """Lists the names that `load_pretrained` knows, sorted."""
    folder = resolve_cache_dir(cache_dir) / "pretrained"
    made = [path.parent.name for path in folder.glob("*/model.keras") if _NAME.fullmatch(path.parent.name)]
    return sorted({*PUBLISHED, *made})


def check_new_name(name: str) -> None:
    """Refuses a name that a new pretrained model cannot have.

    Raises:
        ConfigError: It is taken by a published model, or could be confused with a path.
    """
    if name in PUBLISHED:
        raise ConfigError(f"--name {name}: the name of a published model", "choose another name")
    if not _NAME.fullmatch(name) or name.endswith(_SUFFIXES):
        raise ConfigError(
            f"--name {name}: not a name",
            "use up to 64 letters, digits, '.', '_' and '-', no file's ending, and begin with a letter or digit",
        )


def _read(source: str, path: Path) -> Pretrained:
    layers = read_keras_file(path)
    found = recognise(path, layers)
    return Pretrained(source=source, path=path, **vars(found))


def _verify(path: Path) -> None:
    """Refuses a download that is no model; see `fedcli.datasets.cache.fetch`."""
    try:
        _read(path.name, path)
    except FedcliError as error:
        raise DataError(error.message, error.hint) from error


def _from_run(source: str, run: RunDirectory) -> Pretrained:
    if not run.is_run:
        raise ConfigError(
            f"{source}: not a run directory",
            "give a folder that holds a run's config.yaml, a Keras file or one of the names: "
            + ", ".join(pretrained_names()),
        )
    from fedcli.runs.checkpoints import CheckpointStore

    if run.model_keras.is_file():
        try:
            return _read(source, run.model_keras)
        except ConfigError:
            # A model of a third party, with layers that are not read from files: the checkpoint has its weights.
            if not CheckpointStore(run.checkpoints).rounds():
                raise
    checkpoint = CheckpointStore(run.checkpoints).latest()
    if checkpoint is None:
        raise ConfigError(
            f"{source} has neither a model.keras nor a checkpoint yet",
            f"let the run go on (--resume {shown_path(run.path)}), or give another run",
        )
    model, spec = _trained(run)
    weights = [
        np.asarray(value, np.float32)
        for part in ("trainable", "non_trainable")
        for name, value in checkpoint.tensors
        if name.startswith(f"global_model_weights/{part}/")
    ]
    x_shape = None if spec.kind == "text" else spec.x_shape
    path = CheckpointStore(run.checkpoints).path(checkpoint.round)
    if not weights:
        raise DataError(f"{path} holds no model", "give another run")
    return Pretrained(model, spec.num_classes, x_shape, weights, source=source, path=path)


@dataclass(frozen=True)
class _Trained:
    """The keys of a run's config that tell which model it trains."""

    dataset: DatasetConfig
    model: ModelConfig


def _trained(run: RunDirectory) -> tuple[ModelConfig, DataSpec]:
    """Reads from a run's config what its checkpoints are weights of."""
    from fedcli.components.typed import typed
    from fedcli.keys.saved import read_saved

    try:
        config = read_saved(run.config_yaml)
        parts = {key: config[key] for key in ("dataset", "model")}
    except Exception as error:
        raise DataError(f"{run.config_yaml} cannot be read: {error}", "give a run whose config is whole") from error
    trained = typed(parts, _Trained)
    return trained.model, trained.dataset.spec

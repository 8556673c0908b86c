"""The kinds of inputs. Each is a function of a folder, which it may fill, and of the input's number and random numbers.

It returns the command to repeat the input and what is wrong with the answer, None for nothing.
"""

import dataclasses
import functools
import math
import os
import random
import shlex
import shutil
from pathlib import Path
from typing import get_type_hints

from tests.fuzz import values
from tests.fuzz.commands import children, files_below, run, without_training
from tests.fuzz.damage import damage_file

#: A run that trains within a second.
TINY = ["model=mlp", "model.hidden_units=[4]", "clients_per_round=2", "rounds=3", "eval.max_examples=20"]
ROWS = "farm,weight,length,color\n" + "".join(
    f"farm {row % 4},{row / 7:.3f},{row % 5},{('red', 'green', 'blue')[row % 3]}\n" for row in range(60)
)
IMPORT = ["--label", "color", "--client", "farm"]


def value_inputs():
    """Lists every key of every component and section with every odd value."""
    keys = [*values.component_keys(), *(("", *key) for key in values.section_keys())]
    return [(key, place) for key in keys for place in range(len(values.ODD))]


def check_value(folder: Path, number: int, rng: random.Random):
    """Feeds one key one odd value, past the parser of the command line: as a YAML file could."""
    from fedcli.config.checks import check
    from fedcli.errors import ConfigError, DataError

    inputs = value_inputs()
    (group, name, key), place = inputs[number % len(inputs)]
    value = values.ODD[place]
    shown = f"{f'{group}={name} {group}' if group else name}.{key}".lstrip(".") + f"=<{type(value).__name__}>"
    plain, default = _default_config()
    if group:
        changed = {group: {"name": name, key: value}}
    else:
        changed = {name: {**plain[name], key: value}} if name else {key: value}
    try:
        config = check(_with(default, changed))
    except (ConfigError, DataError) as error:
        return shown, None if error.message and error.hint else f"not two lines: {error.message[:200]!r}"
    except OSError:  # the command line writes two lines about it
        return shown, None
    except Exception as error:
        return shown, f"{type(error).__name__}: {str(error)[:200]}, for {str(value)[:60] if place != 14 else '10**400'}"
    section = getattr(config, group or name) if group or name else config
    taken = getattr(section, key)
    if isinstance(taken, float) and (not math.isfinite(taken) or 0 < abs(taken) < 1e-38):
        return shown, f"{taken} is taken"
    return shown, None


@functools.cache
def _default_config():
    """Returns the default config, plain and typed."""
    from fedcli.cli.hydra_bridge import HydraRequest, compose
    from fedcli.config.schema import TrainConfig

    config = compose(HydraRequest("train", [], "abcdef"), TrainConfig)
    return dataclasses.asdict(config), config


@functools.cache
def _part(key):
    """Returns a dataclass with this key of the config alone."""
    from fedcli.config.schema import TrainConfig

    hint = get_type_hints(TrainConfig, include_extras=True)[key]
    return dataclasses.make_dataclass("Part", [(key, hint)], frozen=True)


def _with(default, changed):
    """Makes the typed config of the default one with a changed part; the parts that stay are not made again."""
    from fedcli.components.typed import typed

    (key,) = changed
    return dataclasses.replace(default, **{key: getattr(typed(changed, _part(key)), key)})


def override(folder: Path, number: int, rng: random.Random):
    """Composes and checks a config from odd arguments, up to the beginning of the training."""
    arguments = ["train", *values.overrides(rng)]
    with without_training():
        return _judged(folder, arguments, may_leave=("outputs",))


def train(folder: Path, number: int, rng: random.Random):
    """Trains with arguments that may be odd."""
    return _judged(folder, ["train", *TINY, "rounds=1", *values.overrides(rng)], may_leave=("outputs", "cache"))


def run_folder(folder: Path, number: int, rng: random.Random):
    """Resumes, compares or generates from a run whose files are damaged."""
    shutil.copytree(_BASE / "run", folder / "run")
    files = sorted(path for path in (folder / "run").rglob("*") if path.is_file())
    what = []
    for _ in range(rng.choice([1, 1, 2])):
        path = rng.choice([file for file in files if file.exists() and not file.is_symlink() and file.is_file()])
        what.append(f"{path.relative_to(folder)} {damage_file(path, rng)}")
    arguments = rng.choice(
        [
            ["compare", "run"],
            ["compare", "run", "--json"],
            ["train", "--resume", "run"],
            ["train", "--resume", "run", "rounds=4"],
            ["generate", "--run", "run"],
            ["finetune", "--pretrained", "run", *TINY[2:]],
        ]
    )
    with without_training():
        command, fault = _judged(folder, arguments, may_leave=("outputs", "run", "cache"), json="--json" in arguments)
    return f"{command}  # {', '.join(what)}", fault


def keras(folder: Path, number: int, rng: random.Random):
    """Fine-tunes from a damaged Keras file, up to the beginning of the training."""
    source = rng.choice(["model.keras", "model.h5"])
    shutil.copy(_BASE / source, folder / source)
    what = damage_file(folder / source, rng)
    with without_training():
        command, fault = _judged(folder, ["finetune", "--pretrained", source, *TINY[2:]], may_leave=("outputs",))
    return f"{command}  # {what}", fault


def csv(folder: Path, number: int, rng: random.Random):
    """Imports a damaged table."""
    table = folder / "table.csv"
    table.write_text(ROWS)
    what = damage_file(table, rng)
    command, fault = _judged(folder, ["data", "import", "farms", "table.csv", *IMPORT], may_leave=("cache",))
    return f"{command}  # {what}", fault


def sqlite(folder: Path, number: int, rng: random.Random):
    """Reads a damaged database, or its damaged description, from the cache."""
    shutil.copytree(_BASE / "cache", folder / "cache", dirs_exist_ok=True)
    path = rng.choice(sorted(path for path in (folder / "cache").rglob("*farms*") if path.is_file()))
    what = f"{path.relative_to(folder)} {damage_file(path, rng)}"
    arguments = rng.choice([["data", "inspect", "farms"], ["data", "list"], ["data", "inspect", "farms", "--json"]])
    command, fault = _judged(folder, arguments, may_leave=("cache",), json="--json" in arguments)
    return f"{command}  # {what}", fault


#: Each kind with its part of the inputs.
KINDS = {
    check_value: 0.6,
    override: 0.2,
    run_folder: 0.08,
    keras: 0.04,
    csv: 0.04,
    sqlite: 0.03,
    train: 0.01,
}
#: The kinds that damage a file of a run or of an import.
DAMAGED = {run_folder, keras, sqlite}
BY_NAME = {kind.__name__: kind for kind in KINDS}

_BASE = Path()


def prepare(base: Path) -> None:
    """Makes the sound files that inputs are damaged copies of, once."""
    global _BASE
    _BASE = base
    if (base / "ready").exists():
        return
    os.chdir(base)
    os.environ["FEDCLI_CACHE"] = str(base / "cache")
    (base / "table.csv").write_text(ROWS)
    for arguments in (
        ["data", "import", "farms", "table.csv", *IMPORT],
        ["train", *TINY, "checkpoint.every=1", "hydra.run.dir=run"],
    ):
        answer = run(arguments)
        assert answer.code == 0, (answer.stderr, answer.escaped)
    shutil.copy(base / "run" / "model.keras", base / "model.keras")
    import tensorflow as tf

    tf.keras.models.load_model(base / "model.keras").save(base / "model.h5", save_format="h5")
    (base / "ready").touch()


#: Keys that say where a run's folder is to be, in any place.
_PLACES = ("output_dir=", "hydra.run.dir=", "hydra.sweep.dir=", "hydra.sweep.subdir=")


def _judged(folder: Path, arguments, may_leave=(), json=False):
    """Runs a command in the folder and returns it with what is wrong with its answer."""
    os.chdir(folder)
    os.environ.update(FEDCLI_CACHE=str(folder / "cache"), HOME=str(folder), TMPDIR=str(folder / "tmp"))
    (folder / "tmp").mkdir()
    before, processes = files_below(folder), children()
    answer = run(arguments)
    fault = answer.fault() if not json or answer.escaped else None
    new = {path for path in files_below(folder) - before if path.split("/")[0] not in may_leave}
    if answer.code == 0 and any(argument.startswith(_PLACES) for argument in arguments):
        new = set()
    if fault is None and answer.code == 2:
        new |= {path for path in files_below(folder) - before if path.startswith("outputs")}
    if fault is None and new:
        fault = f"left behind: {sorted(new)[:3]}"
    if fault is None and (stay := children() - processes):
        fault = f"processes left behind: {stay}"
    return shlex.join(["fedcli", *arguments]), fault

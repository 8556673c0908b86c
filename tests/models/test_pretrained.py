import io
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedcli.datasets.base import DataSpec
from fedcli.errors import ConfigError, DataError, FedcliError
from fedcli.models.char_rnn import CharRNN
from fedcli.models.cnn import CNN
from fedcli.models.mlp import MLP
from fedcli.pretrained import (
    check_new_name,
    load_pretrained,
    pretrained_names,
    pretrained_path,
)
from fedcli.runs.checkpoints import CheckpointStore

SHARED = Path(__file__).parents[2].parent / "shared"
TEXT = DataSpec("text", (20,), "int32", (20,), 86, 1)
IMAGES = DataSpec("image", (28, 28, 1), "float32", (), 10, 1)
SMALL = CharRNN(embedding_dim=3, units=4)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDCLI_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FEDCLI_ORIGIN", raising=False)
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def keras_file(tensorflow, folder):
    """A small character RNN."""
    SMALL.export(TEXT).save(folder / "small.keras")
    return folder / "small.keras"


@pytest.fixture(scope="session")
def stateful_file(tensorflow, folder):
    """The study's kind of file: HDF5, a fixed batch, stateful, the reset gate before the product."""
    layers = tensorflow.keras.layers
    model = tensorflow.keras.Sequential(
        [
            layers.Embedding(86, 3, batch_input_shape=(8, None)),
            layers.GRU(4, return_sequences=True, stateful=True, reset_after=False),
            layers.Dense(86),
        ]
    )
    save_quietly(model, folder / "stateful.h5")
    return folder / "stateful.h5"


def save_quietly(model, path):
    import warnings

    with warnings.catch_warnings():
        # Keras asks for its new form of files.
        warnings.simplefilter("ignore", UserWarning)
        model.save(path, **({} if path.suffix == ".keras" else {"include_optimizer": False}))


def rewritten(source, target, change):
    """Copies a .keras file with its description changed."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "config.json":
                config = json.loads(data)
                change(config)
                data = json.dumps(config).encode()
            new.writestr(name, data)
    return str(target)


def refused(source, error=FedcliError, **options):
    """Returns the two lines with which a model is refused."""
    with pytest.raises(error) as caught:
        load_pretrained(str(source), **options)
    message, hint = caught.value.message, caught.value.hint
    assert message
    assert hint
    assert "\n" not in message + hint
    return f"{message} | {hint}"


def assert_same(weights, expected):
    for weight, other in zip(weights, expected, strict=True):
        np.testing.assert_array_equal(weight, other)


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".kerasmodel"])
@pytest.mark.parametrize(
    ("model", "spec"),
    [
        (SMALL, TEXT),
        (CharRNN(embedding_dim=2, units=3, reset_after=False), TEXT),
        (CNN(), IMAGES),
        (MLP(hidden_units=[7, 5, 6]), IMAGES),
        (MLP(hidden_units=[]), IMAGES),
    ],
)
def test_models_come_back_from_files(tensorflow, tmp_path, model, spec, suffix):
    keras = model.export(spec)
    path = tmp_path / f"model{suffix}"
    if suffix == ".keras":
        keras.save(path)
    else:
        save_quietly(keras, tmp_path / "model.h5")
        (tmp_path / "model.h5").rename(path)
    pretrained = load_pretrained(str(path))
    assert pretrained.model == model
    assert pretrained.num_classes == spec.num_classes
    assert pretrained.path == path
    pretrained.check(spec)
    assert_same(pretrained.weights, [*keras.trainable_weights, *keras.non_trainable_weights])
    built = model.build(spec)
    assert [tuple(weight.shape) for weight in pretrained.weights] == [tuple(v.shape) for v in built.trainable_weights]


def test_batch_size_and_state_do_not_matter(tensorflow, stateful_file):
    pretrained = load_pretrained(str(stateful_file))
    assert pretrained.model == CharRNN(embedding_dim=3, units=4, reset_after=False)
    assert_same(pretrained.weights, tensorflow.keras.models.load_model(stateful_file, compile=False).get_weights())


def test_dropout_and_softmax_do_not_matter(tensorflow, tmp_path):
    layers = tensorflow.keras.layers
    model = tensorflow.keras.Sequential(
        [
            layers.Embedding(86, 3, input_shape=(None,)),
            layers.Dropout(0.1),
            layers.GRU(4, return_sequences=True),
            layers.Dense(86),
            layers.Softmax(),
        ]
    )
    model.save(tmp_path / "model.keras")
    pretrained = load_pretrained(str(tmp_path / "model.keras"))
    assert pretrained.model == SMALL
    assert_same(pretrained.weights, model.get_weights())


def embedding_gru_dense(layers, **of_gru):
    gru = layers.GRU(4, return_sequences=True, **of_gru)
    return [layers.Embedding(86, 3, input_shape=(None,)), gru, layers.Dense(86)]


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("frozen", [["Embedding"], ["GRU", "Dense"], ["Embedding", "GRU", "Dense"]])
def test_layers_that_are_not_trainable_can_be_read_but_not_trained(tensorflow, tmp_path, frozen, suffix):
    layers = embedding_gru_dense(tensorflow.keras.layers)
    model = tensorflow.keras.Sequential(layers)
    for layer in layers:
        layer.trainable = type(layer).__name__ not in frozen
    path = tmp_path / f"frozen{suffix}"
    save_quietly(model, path)
    pretrained = load_pretrained(str(path))
    # In the order of the layers, whatever Keras calls them.
    assert_same(pretrained.weights, [weight for layer in layers for weight in layer.get_weights()])
    assert list(pretrained.frozen) == frozen
    pretrained.check(TEXT)
    with pytest.raises(ConfigError, match="not trainable") as caught:
        pretrained.check_trainable()
    assert ", ".join(frozen) in caught.value.message
    assert "trainable = True" in caught.value.hint


def test_a_model_that_is_not_trainable_as_a_whole(keras_file, tmp_path):
    path = rewritten(keras_file, tmp_path / "frozen.keras", lambda config: config["config"].update(trainable=False))
    assert load_pretrained(path).frozen == ("Embedding", "GRU", "Dense")
    assert load_pretrained(str(keras_file)).frozen == ()
    load_pretrained(str(keras_file)).check_trainable()


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_settings_of_the_training_are_told(tensorflow, tmp_path, suffix):
    keras = tensorflow.keras
    layers = embedding_gru_dense(
        keras.layers, dropout=0.25, kernel_regularizer="l2", recurrent_constraint=keras.constraints.MaxNorm(2)
    )
    path = tmp_path / f"model{suffix}"
    save_quietly(keras.Sequential([*layers[:1], keras.layers.Dropout(0.1), *layers[1:]]), path)
    assert set(load_pretrained(str(path)).left_out) == {
        "Dropout of 0.1",
        "dropout=0.25 of GRU",
        "kernel_regularizer of GRU",
        "recurrent_constraint of GRU",
    }


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_moving_averages_are_refused(tensorflow, tmp_path, suffix):
    layers = tensorflow.keras.layers
    model = tensorflow.keras.Sequential(
        [layers.Flatten(input_shape=(28, 28, 1)), layers.BatchNormalization(), layers.Dense(10)]
    )
    save_quietly(model, tmp_path / f"model{suffix}")
    assert "a layer of class BatchNormalization" in refused(tmp_path / f"model{suffix}", ConfigError)


def test_dickens_has_the_logits_of_kerass_own_loader(tensorflow, monkeypatch, cache):
    mirror = SHARED / "mirror"
    if not mirror.exists():
        pytest.skip("the mirror of the public bucket, ../shared/mirror, is not on this machine")
    monkeypatch.setenv("FEDCLI_ORIGIN", mirror.resolve().as_uri())
    pretrained = load_pretrained("dickens")
    assert pretrained.model == CharRNN(reset_after=False)
    assert pretrained.path.is_relative_to(cache)
    assert sum(weight.size for weight in pretrained.weights) == 4_045_398
    model = pretrained.model.build(TEXT)
    model.set_weights(pretrained.weights)
    ids = np.random.default_rng(0).integers(0, 86, (1, 20)).astype(np.int32)
    keras = tensorflow.keras.models.load_model(
        mirror / "tff-models-public" / "dickens_rnn.batch1.kerasmodel", compile=False
    )
    np.testing.assert_allclose(model(ids), keras(ids), rtol=1e-4, atol=1e-4)


def test_damaged_download_is_not_kept(tmp_path, cache):
    published = tmp_path / "origin" / "tff-models-public" / "dickens_rnn.batch1.kerasmodel"
    published.parent.mkdir(parents=True)
    published.write_bytes(b"<html>not found</html>")
    assert "not a Keras file" in refused("dickens", DataError, origin=(tmp_path / "origin").as_uri())
    assert not list(cache.rglob("*.kerasmodel"))


def test_names(keras_file):
    assert pretrained_names() == ["dickens"]
    made = pretrained_path("mydickens")
    made.parent.mkdir(parents=True)
    shutil.copy(keras_file, made)
    (made.parent.parent / "unfinished").mkdir()
    assert pretrained_names() == ["dickens", "mydickens"]
    assert load_pretrained("mydickens").path == made
    assert "did you mean mydickens? names: dickens, mydickens" in refused("mydickans", ConfigError)
    assert "did you mean dickens?" in refused("dickns", ConfigError)
    assert "no pretrained model" in refused("unfinished", ConfigError)
    assert "no pretrained model" in refused("", ConfigError)
    assert "no pretrained model" in refused("\0", ConfigError)


def test_names_in_another_cache(keras_file, tmp_path):
    made = pretrained_path("elsewhere", tmp_path / "other")
    made.parent.mkdir(parents=True)
    shutil.copy(keras_file, made)
    assert pretrained_names(tmp_path / "other") == ["dickens", "elsewhere"]
    assert load_pretrained("elsewhere", cache_dir=tmp_path / "other").model == SMALL


@pytest.mark.parametrize("name", ["dickens", "", "a/b", "..", ".hidden", "model.keras", "a b", "x" * 65])
def test_names_that_a_new_model_cannot_have(name):
    with pytest.raises(ConfigError) as caught:
        check_new_name(name)
    assert caught.value.hint
    check_new_name("my-dickens_2.1")


@pytest.mark.parametrize("path", ["no/such/file", "nothing.keras", "nothing.h5"])
def test_missing_path(path):
    assert "no such file" in refused(path, ConfigError)


def test_a_model_for_something_else(tensorflow, keras_file, tmp_path):
    CNN().export(IMAGES).save(tmp_path / "cnn.keras")
    cnn, text = load_pretrained(str(tmp_path / "cnn.keras")), load_pretrained(str(keras_file))
    with pytest.raises(ConfigError, match=r"model for image: cnn \(10 classes\)") as caught:
        cnn.check(TEXT)
    assert "model for text with 86 characters" in caught.value.hint
    with pytest.raises(ConfigError, match="model for text"):
        text.check(IMAGES)
    with pytest.raises(ConfigError, match="predicts 10 classes") as caught:
        cnn.check(DataSpec("image", (28, 28, 1), "float32", (), 62, 1))
    assert "62 classes" in caught.value.hint
    with pytest.raises(ConfigError, match="86 characters"):
        text.check(DataSpec("text", (20,), "int32", (20,), 90, 1))


def set_in_layer(kind, **changes):
    def change(config):
        layer = next(entry for entry in config["config"]["layers"] if entry["class_name"] == kind)
        layer["config"].update(changes)

    return change


def set_in_entry(kind, **changes):
    def change(config):
        next(entry for entry in config["config"]["layers"] if entry["class_name"] == kind).update(changes)

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (set_in_layer("GRU", recurrent_activation="hard_sigmoid"), "recurrent_activation=hard_sigmoid"),
        (set_in_layer("GRU", return_sequences=False), "return_sequences=False"),
        (set_in_layer("Dense", activation="relu"), "Dense has activation=relu"),
        (set_in_layer("Embedding", mask_zero=True), "mask_zero=True"),
        (set_in_layer("Dense", units=87), "reads 86 characters and predicts 87"),
        (set_in_layer("GRU", units=5), "damaged: its weights have the shapes"),
        (set_in_layer("GRU", units="many"), "damaged"),
        (set_in_layer("GRU", units=None), "damaged"),
        (set_in_entry("Dense", class_name="Lambda"), "layer of class Lambda"),
        (set_in_entry("GRU", class_name="LSTM"), "layer of class LSTM"),
        (set_in_entry("Dense", module="os", class_name="Dense"), "needs code from os"),
        (set_in_entry("Dense", module="keras_evil.layers"), "needs code from keras_evil.layers"),
        (set_in_entry("Dense", registered_name="evil>Dense"), "custom object, evil>Dense"),
        (lambda config: config.update(class_name="Functional"), "model of class Functional"),
        (lambda config: config.update(module="evil"), "needs code from evil"),
        (lambda config: config["config"]["layers"].pop(), "has the layers InputLayer, Embedding, GRU"),
        (lambda config: config["config"]["layers"].clear(), "has the layers (none)"),
        (lambda config: config.pop("config"), "damaged"),
    ],
)
def test_descriptions_that_do_not_fit(keras_file, tmp_path, change, said):
    assert said in refused(rewritten(keras_file, tmp_path / "changed.keras", change))


def test_no_code_of_a_lambda_layer_runs(tensorflow, tmp_path):
    ran = str(tmp_path / "ran")
    layers = tensorflow.keras.layers
    # Keras stores the bytecode, which would make a folder; lambdas that were merely refused late would show here.
    model = tensorflow.keras.Sequential(
        [layers.Embedding(86, 3, input_shape=(None,)), layers.Lambda(lambda x: (__import__("os").mkdir(ran), x)[1])]
    )
    Path(ran).rmdir()
    model.save(tmp_path / "lambda.keras")
    save_quietly(model, tmp_path / "lambda.h5")
    for suffix in ("keras", "h5"):
        assert "layer of class Lambda" in refused(tmp_path / f"lambda.{suffix}", ConfigError)
    assert not Path(ran).exists()


@pytest.mark.parametrize("kind", ["keras_file", "stateful_file"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_truncated_file(request, tmp_path, kind, share):
    data = request.getfixturevalue(kind).read_bytes()
    (tmp_path / "cut.keras").write_bytes(data[: int(len(data) * share)])
    assert "truncated or damaged" in refused(tmp_path / "cut.keras", DataError)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_file_is_an_error_for_people(keras_file, stateful_file, tmp_path_factory, data):
    source = data.draw(st.sampled_from([keras_file, stateful_file]))
    content = bytearray(source.read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "model"
    path.write_bytes(content)
    errors = []
    try:
        load_pretrained(str(path))  # some bytes of a file mean nothing
    except FedcliError as error:
        errors.append(error)
    assert all(error.hint and "\n" not in error.message + error.hint for error in errors)


def test_other_files(tmp_path):
    (tmp_path / "text.keras").write_text("hello")
    assert "not a Keras file" in refused(tmp_path / "text.keras", DataError)
    (tmp_path / "empty.keras").touch()
    assert "is empty" in refused(tmp_path / "empty.keras", DataError)
    with zipfile.ZipFile(tmp_path / "zip.keras", "w") as archive:
        archive.writestr("hello", "world")
    assert "no Keras model" in refused(tmp_path / "zip.keras", ConfigError)
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file["weights"] = [1.0]
    assert "no Keras model" in refused(tmp_path / "weights.h5", ConfigError)
    assert "not a run directory" in refused(tmp_path, ConfigError)


def test_archive_that_unpacks_to_far_more(keras_file, tmp_path):
    bomb = tmp_path / "bomb.keras"
    with zipfile.ZipFile(keras_file) as old, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as new:
        new.writestr("config.json", old.read("config.json"))
        new.writestr("model.weights.h5", bytes(10**8))
    assert "unpacks to 100000000 bytes" in refused(bomb, DataError)


def test_weights_kept_outside_of_the_file(keras_file, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(10**5))
    with zipfile.ZipFile(keras_file) as old:
        weights = io.BytesIO(old.read("model.weights.h5"))
        with h5py.File(weights, "r+") as file:
            variables = file["_layer_checkpoint_dependencies/embedding/vars"]
            del variables["0"]
            variables.create_dataset("0", (86, 3), "f4", external=[(str(secret), 0, 86 * 3 * 4)])
        with zipfile.ZipFile(tmp_path / "external.keras", "w") as new:
            new.writestr("config.json", old.read("config.json"))
            new.writestr("model.weights.h5", weights.getvalue())
    assert "does not hold its" in refused(tmp_path / "external.keras", DataError)


def test_weights_that_are_not_finite(stateful_file, tmp_path):
    path = tmp_path / "nan.h5"
    shutil.copy(stateful_file, path)
    with h5py.File(path, "r+") as file:
        layer = next(name for name in file["model_weights"] if "dense" in name)
        file[f"model_weights/{layer}/{layer}/bias:0"][3] = np.nan
    assert "not finite" in refused(path, DataError)


CONFIG = """
dataset: {name: shakespeare}
model: {name: char_rnn, embedding_dim: 3, units: 4}
"""


def make_run(folder, weights):
    (folder / "config.yaml").write_text(CONFIG)
    tensors = [("distributor", np.zeros(2)), ("finalizer/0", np.zeros((86, 3), np.float32))]
    tensors += [(f"global_model_weights/trainable/{i}", weight) for i, weight in enumerate(weights)]
    CheckpointStore(folder / "checkpoints").save(3, tensors, {})


def test_run_directory(tensorflow, keras_file, tmp_path):
    keras = SMALL.export(TEXT)
    make_run(tmp_path, keras.get_weights())
    pretrained = load_pretrained(str(tmp_path))
    assert (pretrained.model, pretrained.num_classes, pretrained.path.name) == (SMALL, 86, "round_000003.npz")
    assert_same(pretrained.weights, keras.get_weights())
    pretrained.check(TEXT)
    # The final model, once there is one.
    shutil.copy(keras_file, tmp_path / "model.keras")
    pretrained = load_pretrained(str(tmp_path))
    assert pretrained.path.name == "model.keras"
    assert_same(pretrained.weights, load_pretrained(str(keras_file)).weights)


def test_run_whose_keras_file_has_other_layers(tensorflow, keras_file, tmp_path):
    make_run(tmp_path, SMALL.export(TEXT).get_weights())
    rewritten(keras_file, tmp_path / "model.keras", set_in_entry("GRU", class_name="Theirs"))
    assert load_pretrained(str(tmp_path)).path.name == "round_000003.npz"


def test_run_without_a_model(tmp_path):
    (tmp_path / "config.yaml").write_text(CONFIG)
    assert "neither a model.keras nor a checkpoint" in refused(tmp_path, ConfigError)


def test_run_with_a_broken_config(tmp_path):
    make_run(tmp_path, [np.zeros(1, np.float32)])
    (tmp_path / "config.yaml").write_text("rounds: 5")
    assert "config.yaml cannot be read" in refused(tmp_path, DataError)


def test_loading_imports_no_tensorflow(keras_file):
    code = (
        "import sys; from fedcli.pretrained import load_pretrained; "
        "from fedcli.models.generation import TextGenerator; "
        f"p = load_pretrained({str(keras_file)!r}); print(len(''.join(TextGenerator(p.model, p.weights)"
        ".generate('So', 5)))); sys.exit('tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "5\n"), done.stderr

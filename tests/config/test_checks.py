import pytest

from fedcli.cli.hydra_bridge import HydraRequest, compose
from fedcli.config.checks import check, check_clients_per_round
from fedcli.config.schema import TrainConfig
from fedcli.errors import ConfigError


def composed(*overrides):
    # Keys of a choice are forced, as the command line does it.
    return compose(HydraRequest("train", [f"++{o}" if "." in o else o for o in overrides], "abcdef"), TrainConfig)


def refusal(*overrides):
    # Some values are refused by the component, some by what looks at the whole.
    with pytest.raises(ConfigError) as caught:
        check(composed(*overrides))
    return caught.value


def test_the_default_is_accepted():
    check(composed())


@pytest.mark.parametrize(
    ("key", "least"),
    [
        ("rounds", 0),
        ("seed", 0),
        ("clients_per_round", 1),
        ("eval.every", 1),
        ("eval.batch_size", 1),
        ("eval.max_examples", 1),
        ("checkpoint.every", 1),
        ("checkpoint.keep", 1),
        ("dataset.batch_size", 1),
        ("dataset.client_epochs", 1),
        ("dataset.max_batches_per_client", 1),
        ("runtime.threads", 1),
        ("runtime.group_size", 1),
    ],
)
def test_numbers_have_a_least_value(key, least):
    check(composed(f"{key}={least}"))
    error = refusal(f"{key}={least - 1}")
    assert error.message.startswith(f"{key}={least - 1}: must be from {least} to ")
    assert f"{key}=VALUE" in error.hint


@pytest.mark.parametrize(("dataset", "clients"), [("digits", 13), ("emnist", 3383), ("shakespeare", 715)])
def test_no_more_clients_a_round_than_there_are(dataset, clients):
    model = "model=char_rnn" if dataset == "shakespeare" else "model=cnn"
    check(composed(f"dataset={dataset}", model, f"clients_per_round={clients}"))
    error = refusal(f"dataset={dataset}", model, f"clients_per_round={clients + 1}")
    assert error.message == f"clients_per_round={clients + 1}: dataset={dataset} has {clients} clients"
    assert error.hint == f"set clients_per_round to at most {clients}"


def test_62_classes_have_3400_writers():
    check(composed("dataset=emnist", "dataset.only_digits=false", "clients_per_round=3400"))
    assert "3400 clients" in refusal("dataset=emnist", "dataset.only_digits=false", "clients_per_round=3401").message


def test_the_loaded_number_of_clients_counts():
    with pytest.raises(ConfigError, match="has 3 clients"):
        check_clients_per_round(composed("clients_per_round=4"), 3)


@pytest.mark.parametrize(
    ("dataset", "model", "fitting"),
    [
        ("shakespeare", "cnn", "char_rnn"),
        ("shakespeare", "mlp", "char_rnn"),
        ("digits", "char_rnn", "cnn, mlp"),
        ("emnist", "char_rnn", "cnn, mlp"),
    ],
)
def test_the_model_fits_the_data(dataset, model, fitting):
    error = refusal(f"dataset={dataset}", f"model={model}")
    assert error.message.startswith(f"model={model} takes")
    assert error.hint.endswith(fitting)


@pytest.mark.parametrize(
    ("overrides", "field"),
    [
        (["model=mlp", "model.hidden_units=[200,0]"], "model.hidden_units"),
        (["model=char_rnn", "dataset=shakespeare", "model.units=0"], "model.units"),
        (["client_optimizer.momentum=1"], "client_optimizer.momentum"),
        (["server_optimizer=adam", "server_optimizer.beta_2=1.5"], "server_optimizer.beta_2"),
        (["server_optimizer=yogi", "server_optimizer.epsilon=-1"], "server_optimizer.epsilon"),
        (["runtime=tff", "runtime.start_timeout=0"], "runtime.start_timeout"),
    ],
)
def test_components_refuse_values_that_make_no_sense(overrides, field):
    assert refusal(*overrides).message.startswith(f"{field}=")


def test_a_model_without_sub_models_is_refused():
    error = refusal("dataset=shakespeare", "model=char_rnn", "distributor=federated_dropout")
    assert error.message.startswith("model=char_rnn has no sub-models")
    assert error.hint.endswith("cnn, mlp")
    assert "hidden" in refusal("model=mlp", "model.hidden_units=[]", "distributor=federated_dropout").message
    for model in ("cnn", "mlp"):
        check(composed(f"model={model}", "distributor=federated_dropout"))


def test_an_algorithm_without_sub_models_is_refused(monkeypatch):
    from fedcli.algorithms.fed_avg import FedAvg

    config = composed("distributor=federated_dropout")
    monkeypatch.setattr(FedAvg, "takes_sub_models", False)
    with pytest.raises(ConfigError, match="algorithm=fed_avg takes no sub-models"):
        check(config)


@pytest.mark.parametrize("optimizer", ["client_optimizer=sgd", "client_optimizer.momentum=0"])
def test_mime_lite_without_a_momentum_is_refused(optimizer):
    assert "no momentum to share" in refusal("algorithm=mime_lite", optimizer).message
    check(composed("algorithm=mime_lite", "client_optimizer=adam"))


def test_a_schedule_of_no_optimizer_is_refused():
    assert refusal("algorithm=fed_sgd", "client_schedule=cosine").hint == "choose server_schedule instead"
    check(composed("algorithm=fed_sgd", "server_schedule=cosine"))


@pytest.mark.parametrize("key", ["keep=0.5", "bits=0", "code=elias", "stateful_clients=true"])
def test_a_distributors_wrong_keys_are_refused(key):
    distributor = "quantize" if key.startswith(("keep", "bits", "code")) else "federated_dropout"
    assert f"distributor.{key.split('=')[0]}" in refusal(f"distributor={distributor}", f"distributor.{key}").message


def test_output_dir_is_not_empty():
    assert refusal("output_dir=''").message.startswith("output_dir=")

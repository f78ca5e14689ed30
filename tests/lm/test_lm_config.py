"""Settings are complete, come back from JSON as they were, and complain with field and value."""

from dataclasses import FrozenInstanceError, asdict, fields

import pytest

from curvature.lm.config import TrainConfig

BAD = {
    "arm": "grpo",
    "optimizer": "adam",
    "schedule": "step",
    "loss": "mean",
    "dtype": "int8",
    "seed": -1,
    "steps": 0,
    "prompts_per_step": 1.5,
    "group_size": 1,
    "max_new_tokens": True,
    "temperature": 0.0,
    "learning_rate": float("nan"),
    "eps": 0,
    "betas": (0.9, 1.0),
    "momentum": 2,
    "weight_decay": -0.1,
    "overlap": 1.01,
    "max_grad_norm": 0.0,
    "keys": "gsm8k/train/1",
    "task_options": {"digits": object()},
    "task": "",
    "device": 0,
    "record_rollouts": 1,
    "stop_silent_steps": 0,
    "eval_questions": -3,
}


@pytest.mark.parametrize(("name", "value"), BAD.items())
def test_a_field_outside_its_domain_is_named_with_its_value(name, value):
    with pytest.raises(ValueError, match=name) as caught:
        TrainConfig(**{name: value})
    assert str(caught.value).startswith(f"{name} ")
    shown = repr(value)
    assert shown[:12] in str(caught.value)


def test_settings_come_back_from_json_as_they_were():
    config = TrainConfig(
        keys=["a", "b"],
        betas=[0.8, 0.95],
        task_options={"num_questions": 9, "digits": (1, 2)},
        max_grad_norm=1.0,
        learning_rate=1 / 3,
        eval_task_options={"split": "test"},
    )
    again = TrainConfig.from_json(config.to_json())
    assert again == config
    assert again.keys == ("a", "b")
    assert again.to_json() == config.to_json()


def test_a_part_of_the_settings_leaves_the_rest_at_their_defaults():
    assert TrainConfig.from_json('{"arm": "none"}') == TrainConfig(arm="none")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "the settings are no JSON"),
        ("[]", r"the settings are \[\]; a JSON object"),
        ('{"arms": "none"}', "there is no setting 'arms'"),
        ('{"arm": "nune"}', "arm is 'nune'"),
    ],
)
def test_bad_json_is_refused_in_a_sentence(text, sentence):
    with pytest.raises(ValueError, match=sentence):
        TrainConfig.from_json(text)


def test_evaluations_without_questions_are_refused():
    with pytest.raises(ValueError, match="eval_every is 5, but eval_questions is 0"):
        TrainConfig(eval_every=5, eval_questions=0)


def test_settings_cannot_change():
    config = TrainConfig()
    with pytest.raises(FrozenInstanceError):
        config.arm = "none"


def test_every_setting_is_documented_with_its_default():
    text = TrainConfig.__doc__
    for entry in fields(TrainConfig):
        assert f"\n    {entry.name} : " in text, f"{entry.name} is not documented"
    assert set(asdict(TrainConfig())) == {entry.name for entry in fields(TrainConfig)}

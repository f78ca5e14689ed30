"""``curvature lm probe`` from the command line, with real sampling and grading of a tiny model."""

import argparse
import json

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from curvature._lm_probe_command import add_parser
from curvature.lm.probe import ProbeResult


def run(*argv):
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    arguments = parser.parse_args(["probe", *argv])
    return arguments.run(arguments)


TINY = ("tiny:width=16,layers=1", "--task", "arithmetic", "--prompts", "3", "--group-size", "4")


def test_command_samples_grades_probes_and_writes(tmp_path, capsys):
    out = tmp_path / "made" / "probe.json"
    assert run(*TINY, "--max-new-tokens", "2", "--step", "7", "--seed", "3", "--out", str(out)) == 0
    found = ProbeResult.from_json(out.read_text())
    assert found.rewards.shape == (3, 4)
    assert (found.lengths <= 2).all()
    assert (found.config["step"], found.config["seed"]) == (7, 3)
    assert str(tmp_path) not in out.read_text()
    assert "gradient cosines, raw" in capsys.readouterr().out


def test_same_seed_gives_the_same_numbers(tmp_path):
    for name in "ab":
        assert run(*TINY, "--max-new-tokens", "2", "--out", str(tmp_path / name)) == 0
    assert json.loads((tmp_path / "a").read_text()) == json.loads((tmp_path / "b").read_text())


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("tiny:width=16", "--task", "gsm8k"), "needs --data"),
        ((*TINY[:3], "--group-size", "3"), "group_size is 3"),
        ((*TINY, "--parameters", "lora"), "'lora'"),
    ],
)
def test_bad_argument_is_one_sentence_and_writes_nothing(tmp_path, capsys, argv, message):
    out = tmp_path / "probe.json"
    assert run(*argv, "--out", str(out)) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()

"""GSM8K and MATH go all the way with a policy that gets nothing right: every part is there, and made once."""

import json
from dataclasses import replace

import pytest

pytest.importorskip("transformers")
pytest.importorskip("pyarrow")
pytest.importorskip("peft")

from experiments import lm_real
from experiments._lm_scales import SCALES, SETS

TOY = replace(
    SCALES["tiny"],
    pool=4,
    pool_group_size=2,
    steps=2,
    tuning_steps=1,
    learning_rates=(1e-4, 2e-4),
    prompts_per_step=2,
    group_size=4,
    max_new_tokens=3,
    lora_rank=2,
    probe_prompts=2,
    probe_at=(0.0, 1.0),
    probe_parameters="lora",
)
MODEL = "tiny:width=16,layers=1"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    rows = {
        "gsm8k": [{"question": f"What is {n} and one?", "answer": f"Add.\n#### {n + 1}"} for n in range(6)],
        "math": [
            {
                "problem": f"Find {n}/3.",
                "solution": rf"It is $\boxed{{\frac{{{n}}}{{3}}}}$.",
                "level": "Level 2",
            }
            for n in range(6)
        ],
    }
    for name, entries in rows.items():
        (folder / name).mkdir()
        (folder / name / "train.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return folder


def run(data, work, model=MODEL):
    lm_real.run(
        model, "a toy", data, TOY, work / "work", work / "results", sets=("gsm8k_easy", "math"), threads=1
    )


@pytest.fixture(scope="module")
def done(data, tmp_path_factory):
    work = tmp_path_factory.mktemp("real")
    run(data, work)
    return work


@pytest.mark.parametrize("name", ["gsm8k_easy", "math"])
def test_every_part_is_there_and_says_what_it_is_of(done, name):
    place = done / "results" / name
    found = {path.name for path in place.iterdir()}
    last = [f"probe_{arm}-adamw-lr0.0001-seed0_step2.json" for arm in TOY.arms]
    assert found >= {"config.json", "curves.csv", "tuning.csv", "comparison.json", "probe_start.json", *last}
    config = json.loads((place / "config.json").read_text())
    assert (config["model"], config["set"]) == ("a toy", name)
    # Nobody gets a right answer, so the easy part is empty, and that is told.
    assert config["split"]["num_never"] == config["num_questions"] == TOY.pool
    assert [row["tokens"] for row in config["runs"]] == [row["tokens"] for row in config["runs"][:1]] * 2
    for path in place.iterdir():
        assert str(done) not in path.read_text(), f"{path.name} names a folder of this machine"


def test_a_second_call_computes_nothing_again(done, data):
    kept = {path: path.stat().st_mtime_ns for path in (done / "work").rglob("*.json*")}
    kept.pop(done / "work" / "made_for.json")
    run(data, done)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_another_model_does_not_go_on_with_the_work_of_this_one(done, data):
    with pytest.raises(ValueError, match="was begun for tiny:width=16,layers=1 or"):
        run(data, done, model="tiny:width=16,layers=2")


def test_scales_probe_at_steps_that_are_kept():
    for sizes in SCALES.values():
        kept = {0, sizes.steps // 2, sizes.steps}
        assert {round(share * sizes.steps) for share in sizes.probe_at} <= kept
        assert set(sizes.sets) <= set(SETS)

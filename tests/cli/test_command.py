"""The command as a user meets it: real processes, real files."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import types

import pytest
import torch
from tests import processes

import archwright as aw
from archwright.errors import SpaceError
from archwright.evaluate import Stopped
from archwright.export import save_best

DATA = ["search", "iris", "--space", "mlp", "--epochs", "2", "--seed", "3"]
SEARCH = [*DATA, "--strategy", "evolution", "--scheduler", "full"]


@pytest.fixture(scope="module")
def run(tmp_path_factory, command):
    """A finished search."""
    folder = tmp_path_factory.mktemp("cli") / "run"
    done = command(*SEARCH, "--trials", 3, "--out", folder)
    assert done.returncode == 0, done.stderr
    return folder, done


def test_a_search_says_what_it_does_and_where_the_network_lies(run):
    folder, done = run
    for said in ("iris", "mlp", "3 trials", "seed 3", "test_accuracy", str(folder / "best"), "model.py"):
        assert said in done.stdout
    assert len(re.findall(r"^trial +\d", done.stderr, flags=re.MULTILINE)) == 3


@pytest.mark.parametrize(
    ("chosen", "told"),
    [({}, "1000 False"), ({"GOMP_SPINCOUNT": "7"}, "7 False"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None False")],
)
def test_threads_are_told_to_rest_before_torch_is_loaded(chosen, told):
    script = (
        "import os, sys; from archwright.cli import _app; "
        "_app.app = lambda **_: print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules); _app.main()"
    )
    env = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env | chosen, timeout=60)
    assert done.stdout.strip() == told, done.stderr


def test_what_data_may_mean_is_said_in_a_line(tmp_path, in_process):
    table = tmp_path / "wine.csv"
    table.write_text("acid,quality\n" + "".join(f"{row},{3 + row % 7}\n" for row in range(70)))
    _, out, err = in_process(
        "search", table, "--trials", 1, "--epochs", 1, "--no-final", "--out", tmp_path / "run", "--json"
    )
    assert json.loads(out)["trials"]["complete"] == 1
    assert err.startswith(f"warning: {table}: the labels in the column 'quality' are whole numbers from 3 to 9")
    assert err.count("\n") == 1


def test_json_is_one_document_and_nothing_else(tmp_path, in_process):
    status, out, err = in_process(*SEARCH, "--trials", 2, "--no-final", "--out", tmp_path / "run", "--json")
    assert status == 0, err
    summary = json.loads(out)
    assert summary["trials"]["complete"] == 2
    assert summary["test"] is None


def test_show_gives_what_scripts_rely_on(run, in_process):
    folder, _ = run
    summary = json.loads(in_process("show", folder, "--json")[1])
    assert summary["trials"] == {"running": 0, "complete": 3, "pruned": 0, "infeasible": 0, "failed": 0}
    assert summary["objectives"] == ["max accuracy"]
    assert (summary["space"], summary["strategy"], summary["seed"]) == ("mlp", "evolution", 3)
    assert set(summary["best"]) >= {"architecture", "metrics"}
    assert 0 <= summary["best"]["metrics"]["accuracy"] <= 1
    assert 0 <= summary["test"]["test_accuracy"] <= 1
    assert summary["seconds"] > 0


def test_show_lists_the_best_first(run, in_process):
    folder, _ = run
    shown = in_process("show", folder, "--top", 2)[1].splitlines()
    heading = next(line.split() for line in shown if line.split()[:2] == ["trial", "accuracy"])
    rows = [line.split() for line in shown if re.match(r" *\d+ ", line)]
    accuracies = [float(row[heading.index("accuracy")]) for row in rows]
    assert len(rows) == 2
    assert "the best 2 of 3 complete trials; --top lists more" in shown
    assert accuracies == sorted(accuracies, reverse=True)


def test_what_is_shown_of_fidelities_and_of_trials_that_are_not_complete(tmp_path, in_process):
    def evaluate(candidate):
        candidate.report(1, value=candidate.architecture["x"])
        raise Stopped("out of time")

    study = aw.Study(aw.Space(x=aw.integer(0, 9)), fidelity={"epochs": (1, 4)}, scheduler="asha", path=tmp_path / "a")
    study.run(lambda candidate: candidate.architecture["x"], aw.Budget(trials=2)).close()
    shown = in_process("show", tmp_path / "a")[1]
    assert re.search(r"trial +fidelity +value", shown)
    assert re.search(r"\d +epochs 4 ", shown)
    aw.Study(aw.Space(x=aw.integer(0, 9)), path=tmp_path / "b").run(evaluate, aw.Budget(trials=1)).close()
    assert re.search(r"best +trial 0 \(pruned: none is complete\): value", in_process("show", tmp_path / "b")[1])


def test_show_ends_as_the_search_did(run, in_process):
    folder, done = run
    end = done.stdout[done.stdout.index("\nbest ") :]
    assert "\nuncertainty  accuracy " in end
    assert "standard error over 30 test samples" in end
    shown = in_process("show", folder)[1]
    assert shown.endswith(end)
    assert [line for line in (done.stdout + shown).splitlines() if line != line.rstrip()] == []


def test_the_data_are_shown_before_a_search_is_prepared(tmp_path, monkeypatch, in_process):
    def stop(*_, **__):
        raise SpaceError("stopped")

    monkeypatch.setattr("archwright.study._search.choose", stop)
    status, out, err = in_process(*SEARCH, "--trials", 1, "--out", tmp_path / "run")
    assert (status, err) == (2, "archwright: stopped\n")
    assert out.startswith("data         Data('iris'")
    assert out.count("\n") == 1


def test_a_run_folder_may_be_named_like_markup(run, tmp_path, in_process):
    folder = tmp_path / "runs" / "[" / "v2]"
    shutil.copytree(run[0], folder)
    status, out, err = in_process("show", folder)
    assert status == 0, err
    assert str(folder) in out
    status, out, err = in_process("show", tmp_path / "[bold]none[/]")
    assert status == 2
    assert "[bold]none[/]" in err


def test_resume_adds_trials_and_keeps_the_old_ones(run, in_process):
    folder, _ = run
    before = json.loads(in_process("show", folder, "--json")[1])
    status, out, err = in_process("resume", folder, "--trials", 5, "--json")
    assert status == 0, err
    after = json.loads(out)
    assert after["trials"]["complete"] == 5
    assert after["seconds"] > before["seconds"]


def test_export_gives_files_that_load(run, tmp_path, in_process):
    folder, _ = run
    out = tmp_path / "the network's"
    status, told, _ = in_process("export", folder, "--out", out)
    assert status == 0
    assert f"python {shlex.quote(str(out / 'predict.py'))} FILE..." in " ".join(told.split())
    assert f"This is the network of trial {aw.load(folder).best.trial.number}." in told
    script = (
        "import torch; from safetensors.torch import load_file; from model import build\n"
        "net = build(); net.load_state_dict(load_file('weights.safetensors'))\n"
        "print(net.eval()(torch.zeros(2, 4)).shape)"
    )
    done = processes.run("-c", script, cwd=out)
    assert done.stdout.strip() == "torch.Size([2, 3])", done.stderr


def test_an_export_without_source_says_so(tmp_path, in_process):
    space = aw.Space(model=aw.lazy(lambda: torch.nn.Tanh())(), example_input=(2,))
    reason = save_best(tmp_path, space=space, architecture=space.canonical({}), metrics={})
    assert "cannot be copied" in reason
    status, out, _ = in_process("export", tmp_path, "--out", tmp_path / "out")
    assert status == 0
    assert "There is no network" in out


@pytest.mark.parametrize(
    ("kind", "some"),
    [
        ("spaces", {"mlp", "convnet", "resnet", "nasbench201", "darts"}),
        ("strategies", {"random", "grid", "local-search", "evolution"}),
        ("data", {"digits"}),
        ("schedulers", {"full", "asha", "hyperband", "median"}),
        ("proxies", {"naswot", "zico", "parameters"}),
    ],
)
def test_list_names_all_with_a_line_each(kind, some, in_process):
    listed = json.loads(in_process("list", kind, "--json")[1])
    assert some <= {entry["name"] for entry in listed}
    assert all(entry["summary"] for entry in listed)
    plain = in_process("list", kind)[1]
    assert all(name in plain for name in some)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["search", "digitz"], ["digitz", "digits"]),
        (["search", "iris", "--space", "mpl"], ["mpl", "mlp", "convnet"]),
        (["search", "iris", "--strategy", "evolutoin"], ["evolutoin", "evolution", "random"]),
        (["search", "iris", "--space", "convnet"], ["convnet", "mlp"]),
        (["search", "iris", "--workers", "all"], ["workers", "'all'", "auto"]),
        (["search", "iris", "--trials", "0"], ["trials"]),
        (["search", "iris", "--augment", "flip"], ["flip", "no augmentations"]),
        (["search", "no/such/folder"], ["no/such/folder"]),
        (["show", "no/such/run"], ["no/such/run"]),
        (["resume", "no/such/run"], ["no/such/run"]),
        (["export", "no/such/run", "--out", "x"], ["no/such/run"]),
        (["search", "iris", "--scheduler", "ahsa"], ["ahsa", "asha", "hyperband"]),
        (["search", "iris", "--scheduler", "asha:eta=1"], ["eta", "above 1"]),
        (["search", "iris", "--scheduler", "asha:eta"], ["asha:eta", "name=value"]),
        (["search", "iris", "--fidelity", "epochs"], ["'epochs'", "epochs=1:9,data=0.25:1"]),
        (["search", "iris", "--fidelity", "epoch=1:2"], ["'epoch'", "epochs", "seconds"]),
        (["search", "iris", "--fidelity", "epochs=2:1"], ["epochs", "reversed"]),
        (
            ["search", "iris", "--scheduler", "hyperband", "--fidelity", "epochs=1:729", "--trials", "4"],
            ["729", "asha"],
        ),
        (["search", "iris", "--screen", "naswott"], ["naswott", "naswot"]),
        (["search", "iris", "--screen", "naswot:1"], ["naswot:1", "2 or more"]),
        (["search", "iris", "--repeats", "0"], ["repeats", "1 or more"]),
    ],
)
def test_bad_use_is_told_in_a_line(arguments, said, in_process, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, err = in_process(*arguments)
    assert status == 2
    assert out == "" or (out.startswith("data  ") and out.count("\n") == 1)  # what is wrong with a search is found then
    assert err.count("\n") == 1
    assert all(word in err for word in said), err
    assert not (tmp_path / "runs").exists()


def test_a_search_that_is_told_nothing_chooses_and_says_why(tmp_path, in_process):
    status, out, err = in_process(*DATA, "--trials", 4, "--no-final", "--out", tmp_path / "run")
    assert status == 0, err
    assert re.search(r"^scheduler +ASHA\(eta=3.0\) over epochs 1, 2$", out, re.MULTILINE), out
    assert re.search(r"^auto +objective loss: 15 validation samples", out, re.MULTILINE), out
    assert re.search(r"^auto +caution: 15 validation samples", out, re.MULTILINE), out
    assert re.search(r"^auto +scheduler asha: ", out, re.MULTILINE)
    assert re.search(r"^auto +strategy bo: ", out, re.MULTILINE)
    assert re.search(r"^trial +\d+ +complete .* epochs 2 of 2, from trial \d+  loss 0\.\d+", err, re.MULTILINE), err
    before = json.loads(in_process("show", tmp_path / "run", "--json")[1])["trials"]["complete"]
    status, out, err = in_process("resume", tmp_path / "run", "--trials", 5, "--json")
    assert status == 0, err
    assert json.loads(out)["trials"]["complete"] > before


def test_scheduler_fidelity_screen_and_repeats_are_obeyed(tmp_path, in_process):
    options = ["--scheduler", "successive-halving:eta=2", "--fidelity", "epochs=1:2,data=0.5:1", "--screen", "naswot:2"]
    folder = tmp_path / "run"
    status, out, err = in_process(
        *DATA,
        *options,
        "--strategy",
        "random",
        "--inherit",
        "--repeats",
        2,
        "--trials",
        3,
        "--no-final",
        "--out",
        folder,
    )
    assert status == 0, err
    assert re.search(
        r"^scheduler +SuccessiveHalving\(.*eta=2\b.*\) over epochs 1, 1, 2; data 0.5, ", out, re.MULTILINE
    ), out
    study = aw.load(folder)
    assert study.ladder.rungs == ({"epochs": 1, "data": 0.5}, {"epochs": 1, "data": 0.707}, {"epochs": 2, "data": 1.0})
    assert str(study._plan.screen) == "naswot:2"
    assert study._plan.inherit
    assert all("accuracy_std" in trial.metrics for trial in study.history.complete)


def test_a_search_without_a_result_says_why_and_fails(tmp_path, in_process):
    arguments = ["--constraint", "accuracy>=1.1", "--trials", 1, "--out", tmp_path / "run"]
    status, out, _ = in_process(*SEARCH, *arguments)
    assert status == 1
    assert all(word in out for word in ("none", "accuracy is 0.", "accuracy >= 1.1")), out


def test_a_folder_that_holds_something_else_is_refused_before_anything_is_done(tmp_path, in_process, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "mine.pt").write_text("mine")
    status, _, err = in_process("search", "no such data", "--out", ".")
    assert status == 2
    assert "is not empty and is not a run folder" in err
    assert "'best'" in err
    assert [path.name for path in tmp_path.rglob("*")] == ["best", "mine.pt"]


def test_three_networks_are_trained_again_kept_and_exported(tmp_path, in_process, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "three"
    assert in_process(*SEARCH, "--trials", 3, "--final", 3, "--out", folder)[0] == 0
    study = aw.load(folder)
    assert len(study.finals) == 3
    for each in study.top(3):
        number = each.trial.number
        status, out, err = in_process("export", folder, "--trial", number, "--json")
        assert status == 0, err
        made = tmp_path / f"three-trial-{number}"
        files = {tmp_path / name for name in json.loads(out)["files"]}
        assert {made / "model.py", made / "weights.safetensors"} <= files
        assert json.loads((made / "metrics.json").read_text())["stage"] == "final"
    assert in_process("export", folder)[0] == 0
    assert (tmp_path / "three-network" / "model.py").exists()
    status, _, err = in_process("export", folder)
    assert status == 2
    assert "is not empty" in err


def test_resume_trains_more_networks_again(run, tmp_path, in_process):
    folder = shutil.copytree(run[0], tmp_path / "run")
    assert in_process("resume", folder, "--final", 2)[0] == 0
    study = aw.load(folder)
    assert {best.trial.number for best in study.top(2)} <= study.finals.keys()


@pytest.mark.parametrize("name", ["show", "front", "cost", "export"])
def test_damage_is_told_in_a_line(name, run, tmp_path, in_process, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = shutil.copytree(run[0], tmp_path / "run")
    for path in [folder / "study.db", *(folder / "best").iterdir()]:
        path.write_bytes(b"[" * 100_000)
    status, _, err = in_process(name, folder)
    assert status == 2
    assert len(err.splitlines()) == 1
    assert "Traceback" not in err


def test_a_folder_in_use_is_not_overwritten(run, in_process):
    folder, _ = run
    status, _, err = in_process(*SEARCH, "--trials", 1, "--out", folder)
    assert status == 2
    assert "resume" in err


def test_the_default_folder_is_a_free_one(tmp_path, in_process, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("iris", "iris-2"):
        assert in_process(*SEARCH, "--trials", 1, "--no-final")[0] == 0
        assert (tmp_path / "runs" / folder / "study.db").exists()


def test_ctrl_c_ends_cleanly_and_resume_goes_on(tmp_path, in_process):
    folder = tmp_path / "run"
    process = processes.start("-m", "archwright", *SEARCH, "--trials", 100000, "--out", folder, "--no-final")
    for line in process.stderr:
        if line.startswith("trial   4"):
            for _ in range(5):  # as an impatient person does
                process.send_signal(signal.SIGINT)
            break
    out, err = process.communicate()
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "interrupted" in out
    assert "best" in out
    assert (folder / "best" / "weights.safetensors").exists()
    ended = json.loads(in_process("show", folder, "--json")[1])["trials"]["complete"]
    assert ended >= 5
    after = json.loads(in_process("resume", folder, "--trials", ended + 2, "--json")[1])
    assert after["trials"]["complete"] == ended + 2
    assert after["trials"]["running"] == 0


def test_several_workers(tmp_path, in_process):
    folder = tmp_path / "run"
    limits = ("--trial-memory", 4, "--trial-seconds", 60, "--retries", 1)
    status, out, err = in_process(*SEARCH, "--trials", 3, "--workers", 2, *limits, "--out", folder, "--json")
    assert status == 0, err
    assert json.loads(out)["trials"]["complete"] == 3
    assert (folder / "best" / "weights.safetensors").exists()
    assert in_process("resume", folder, "--trials", 4, "--workers", 1, "--json")[0] == 0
    assert len(in_process("show", folder, "--json")[1]) > 0


def test_starting_and_reading_count_towards_the_minutes(tmp_path, in_process, monkeypatch):
    started = types.SimpleNamespace(monotonic=lambda: time.monotonic() - 100)
    monkeypatch.setattr("archwright.cli._app.time", started)
    folder = tmp_path / "run"
    status, out, err = in_process(*SEARCH, "--minutes", 1, "--out", folder)
    assert status == 0, err
    assert "no time is left for the final training of trial 0" in err
    assert re.search("ended        1 (complete|pruned) in", out), out  # a first network is trained however late it is
    shown = json.loads(in_process("show", folder, "--json")[1])
    assert 100 < shown["seconds"] < 160
    status, _, err = in_process("resume", folder, "--minutes", 10, "--trials", 1)
    assert status == 0, err
    assert json.loads(in_process("show", folder, "--json")[1])["seconds"] > 200


def test_a_search_by_weight_sharing_says_what_it_learned(tmp_path, in_process):
    folder = tmp_path / "run"
    options = ["--space", "digits-cells", "--epochs", "1", "--trials", "2", "--out", folder]
    status, out, err = in_process("search", "digits", "--strategy", "gdas", *options)
    assert status == 0, err
    assert len(re.findall(r"^supernet +epoch +\d", err, flags=re.MULTILINE)) == 3
    assert re.search(r"^supernet +derived [0-9a-f]{12}: \d+% skip connections, \d+% none, entropy", out, re.MULTILINE)
    picture = tmp_path / "learned.png"
    shown = in_process("show", folder, "--picture", picture, "--json")[1]
    assert json.loads(shown)["learned"]["epochs"] == 3
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_evolution_over_shared_weights(tmp_path, in_process):
    options = ["--space", "digits-cells", "--epochs", "1", "--trials", "3", "--out", tmp_path / "run", "--json"]
    status, out, err = in_process("search", "digits", "--evaluator", "supernet", *options)
    assert status == 0, err
    assert json.loads(out)["evaluator"]["type"] == "supernet"


@pytest.mark.parametrize(("kind", "name"), [("evaluators", "supernet"), ("relaxations", "softmax")])
def test_what_supernets_bring_is_listed(in_process, kind, name):
    status, out, _ = in_process("list", kind, "--json")
    assert status == 0
    assert name in {entry["name"] for entry in json.loads(out)}


def test_settings_of_a_strategy_stand_behind_a_colon(tmp_path, in_process):
    options = ["--space", "mlp", "--epochs", "1", "--trials", "1", "--out", tmp_path / "run", "--json"]
    status, out, err = in_process(
        "search", "iris", "--strategy", "darts:order=2,epochs=1,selection=perturbation", *options
    )
    assert status == 0, err
    found = json.loads(out)
    assert (found["options"]["order"], found["options"]["selection"]) == (2, "perturbation")
    assert found["learned"]["epochs"] == 1
    status, _, err = in_process("search", "digits", "--strategy", "darts:order")
    assert status == 2
    assert "a setting reads name=value, not 'order'" in err


def test_a_search_shows_classical_baselines_and_says_where_one_is_ahead(tmp_path, in_process):
    space = tmp_path / "spaces.py"
    space.write_text(
        "import archwright as aw\nfrom archwright import nn\n"
        "def untrained(*, input_shape, classes):\n"
        "    return aw.Space(model=nn.LazyLinear(classes), lr=aw.ordinal(1e-9, 1e-8))\n"
    )
    folder = tmp_path / "run"
    options = ["search", "iris", "--space", f"{space}:untrained", "--epochs", 1, "--trials", 1, "--out", folder]
    status, out, err = in_process(*options)
    assert status == 0, err
    baselines = aw.load(folder).baselines
    assert [each.name for each in baselines] == ["logistic regression", "gradient boosting"]
    lines = out.splitlines()
    for each in baselines:
        told = f"{each.name}: loss {each.metrics['loss']:.4f}, accuracy {each.metrics['accuracy']:.4f} ("
        assert any(line.startswith(f"baseline     {told}") for line in lines)
        told = f"{each.name}: test_loss {each.metrics['test_loss']:.4f}, test_accuracy "
        assert any(line.startswith(f"baseline     {told}") for line in lines)
    said = r"is ahead of the network: test_accuracy 0\.\d+ against 0\.\d+; use it, or give the search more time\n"
    assert re.search(said, out)
    assert re.search(said, in_process("show", folder)[1])
    assert (
        json.loads(in_process("show", folder, "--json")[1])["ahead"]
        == max(baselines, key=lambda each: each.metrics["test_accuracy"]).name
    )
    status, out, _ = in_process(*options[:-1], tmp_path / "other", "--no-baseline", "--no-final")
    assert status == 0
    assert "baseline" not in out


def test_an_ensemble_is_told_exported_and_predicts(tmp_path, in_process):
    folder = tmp_path / "run"
    status, out, err = in_process(*SEARCH, "--trials", 4, "--ensemble", 3, "--out", folder)
    assert status == 0, err
    study = aw.load(folder)
    ensemble, final = study.ensemble, study.test["test_accuracy"]
    pairs = zip(ensemble.members, ensemble.counts, strict=True)
    listed = ", ".join(f"{trial.number} x{count}" if count > 1 else str(trial.number) for trial, count in pairs)
    line = next(line for line in out.splitlines() if line.startswith("ensemble"))
    several = "s" if len(ensemble.members) > 1 else ""
    assert line.split(maxsplit=1)[1] == (
        f"{len(ensemble.members)} network{several} (trial{several} {listed}): "
        f"validation accuracy {ensemble.metrics['accuracy']:.4f} (best single {ensemble.single['accuracy']:.4f}), "
        f"test_accuracy {ensemble.metrics['test_accuracy']:.4f} (single {ensemble.single['test_accuracy']:.4f}, "
        f"final {final:.4f})"
    )
    assert json.loads(in_process("show", folder, "--json")[1])["ensemble"]["members"]
    status, told, err = in_process("export", folder, "--ensemble", "--out", tmp_path / "network", "--json")
    assert status == 0, err
    assert {"model.py", "predict.py"} <= {os.path.basename(file) for file in json.loads(told)["files"]}
    table = tmp_path / "new.csv"
    table.write_text("a,b,c,d\n5.1,3.5,1.4,0.2\n6.5,3.0,5.5,1.9\n")
    status, told, err = in_process("predict", folder, table, "--ensemble", "--json")
    assert status == 0, err
    alone = processes.run("predict.py", table, "--json", cwd=tmp_path / "network")
    shares = [
        [list(each["probabilities"].values()) for each in json.loads(printed)["predictions"]]
        for printed in (told, alone.stdout)
    ]
    assert torch.allclose(*map(torch.tensor, shares), atol=1e-5)
    status, _, err = in_process("search", "iris", "--ensemble", 1, "--trials", 1, "--out", tmp_path / "other")
    assert status == 2
    assert "2 or more, or 0 for none; not 1" in err


def test_a_folder_of_images_is_told_and_what_is_broken_in_it_can_be_left_out(in_process, tmp_path):
    images = pytest.importorskip("PIL.Image")
    for name, grey in (("dark", 20), ("light", 200)):
        (tmp_path / "tones" / name).mkdir(parents=True)
        for number in range(12):
            images.new("L", (8, 8), grey + number).save(tmp_path / "tones" / name / f"{number}.png")
    (tmp_path / "tones" / "dark" / "3.png").write_bytes(b"nothing")
    given = ["search", tmp_path / "tones", "--trials", 1, "--epochs", 1, "--no-final", "--out", tmp_path / "run"]
    status, _, err = in_process(*given)
    assert status == 2
    assert "3.png cannot be decoded" in err
    assert "--skip-broken" in err
    status, out, err = in_process(*given, "--skip-broken", "--strategy", "random", "--scheduler", "full")
    assert status == 0, err
    assert "1 of 24 images cannot be decoded: dark/3.png" in " ".join(err.split())
    said = " ".join(out.split())
    assert "task image classification, because tones holds 2 folders of 8x8 grey images" in said
    assert "space convnet: " in said

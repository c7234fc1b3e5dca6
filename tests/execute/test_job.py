"""Jobs and reports are data."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import archwright as aw
from archwright.errors import StudyError
from archwright.evaluate import as_evaluator
from archwright.execute import InProcess, Job, Origin, Report, Worker, drive, report_of
from archwright.trials import last_line

SPACE = aw.Space(x=aw.ordinal(1, 2, 3, 4))
NUMBERS = st.floats(allow_nan=False)
METRICS = st.dictionaries(st.text(min_size=1), NUMBERS, max_size=3)
CURVES = st.lists(METRICS.map(lambda row: {"step": 1.0, **row}), max_size=3).map(tuple)
ARCHITECTURES = st.integers(1, 4).map(lambda x: aw.Architecture({"x": x}))
FIDELITIES = st.dictionaries(st.text(min_size=1), st.integers(1, 9) | st.floats(0.01, 9), max_size=2)
ORIGINS = st.none() | st.builds(Origin, st.integers(0, 99), ARCHITECTURES, CURVES, st.booleans())
JOBS = st.builds(
    Job,
    st.integers(0, 99),
    st.text(),
    ARCHITECTURES,
    st.integers(0, 2**31 - 1),
    st.none() | FIDELITIES,
    st.lists(FIDELITIES, max_size=3).map(tuple),
    st.none() | st.floats(0, 1e9),
    ORIGINS,
    ORIGINS,
    st.booleans(),
    st.integers(1, 5),
)
REPORTS = st.builds(
    Report,
    st.integers(0, 99),
    st.sampled_from(["progress", "problem", "complete", "stopped", "infeasible", "failed", "died"]),
    METRICS,
    CURVES,
    st.floats(0, 1e9),
    st.text(),
    st.text(),
    st.booleans(),
)


@given(JOBS)
def test_a_job_is_json(job):
    assert Job.from_json(json.loads(json.dumps(job.to_json(), allow_nan=False))) == job


@given(REPORTS)
def test_a_report_is_json(report):
    assert Report.from_json(json.loads(json.dumps(report.to_json(), allow_nan=False))) == report


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("trial", -1, "trial is -1"),
        ("space", 3, "space is 3"),
        ("architecture", [1], "."),
        ("stages", {}, "stages is an object"),
        ("fidelity", {"epochs": "3"}, "'epochs' of a fidelity is '3'"),
        ("seconds", "now", "seconds is 'now'"),
        ("saves", 1, "saves is true or false, not '1'"),
        ("before", {"trial": 1}, "an origin has no field 'architecture'"),
    ],
)
def test_a_job_that_is_damaged_names_the_field(field, value, message):
    written = Job(0, "", aw.Architecture({"x": 1}), 0).to_json() | {field: value}
    with pytest.raises((ValueError, aw.errors.ArchitectureError), match=message):
        Job.from_json(written)


def test_a_job_of_another_space_is_refused():
    worker = Worker(SPACE, as_evaluator(lambda candidate: 1.0))
    with pytest.raises(StudyError, match="another space"):
        worker.run(Job(0, "other", aw.Architecture({"x": 1}), 0))


def job(number):
    return Job(number, SPACE.fingerprint, aw.Architecture({"x": 1 + number % 4}), number)


def test_the_loop_runs_what_it_is_given_and_ends():
    told = []

    def evaluate(candidate):
        candidate.report(1, value=candidate.architecture["x"])
        return float(candidate.architecture["x"])

    waiting = [job(number) for number in range(3)]
    executor = InProcess(Worker(SPACE, as_evaluator(evaluate)))
    ended = [
        (report.trial, report.kind, report.metrics)
        for report, _ in drive(executor, lambda: waiting.pop(0) if waiting else None, told.append)
    ]
    assert ended == [(number, "complete", {"value": 1.0 + number}) for number in range(3)]
    assert [(report.trial, report.kind, report.metrics) for report in told] == [
        (number, "progress", {"value": 1.0 + number}) for number in range(3)
    ]


def test_whoever_listens_may_stop_a_job():
    def evaluate(candidate):
        for step in range(9):
            candidate.report(step, value=step)

    report, candidate = Worker(SPACE, as_evaluator(evaluate)).run(
        job(0), lambda report: aw.Stopped("enough") if len(report.curve) == 4 else None
    )
    assert (report.kind, report.error, report.converged) == ("stopped", "enough", False)
    assert len(report.curve) == len(candidate.curve) == 4


def test_a_gpu_without_memory_is_told_with_what_was_asked_and_what_helps(monkeypatch):
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of ...")
    report = report_of(0, error, curve=(), seconds=1.0)
    assert report.kind == "failed"
    assert last_line(report.error) == (
        "the GPU has too little memory for the network and its batch, which want 2.50 GiB more: take a "
        "smaller batch_size, precision='bf16', or fewer workers where several share a GPU"
    )
    # In the place of CUDA: the peak is that of the trial.
    allocated = {"peak": 9 << 30}
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", list)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: allocated.update(peak=0))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: allocated["peak"])

    def evaluate(candidate):
        allocated["peak"] += 3 << 29
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB.")

    report, _ = Worker(SPACE, as_evaluator(evaluate)).run(job(0))
    assert "2.50 GiB more than the 1.5 GiB that the trial had at its peak: take" in last_line(report.error)


def test_a_failure_is_told_with_its_traceback_and_its_cause():
    def evaluate(candidate):
        raise RuntimeError("out of luck")

    report, _ = Worker(SPACE, as_evaluator(evaluate)).run(job(0))
    assert report.kind == "failed"
    assert report.error.startswith("Traceback")
    assert report.cause == "RuntimeError: out of luck\n"

"""What all tests share: where the data lies, how Hypothesis searches, how many threads run."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sqlite3
from collections.abc import Callable, Generator, Iterator
from functools import wraps
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from tests import browser, servers
from tests.data import ROOT, absent

# One thread: workers side by side would fight for the cores, and networks as small as the tests' lose time with more.
# This is set before torch is first imported, and reaches the processes that the tests start.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

# A shell that starts the tests in the background has them ignore Ctrl-C, which some of them send to themselves.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Searches show no progress; tests of the command do, and so do programs that tests start.
logging.getLogger("archwright").setLevel(logging.WARNING)

# The conformance suites assert in the package itself; their failures are to show values too.
pytest.register_assert_rewrite("archwright.testing")

# The same examples on every run and machine; `--hypothesis-profile=thorough` looks for new ones.
settings.register_profile(
    "default",
    derandomize=True,
    deadline=None,
    max_examples=30,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("thorough", settings.get_profile("default"), derandomize=False, max_examples=1000)
settings.load_profile("default")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect tests, not garbage: what is imported stays, and is never looked through. Later, do so seldom."""
    gc.disable()
    collected = yield
    gc.freeze()
    gc.set_threshold(10_000)
    gc.enable()
    return collected


@pytest.fixture(scope="session", autouse=True)
def _do_not_wait_for_the_disk() -> Iterator[None]:
    """Let SQLite leave its files to the system, as it may wherever the machine itself does not stop."""
    from archwright.store import _sqlite

    class Unhurried(_sqlite._Connection):
        def execute(self, sql: str, *rest: Any) -> sqlite3.Cursor:
            return super().execute(sql.replace("synchronous = NORMAL", "synchronous = OFF"), *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_sqlite, "_Connection", Unhurried)
        yield


@pytest.fixture(scope="session", autouse=True)
def _fork_what_runs_exported_files() -> Iterator[None]:
    """Have the check of an export run in a process that is forked from a warm one; `tests/export` starts one anew."""
    from tests import processes

    from archwright.export import _verify

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_verify, "run_python", wraps(_verify.run_python)(lambda *arguments: processes.run(*arguments)))
        yield


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a PostgreSQL server: that of `ARCHWRIGHT_TEST_POSTGRESQL`, or one that is started."""
    given = os.environ.get("ARCHWRIGHT_TEST_POSTGRESQL")
    if given:
        yield given
        return
    pytest.importorskip("psycopg")
    if servers.programs() is None:
        pytest.skip("no PostgreSQL: ARCHWRIGHT_TEST_POSTGRESQL names no server, and there is no pg_ctl to start one")
    server = servers.PostgreSQL()
    yield server.url
    server.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[browser.Chromium]:
    """A headless browser: see `tests.browser`. It lives as long as a module, since it occupies the loop of asyncio."""
    with browser.started() as running:
        yield running


_schemas = count()


@pytest.fixture
def postgresql(postgresql_server: str) -> Iterator[str]:
    """The URL of a PostgreSQL database without tables: a schema of a server."""
    import sqlalchemy

    from archwright.store import database_url

    engine, schema = sqlalchemy.create_engine(database_url(postgresql_server)), f"test_{os.getpid()}_{next(_schemas)}"
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text(f"CREATE SCHEMA {schema}"))
    yield f"{postgresql_server}?options=-csearch_path%3D{schema}&application_name={schema}"
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text(f"DROP SCHEMA {schema} CASCADE"))
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """The URL of a database without tables, of each kind."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgresql")
    return f"sqlite:///{tmp_path / 'database.db'}"


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real data: `ARCHWRIGHT_DATA`, or `../shared/data` beside the project."""
    if not ROOT.is_dir():
        absent(f"there is no folder {ROOT}")
    return ROOT


@pytest.fixture(scope="session")
def data_file(data_root: Path) -> Callable[[str], Path]:
    """Tell where a file or folder of the real data lies, by its place below the folder of data."""

    def find(place: str) -> Path:
        path = data_root / place
        if not path.exists():
            absent(f"there is no {path}")
        return path

    return find


@pytest.fixture(scope="session")
def few_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 400 of scikit-learn's digits: real images, for trainings that last no longer than they must."""
    import numpy as np
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    path = tmp_path_factory.mktemp("data") / "few-digits.npz"
    np.savez(path, x=images[:400].reshape(-1, 1, 8, 8).astype("float32"), y=labels[:400])
    return path

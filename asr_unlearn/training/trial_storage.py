"""Where a search keeps its trials: a file, or a database that several searches share."""

import time
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from asr_unlearn.runtime.errors import InputError

ATTEMPTS, SECONDS_BETWEEN = 10, 0.5


def is_database(out: Path | str) -> bool:
    """Whether this is the URL of a database, such as postgresql://me@host/trials."""
    return isinstance(out, str) and "://" in out


def load_study(name: str, out: Path | str) -> optuna.Study:
    """The study of that name, which is made if it is new.

    Args:
        out: file to which each trial is appended, or URL of a database.

    Raises:
        InputError: the file is no journal, or there is no such database, or no driver for it.
    """
    try:
        storage = _database(str(out)) if is_database(out) else _journal(Path(out))
        return optuna.create_study(study_name=name, storage=storage, load_if_exists=True)
    # Optuna fails in many ways on a file that is not its journal, and on a URL.
    except (AssertionError, LookupError, TypeError, ValueError, ImportError) as error:
        if is_database(out):
            raise InputError(f"--out {_without_password(str(out))}: {_line(error)}") from error
        raise InputError(f"{out} is no journal of a search; give another --out") from error


def _journal(path: Path) -> BaseStorage:
    path.parent.mkdir(parents=True, exist_ok=True)
    # A lock of the system's, which ends with its process: Optuna's own outlives a kill by 30 s.
    lock: Any = FileLock(path.with_name(f".{path.name}.lock"))
    return JournalStorage(JournalFileBackend(str(path), lock))


def _database(url: str) -> BaseStorage:
    from sqlalchemy.exc import IntegrityError, ProgrammingError, SQLAlchemyError

    for attempt in range(ATTEMPTS):
        try:
            # A connection that has been idle for the time of a trial may have been closed.
            return RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
        except SQLAlchemyError as error:
            # Another search makes the tables of a new database at the same moment.
            at_once = isinstance(error, IntegrityError | ProgrammingError)
            if not at_once or attempt == ATTEMPTS - 1:
                raise InputError(f"--out {_without_password(url)}: {_line(error)}") from error
            time.sleep(SECONDS_BETWEEN)
    raise AssertionError("the last attempt raises")


def _line(error: Exception) -> str:
    first, *_ = str(error).splitlines() or [type(error).__name__]
    return first


def _without_password(url: str) -> str:
    scheme, _, rest = url.partition("://")
    user, at, host = rest.rpartition("@")
    return f"{scheme}://{user.partition(':')[0]}{at}{host}"

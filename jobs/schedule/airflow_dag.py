"""A DAG for Airflow 3 that applies a job of yours, and goes on with it when it was stopped.

The run is called after the DAG's run, so that a try that follows another one goes on with the same run. Only what can
be gone on with is tried again: a row that the service refuses is refused the next time, too.

The worker needs `migrator` on its path, this repository in MIGRATOR_HOME, and the settings in its environment
(MIGRATOR_PROFILE, MIGRATOR_CLIENT_SECRET_FILE, MIGRATOR_LEDGER). The runs folder has to be the same for each try: with
several workers give the task a queue of its own.

The project's tests import this file and run its task against a stand-in for Airflow's decorators and exceptions. With
Airflow itself that was done by hand once, with 3.3.2; no scheduler has run it.
"""

from __future__ import annotations

import os
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException

RESUMABLE = {6, 130, 143}
"""Exit codes after which trying again goes on. Those of a kill, which are negative, are among them, too."""

MEANINGS = {
    2: "nothing was sent: the settings or the input are wrong",
    3: "some rows failed: see failed.csv in the results of the run",
    4: "some rows are unresolved: see unresolved.csv in the results of the run",
    5: "the service refuses the run: credentials, permission, sandbox",
    7: "some objects changed since the plan",
}


@dag(schedule="0 2 * * *", start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False, max_active_runs=1)
def offers() -> None:
    """Apply jobs/nightly.toml each night."""

    @task(retries=10, retry_delay=timedelta(minutes=10))
    def apply(job: str, run_id: str) -> None:
        """Apply a job or go on with it."""
        home = Path(os.environ["MIGRATOR_HOME"])
        run = re.sub(r"[^A-Za-z0-9._-]", "-", run_id)
        script = home / "jobs" / "schedule" / "run-job.sh"
        code = subprocess.run([script, job, run], cwd=home, check=False).returncode  # noqa: S603 (both are ours)
        if code in RESUMABLE or code < 0:
            raise AirflowException(f"run {run} was stopped (exit code {code}); the next try goes on with it")
        if code:
            raise AirflowFailException(f"run {run}: {MEANINGS.get(code, f'exit code {code}')}")

    apply("jobs/nightly.toml", "{{ run_id }}")


offers()

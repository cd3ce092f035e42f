#!/bin/sh
# Apply a job where nobody watches, or go on with it: usage  run-job.sh JOB RUN [FLAG…]
#
# RUN names the run. A scheduler that tries again gives the same name, and then the run is gone on with: nothing is sent
# twice. Where to send, and the secrets, come from the environment (MIGRATOR_PROFILE, MIGRATOR_CLIENT_SECRET, …). The
# runs folder (MIGRATOR_LEDGER) has to be the same each time, on a local disk. FLAGs go to `apply` and `resume`.
#
# The exit code is that of migrator: 0 done · 2 nothing was sent · 3 some rows failed · 4 some unresolved · 5 the service
# refuses · 6, 130, 143 stopped: try again. What became of the rows is in the folder results of the run.
set -u
job=$1 run=$2
shift 2

migrator doctor || exit

if migrator status "$run" > /dev/null 2>&1; then
    migrator resume "$run" --log-format json "$@"
else
    migrator apply "$job" --yes --run-id "$run" --log-format json "$@"
fi
code=$?

migrator results "$run" || true
exit "$code"

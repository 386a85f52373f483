#!/bin/sh
# A chaos run every night, from cron. Copy it into your project, and say once what to run:
#     17 2 * * *  cd /srv/my-project && ./nightly.sh >>nightly.log 2>&1
# BACKENDS and SERVERS are lists with spaces; TRACKER is gh or glab, or nothing for no issues; more options go to pytest.
# Ends with 1 where anything failed. Two at once do not run: the second says so, and ends with 75.
set -u

BACKENDS=${BACKENDS:-cluster sentinel reliable}
SERVERS=${SERVERS:-valkey-9}
TRACKER=${TRACKER:-}
REPORTS=${REPORTS:-reports}
DAYS=${DAYS:-30}

mkdir -p "$REPORTS"
exec 9>"$REPORTS/nightly.lock"
flock --nonblock 9 || { echo "nightly: another one is running" >&2; exit 75; }

status=0
for server in $SERVERS; do
    for backend in $BACKENDS; do
        # The lock is this script's: what a run leaves behind must not hold it.
        timeout --kill-after=60 5400 \
            pytest --huey-backend="$backend" --huey-server="$server" --huey-report="$REPORTS" "$@" 9>&- || status=1
        if [ -n "$TRACKER" ]; then
            huey-harness issues "$REPORTS/latest" --open-with="$TRACKER" 9>&- || status=1
        fi
    done
done
# runs.jsonl, from which index.html draws the trend, stays whole.
find "$REPORTS" -mindepth 1 -maxdepth 1 -type d -name '20*' -mtime "+$DAYS" -exec rm -rf {} +
exit "$status"

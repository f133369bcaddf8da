#!/bin/sh
# The worker as its users see it: prepared, started, healthy, ended on TERM.
set -eu

work=$(mktemp -d)
here=$(dirname "$0")/..
worker=
trap '[ -z "$worker" ] || kill "$worker" 2>/dev/null || true; rm -rf "$work"' EXIT
fail() { echo "ticker test: $*" >&2; cat "$work/log" >&2 || true; exit 1; }

cp -R "$here/bin" "$here/VERSION" "$work"
cd "$work"
mkdir data
bin/install >/dev/null
if bin/healthy >/dev/null; then fail "healthy before it ever ticked"; fi

bin/ticker >log 2>&1 &
worker=$!
# Not by time but by what is seen; ten seconds are a lot for a shell to start.
tries=0
until bin/healthy >/dev/null; do
    tries=$((tries + 1))
    [ "$tries" -le 100 ] || fail "not healthy"
    sleep 0.1
done
grep -q '^ticker: 1 by hand ready' log || fail "did not say that it is ready"

kill -TERM "$worker"
wait "$worker" || fail "did not end well on TERM"
worker=
grep -q '^ticker: stopping$' log || fail "did not say that it stops"
echo "ticker: all as it should be"

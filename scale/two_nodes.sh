#!/usr/bin/env bash
# Start two Ray nodes on this machine, run a command with RAY_ADDRESS set, and stop them:
#
#     bash scale/two_nodes.sh python -m scale.job features photos.csv OUT
#
# Ray runs whatever reaches its ports. In a network namespace of its own there is only loopback, so nobody outside does,
# and in a process namespace of its own nothing survives it. Linux only.
set -euo pipefail
if [ "${1:-}" != --inside ]; then
    who=$([ "$(id -u)" = 0 ] || echo --map-root-user)
    exec unshare $who --net --pid --fork --kill-child --mount-proc bash "$0" --inside "$@"
fi
shift
ip link set lo up
export RAY_USAGE_STATS_ENABLED=0 RAY_ADDRESS=127.0.0.1:6399 RAY_AUTH_MODE=token RAY_AUTH_TOKEN
RAY_AUTH_TOKEN=$(od -An -N16 -tx1 /dev/urandom | tr -d ' ')
options=(--num-cpus=2 --object-store-memory=500000000 --node-ip-address=127.0.0.1 --include-log-monitor=false)
start() { ray start "${options[@]}" --disable-usage-stats "$@" >&2; }
first() { start --head --port=6399 --include-dashboard=false --no-monitor; }
second() { PYTHONPATH="${SECOND_NODE_PATH:-}:${PYTHONPATH:-}" start --address=$RAY_ADDRESS; }
# On a busy machine Ray's processes may need more than the 30 s that it waits for them: then they start once more.
first || { ray stop --force >&2 && first; }
second || second
"$@"

#!/bin/sh
# Compares `beaker run` with bkt, in one run: the time of a cached replay, and how often a command
# runs when 16 processes ask for its absent result at once.
#
# usage: compare/bkt.sh [RUNS]
#
# Needs cargo and hyperfine. bkt is installed below target/tools if it is not on the PATH; so is beaker,
# by `cargo xtask install`, unless BEAKER names one.
set -eu

runs=${1:-1000}
root=$(cd "$(dirname "$0")/.." && pwd)
tools=${BEAKER_TOOLS:-$root/target/tools}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

command -v hyperfine >/dev/null || { echo "hyperfine is missing: install it first" >&2; exit 1; }
bkt=$(command -v bkt || echo "$tools/bin/bkt")
if [ ! -x "$bkt" ]; then
    echo "installing bkt below $tools" >&2
    cargo install bkt --locked --root "$tools" --target-dir "$tools/build"
fi
if [ -z "${BEAKER:-}" ]; then
    (cd "$root" && cargo xtask install --quiet --force --root "$tools") >&2
    BEAKER=$tools/bin/beaker
fi
# The store that it has by itself, SQLite, in a directory of its own; or files.
export XDG_CACHE_HOME="$work/cache"
store() { case $1 in SQLite) unset BEAKER_URL ;; files) export BEAKER_URL="file:$work/store" ;; esac; }

ours() { "$BEAKER" run --ttl 1h -- "$@"; }
theirs() { "$bkt" --ttl 1h --cache-dir "$work/bkt" -- "$@"; }

# Both replays must be right before they are timed.
head -c 1000 /dev/urandom | od -An -tx1 >"$work/small"
head -c 300000 /dev/urandom | od -An -tx1 >"$work/large"
for size in small large; do
    for kind in SQLite files; do
        store $kind
        for tool in ours theirs; do
            $tool cat "$work/$size" >/dev/null
            $tool cat "$work/$size" | cmp - "$work/$size"
        done
    done
done

for size in small large; do for kind in SQLite files; do
    store $kind
    echo "== cached replay, $(wc -c <"$work/$size") bytes, $kind, $runs runs"
    hyperfine --shell=none --warmup 50 --runs "$runs" --style basic --export-csv "$work/$size.csv" \
        --command-name beaker "$BEAKER run --ttl 1h -- cat $work/$size" \
        --command-name bkt "$bkt --ttl 1h --cache-dir $work/bkt -- cat $work/$size" \
        --command-name 'a process' /bin/true >"$work/out" 2>&1 || { cat "$work/out"; exit 1; }
    # command,mean,stddev,median,user,system,min,max
    awk -F, 'NR > 1 { median[$1] = $4 * 1000; least[$1] = $7 * 1000 }
        END {
            for (name in median) printf "%-10s median %.3f ms, least %.3f ms\n", name, median[name], least[name]
            printf "ratio beaker/bkt: median %.2f, least %.2f\n", median["beaker"] / median["bkt"], least["beaker"] / least["bkt"]
        }' "$work/$size.csv"
done; done

echo "== 16 processes, one absent key: how often the command runs"
for tool in ours theirs; do
    : >"$work/count"
    pids=
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do
        $tool sh -c 'echo run >>"$0"; sleep 0.2; echo result' "$work/count" >/dev/null &
        pids="$pids $!"
    done
    # shellcheck disable=SC2086 # one word for each process
    wait $pids
    case $tool in ours) name=beaker ;; *) name=bkt ;; esac
    printf '%-10s %s\n' "$name" "$(wc -l <"$work/count" | tr -d ' ')"
done

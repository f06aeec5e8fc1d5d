#!/usr/bin/env bash
# Times the matrix products of training here and in a peer, in turn, and prints
# the ratios.
#
#   bench/gemm.sh 'PEER COMMAND' [ROUNDS]
#
# PEER COMMAND is a program of your own, for example in PyTorch; none is in this
# repository. It is called with the number of threads and prints lines of
# "LAYOUT M N K GFLOPS". Of each shape the best of all rounds counts, on both
# sides: whatever else runs on the machine only ever takes time away.
set -euo pipefail
peer=${1:?usage: bench/gemm.sh 'PEER COMMAND' [ROUNDS]}
rounds=${2:-3}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
go test -c -o "$tmp/cpu.test" ./backend/cpu

for ((i = 1; i <= rounds; i++)); do
  for threads in 1 2; do
    "$tmp/cpu.test" -test.run '^$' -test.bench "Linear/threads=$threads/" -test.benchtime 10x |
      sed -n 's|^BenchmarkLinear/[^/]*/[^/]*/\(..\)/\([0-9]*\)x\([0-9]*\)x\([0-9]*\).* \([0-9.]*\) GFLOPS.*|\1 \2 \3 \4 \5|p' |
      sed "s/^/here $threads /" >>"$tmp/rates"
    # shellcheck disable=SC2086 # the peer is a command line
    $peer "$threads" | awk -v t="$threads" 'NF == 5 && $1 ~ /^[NT][NT]$/ { print "peer", t, $0 }' >>"$tmp/rates"
  done
done

awk '
  { key = $2 " " $3 " " $4 " " $5 " " $6; if ($7 > best[$1, key]) best[$1, key] = $7; if (!seen[key]++) order[++n] = key }
  END {
    printf "%-8s%-7s%18s%10s%10s%8s\n", "threads", "layout", "M N K", "here", "peer", "ratio"
    for (i = 1; i <= n; i++) {
      split(order[i], k, " ")
      if (!best["here", order[i]] || !best["peer", order[i]]) continue
      r = best["here", order[i]] / best["peer", order[i]]
      printf "%-8s%-7s%18s%10.1f%10.1f%8.2f\n", k[1], k[2], k[3] " " k[4] " " k[5], best["here", order[i]], best["peer", order[i]], r
      sum[k[1]] += log(r); count[k[1]]++
      if (!low[k[1]] || r < low[k[1]]) low[k[1]] = r
    }
    for (t in sum) printf "%s threads: geometric mean %.3f, least %.2f\n", t, exp(sum[t] / count[t]), low[t]
  }' "$tmp/rates"

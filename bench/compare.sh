#!/usr/bin/env bash
# Times a training step of a model here and in a peer, in turn, and prints the
# ratios.
#
#   bench/compare.sh 'PEER COMMAND' [gpt|vit [ROUNDS [SETTING ...]]]
#
# PEER COMMAND is a program of your own, for example in PyTorch; none is in this
# repository. It is called with: the model, --layers N --heads N --width N --batch N,
# for gpt --seq N --vocab N, for vit --mlp N, --steps N --mode store|checkpoint,
# and prints one JSON object with seconds_per_step, peak_mb and mb_before_step. The
# settings are passed to both. PRECISION=bf16 in the environment has this side
# multiply in bfloat16; PEER COMMAND names its own. Machines are noisy: the two
# alternate, medians count, and the ratio is what to quote.
set -euo pipefail
usage="usage: bench/compare.sh 'PEER COMMAND' [gpt|vit [ROUNDS [SETTING ...]]]"
peer=${1:?$usage; PEER COMMAND is a program of your own, see the top of this file}
model=${2:-gpt}
rounds=${3:-3}
case $model in
  gpt) setting=(--layers 6 --heads 6 --width 384 --seq 256 --batch 16 --vocab 65) ;;
  vit) setting=(--layers 6 --heads 8 --width 512 --mlp 512 --batch 128) ;;
  *)
    echo "$usage" >&2
    exit 2
    ;;
esac
if (($# > 3)); then setting=("${@:4}"); fi
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
go build -o "$tmp/bdia" ./cmd/bdia

field() { sed -n "s/.*\"$1\": *\([-0-9.e+]*\).*/\1/p" | head -n 1; }
median() { sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

run() { # NAME COMMAND...
  local name=$1 out
  shift
  out=$("$@")
  field seconds_per_step <<<"$out" >>"$tmp/$name.s"
  if [[ $name == peer* ]]; then
    awk -v a="$(field peak_mb <<<"$out")" -v b="$(field mb_before_step <<<"$out")" 'BEGIN { print a - b }' >>"$tmp/$name.mb"
  else
    awk -v a="$(field peak_rss_mb <<<"$out")" -v b="$(field rss_before_mb <<<"$out")" 'BEGIN { print a - b }' >>"$tmp/$name.mb"
  fi
}

for ((i = 1; i <= rounds; i++)); do
  for mode in store recompute reversible; do
    run "$mode" "$tmp/bdia" bench --model "$model" --memory "$mode" --precision "${PRECISION:-float32}" --steps 3 --json "${setting[@]}"
  done
  for mode in store checkpoint; do
    # shellcheck disable=SC2086 # the peer is a command line
    run "peer-$mode" $peer "$model" "${setting[@]}" --steps 4 --mode "$mode"
  done
done

printf '%-16s %12s %14s\n' '' 's a step' 'MiB above start'
for name in store recompute reversible peer-store peer-checkpoint; do
  printf '%-16s %12.3f %14.0f\n' "$name" "$(median <"$tmp/$name.s")" "$(median <"$tmp/$name.mb")"
done
ratio() { # TEXT UNIT A B
  awk -v t="$1" -v a="$(median <"$tmp/$3.$2")" -v b="$(median <"$tmp/$4.$2")" 'BEGIN { printf "%-44s %.2f\n", t, a / b }'
}
ratio 'speed: peer store / store' s peer-store store
ratio 'speed: peer store / reversible' s peer-store reversible
ratio 'speed: peer checkpoint / reversible' s peer-checkpoint reversible
ratio 'price of reversibility: reversible / store' s reversible store
ratio 'memory: reversible / peer store' mb reversible peer-store
ratio 'memory: reversible / peer checkpoint' mb reversible peer-checkpoint

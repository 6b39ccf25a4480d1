# shellcheck shell=bash
# ./dev bench: every benchmark program, each with its results in build/bench/NAME.json.

bench() {
  local program results=$kBuildRoot/bench
  setup build console test
  configure release
  cmake -DTESSERA_BENCH=ON "$kBuildRoot/release" >/dev/null
  build release
  mkdir -p "$results"
  for program in "$kBuildRoot"/release/bench/*_bench; do
    [[ -x $program ]] || die "no benchmarks in $kBuildRoot/release/bench"
    section "${program##*/}"
    "$program" --benchmark_out_format=json \
      --benchmark_out="$results/$(basename "$program" _bench).json" "$@"
  done
}

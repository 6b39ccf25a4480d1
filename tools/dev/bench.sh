# shellcheck shell=bash
# ./dev bench: the benchmarks, their figures kept as JSON. Sourced by ./dev.

bench() {
  local results=$kBuildRoot/bench
  setup
  configure release
  cmake -DTESSERA_BENCH=ON "$kBuildRoot/release" >/dev/null
  build release tessera tessera_bench tessera-fake-gpus
  mkdir -p "$results"
  section "benchmarks"
  "$kBuildRoot/release/bench/tessera_bench" --benchmark_out_format=json \
    --benchmark_out="$results/$(date -u +%Y%m%dT%H%M%SZ).json" "$@"
  section "what an agent costs its machine"
  python3 tests/e2e/footprint.py "$PWD/$kBuildRoot/release/tessera"
}

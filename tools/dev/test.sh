# shellcheck shell=bash
# ./dev test, fmt and lint. Sourced by ./dev.
#
# A step is a function. It fails by its exit status, and may call `counted PASSED FAILED` to say
# how many tests it stands for; a step that does not counts as one.

readonly kCoreRooms=(base catalog fleet tenancy request placement planning control)
readonly kThreadedTests=(journal_test service_test sharing_test guard_threads_test)
readonly kReports=$kBuildRoot/test
# Of each step that failed, so many of its last lines are said again at the end: whoever reads a
# long log reads its end.
readonly kToldAgain=40
declare -i passed_total=0 failed_total=0
failed_steps=() step_times=()

cpp_files() { git ls-files -z --cached --others --exclude-standard -- '*.h' '*.cpp' '*.c'; }

format_files() {
  setup test
  cpp_files | xargs -0 -r clang-format-14 -i
}

check_format() { cpp_files | xargs -0 -r clang-format-14 --dry-run -Werror; }
# The parts of ./dev are read through it, as they run; other scripts each for themselves.
check_shell() {
  shellcheck --external-sources --check-sourced dev .ci/run
  git ls-files -z --cached --others --exclude-standard -- '*.sh' ':!tools/dev' |
    xargs -0 -r shellcheck --external-sources
}
check_layering() { python3 tools/lint/layering.py; }

# ./dev up installs no test library, and must not miss any. What it would compile, source by source,
# is what clang-tidy reads.
check_release_alone() {
  local options=() library
  for library in GTest rapidcheck benchmark; do
    options+=("-DCMAKE_DISABLE_FIND_PACKAGE_$library=ON")
  done
  cmake --preset release -B "$kReports/alone" -DCMAKE_UNITY_BUILD=OFF "${options[@]}" -Wno-dev --no-warn-unused-cli \
    --log-level=WARNING >/dev/null
}

check_lint() {
  local status=0 check
  for check in purity length markers; do
    python3 "tools/lint/$check.py" || status=1
  done
  check_shell || status=1
  return $status
}

# check_tidy [ROOM…]
check_tidy() {
  local cache=${XDG_CACHE_HOME:-${HOME:-$PWD}/.cache}/tessera-tidy
  python3 tools/lint/tidy.py "$kReports/alone" "$cache" "$@"
}
check_the_checks() { script_tests python3 tools/lint/lint_test.py; }

# node_tests COMMAND… -> runs it, and counts by the closing lines of node's test runner.
node_tests() {
  local status=0 log=$kReports/node.log
  timeout 600 "$@" 2>&1 | tee "$log" || status=$?
  counted "$(sed -nE 's/^(#|ℹ) pass ([0-9]+)$/\2/p' "$log" | tail -n 1)" \
    "$(sed -nE 's/^(#|ℹ) fail ([0-9]+)$/\2/p' "$log" | tail -n 1)"
  return $status
}

# script_tests COMMAND… -> one test, or as many as a closing line of Python's unittest says.
script_tests() {
  local status=0 log=$kReports/script.log total failed
  timeout 600 "$@" 2>&1 | tee "$log" || status=$?
  total=$(sed -nE 's/^Ran ([0-9]+) tests? in .*/\1/p' "$log" | tail -n 1)
  if [[ -n $total ]]; then
    failed=$(grep -cE '^(FAIL|ERROR): ' "$log" || true)
    counted $((total - failed)) "$failed"
  fi
  return $status
}

check_console() { node_tests npm --prefix console run --silent check; }

lint() {
  rm -f "$kReports/failed"
  run_step "format" check_format
  run_step "lint" check_lint
  run_step "release without test libraries" check_release_alone
  run_step "clang-tidy" check_tidy
  run_step "layering" check_layering
  summary
}

counted() { printf '%s %s\n' "${1:-0}" "${2:-0}" >"$kReports/count"; }

# run_step NAME FUNCTION [ARGUMENT…]
run_step() {
  local name=$1 start=$SECONDS status passed=1 failed=0 log=$kReports/step.log
  shift
  section "$name"
  mkdir -p "$kReports"
  rm -f "$kReports/count"
  set +e
  (
    set -e
    "$@"
  ) 2>&1 | tee "$log"
  status=${PIPESTATUS[0]}
  set -e
  if [[ -f $kReports/count ]]; then
    read -r passed failed <"$kReports/count"
  elif ((status != 0)); then
    passed=0
  fi
  if ((status != 0 && failed == 0)); then failed=1; fi
  passed_total+=passed
  failed_total+=failed
  if ((failed > 0)); then
    failed_steps+=("$name")
    { section "$name failed; its last lines" && tail -n "$kToldAgain" "$log"; } >>"$kReports/failed"
  fi
  step_times+=("$(printf '%5d s  %s' $((SECONDS - start)) "$name")")
  say "-- $name: $passed passed, $failed failed, $((SECONDS - start)) s"
}

# run_programs PRESET LABELS [NAMES] -> the test programs with a label, and a name, that match
run_programs() {
  local preset=$1 labels=$2 names=${3:-.} status=0
  local reports=$PWD/$kReports/$preset-${labels//[^a-z]/}
  rm -rf "$reports"
  mkdir -p "$reports"
  GTEST_OUTPUT="xml:$reports/" ctest --test-dir "$kBuildRoot/$preset" -L "^($labels)\$" \
    -R "$names" --output-on-failure --no-tests=ignore --parallel "$(nproc)" \
    --output-junit "$reports/ctest.junit" || status=$?
  # shellcheck disable=SC2046  # two words are meant
  counted $(python3 tools/dev/tally.py "$reports/ctest.junit" "$reports")
  return $status
}

# One seed knows nothing of the next: each core takes a part of them.
simulate_seeds() {
  local seeds=${TESSERA_SEEDS:-100} parts part each status=0
  local -a running=()
  parts=$(nproc)
  each=$(((seeds + parts - 1) / parts))
  for ((part = 0; part < parts; ++part)); do
    timeout 900 "$kBuildRoot/dev/tessera" simulate --seeds "$each" --seed $((part * each + 1)) &
    running+=($!)
  done
  for part in "${running[@]}"; do wait "$part" || status=$?; done
  return $status
}

# Other people's clients and headers, from PyPI, in an environment of their own.
readonly kPeerPackages=(nvidia-ml-py==13.615.71 highspy==1.15.1
  nvidia-cuda-runtime-cu12==12.9.79 nvidia-cuda-runtime==13.5.37
  nvidia-nvml-dev-cu12==12.9.79 nvidia-nvml-dev==13.4.92)
readonly kPeersAreThere='import pynvml, highspy
from importlib.metadata import version
version("nvidia-nvml-dev"), version("nvidia-cuda-runtime")'

prepare_peers() {
  local python=$1
  if "$python" -c "$kPeersAreThere" 2>/dev/null; then return 0; fi
  rm -rf "$kBuildRoot/peers"
  python3 -m venv "$kBuildRoot/peers" || {
    say "peers: python3 cannot make a virtual environment; is python3-venv installed?"
    return 1
  }
  timeout 120 "$python" -m pip install --quiet --disable-pip-version-check \
    "${kPeerPackages[@]}" || {
    say "peers: ${kPeerPackages[*]} did not come from PyPI; is it reachable from here?"
    return 1
  }
}

# What a program that is not sanitized must load first, to load a library of ours that is.
sanitizer() { "${CXX:-g++}" -print-file-name=libasan.so; }

run_peers() {
  local python=$PWD/$kBuildRoot/peers/bin/python fakes=$PWD/$kBuildRoot/dev/fakes
  prepare_peers "$python"
  LD_PRELOAD=$(sanitizer) ASAN_OPTIONS=detect_leaks=0 \
    timeout 120 "$python" tests/peers/nvml_peer.py --library "$fakes/libnvidia-ml.so.1" \
    --tool "$fakes/tessera-fake-gpus"
  timeout 600 "$python" tests/peers/headers_peer.py
  timeout 300 "$python" tests/peers/plan_peer.py --tessera "$PWD/$kBuildRoot/dev/tessera" --runs 10
}

# The scripts beside the browser tests get the binary, and say by their exit status how it went.
run_end_to_end() {
  local binary=$PWD/$kBuildRoot/dev/tessera script
  export TESSERA_TEST_PRELOAD
  TESSERA_TEST_PRELOAD=$(sanitizer)
  for script in tests/e2e/*_test.sh tests/e2e/*_test.py; do
    [[ -f $script ]] || continue
    run_step "end to end: $(basename "${script%_test.*}")" script_tests "$script" "$binary"
  done
  run_step "end to end: browser" node_tests node tests/e2e/run.mjs "$binary"
}

summary() {
  local seconds=$SECONDS
  if [[ -f $kReports/failed ]]; then cat "$kReports/failed"; fi
  section "summary ($((seconds / 60)) min $((seconds % 60)) s)"
  printf '%s\n' "${step_times[@]}"
  if ((failed_total > 0)); then
    say "failed: ${failed_steps[*]}"
  fi
  say "$passed_total passed, $failed_total failed"
  ((failed_total == 0))
}

# A build that fails is a failed step too, and the last one.
build_step() {
  run_step "$@"
  if ((failed_total > 0)); then
    summary
    exit 1
  fi
}

# The dev build finds bad memory accesses and undefined behaviour in whatever runs; races need a
# build of their own, of what has threads.
check_threads() {
  build tsan "${kThreadedTests[@]}"
  run_programs tsan unit "^($(IFS='|' && printf '%s' "${kThreadedTests[*]}"))\$"
}

# Looks for new inputs that break the readers; those that once did are in the corpus for good. What
# it says while it looks is kept beside what it found.
fuzz_documents() {
  local found=$kReports/fuzz status=0
  build fuzz document_fuzz
  mkdir -p "$found"
  "$kBuildRoot/fuzz/tests/fuzz/document_fuzz" -max_total_time="${TESSERA_FUZZ_SECONDS:-60}" \
    -timeout=10 -rss_limit_mb=2048 -artifact_prefix="$found/" -print_final_stats=1 \
    "$found" tests/fuzz/corpus examples &>"$kReports/fuzz.log" || status=$?
  if ((status != 0)); then tail -n 60 "$kReports/fuzz.log"; fi
  grep '^stat::number_of_executed_units' "$kReports/fuzz.log" || true
  return $status
}

# Random calls to the guard, beside a model of its accounts. The stand-in driver keeps what it has
# for as long as the program runs, as a driver does: that is no leak.
fuzz_guard() {
  local found=$kReports/fuzz-guard seconds=${TESSERA_FUZZ_SECONDS:-60}
  build fuzz guard_fuzz
  mkdir -p "$found"
  "$kBuildRoot/fuzz/tests/fuzz/guard_fuzz" -max_total_time="$(((seconds + 3) / 4))" -timeout=10 \
    -rss_limit_mb=2048 -detect_leaks=0 -artifact_prefix="$found/" -print_final_stats=1 "$found"
}

run_tests() {
  (($# == 0)) || die "unknown option \"$1\" for test"
  rm -f "$kReports/failed"
  setup
  build_step "build" build dev
  run_step "format" check_format
  run_step "lint" check_lint
  run_step "lint's own tests" check_the_checks
  # The core always; JSON and HTTP take ten seconds a file to read, and wait for ./dev lint.
  run_step "release without test libraries" check_release_alone
  run_step "clang-tidy" check_tidy "${kCoreRooms[@]}"
  run_step "layering" check_layering
  run_step "console" check_console
  run_step "unit, property and scenario" run_programs dev 'unit|property|scenario'
  run_step "simulation" simulate_seeds
  run_step "peers" run_peers
  run_end_to_end
  run_step "threads" check_threads
  run_step "fuzz" fuzz_documents
  run_step "fuzz the guard" fuzz_guard
  summary
}


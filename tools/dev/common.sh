# shellcheck shell=bash
# What every part of ./dev shares. Sourced, never run.

readonly kBuildRoot=build

say() { printf '%s\n' "$*"; }
section() { printf '\n== %s ==\n' "$*"; }
die() {
  printf 'dev: %s\n' "$*" >&2
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# Compilers of today want about 1.5 GB for one translation unit of the gateway: on a small machine
# fewer jobs finish sooner than a swapping machine does.
jobs_that_fit() {
  local cores megabytes by_memory
  cores=$(nproc)
  megabytes=$(awk '/^MemAvailable:/ {print int($2 / 1024)}' /proc/meminfo 2>/dev/null)
  by_memory=$((${megabytes:-2048} / 1500))
  if ((by_memory < 1)); then by_memory=1; fi
  say $((by_memory < cores ? by_memory : cores))
}

# shellcheck shell=bash
# Configures and builds. Sourced by ./dev.

# What one checkout compiled, ccache gives to the next, wherever that lies.
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1

configure() {
  local preset=$1 folder=$kBuildRoot/$1 options=()
  if [[ -f $folder/build.ninja && ! CMakePresets.json -nt $folder/build.ninja ]]; then return 0; fi
  if have ccache; then
    options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_C_COMPILER_LAUNCHER=ccache)
  fi
  # The sanitizers bring their own run-time libraries and stay with the default linker.
  if have mold && [[ $preset == dev || $preset == release ]]; then
    options+=(-DCMAKE_EXE_LINKER_FLAGS=-fuse-ld=mold)
  fi
  section "configure $preset"
  cmake --preset "$preset" "${options[@]}" -Wno-dev --log-level=WARNING
}

# build PRESET [TARGET…]
build() {
  local preset=$1 targets=()
  shift
  (($# == 0)) || targets=(--target "$@")
  configure "$preset"
  section "build $preset"
  cmake --build "$kBuildRoot/$preset" --parallel "$(jobs_that_fit)" "${targets[@]}"
}

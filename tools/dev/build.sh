# shellcheck shell=bash
# Configures and builds. Sourced by ./dev.

# npm is asked only when the lock file changed, the bundle made only when a source did.
build_console() {
  [[ -f console/package.json ]] || return 0
  local packages sources
  packages=$(digest console/package-lock.json)
  if [[ ! -d console/node_modules ]] || ! unchanged console-packages "$packages"; then
    section "console: npm ci"
    npm --prefix console ci --no-audit --no-fund --loglevel=error
    remember console-packages "$packages"
  fi
  sources=$(digest console)
  if [[ ! -d console/dist ]] || ! unchanged console-sources "$sources"; then
    section "console: build"
    npm --prefix console run --silent build
    remember console-sources "$sources"
  fi
}

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
  case $preset in dev | release) build_console ;; esac
  configure "$preset"
  section "build $preset"
  cmake --build "$kBuildRoot/$preset" --parallel "$(jobs_that_fit)" "${targets[@]}"
}

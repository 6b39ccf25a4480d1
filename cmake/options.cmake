# Flags of our own targets. They are attached PRIVATE: nothing that links us inherits them.
add_library(tessera_flags INTERFACE)
target_compile_options(tessera_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wnon-virtual-dtor -Werror
  # Designated initialisers leave the rest at the defaults the struct states.
  -Wno-missing-field-initializers
  # No fused multiply-add: it rounds once where two operations round twice, so that placement's
  # scores, and with them decisions, would differ between machines and levels of optimisation.
  -ffp-contract=off
  # g++ 12 reports these inside libstdc++ itself at -O2 (std::expected, std::variant).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized -Wno-restrict -Wno-stringop-overflow
    -Wno-array-bounds>
  # clang reports what g++'s own headers deprecate inside themselves (std::ranges::stable_sort).
  $<$<CXX_COMPILER_ID:Clang>:-Wno-deprecated-declarations>)
# Builds for checking compile several sources of a room at once (CMakePresets.json): most of the time
# goes into the headers that they share. The release build and clang-tidy read each source alone, and
# so find the includes that are missing. To g++ a source within another is a header.
if(CMAKE_UNITY_BUILD)
  target_compile_options(tessera_flags INTERFACE
    $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
endif()
if(TESSERA_SANITIZE)
  # Undefined behaviour ends the run: a finding that only prints passes unseen.
  add_compile_options(-fsanitize=${TESSERA_SANITIZE} -fno-sanitize-recover=all
    -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${TESSERA_SANITIZE})
endif()

# Programs that run for long get their memory from mimalloc (docs/decisions/0023). No symbol of it is
# named anywhere: it takes malloc's place by being linked first. Sanitizers bring an allocator of
# their own.
add_library(tessera_malloc INTERFACE)
if(NOT TESSERA_SANITIZE)
  find_package(mimalloc 2.0 REQUIRED)
  target_link_libraries(tessera_malloc INTERFACE
    -Wl,--push-state,--no-as-needed mimalloc -Wl,--pop-state)
endif()

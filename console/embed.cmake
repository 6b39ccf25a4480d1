# cmake -D SOURCE=… -D DIST=… -D OUTPUT=… -D NPM=… -P embed.cmake
# Builds the console into DIST with npm and writes OUTPUT: a C++ file that takes every file of DIST
# into the binary (.incbin: no parsing of a hundred thousand numbers).

# Several build folders share one node_modules.
file(LOCK ${SOURCE}/.build-lock TIMEOUT 600)
set(installed ${SOURCE}/node_modules/.package-lock.json)
if(NOT EXISTS ${installed} OR ${SOURCE}/package-lock.json IS_NEWER_THAN ${installed})
  execute_process(COMMAND ${NPM} ci --loglevel=error
    WORKING_DIRECTORY ${SOURCE} RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "npm could not install the console's packages (see above). "
      "Is the registry reachable? To build without the console: -DTESSERA_CONSOLE=OFF")
  endif()
  file(TOUCH ${installed})
endif()
execute_process(COMMAND ${NPM} run --silent build -- --out ${DIST}
  WORKING_DIRECTORY ${SOURCE} RESULT_VARIABLE failed OUTPUT_QUIET)
if(failed)
  message(FATAL_ERROR "The console does not build (see above). Try: npm run build in ${SOURCE}")
endif()
file(LOCK ${SOURCE}/.build-lock RELEASE)

function(content_type_of file result)
  set(.html "text/html; charset=utf-8")
  set(.js "text/javascript; charset=utf-8")
  set(.css "text/css; charset=utf-8")
  set(.svg "image/svg+xml")
  set(.woff2 "font/woff2")
  cmake_path(GET file EXTENSION LAST_ONLY extension)
  if(NOT DEFINED ${extension})
    message(FATAL_ERROR "embed.cmake knows no content type for ${file}: add one")
  endif()
  set(${result} "${${extension}}" PARENT_SCOPE)
endfunction()

file(GLOB_RECURSE files RELATIVE ${DIST} ${DIST}/*)
list(SORT files)
list(LENGTH files count)
set(blobs "")
set(symbols "")
set(entries "")
set(number 0)
foreach(file IN LISTS files)
  content_type_of(${file} type)
  string(APPEND blobs
    "asm(R\"(.pushsection .rodata\n"
    "tessera_console_${number}: .incbin \"${DIST}/${file}\"\n"
    "tessera_console_${number}_end: .byte 0\n"
    ".global tessera_console_${number}, tessera_console_${number}_end\n"
    ".popsection)\");\n")
  string(APPEND symbols
    "extern const char tessera_console_${number}[], tessera_console_${number}_end[];\n")
  string(APPEND entries
    "      {\"${file}\", \"${type}\", bytes(tessera_console_${number}, tessera_console_${number}_end)},\n")
  math(EXPR number "${number} + 1")
endforeach()

file(WRITE ${OUTPUT} "// Written by console/embed.cmake from the files of the console.
#include \"console/embedded.h\"

#include <array>

${blobs}
extern \"C\" {
${symbols}}

namespace tessera::console {

std::span<const EmbeddedFile> console_files() {
  const auto bytes = [](const char* begin, const char* end) {
    return std::string_view(begin, static_cast<std::size_t>(end - begin));
  };
  static const std::array<EmbeddedFile, ${count}> files{{
${entries}  }};
  return files;
}

}  // namespace tessera::console
")

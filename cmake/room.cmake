# tessera_room(NAME SOURCES … [LINKS …] [PRIVATE_LINKS …] [TESTS …] [TEST_LINKS …])
#
# One static library `tessera_<NAME>` and, where TESTS are listed, one test program
# `<NAME>_test` registered with ctest under the label `unit`.
function(tessera_room name)
  cmake_parse_arguments(room "" "" "SOURCES;LINKS;PRIVATE_LINKS;TESTS;TEST_LINKS" ${ARGN})
  add_library(tessera_${name} STATIC ${room_SOURCES})
  target_include_directories(tessera_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(tessera_${name} PUBLIC ${room_LINKS} PRIVATE tessera_flags
    ${room_PRIVATE_LINKS})
  if(TESSERA_TESTS AND room_TESTS)
    tessera_test(${name}_test SOURCES ${room_TESTS} LINKS tessera_${name} ${room_TEST_LINKS})
  endif()
endfunction()

# tessera_test(NAME SOURCES … LINKS … [LABEL unit])
function(tessera_test name)
  cmake_parse_arguments(test "" "LABEL" "SOURCES;LINKS" ${ARGN})
  if(NOT test_LABEL)
    set(test_LABEL unit)
  endif()
  add_executable(${name} ${test_SOURCES})
  target_link_libraries(${name} PRIVATE ${test_LINKS} tessera_flags GTest::gtest GTest::gmock
    GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS ${test_LABEL} TIMEOUT 300)
endfunction()

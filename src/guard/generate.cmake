# Makes what depends on the list of the CUDA driver's exports.
#
#   cmake -DKIND=guard|stand_in -DSYMBOLS=cuda_symbols.txt -DTO=FOLDER -P generate.cmake
#
# symbols.inc     one line SYMBOL(name) per export, in the order of the list
# entries.S       guard: every export jumps through a table that is filled at the first call;
#                 stand_in: every export that the C++ does not define answers "not supported"
file(STRINGS ${SYMBOLS} names)
set(list "")
set(entries "\t.text\n")
set(slots "")
set(index 0)
foreach(name IN LISTS names)
  string(APPEND list "SYMBOL(${name})\n")
  if(KIND STREQUAL "guard")
    string(APPEND entries "\t.globl ${name}\n\t.type ${name}, @function\n${name}:\n\tendbr64\n"
      "\tjmp *tessera_guard_jumps+8*${index}(%rip)\n\t.size ${name}, .-${name}\n"
      ".Lfirst${index}:\n\tpushq $${index}\n\tjmp tessera_guard_first_call\n")
    string(APPEND slots "\t.quad .Lfirst${index}\n")
  else()
    string(APPEND entries "\t.weak ${name}\n\t.type ${name}, @function\n${name}:\n\tendbr64\n"
      "\tmovl $801, %eax\n\tret\n\t.size ${name}, .-${name}\n")
  endif()
  math(EXPR index "${index} + 1")
endforeach()
if(KIND STREQUAL "guard")
  string(APPEND entries "\t.data\n\t.balign 8\n\t.globl tessera_guard_jumps\n"
    "\t.hidden tessera_guard_jumps\ntessera_guard_jumps:\n${slots}")
endif()
string(APPEND entries "\t.section .note.GNU-stack,\"\",@progbits\n")
file(WRITE ${TO}/symbols.inc "${list}")
file(WRITE ${TO}/entries.S "${entries}")

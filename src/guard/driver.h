#pragma once

#include <cstdint>

#include "guard/cuda_abi.h"

/// The real driver, and the table through which every export of ours jumps.
///
/// Before the first call every entry leads to resolve(), which opens the driver, attaches to the
/// accounts and fills the whole table, once:
///
///   no driver               every call answers kNoDevice, after one line that says why
///   settings or agent wrong every call answers kSystemNotReady, after one line (fail closed)
///   nothing is limited      every call goes to the driver, and nothing else happens
///   otherwise               calls that hook_table.cpp names go to a wrapper, the rest to the
///   driver
namespace tessera::guard {

enum class Symbol : std::uint16_t {
#define SYMBOL(name) name,
#include "guard/symbols.inc"
#undef SYMBOL
  kCount
};
inline constexpr unsigned kSymbols = static_cast<unsigned>(Symbol::kCount);

extern void* real_functions[kSymbols];

/// The driver's own function; nullptr where it has none of that name.
template <class Function>
Function* real(Symbol symbol) {
  return reinterpret_cast<Function*>(real_functions[static_cast<unsigned>(symbol)]);
}
/// The same for a wrapper, which has the type of what it wraps.
template <Symbol kSymbol, class Function>
Function* next(Function*) {
  return real<Function>(kSymbol);
}

struct Hook {
  Symbol symbol;
  void* wrapper;
};
/// hook_table.cpp
extern const Hook kHooks[];
extern const unsigned kHookCount;

/// The wrapper of the driver's function at this address, which the driver has given out for `name`;
/// the address itself where there is none.
void* wrapper_of(void* real_function);
/// Number of an export of ours, -1 where it is none.
int symbol_named(const char* name);
void* own_export(unsigned symbol);
/// Is this address inside the real driver? For dlsym().
bool is_in_driver(const void* address);
void start_driver();

/// The loader's own, past our interposers.
void* next_dlopen(const char* name, int flags);
void* next_dlsym(void* handle, const char* name);

}  // namespace tessera::guard

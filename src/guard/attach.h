#pragma once

#include "guard/ledger.h"
#include "guard/settings.h"

/// Where this process finds its limits and its accounts.
///
///   an agent's socket   the agent hands over two files in memory: limits, which cannot be mapped
///   for
///                       writing, and accounts
///   otherwise           limits from the environment; accounts in the file that is named there, or
///   in
///                       memory that forked children share
namespace tessera::guard {

/// False where it cannot; one line has said why.
bool attach(const Settings& settings);

/// The ledger of this process, with a row; nullptr where there is none to be had. After a fork the
/// child takes a row of its own at its first use.
Ledger* ledger();

/// The agent's answer to a connection: both files as ancillary data, limits first.
inline constexpr char kHello[8] = {'t', 'e', 's', 's', 'e', 'r', 'a', '1'};

}  // namespace tessera::guard

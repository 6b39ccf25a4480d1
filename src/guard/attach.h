#pragma once

#include "guard/ledger.h"
#include "guard/settings.h"

/// Where this process finds its limits and its accounts.
///
/// An agent's socket: the agent hands over two files in memory, limits, which cannot be mapped for
/// writing, and accounts; and the number of the row that it has taken for this process. Otherwise:
/// limits from the environment, accounts in the file that is named there, or in memory that forked
/// children share.
namespace tessera::guard {

/// False where it cannot; one line has said why.
bool attach(const Settings& settings);

/// The ledger of this process, with a row; nullptr where there is none to be had. After a fork the
/// child takes a row of its own at its first use: the agent gives it one over a new connection.
Ledger* ledger();

}  // namespace tessera::guard

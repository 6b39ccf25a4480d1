#pragma once

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/time.h"
#include "control/state.h"
#include "control/step.h"
#include "wire/document.h"

/// For tests: a state that came about as in production, from an example's documents, commands and
/// the reports of agents that do at once what they are told.
namespace tessera::wire {

inline const catalog::Catalog& built_in() {
  static const catalog::Catalog catalog = catalog::Catalog::built_in();
  return catalog;
}

std::string example_text(const std::string& name);

class TestWorld {
 public:
  /// Applies `documents` (see example_text) and lets every node report once.
  explicit TestWorld(const std::string& documents);

  const control::State& state() const { return state_; }
  const std::vector<control::Record>& records() const { return records_; }
  void pass(base::Duration time) { now_ += time; }
  base::Result<control::Record> run(const control::Command& command);
  /// Asks for `spec` (JSON) and returns the new request's id.
  request::RequestId ask(const std::string& spec);
  /// Every agent reports that its node is as it should be.
  void report_all();

 private:
  base::Result<control::Record> run_as(const tenancy::Actor& actor,
                                       const control::Command& command);

  control::State state_;
  base::Instant now_{std::chrono::seconds(1'800'000'000)};
  std::vector<control::Record> records_;
  std::uint64_t sequence_ = 0;
};

}  // namespace tessera::wire

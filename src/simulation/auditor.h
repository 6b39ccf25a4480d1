#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "control/invariants.h"
#include "simulation/books.h"
#include "simulation/node.h"

namespace tessera::simulation {

using Nodes = std::map<std::string, std::unique_ptr<Node>>;

/// Looks at every stored step and at the machines, and throws a Violation at the first promise
/// that is broken: the invariants of control, its own accounts (Books), and what it sees on the
/// devices themselves.
class Auditor {
 public:
  Auditor(const catalog::Catalog& catalog, const Nodes& nodes);

  /// `state` is the state after `record`.
  void note(const control::State& state, const control::Record& record);

  /// Everything that is promised of a state as it stands: after a restart, and at the end.
  void check_all(const control::State& state) const;

  /// A client was told that its request is in. From then on it must be there, as it was asked for.
  void acknowledged(const request::Request& request);
  /// No lease stands whose time was up before `before`.
  void check_overdue(Instant before) const;

  /// LeaseMeansDevice: what is not yet as it should be once all is quiet; empty when every lease
  /// has its device, every device its lease, and nothing is on its way.
  std::string unsettled(const control::State& state) const;

  std::uint64_t granted() const { return books_.granted(); }
  std::uint64_t moved() const { return books_.moved(); }
  std::uint64_t restarted() const { return books_.restarted(); }

 private:
  void check_acknowledged(const control::State& state) const;
  void check_handover(const control::State& state, const control::SliceReady& event) const;

  const catalog::Catalog& catalog_;
  const Nodes& nodes_;
  Books books_;
  std::vector<std::unique_ptr<control::Invariant>> invariants_;
  struct Asked {
    std::string team;
    request::Need need;
  };
  std::map<request::RequestId, Asked> acknowledged_;
};

}  // namespace tessera::simulation

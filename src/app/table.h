#pragma once

#include <string>
#include <vector>

namespace tessera::app {

/// Columns of text, each as wide as its widest cell. Cells may carry terminal colours.
class Table {
 public:
  explicit Table(std::vector<std::string> header) { rows_.push_back(std::move(header)); }
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  bool empty() const { return rows_.size() == 1; }
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace tessera::app

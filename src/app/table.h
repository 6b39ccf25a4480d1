#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace tessera::app {

/// Columns of text, each as wide as its widest cell. Cells may carry terminal colours.
class Table {
 public:
  explicit Table(std::vector<std::string> header) { rows_.push_back(std::move(header)); }
  /// More rows of a table that was printed before: no header, columns at least as wide as there.
  static Table continued(std::vector<std::size_t> widths) {
    Table table;
    table.least_ = std::move(widths);
    return table;
  }

  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  bool empty() const { return rows_.size() <= 1; }
  std::vector<std::size_t> widths() const;
  std::string text() const;

 private:
  Table() = default;

  std::vector<std::size_t> least_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace tessera::app

#include "app/table.h"

#include <algorithm>

#include "app/words.h"

namespace tessera::app {
std::vector<std::size_t> Table::widths() const {
  auto widths = least_;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], seen_width(row[i]));
  }
  return widths;
}

std::string Table::text() const {
  const auto widths = this->widths();
  std::string out;
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line += std::string(widths[i] - seen_width(row[i]) + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

}  // namespace tessera::app

#include "simulation/trace.h"

#include <charconv>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>

namespace tessera::simulation {
namespace {

using base::Result;

constexpr std::int64_t kLargestFile = 256 << 20;
constexpr std::int64_t kMostGpus = 64;  ///< of one node or pod
constexpr std::int64_t kMostHost = 1'000'000'000;

std::unexpected<base::Error> wrong(std::string what, std::string where) {
  return base::fail(base::Reason::kInvalidDocument, std::move(what), std::move(where),
                    "give a list in the form of the openb traces");
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

/// Goes through a list line by line and remembers the first thing that is wrong.
class Table {
 public:
  Table(std::string_view text, const std::string& file, std::string_view columns)
      : rest_(text), file_(file), columns_(columns), count_(split(columns, ',').size()) {}

  /// Moves to the next line; false at the end, or once something was wrong.
  bool next() {
    if (line_ == 0) read_header();
    do {
      if (error_ || rest_.empty()) return false;
      values_ = split(take_line(), ',');
    } while (values_.size() == 1 && values_[0].empty());
    if (values_.size() < count_)
      note("has " + std::to_string(values_.size()) + " values, needs " + std::to_string(count_));
    return !error_;
  }

  std::string text(std::size_t column) const { return std::string(values_[column]); }

  std::string name(std::size_t column) {
    auto name = text(column);
    if (name.empty()) note("has no name");
    if (!names_.insert(name).second) note("repeats the name \"" + name + "\"");
    return name;
  }

  std::int64_t number(std::size_t column, std::int64_t least, std::int64_t most) {
    const auto digits = values_[column];
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error != std::errc() || end != digits.data() + digits.size() || number < least ||
        number > most)
      note(std::string(split(columns_, ',')[column]) + " must be a number from " +
           std::to_string(least) + " to " + std::to_string(most) + ", not \"" +
           std::string(digits.substr(0, 40)) + "\"");
    return number;
  }

  void note(const std::string& what) {
    if (!error_)
      error_ = base::Error{base::Reason::kInvalidDocument, "the line " + what,
                           file_ + ":" + std::to_string(line_), "correct the list"};
  }
  const std::optional<base::Error>& error() const { return error_; }

 private:
  void read_header() {
    const auto header = take_line();
    if (header == columns_ || header.starts_with(std::string(columns_) + ",")) return;
    note("must name the columns " + std::string(columns_));
  }

  std::string_view take_line() {
    const auto end = rest_.find('\n');
    auto line = rest_.substr(0, end);
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    ++line_;
    return line;
  }

  std::string_view rest_;
  const std::string& file_;
  std::string_view columns_;
  std::size_t count_;
  std::size_t line_ = 0;
  std::vector<std::string_view> values_;
  std::set<std::string> names_;
  std::optional<base::Error> error_;
};

template <class Row>
Result<std::vector<Row>> checked(const Table& table, std::vector<Row> rows,
                                 const std::string& file) {
  if (table.error()) return std::unexpected(*table.error());
  if (rows.empty()) return wrong("the list is empty", file);
  return rows;
}

Result<std::string> contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in) return wrong("the file cannot be read", path);
  if (in.tellg() > kLargestFile) return wrong("the file is larger than 256 MiB", path);
  in.seekg(0);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in || !text) return wrong("the file cannot be read", path);
  return std::move(text).str();
}

}  // namespace

Result<std::vector<TraceNode>> parse_trace_nodes(std::string_view text, const std::string& file) {
  Table table(text, file, "sn,cpu_milli,memory_mib,gpu,model");
  std::vector<TraceNode> nodes;
  while (table.next()) {
    TraceNode node;
    node.name = table.name(0);
    node.cpu = base::MilliCpu(table.number(1, 1, kMostHost));
    node.memory = base::MiB(table.number(2, 1, kMostHost));
    node.gpus = static_cast<int>(table.number(3, 0, kMostGpus));
    node.model = table.text(4);
    if (node.gpus > 0 && node.model.empty()) table.note("has GPUs and no model");
    nodes.push_back(std::move(node));
  }
  return checked(table, std::move(nodes), file);
}

Result<std::vector<TracePod>> parse_trace_pods(std::string_view text, const std::string& file) {
  Table table(text, file, "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec");
  std::vector<TracePod> pods;
  while (table.next()) {
    TracePod pod;
    pod.name = table.name(0);
    pod.cpu = base::MilliCpu(table.number(1, 0, kMostHost));
    pod.memory = base::MiB(table.number(2, 0, kMostHost));
    pod.gpus = static_cast<int>(table.number(3, 0, kMostGpus));
    const bool some = pod.gpus > 0;
    pod.share = base::MilliShare(table.number(4, some ? 1 : 0, 1000));
    if (pod.gpus > 1 && pod.share.count() != 1000)
      table.note("asks for parts of several GPUs; a part comes from one");
    const auto spec = table.text(5);
    if (!spec.empty())
      for (const auto model : split(spec, '|')) pod.models.emplace_back(model);
    pods.push_back(std::move(pod));
  }
  return checked(table, std::move(pods), file);
}

Result<std::vector<TraceNode>> read_trace_nodes(const std::string& path) {
  const auto text = contents(path);
  if (!text) return std::unexpected(text.error());
  return parse_trace_nodes(*text, path);
}

Result<std::vector<TracePod>> read_trace_pods(const std::string& path) {
  const auto text = contents(path);
  if (!text) return std::unexpected(text.error());
  return parse_trace_pods(*text, path);
}

}  // namespace tessera::simulation

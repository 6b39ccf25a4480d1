#include "agent/use_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <unistd.h>

namespace tessera::agent {
namespace {

using base::fail;
using base::Reason;

constexpr std::uintmax_t kLargest = 16 << 20;

std::string random_name() {
  std::random_device device;
  std::string name = "s";
  for (int i = 0; i < 4; ++i) {
    char part[9];
    std::snprintf(part, sizeof part, "%08x", device());
    name += part;
  }
  return name;
}

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }

 private:
  int number_;
};

bool write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const auto written = ::write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

bool sync_folder(const std::string& path) {
  const auto folder = std::filesystem::path(path).parent_path();
  const Descriptor open(::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY));
  return open.number() >= 0 && ::fsync(open.number()) == 0;
}

}  // namespace

UseBook UseFile::load(std::string& trouble) const {
  std::error_code error;
  if (path_.empty() || !std::filesystem::exists(path_, error)) return UseBook(random_name());
  std::ostringstream text;
  if (std::filesystem::file_size(path_, error) <= kLargest)
    text << std::ifstream(path_, std::ios::binary).rdbuf();
  auto book = UseBook::parse(text.str());
  if (book) return std::move(*book);
  trouble = path_ + ": " + base::to_string(book.error()) + "; moved to " + path_ +
            ".damaged, and what was not yet told of is lost";
  std::filesystem::rename(path_, path_ + ".damaged", error);
  return UseBook(random_name());
}

base::Result<void> UseFile::save(const UseBook& book, bool durable) const {
  if (path_.empty()) return {};
  const auto refused = [&](const char* what) {
    return fail(Reason::kUnavailable, std::string(what) + ": " + std::strerror(errno), path_,
                "see to the disk; what is measured is kept in memory meanwhile");
  };
  const auto fresh = path_ + ".new";
  const Descriptor file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (file.number() < 0) return refused("cannot be written");
  if (!write_all(file.number(), book.text())) return refused("cannot be written");
  if (durable && ::fsync(file.number()) != 0) return refused("does not reach the disk");
  if (std::rename(fresh.c_str(), path_.c_str()) != 0) return refused("cannot be replaced");
  if (durable && !sync_folder(path_)) return refused("does not reach the disk");
  return {};
}

}  // namespace tessera::agent

// Through the guard a program gets the wrapper of exactly the function that the driver would have
// given it.

#include <cstring>
#include <fstream>
#include <set>
#include <vector>

#include "rig.h"

namespace tessera::guard::test {
namespace {

class Lookup : public Rig {};

/// Where an export of the guard jumps to: "endbr64; jmp *slot(%rip)".
void* target_of(const void* entry) {
  const auto* code = static_cast<const unsigned char*>(entry);
  if (code == nullptr || code[4] != 0xff || code[5] != 0x25) return nullptr;
  std::int32_t offset = 0;
  std::memcpy(&offset, code + 6, sizeof(offset));
  void* target = nullptr;
  std::memcpy(&target, code + 10 + offset, sizeof(target));
  return target;
}

std::vector<std::string> symbols() {
  std::ifstream file(TESSERA_CUDA_SYMBOLS);
  std::vector<std::string> all;
  for (std::string line; std::getline(file, line);) all.push_back(line);
  return all;
}

TEST_F(Lookup, gives_the_wrapper_of_what_the_driver_gives) {
  const auto all = symbols();
  ASSERT_EQ(all.size(), 637U);
  run(limited("1GiB"), [&](const Library& guard) {
    ASSERT_EQ(guard.begin(), cuda::kSuccess);
    const Library driver(TESSERA_FAKE_CUDA);
    ASSERT_EQ(driver.begin(), cuda::kSuccess);
    std::map<void*, void*> wrapper_of;  // the driver's function -> where our export of it leads
    for (const auto& name : all) {
      ASSERT_NE(guard.find(name.c_str()), nullptr) << name;
      ASSERT_TRUE(
          wrapper_of.emplace(driver.find(name.c_str()), target_of(guard.find(name.c_str()))).second)
          << name;
    }
    std::set<std::string> bases;
    for (const auto& name : all) bases.insert(name.substr(0, name.find("_")));
    unsigned compared = 0;
    unsigned wrapped = 0;
    for (const auto& name : bases)
      for (const int version : {2000, 3020, 4000, 6050, 8000, 10000, 10020, 11000, 11020, 11030,
                                11040, 12000, 12020, 12030, 12050, 12080, 13000})
        for (const std::uint64_t flags : {0, 1, 2}) {
          void* theirs = nullptr;
          void* ours = nullptr;
          std::int32_t status[2] = {-1, -1};
          ASSERT_EQ(
              guard("cuGetProcAddress_v2", name.c_str(), &ours, version, flags, &status[0]),
              driver("cuGetProcAddress_v2", name.c_str(), &theirs, version, flags, &status[1]));
          ASSERT_EQ(status[0], status[1]);
          ASSERT_EQ(ours, theirs == nullptr ? nullptr : wrapper_of.at(theirs))
              << name << " " << version << " " << flags;
          ++compared;
          if (ours != theirs) ++wrapped;
        }
    EXPECT_GT(compared, 20'000U);
    EXPECT_GT(wrapped, 1'000U);
  });
}

TEST_F(Lookup, works_by_preloading) {
  if (std::strlen(TESSERA_SANITIZED) > 0)
    GTEST_SKIP() << "a sanitizer wants to be the first preloaded library";
  auto environment = limited("1GiB");
  environment["LD_PRELOAD"] = TESSERA_GUARD;
  expect_well(start(environment, [](const Library&) {
    execl(TESSERA_PROBE, TESSERA_PROBE, "libcuda.so.1", "1073741824", nullptr);
  }));
  expect_well(start(environment, [](const Library&) {
    execl(TESSERA_PROBE, TESSERA_PROBE, TESSERA_FAKE_CUDA, "1073741824", nullptr);
  }));
}

TEST_F(Lookup, passes_everything_through_where_nothing_is_limited) {
  run({}, [&](const Library& guard) {
    ASSERT_EQ(guard.begin(), cuda::kSuccess);
    const Library driver(TESSERA_FAKE_CUDA);
    for (const auto& name : symbols())
      ASSERT_EQ(target_of(guard.find(name.c_str())), driver.find(name.c_str())) << name;
  });
}

}  // namespace
}  // namespace tessera::guard::test

// A node's broker without the node: shares one GPU among tenants until its input ends.
//
//     guard_broker GPU-UUID [SOCKET WEIGHT critical|ordinary]…
//
// Says "ready" once the sockets are there.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <unistd.h>

#include "base/result.h"
#include "device/sharing/broker.h"
#include "guard/gpu_key.h"

int main(int count, char** words) {
  using namespace tessera;
  guard::cuda::Uuid uuid{};
  if (count < 2 || count % 3 != 2 || !guard::parse_uuid(words[1], uuid)) {
    std::fprintf(stderr, "usage: %s GPU-UUID [SOCKET WEIGHT critical|ordinary]...\n", words[0]);
    return 2;
  }
  device::sharing::Broker broker;
  for (int i = 2; i < count; i += 3) {
    const device::sharing::Terms terms{
        static_cast<std::uint32_t>(std::strtoul(words[i + 1], nullptr, 10)),
        std::strcmp(words[i + 2], "critical") == 0};
    const auto added =
        broker.add(words[i], {words[i], {{guard::key_of_uuid(uuid), guard::kNoLimit}}, terms});
    if (!added) {
      std::fprintf(stderr, "guard_broker: %s\n", base::to_string(added.error()).c_str());
      return 1;
    }
  }
  std::puts("ready");
  std::fflush(stdout);
  char ignored = 0;
  while (read(STDIN_FILENO, &ignored, 1) > 0) {
  }
  return 0;
}

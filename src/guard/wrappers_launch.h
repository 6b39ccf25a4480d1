#pragma once

#include "guard/launches.h"
#include "guard/memory.h"

/// Everything that makes the GPU work, and everything that waits for it.
namespace tessera::guard {

template <Symbol kSelf, const StreamCalls& kCalls>
cuda::Result launch_kernel(cuda::Handle function, unsigned gx, unsigned gy, unsigned gz,
                           unsigned bx, unsigned by, unsigned bz, unsigned shared,
                           cuda::Handle stream, void** parameters, void** extra) {
  before_launch(stream, kCalls);
  return next<kSelf>(&launch_kernel<kSelf, kCalls>)(function, gx, gy, gz, bx, by, bz, shared,
                                                    stream, parameters, extra);
}

template <Symbol kSelf, const StreamCalls& kCalls>
cuda::Result launch_kernel_ex(const cuda::LaunchConfig* config, cuda::Handle function,
                              void** parameters, void** extra) {
  if (config != nullptr) before_launch(config->stream, kCalls);
  return next<kSelf>(&launch_kernel_ex<kSelf, kCalls>)(config, function, parameters, extra);
}

template <Symbol kSelf, const StreamCalls& kCalls>
cuda::Result launch_cooperative(cuda::Handle function, unsigned gx, unsigned gy, unsigned gz,
                                unsigned bx, unsigned by, unsigned bz, unsigned shared,
                                cuda::Handle stream, void** parameters) {
  before_launch(stream, kCalls);
  return next<kSelf>(&launch_cooperative<kSelf, kCalls>)(function, gx, gy, gz, bx, by, bz, shared,
                                                         stream, parameters);
}

/// The launches from before there were streams, or grids of three dimensions.
template <Symbol kSelf>
cuda::Result launch(cuda::Handle function) {
  before_launch(nullptr, kLegacy);
  return next<kSelf>(&launch<kSelf>)(function);
}
template <Symbol kSelf>
cuda::Result launch_grid(cuda::Handle function, int width, int height) {
  before_launch(nullptr, kLegacy);
  return next<kSelf>(&launch_grid<kSelf>)(function, width, height);
}
template <Symbol kSelf>
cuda::Result launch_grid_async(cuda::Handle function, int width, int height, cuda::Handle stream) {
  before_launch(stream, kLegacy);
  return next<kSelf>(&launch_grid_async<kSelf>)(function, width, height, stream);
}

template <Symbol kSelf, const StreamCalls& kCalls>
cuda::Result stream_synchronize(cuda::Handle stream) {
  const auto issued = before_sync(stream, kCalls);
  const auto result = next<kSelf>(&stream_synchronize<kSelf, kCalls>)(stream);
  after_sync(issued);
  return result;
}
template <Symbol kSelf>
cuda::Result context_synchronize() {
  const auto issued = before_sync(nullptr, kLegacy);
  const auto result = next<kSelf>(&context_synchronize<kSelf>)();
  after_sync(issued);
  return result;
}
template <Symbol kSelf>
cuda::Result one_context_synchronize(cuda::Handle context) {
  const auto issued = before_sync_of(context);
  const auto result = next<kSelf>(&one_context_synchronize<kSelf>)(context);
  after_sync(issued);
  return result;
}

/// Memory that the graph's own nodes allocate when it is launched, nested graphs included.
std::uint64_t bytes_of_graph(cuda::Handle graph);
void remember_graph(cuda::Handle executable, std::uint64_t bytes);
void forget_graph(cuda::Handle executable);
/// Reserves what a launch may take; false: over the limit. On true, end_graph_launch() must follow.
struct GraphTurn {
  Place place;
  std::uint64_t reserved = 0;
  bool watched = false;
};
bool begin_graph_launch(cuda::Handle executable, GraphTurn& turn);
void end_graph_launch(const GraphTurn& turn);

template <Symbol kSelf, const StreamCalls& kCalls>
cuda::Result graph_launch(cuda::Handle executable, cuda::Handle stream) {
  auto* driver = next<kSelf>(&graph_launch<kSelf, kCalls>);
  GraphTurn turn;
  if (!begin_graph_launch(executable, turn)) return cuda::kOutOfMemory;
  before_launch(stream, kCalls);
  const auto result = driver(executable, stream);
  end_graph_launch(turn);
  return result;
}
template <Symbol kSelf>
cuda::Result graph_upload(cuda::Handle executable, cuda::Handle stream) {
  auto* driver = next<kSelf>(&graph_upload<kSelf>);
  GraphTurn turn;
  if (!begin_graph_launch(executable, turn)) return cuda::kOutOfMemory;
  const auto result = driver(executable, stream);
  end_graph_launch(turn);
  return result;
}

/// cuGraphInstantiate in its forms: the executable first, the graph second.
template <Symbol kSelf, class... More>
cuda::Result graph_instantiate(cuda::Handle* executable, cuda::Handle graph, More... more) {
  auto* driver = next<kSelf>(&graph_instantiate<kSelf, More...>);
  const auto bytes = bytes_of_graph(graph);
  const auto result = driver(executable, graph, more...);
  if (result == cuda::kSuccess) remember_graph(*executable, bytes);
  return result;
}
template <Symbol kSelf>
cuda::Result graph_exec_destroy(cuda::Handle executable) {
  const auto result = next<kSelf>(&graph_exec_destroy<kSelf>)(executable);
  if (result == cuda::kSuccess) forget_graph(executable);
  return result;
}

}  // namespace tessera::guard

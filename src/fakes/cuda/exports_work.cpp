// Streams, events, kernels and graphs: what takes the GPU's time.

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "fakes/cuda/library.h"

using namespace tessera::fakes;
using namespace tessera::fakes::cuda;

namespace tessera::fakes::cuda {
void shrink_pools();
}

namespace {

/// One kernel has no handle of its own: its name says all there is.
std::uint64_t duration_of(const char* name) {
  constexpr const char kPrefix[] = "spin_";
  if (std::strncmp(name, kPrefix, sizeof(kPrefix) - 1) != 0) return 0;
  return std::strtoull(name + sizeof(kPrefix) - 1, nullptr, 10) * 1'000;
}

Result run(Stream& stream, std::uint64_t duration_ns) {
  if (duration_ns == 0) return kSuccess;
  const auto device = stream.context->device;
  stream.ticket = submit(*world().area, world().row, static_cast<unsigned>(device), duration_ns);
  world().queue[device][world().queued[device]++ % kQueueDepth] = stream.ticket;
  return kSuccess;
}

/// Waits until the current device's queue has room, without the world's lock.
void wait_for_room() {
  const auto device = current()->device;
  std::uint64_t oldest = 0;
  {
    const Locked locked(world().lock);
    oldest = world().queue[device][world().queued[device] % kQueueDepth];
  }
  wait_for(device, oldest);
}

/// A kernel without duration costs no lock either, so that the cost of a call can be measured.
Result launch(Handle function, Handle stream_handle) {
  if (const auto bad = need_context(); bad != kSuccess) return bad;
  if (function == nullptr) return kInvalidHandle;
  const auto duration = *static_cast<const std::uint64_t*>(function);
  if (duration == 0 && stream_handle == nullptr) return kSuccess;
  wait_for_room();
  const Locked locked(world().lock);
  auto* stream = find_stream(stream_handle);
  if (stream == nullptr) return kInvalidHandle;
  if (stream->captured != nullptr) {
    stream->captured->nodes.push_back(new Node{kKernelNode, duration, {}, nullptr});
    return kSuccess;
  }
  return run(*stream, duration);
}

Result wait_stream(Handle handle) {
  Device device = 0;
  std::uint64_t ticket = 0;
  {
    const Locked locked(world().lock);
    const auto* stream = find_stream(handle);
    if (stream == nullptr) return kInvalidHandle;
    device = stream->context->device;
    ticket = stream->ticket;
  }
  wait_for(device, ticket);
  const Locked locked(world().lock);
  shrink_pools();
  return kSuccess;
}
Result query_stream(Handle handle) {
  const Locked locked(world().lock);
  const auto* stream = find_stream(handle);
  if (stream == nullptr) return kInvalidHandle;
  return left_ns(stream->context->device, stream->ticket) == 0 ? kSuccess : kNotReady;
}
Result wait_context() {
  if (const auto bad = need_context(); bad != kSuccess) return bad;
  const auto device = current()->device;
  std::uint64_t ticket = 0;
  {
    const Locked locked(world().lock);
    for (const auto& [handle, stream] : world().streams)
      if (stream->context == current()) ticket = std::max(ticket, stream->ticket);
    ticket = std::max(ticket, find_stream(nullptr)->ticket);
  }
  wait_for(device, ticket);
  const Locked locked(world().lock);
  shrink_pools();
  return kSuccess;
}

Result make_stream(Handle* stream) {
  const Locked locked(world().lock);
  if (const auto bad = need_context(); bad != kSuccess) return bad;
  *stream = add_to(world().streams, new Stream{current(), 0, nullptr});
  return kSuccess;
}
Result end_stream(Handle handle) {
  const Locked locked(world().lock);
  auto* stream = find_in(world().streams, handle);
  if (stream == nullptr) return kInvalidHandle;
  erase_from(world().streams, stream);
  return kSuccess;
}
Result capture_status(Handle handle, std::int32_t* status) {
  const Locked locked(world().lock);
  const auto* stream = find_stream(handle);
  if (stream == nullptr) return kInvalidHandle;
  *status = stream->captured != nullptr ? 1 : 0;
  return kSuccess;
}
Result begin_capture(Handle handle) {
  const Locked locked(world().lock);
  auto* stream = find_stream(handle);
  if (stream == nullptr || handle == nullptr || stream->captured != nullptr) return kInvalidValue;
  add_to(world().graphs, stream->captured = new Graph);
  return kSuccess;
}
Result end_capture(Handle handle, Handle* graph) {
  const Locked locked(world().lock);
  auto* stream = find_stream(handle);
  if (stream == nullptr || stream->captured == nullptr) return kInvalidValue;
  *graph = std::exchange(stream->captured, nullptr);
  return kSuccess;
}

Result record(Handle event_handle, Handle stream_handle) {
  const Locked locked(world().lock);
  auto* event = find_in(world().events, event_handle);
  const auto* stream = find_stream(stream_handle);
  if (event == nullptr || stream == nullptr || event->context != stream->context)
    return kInvalidHandle;
  event->ticket = stream->ticket;
  return kSuccess;
}
Result end_event(Handle handle) {
  const Locked locked(world().lock);
  auto* event = find_in(world().events, handle);
  if (event == nullptr) return kInvalidHandle;
  erase_from(world().events, event);
  return kSuccess;
}
/// The time that the GPU worked between the two for this process.
Result elapsed(float* ms, Handle begin_handle, Handle end_handle) {
  const Locked locked(world().lock);
  const auto* begin = find_in(world().events, begin_handle);
  const auto* end = find_in(world().events, end_handle);
  if (begin == nullptr || end == nullptr) return kInvalidHandle;
  if (left_ns(end->context->device, end->ticket) > 0) return kNotReady;
  const auto span = end->ticket > begin->ticket ? end->ticket - begin->ticket : 0;
  *ms = static_cast<float>(static_cast<double>(span) / 1e6);
  return kSuccess;
}

void add_up(const Graph& graph, GraphExec& exec) {
  for (const auto* node : graph.nodes) {
    exec.duration_ns += node->duration_ns;
    if (node->type == kMemAllocNode) exec.bytes += round_up(node->memory.bytes, kPoolPiece);
    if (node->child != nullptr) add_up(*node->child, exec);
  }
}
Result instantiate(Handle* exec, Handle handle) {
  const Locked locked(world().lock);
  if (const auto bad = need_context(); bad != kSuccess) return bad;
  const auto* graph = find_in(world().graphs, handle);
  if (graph == nullptr) return kInvalidValue;
  auto* made = new GraphExec{current()->device, 0, 0};
  add_up(*graph, *made);
  *exec = add_to(world().execs, made);
  return kSuccess;
}
/// A graph's memory is the device's from its first launch until it is trimmed.
Result back(const GraphExec& exec) {
  auto& memory = world().graph_memory[exec.device];
  if (exec.bytes <= memory.reserved) return kSuccess;
  if (!take(exec.device, exec.bytes - memory.reserved)) return kOutOfMemory;
  memory.reserved = exec.bytes;
  return kSuccess;
}
Result launch_graph(Handle handle, Handle stream_handle) {
  if (const auto bad = need_context(); bad != kSuccess) return bad;
  wait_for_room();
  const Locked locked(world().lock);
  auto* stream = find_stream(stream_handle);
  const auto* exec = find_in(world().execs, handle);
  if (exec == nullptr || stream == nullptr) return kInvalidHandle;
  const auto backed = back(*exec);
  return backed == kSuccess ? run(*stream, exec->duration_ns) : backed;
}
Result upload_graph(Handle handle) {
  const Locked locked(world().lock);
  const auto* exec = find_in(world().execs, handle);
  return exec == nullptr ? kInvalidHandle : back(*exec);
}
Result add_node(Handle* node, Handle graph_handle, const Node& made) {
  const Locked locked(world().lock);
  auto* graph = find_in(world().graphs, graph_handle);
  if (graph == nullptr) return kInvalidValue;
  graph->nodes.push_back(new Node(made));
  *node = graph->nodes.back();
  return kSuccess;
}

}  // namespace

TESSERA_CUDA_EXPORT Result cuStreamCreate(Handle* stream, unsigned) {
  return make_stream(stream);
}
TESSERA_CUDA_EXPORT Result cuStreamCreateWithPriority(Handle* stream, unsigned, int) {
  return make_stream(stream);
}
TESSERA_CUDA_EXPORT Result cuStreamDestroy(Handle stream) {
  return end_stream(stream);
}
TESSERA_CUDA_EXPORT Result cuStreamDestroy_v2(Handle stream) {
  return end_stream(stream);
}
TESSERA_CUDA_EXPORT Result cuStreamSynchronize(Handle stream) {
  return wait_stream(stream);
}
TESSERA_CUDA_EXPORT Result cuStreamSynchronize_ptsz(Handle stream) {
  return wait_stream(stream);
}
TESSERA_CUDA_EXPORT Result cuStreamQuery(Handle stream) {
  return query_stream(stream);
}
TESSERA_CUDA_EXPORT Result cuStreamQuery_ptsz(Handle stream) {
  return query_stream(stream);
}
TESSERA_CUDA_EXPORT Result cuCtxSynchronize() {
  return wait_context();
}
TESSERA_CUDA_EXPORT Result cuStreamIsCapturing(Handle stream, std::int32_t* status) {
  return capture_status(stream, status);
}
TESSERA_CUDA_EXPORT Result cuStreamIsCapturing_ptsz(Handle stream, std::int32_t* status) {
  return capture_status(stream, status);
}
TESSERA_CUDA_EXPORT Result cuStreamBeginCapture_v2(Handle stream, std::int32_t) {
  return begin_capture(stream);
}
TESSERA_CUDA_EXPORT Result cuStreamBeginCapture_v2_ptsz(Handle stream, std::int32_t) {
  return begin_capture(stream);
}
TESSERA_CUDA_EXPORT Result cuStreamEndCapture(Handle stream, Handle* graph) {
  return end_capture(stream, graph);
}
TESSERA_CUDA_EXPORT Result cuStreamEndCapture_ptsz(Handle stream, Handle* graph) {
  return end_capture(stream, graph);
}
TESSERA_CUDA_EXPORT Result cuThreadExchangeStreamCaptureMode(std::int32_t* mode) {
  thread_local std::int32_t own = kCaptureGlobal;
  std::swap(own, *mode);
  return kSuccess;
}

TESSERA_CUDA_EXPORT Result cuEventCreate(Handle* event, unsigned) {
  const Locked locked(world().lock);
  if (const auto bad = need_context(); bad != kSuccess) return bad;
  *event = add_to(world().events, new Event{current(), 0});
  return kSuccess;
}
TESSERA_CUDA_EXPORT Result cuEventDestroy(Handle event) {
  return end_event(event);
}
TESSERA_CUDA_EXPORT Result cuEventDestroy_v2(Handle event) {
  return end_event(event);
}
TESSERA_CUDA_EXPORT Result cuEventRecord(Handle event, Handle stream) {
  return record(event, stream);
}
TESSERA_CUDA_EXPORT Result cuEventRecord_ptsz(Handle event, Handle stream) {
  return record(event, stream);
}
TESSERA_CUDA_EXPORT Result cuEventQuery(Handle handle) {
  const Locked locked(world().lock);
  const auto* event = find_in(world().events, handle);
  if (event == nullptr) return kInvalidHandle;
  return left_ns(event->context->device, event->ticket) == 0 ? kSuccess : kNotReady;
}
TESSERA_CUDA_EXPORT Result cuEventElapsedTime(float* ms, Handle begin, Handle end) {
  return elapsed(ms, begin, end);
}
TESSERA_CUDA_EXPORT Result cuEventElapsedTime_v2(float* ms, Handle begin, Handle end) {
  return elapsed(ms, begin, end);
}

TESSERA_CUDA_EXPORT Result cuModuleLoadData(Handle* module, const void* image) {
  if (const auto bad = need_context(); bad != kSuccess) return bad;
  *module = const_cast<void*>(image);
  return image == nullptr ? kInvalidValue : kSuccess;
}
TESSERA_CUDA_EXPORT Result cuModuleUnload(Handle) {
  return kSuccess;
}
TESSERA_CUDA_EXPORT Result cuModuleGetFunction(Handle* function, Handle, const char* name) {
  const Locked locked(world().lock);
  *function = add_to(world().functions, new std::uint64_t(duration_of(name)));
  return kSuccess;
}

TESSERA_CUDA_EXPORT Result cuLaunchKernel(Handle function, unsigned, unsigned, unsigned, unsigned,
                                          unsigned, unsigned, unsigned, Handle stream, void**,
                                          void**) {
  return launch(function, stream);
}
TESSERA_CUDA_EXPORT Result cuLaunchKernel_ptsz(Handle function, unsigned, unsigned, unsigned,
                                               unsigned, unsigned, unsigned, unsigned,
                                               Handle stream, void**, void**) {
  return launch(function, stream);
}
TESSERA_CUDA_EXPORT Result cuLaunchKernelEx(const LaunchConfig* config, Handle function, void**,
                                            void**) {
  return config == nullptr ? kInvalidValue : launch(function, config->stream);
}
TESSERA_CUDA_EXPORT Result cuLaunchKernelEx_ptsz(const LaunchConfig* config, Handle function,
                                                 void**, void**) {
  return config == nullptr ? kInvalidValue : launch(function, config->stream);
}
TESSERA_CUDA_EXPORT Result cuLaunchCooperativeKernel(Handle function, unsigned, unsigned, unsigned,
                                                     unsigned, unsigned, unsigned, unsigned,
                                                     Handle stream, void**) {
  return launch(function, stream);
}
TESSERA_CUDA_EXPORT Result cuLaunchCooperativeKernel_ptsz(Handle function, unsigned, unsigned,
                                                          unsigned, unsigned, unsigned, unsigned,
                                                          unsigned, Handle stream, void**) {
  return launch(function, stream);
}

TESSERA_CUDA_EXPORT Result cuGraphCreate(Handle* graph, unsigned) {
  const Locked locked(world().lock);
  *graph = add_to(world().graphs, new Graph);
  return kSuccess;
}
TESSERA_CUDA_EXPORT Result cuGraphDestroy(Handle handle) {
  const Locked locked(world().lock);
  auto* graph = find_in(world().graphs, handle);
  if (graph == nullptr) return kInvalidValue;
  for (auto* node : graph->nodes) delete node;
  erase_from(world().graphs, graph);
  return kSuccess;
}
TESSERA_CUDA_EXPORT Result cuGraphAddKernelNode_v2(Handle* node, Handle graph, const Handle*,
                                                   std::size_t, const KernelNode* parameters) {
  const auto duration = *static_cast<const std::uint64_t*>(parameters->function);
  return add_node(node, graph, {kKernelNode, duration, {}, nullptr});
}
TESSERA_CUDA_EXPORT Result cuGraphAddMemAllocNode(Handle* node, Handle graph, const Handle*,
                                                  std::size_t, MemAllocNode* parameters) {
  {
    const Locked locked(world().lock);
    parameters->pointer = world().next_address;
    world().next_address += round_up(parameters->bytes, kPiece);
  }
  return add_node(node, graph, {kMemAllocNode, 0, *parameters, nullptr});
}
TESSERA_CUDA_EXPORT Result cuGraphAddChildGraphNode(Handle* node, Handle graph, const Handle*,
                                                    std::size_t, Handle child) {
  return add_node(node, graph, {kChildGraphNode, 0, {}, static_cast<Graph*>(child)});
}
TESSERA_CUDA_EXPORT Result cuGraphGetNodes(Handle handle, Handle* nodes, std::size_t* count) {
  const Locked locked(world().lock);
  const auto* graph = find_in(world().graphs, handle);
  if (graph == nullptr) return kInvalidValue;
  if (nodes == nullptr)
    *count = graph->nodes.size();
  else
    std::copy_n(graph->nodes.begin(), std::min(*count, graph->nodes.size()), nodes);
  return kSuccess;
}
TESSERA_CUDA_EXPORT Result cuGraphNodeGetType(Handle node, GraphNodeType* type) {
  *type = static_cast<const Node*>(node)->type;
  return kSuccess;
}
TESSERA_CUDA_EXPORT Result cuGraphMemAllocNodeGetParams(Handle node, MemAllocNode* parameters) {
  *parameters = static_cast<const Node*>(node)->memory;
  return kSuccess;
}
TESSERA_CUDA_EXPORT Result cuGraphChildGraphNodeGetGraph(Handle node, Handle* graph) {
  *graph = static_cast<const Node*>(node)->child;
  return kSuccess;
}
TESSERA_CUDA_EXPORT Result cuGraphInstantiate(Handle* exec, Handle graph, Handle*, char*,
                                              std::size_t) {
  return instantiate(exec, graph);
}
TESSERA_CUDA_EXPORT Result cuGraphInstantiate_v2(Handle* exec, Handle graph, Handle*, char*,
                                                 std::size_t) {
  return instantiate(exec, graph);
}
TESSERA_CUDA_EXPORT Result cuGraphInstantiateWithFlags(Handle* exec, Handle graph,
                                                       unsigned long long) {
  return instantiate(exec, graph);
}
TESSERA_CUDA_EXPORT Result cuGraphInstantiateWithParams(Handle* exec, Handle graph, void*) {
  return instantiate(exec, graph);
}
TESSERA_CUDA_EXPORT Result cuGraphExecDestroy(Handle handle) {
  const Locked locked(world().lock);
  auto* exec = find_in(world().execs, handle);
  if (exec == nullptr) return kInvalidValue;
  erase_from(world().execs, exec);
  return kSuccess;
}
TESSERA_CUDA_EXPORT Result cuGraphLaunch(Handle exec, Handle stream) {
  return launch_graph(exec, stream);
}
TESSERA_CUDA_EXPORT Result cuGraphLaunch_ptsz(Handle exec, Handle stream) {
  return launch_graph(exec, stream);
}
TESSERA_CUDA_EXPORT Result cuGraphUpload(Handle exec, Handle) {
  return upload_graph(exec);
}
TESSERA_CUDA_EXPORT Result cuDeviceGetGraphMemAttribute(Device device, std::int32_t attribute,
                                                        void* value) {
  const Locked locked(world().lock);
  if (const auto bad = need_device(device); bad != kSuccess) return bad;
  const auto& memory = world().graph_memory[device];
  *static_cast<std::uint64_t*>(value) =
      attribute == kGraphReservedNow ? memory.reserved : memory.used;
  return kSuccess;
}
TESSERA_CUDA_EXPORT Result cuDeviceGraphMemTrim(Device device) {
  const Locked locked(world().lock);
  if (const auto bad = need_device(device); bad != kSuccess) return bad;
  auto& memory = world().graph_memory[device];
  give(device, memory.reserved - memory.used);
  memory.reserved = memory.used;
  return kSuccess;
}

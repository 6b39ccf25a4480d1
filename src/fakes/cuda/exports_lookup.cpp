// How programs find the driver's functions.

#include <algorithm>
#include <cstring>
#include <dlfcn.h>
#include <string>

#include "fakes/cuda/library.h"

using namespace tessera::fakes::cuda;

namespace {

/// Since which version of CUDA a form of a function is what its plain name means. Where a form is
/// not listed: the plain one from the beginning, _v2 since 3.2.
struct Since {
  const char* form;
  int version;
};
constexpr int kBeginning = 2000;
constexpr int kCuda32 = 3020;
constexpr Since kSince[] = {
    {"cuCtxCreate_v3", 11040},
    {"cuCtxCreate_v4", 12050},
    {"cuCtxDestroy_v2", 4000},
    {"cuCtxGetDevice_v2", 13000},
    {"cuCtxPopCurrent_v2", 4000},
    {"cuCtxPushCurrent_v2", 4000},
    {"cuCtxSynchronize_v2", 13000},
    {"cuDeviceGetUuid", 9020},
    {"cuDeviceGetUuid_v2", 11040},
    {"cuDevicePrimaryCtxRelease_v2", 11000},
    {"cuDevicePrimaryCtxReset_v2", 11000},
    {"cuDevicePrimaryCtxSetFlags_v2", 11000},
    {"cuEventDestroy_v2", 4000},
    {"cuEventElapsedTime_v2", 12080},
    {"cuGetProcAddress", 11030},
    {"cuGetProcAddress_v2", 12000},
    {"cuGraphAddDependencies_v2", 12030},
    {"cuGraphAddKernelNode_v2", 12000},
    {"cuGraphAddNode", 12020},
    {"cuGraphAddNode_v2", 12030},
    {"cuGraphExecKernelNodeSetParams_v2", 12000},
    {"cuGraphExecUpdate_v2", 12000},
    {"cuGraphGetEdges_v2", 12030},
    {"cuGraphInstantiate_v2", 11000},
    {"cuGraphKernelNodeGetParams_v2", 12000},
    {"cuGraphKernelNodeSetParams_v2", 12000},
    {"cuGraphNodeGetDependencies_v2", 12030},
    {"cuGraphNodeGetDependentNodes_v2", 12030},
    {"cuGraphRemoveDependencies_v2", 12030},
    {"cuGraphicsResourceSetMapFlags_v2", 6050},
    {"cuIpcOpenMemHandle_v2", 11000},
    {"cuLaunchKernelEx", 11060},
    {"cuLinkAddData_v2", 6050},
    {"cuLinkAddFile_v2", 6050},
    {"cuLinkCreate_v2", 6050},
    {"cuMemAdvise_v2", 12020},
    {"cuMemAllocAsync", 11020},
    {"cuMemAllocFromPoolAsync", 11020},
    {"cuMemCreate", 10020},
    {"cuMemFreeAsync", 11020},
    {"cuMemHostRegister_v2", 6050},
    {"cuMemMap", 10020},
    {"cuMemPrefetchAsync_v2", 12020},
    {"cuMemRelease", 10020},
    {"cuMemUnmap", 10020},
    {"cuMemcpy3DBatchAsync_v2", 13000},
    {"cuMemcpyBatchAsync_v2", 13000},
    {"cuStreamBatchMemOp_v2", 11070},
    {"cuStreamBeginCapture_v2", 10010},
    {"cuStreamDestroy_v2", 4000},
    {"cuStreamGetCaptureInfo_v2", 11030},
    {"cuStreamGetCaptureInfo_v3", 12030},
    {"cuStreamGetCtx_v2", 12050},
    {"cuStreamUpdateCaptureDependencies_v2", 12030},
    {"cuStreamWaitValue32_v2", 11070},
    {"cuStreamWaitValue64_v2", 11070},
    {"cuStreamWriteValue32_v2", 11070},
    {"cuStreamWriteValue64_v2", 11070},
    {"cuTexRefSetAddress2D_v3", 4010},
};

int since(const std::string& form) {
  const auto found = std::find_if(std::begin(kSince), std::end(kSince),
                                  [&](const Since& each) { return form == each.form; });
  if (found != std::end(kSince)) return found->version;
  return form.find("_v") == std::string::npos ? kBeginning : kCuda32;
}

void* own(const std::string& symbol) {
  static void* self = [] {
    Dl_info info{};
    dladdr(reinterpret_cast<void*>(&since), &info);
    return dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD);
  }();
  return dlsym(self, symbol.c_str());
}

/// The newest form of the function that this version of CUDA knows, per-thread where asked for.
Result find(const char* name, void** function, int version, std::uint64_t flags) {
  if (name == nullptr || function == nullptr || flags > 2) return kInvalidValue;
  *function = nullptr;
  std::string form;
  bool known = false;
  for (const char* suffix : {"", "_v2", "_v3", "_v4"}) {
    const auto candidate = std::string(name) + suffix;
    if (own(candidate) == nullptr) continue;
    known = true;
    if (since(candidate) <= version) form = candidate;
  }
  // From 12 on the plain name means the form with flags.
  if (std::strcmp(name, "cuGraphInstantiate") == 0 && version >= 12000)
    form = "cuGraphInstantiateWithFlags";
  if (form.empty()) return known ? kInvalidValue : kNotFound;
  if ((flags & kPerThreadStream) != 0)
    for (const char* suffix : {"_ptsz", "_ptds"})
      if (auto* found = own(form + suffix)) *function = found;
  if (*function == nullptr) *function = own(form);
  return kSuccess;
}

/// A private table as the CUDA runtime opens them: its size, then functions that nobody calls here.
constexpr std::uint64_t kTable[4] = {4 * sizeof(std::uint64_t), 0, 0, 0};

}  // namespace

TESSERA_CUDA_EXPORT Result cuGetProcAddress(const char* name, void** function, int version,
                                            std::uint64_t flags) {
  const auto result = find(name, function, version, flags);
  return result == kInvalidValue && function != nullptr ? kNotFound : result;
}
/// status: 0 found, 1 no such function, 2 only in a later version.
TESSERA_CUDA_EXPORT Result cuGetProcAddress_v2(const char* name, void** function, int version,
                                               std::uint64_t flags, std::int32_t* status) {
  if (name == nullptr || function == nullptr || flags > 2) return kInvalidValue;
  const auto result = find(name, function, version, flags);
  if (status != nullptr) *status = result == kSuccess ? 0 : result == kNotFound ? 1 : 2;
  return result == kSuccess ? kSuccess : kNotFound;
}
TESSERA_CUDA_EXPORT Result cuGetExportTable(const void** table, const Uuid* id) {
  if (table == nullptr || id == nullptr) return kInvalidValue;
  *table = kTable;
  return kSuccess;
}
TESSERA_CUDA_EXPORT Result cuGetErrorName(Result result, const char** name) {
  *name = result == kSuccess       ? "CUDA_SUCCESS"
          : result == kOutOfMemory ? "CUDA_ERROR_OUT_OF_MEMORY"
                                   : "CUDA_ERROR";
  return kSuccess;
}
TESSERA_CUDA_EXPORT Result cuGetErrorString(Result result, const char** text) {
  *text = result == kSuccess ? "no error" : result == kOutOfMemory ? "out of memory" : "error";
  return kSuccess;
}

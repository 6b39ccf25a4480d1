/* call_cost LIBRARY GPU CALL: the median cost of a call, in nanoseconds. CALL is launch, info or
 * alloc. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { kRounds = 201, kCalls = 500 };

typedef int Call();

static void* library;

static Call* function(const char* name) {
  Call* found;
  *(void**)&found = dlsym(library, name);
  if (found == NULL) fprintf(stderr, "no %s\n", name), exit(2);
  return found;
}
static double now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return 1e9 * (double)now.tv_sec + (double)now.tv_nsec;
}
static void must(int code, const char* what) {
  if (code != 0) fprintf(stderr, "%s answers %d\n", what, code), exit(2);
}
static int by_size(const void* a, const void* b) {
  const double difference = *(const double*)a - *(const double*)b;
  return (difference > 0) - (difference < 0);
}

static const char kEmpty[] =
    ".version 6.0\n.target sm_50\n.address_size 64\n.visible .entry empty() { ret; }\n";

int main(int count, char** words) {
  if (count != 4) return 2;
  library = dlopen(words[1], RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) fprintf(stderr, "%s\n", dlerror()), exit(2);
  void *context, *module, *kernel;
  must(function("cuInit")(0u), "cuInit");
  must(function("cuDevicePrimaryCtxRetain")(&context, atoi(words[2])), "cuDevicePrimaryCtxRetain");
  must(function("cuCtxSetCurrent")(context), "cuCtxSetCurrent");
  must(function("cuModuleLoadData")(&module, kEmpty), "cuModuleLoadData");
  must(function("cuModuleGetFunction")(&kernel, module, "empty"), "cuModuleGetFunction");
  int (*launch)(void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*,
                void**, void**);
  *(void**)&launch = dlsym(library, "cuLaunchKernel");
  int (*info)(size_t*, size_t*), (*get)(unsigned long long*, size_t), (*give)(unsigned long long);
  *(void**)&info = dlsym(library, "cuMemGetInfo_v2");
  *(void**)&get = dlsym(library, "cuMemAlloc_v2");
  *(void**)&give = dlsym(library, "cuMemFree_v2");
  static double cost[kRounds];
  for (int round = 0; round < kRounds; ++round) {
    int bad = 0;
    size_t free = 0, total = 0;
    unsigned long long pointer = 0;
    const double begin = now_ns();
    if (strcmp(words[3], "launch") == 0)
      for (int i = 0; i < kCalls; ++i) bad |= launch(kernel, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL);
    else if (strcmp(words[3], "info") == 0)
      for (int i = 0; i < kCalls; ++i) bad |= info(&free, &total);
    else
      for (int i = 0; i < kCalls; ++i) bad |= get(&pointer, 4096) | give(pointer);
    cost[round] = (now_ns() - begin) / kCalls;
    must(bad, words[3]);
    must(function("cuCtxSynchronize")(), "cuCtxSynchronize");
  }
  qsort(cost, kRounds, sizeof(cost[0]), by_size);
  printf("%.2f\n", cost[kRounds / 2]);
  return 0;
}

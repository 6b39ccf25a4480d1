#!/usr/bin/env python3
"""The stand-in libnvidia-ml.so.1 as a client sees it that nobody here wrote: NVIDIA's own Python
bindings, nvidia-ml-py.

    nvml_peer.py --library FILE --tool FILE      the stand-in and tessera-fake-gpus

First our declarations of NVML's binary interface are compared with NVIDIA's, struct by struct; then
the bindings walk through everything the stand-in pretends. What differs from what a real driver
does is printed, all of it, and the exit status is 1.
"""

import argparse
import ctypes
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import traceback

import pynvml as nvml

MIB = 1024 * 1024
# 1g.10gb, 1g.20gb, 2g.20gb, 3g.40gb, 4g.40gb and 7g.80gb of an H100, by the driver's ids.
ONE, DOUBLE, TWO, THREE, FOUR, SEVEN = 19, 15, 14, 9, 5, 0


class Peer:
    """Collects what differs, so that one finding does not hide the next."""

    def __init__(self, tool, state):
        self.tool = tool
        self.state = state
        self.checks = 0
        self.findings = []

    def run(self, *words):
        done = subprocess.run([self.tool, "--state", self.state, *map(str, words)],
                              capture_output=True, text=True, timeout=30, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"tessera-fake-gpus {words}: {done.stderr}")
        return done.stdout.strip()

    def same(self, what, found, expected):
        self.checks += 1
        if found != expected:
            self.findings.append(f"{what}: {found!r}, expected {expected!r}")

    def true(self, what, holds):
        self.same(what, bool(holds), True)

    def refused(self, what, code, function, *arguments):
        """The call must fail with that NVML error."""
        self.checks += 1
        try:
            answer = function(*arguments)
            self.findings.append(f"{what}: answered {answer!r}, expected error {code}")
        except nvml.NVMLError as error:
            if error.value != code:
                self.findings.append(f"{what}: error {error.value} ({error}), expected {code}")

    def section(self, function):
        try:
            function(self)
        except Exception:  # a crash is a finding as well, and the next section still runs
            last = traceback.format_exc().strip().splitlines()
            self.findings.append(f"{function.__name__}: {last[-1]} ({last[-3].strip()})")


def declarations(peer):
    ours = json.loads(peer.run("abi"))
    for name, layout in ours["structs"].items():
        theirs = getattr(nvml, name, None)
        if theirs is None:
            peer.findings.append(f"{name}: nvidia-ml-py has no such struct")
            continue
        peer.same(f"size of {name}", layout["size"], ctypes.sizeof(theirs))
        peer.same(f"offsets of {name}", layout["offsets"],
                  [getattr(theirs, field[0]).offset for field in theirs._fields_])
    for name, value in ours["constants"].items():
        peer.same(name, value, getattr(nvml, name, None))


def enumeration(peer):
    peer.same("driver", nvml.nvmlSystemGetDriverVersion(), "580.95.05")
    peer.same("NVML", nvml.nvmlSystemGetNVMLVersion(), "13.580.95.05")
    peer.same("CUDA", nvml.nvmlSystemGetCudaDriverVersion(), 13000)
    peer.same("GPUs", nvml.nvmlDeviceGetCount(), 2)
    gpu = nvml.nvmlDeviceGetHandleByIndex(1)
    uuid = nvml.nvmlDeviceGetUUID(gpu)
    peer.true("UUID", uuid.startswith("GPU-") and len(uuid) == 40)
    peer.true("name", "H100" in nvml.nvmlDeviceGetName(gpu))
    peer.same("index by UUID", nvml.nvmlDeviceGetIndex(nvml.nvmlDeviceGetHandleByUUID(uuid)), 1)
    pci = nvml.nvmlDeviceGetPciInfo(gpu)
    peer.same("PCI id", hex(pci.pciDeviceId), "0x233010de")
    bus = pci.busId if isinstance(pci.busId, str) else pci.busId.decode()
    peer.same("by bus", nvml.nvmlDeviceGetIndex(nvml.nvmlDeviceGetHandleByPciBusId(bus)), 1)
    peer.same("capability", list(nvml.nvmlDeviceGetCudaComputeCapability(gpu)), [9, 0])
    peer.same("architecture", nvml.nvmlDeviceGetArchitecture(gpu), nvml.NVML_DEVICE_ARCH_HOPPER)
    peer.same("minor", nvml.nvmlDeviceGetMinorNumber(gpu), 1)
    peer.true("serial", nvml.nvmlDeviceGetSerial(gpu))
    peer.refused("GPU 2", nvml.NVML_ERROR_INVALID_ARGUMENT, nvml.nvmlDeviceGetHandleByIndex, 2)
    peer.refused("a UUID of nobody", nvml.NVML_ERROR_NOT_FOUND, nvml.nvmlDeviceGetHandleByUUID,
                 "GPU-00000000-0000-0000-0000-000000000000")
    nothing = ctypes.cast(0, nvml.c_nvmlDevice_t)
    odd = ctypes.cast(0x1234, nvml.c_nvmlDevice_t)
    for what, handle in (("a null handle", nothing), ("an odd handle", odd)):
        peer.refused(what, nvml.NVML_ERROR_INVALID_ARGUMENT, nvml.nvmlDeviceGetUUID, handle)


def undivided(peer):
    gpu = nvml.nvmlDeviceGetHandleByIndex(0)
    memory = nvml.nvmlDeviceGetMemoryInfo(gpu)
    peer.same("memory adds up", memory.total, memory.free + memory.used)
    later = nvml.nvmlDeviceGetMemoryInfo(gpu, version=nvml.nvmlMemory_v2)
    peer.same("memory v2", later.total, later.free + later.used + later.reserved)
    peer.same("an idle GPU", later.used, 0)
    peer.same("no process", nvml.nvmlDeviceGetComputeRunningProcesses(gpu), [])
    pid = int(peer.run("process", "start", "--gpu", 0, "--memory", "4GiB", "--load", 60))
    (process,) = nvml.nvmlDeviceGetComputeRunningProcesses(gpu)
    peer.same("its pid", process.pid, pid)
    peer.same("its memory", process.usedGpuMemory, 4096 * MIB)
    peer.same("on no instance", process.gpuInstanceId, nvml.NVML_GPU_INSTANCE_ID_ANY)
    peer.same("used", nvml.nvmlDeviceGetMemoryInfo(gpu, version=nvml.nvmlMemory_v2).used,
              4096 * MIB)
    peer.same("busy", nvml.nvmlDeviceGetUtilizationRates(gpu).gpu, 60)
    (sample,) = nvml.nvmlDeviceGetProcessUtilization(gpu, 0)
    peer.same("busy by process", (sample.pid, sample.smUtil), (pid, 60))
    peer.refused("a mode change in use", nvml.NVML_ERROR_IN_USE, nvml.nvmlDeviceSetMigMode, gpu, 1)
    os.kill(pid, 9)  # the driver sees that it has ended, whoever ended it
    peer.true("it is gone", eventually(
        lambda: nvml.nvmlDeviceGetComputeRunningProcesses(gpu) == []))


def eventually(condition, seconds=5):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def profiles(peer):
    gpu = nvml.nvmlDeviceGetHandleByIndex(0)
    peer.same("mode", nvml.nvmlDeviceGetMigMode(gpu), [0, 0])
    peer.refused("an instance without MIG mode", nvml.NVML_ERROR_NOT_SUPPORTED,
                 nvml.nvmlDeviceCreateGpuInstance, gpu, ONE)
    peer.same("enabling", nvml.nvmlDeviceSetMigMode(gpu, 1), nvml.NVML_SUCCESS)
    peer.same("mode", nvml.nvmlDeviceGetMigMode(gpu), [1, 1])
    peer.same("neighbour", nvml.nvmlDeviceGetMigMode(nvml.nvmlDeviceGetHandleByIndex(1)), [0, 0])
    found = {}
    for number in range(nvml.NVML_GPU_INSTANCE_PROFILE_COUNT):
        try:
            info = nvml.nvmlDeviceGetGpuInstanceProfileInfo(gpu, number, version=2)
            plain = nvml.nvmlDeviceGetGpuInstanceProfileInfo(gpu, number, version=1)
        except nvml.NVMLError_NotSupported:
            continue
        peer.same(f"profile {number} twice", plain.id, info.id)
        count = ctypes.c_uint()
        nvml.nvmlDeviceGetGpuInstancePossiblePlacements(gpu, info.id, None, ctypes.byref(count))
        places = (nvml.c_nvmlGpuInstancePlacement_t * count.value)()
        nvml.nvmlDeviceGetGpuInstancePossiblePlacements(gpu, info.id, places, ctypes.byref(count))
        found[info.id] = (info.sliceCount, info.instanceCount, info.memorySizeMB,
                          [place.start for place in places])
    peer.same("profiles of an H100", found, {
        ONE: (1, 7, 9984, [0, 1, 2, 3, 4, 5, 6]), 20: (1, 1, 9984, [0, 1, 2, 3, 4, 5, 6]),
        DOUBLE: (1, 4, 20096, [0, 2, 4, 6]), TWO: (2, 3, 20096, [0, 2, 4]),
        THREE: (3, 2, 40448, [0, 4]), FOUR: (4, 1, 40448, [0]), SEVEN: (7, 1, 81152, [0])})


def instances_of(gpu, profile):
    most = 7
    found = (nvml.c_nvmlGpuInstance_t * most)()
    count = ctypes.c_uint(most)
    nvml.nvmlDeviceGetGpuInstances(gpu, profile, found, ctypes.byref(count))
    return [found[i] for i in range(count.value)]


def create(gpu, profile, start=None, size=None):
    if start is None:
        return nvml.nvmlDeviceCreateGpuInstance(gpu, profile)
    place = nvml.c_nvmlGpuInstancePlacement_t(start, size)
    return nvml.nvmlDeviceCreateGpuInstanceWithPlacement(gpu, profile, ctypes.byref(place))


def start_of(instance):
    return nvml.nvmlGpuInstanceGetInfo(instance).placement.start


def placements(peer):
    gpu = nvml.nvmlDeviceGetHandleByIndex(0)
    made = [create(gpu, profile) for profile in (THREE, ONE, TWO, ONE)]
    peer.same("the driver's own places", [start_of(each) for each in made], [4, 3, 0, 2])
    for each in made:
        nvml.nvmlGpuInstanceDestroy(each)
    made = [create(gpu, profile) for profile in (ONE, ONE, TWO)]
    peer.refused("the same in another order", nvml.NVML_ERROR_INSUFFICIENT_RESOURCES, create, gpu,
                 THREE)
    for each in made:
        nvml.nvmlGpuInstanceDestroy(each)
    peer.same("room", nvml.nvmlDeviceGetGpuInstanceRemainingCapacity(gpu, ONE), 7)
    made = [create(gpu, profile, start, size)
            for profile, start, size in ((ONE, 0, 1), (ONE, 1, 1), (TWO, 2, 2), (THREE, 4, 4))]
    peer.same("wished places", [start_of(each) for each in made], [0, 1, 2, 4])
    peer.refused("a place that is not", nvml.NVML_ERROR_INVALID_ARGUMENT, create, gpu, THREE, 1, 4)
    peer.refused("a place that is taken", nvml.NVML_ERROR_INSUFFICIENT_RESOURCES, create, gpu, ONE,
                 1, 1)
    peer.same("listed", len(instances_of(gpu, ONE)), 2)
    for each in made:
        nvml.nvmlGpuInstanceDestroy(each)
    peer.refused("a handle of what is gone", nvml.NVML_ERROR_INVALID_ARGUMENT,
                 nvml.nvmlGpuInstanceGetInfo, made[0])


def mig_devices(gpu):
    found = []
    for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(gpu)):
        try:
            found.append(nvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu, index))
        except nvml.NVMLError_NotFound:
            break
    return found


def devices(peer):
    gpu = nvml.nvmlDeviceGetHandleByIndex(0)
    instance = create(gpu, FOUR, 0, 4)
    peer.same("no device yet", mig_devices(gpu), [])
    whole = nvml.nvmlGpuInstanceGetComputeInstanceProfileInfo(
        instance, nvml.NVML_COMPUTE_INSTANCE_PROFILE_4_SLICE, 0)
    peer.same("SMs of 4g", whole.multiprocessorCount, 64)
    compute = nvml.nvmlGpuInstanceCreateComputeInstance(instance, whole.id)
    (mig,) = mig_devices(gpu)
    uuid = nvml.nvmlDeviceGetUUID(mig)
    peer.true("its UUID", uuid.startswith("MIG-"))
    peer.true("it is MIG", nvml.nvmlDeviceIsMigDeviceHandle(mig))
    peer.same("its GPU", nvml.nvmlDeviceGetUUID(
        nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(mig)), nvml.nvmlDeviceGetUUID(gpu))
    peer.same("its ids", (nvml.nvmlDeviceGetGpuInstanceId(mig),
                          nvml.nvmlDeviceGetComputeInstanceId(mig)),
              (nvml.nvmlGpuInstanceGetInfo(instance).id,
               nvml.nvmlComputeInstanceGetInfo_v2(compute).id))
    peer.same("by UUID", nvml.nvmlDeviceGetUUID(nvml.nvmlDeviceGetHandleByUUID(uuid)), uuid)
    attributes = nvml.nvmlDeviceGetAttributes_v2(mig)
    peer.same("attributes", (attributes.multiprocessorCount, attributes.memorySizeMB,
                             attributes.gpuInstanceSliceCount), (64, 40448, 4))
    peer.true("an empty instance reads as nearly free",
              nvml.nvmlDeviceGetMemoryInfo(mig).used < 64 * MIB)
    in_use(peer, gpu, instance, compute, mig)
    nvml.nvmlComputeInstanceDestroy(compute)
    nvml.nvmlGpuInstanceDestroy(instance)
    peer.same("all gone", mig_devices(gpu), [])
    peer.refused("its handle", nvml.NVML_ERROR_INVALID_ARGUMENT, nvml.nvmlDeviceGetUUID, mig)


def in_use(peer, gpu, instance, compute, mig):
    number = nvml.nvmlGpuInstanceGetInfo(instance).id
    peer.refused("an instance that is divided", nvml.NVML_ERROR_IN_USE, nvml.nvmlGpuInstanceDestroy,
                 instance)
    pid = int(peer.run("process", "start", "--gpu", 0, "--gi", number, "--memory", "2GiB",
                       "--load", 50))
    for where, handle in (("GPU", gpu), ("instance", mig)):
        (process,) = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
        peer.same(f"process as the {where} shows it",
                  (process.pid, process.gpuInstanceId, process.usedGpuMemory // MIB),
                  (pid, number, 2048))
    peer.refused("what is held", nvml.NVML_ERROR_IN_USE, nvml.nvmlComputeInstanceDestroy, compute)
    peer.refused("a mode change", nvml.NVML_ERROR_IN_USE, nvml.nvmlDeviceSetMigMode, gpu, 0)
    peer.refused("utilisation under MIG", nvml.NVML_ERROR_NOT_SUPPORTED,
                 nvml.nvmlDeviceGetUtilizationRates, gpu)
    busy = gpm(gpu, number)
    peer.true(f"GPM reads about 50 per cent, not {busy}", 45 <= busy <= 55)
    peer.run("process", "stop", pid)
    peer.same("stopped", nvml.nvmlDeviceGetComputeRunningProcesses(mig), [])


def gpm(gpu, instance):
    samples = [nvml.nvmlGpmSampleAlloc() for _ in range(2)]
    for sample in samples:
        nvml.nvmlGpmMigSampleGet(gpu, instance, sample)
        time.sleep(0.15)
    ask = nvml.c_nvmlGpmMetricsGet_t()
    ask.version = nvml.NVML_GPM_METRICS_GET_VERSION
    ask.numMetrics = 2
    ask.sample1, ask.sample2 = samples
    ask.metrics[0].metricId = nvml.NVML_GPM_METRIC_SM_UTIL
    ask.metrics[1].metricId = nvml.NVML_GPM_METRIC_DRAM_BW_UTIL
    nvml.nvmlGpmMetricsGet(ask)
    for sample in samples:
        nvml.nvmlGpmSampleFree(sample)
    return ask.metrics[0].value


def events(peer):
    gpu = nvml.nvmlDeviceGetHandleByIndex(1)
    waiting = nvml.nvmlEventSetCreate()
    nvml.nvmlDeviceRegisterEvents(gpu, nvml.nvmlEventTypeXidCriticalError, waiting)
    peer.refused("nothing yet", nvml.NVML_ERROR_TIMEOUT, nvml.nvmlEventSetWait_v2, waiting, 50)
    peer.run("fault", "xid", "--gpu", 1, "--value", 48)
    event = nvml.nvmlEventSetWait_v2(waiting, 2000)
    peer.same("the Xid", (event.eventType, event.eventData),
              (nvml.nvmlEventTypeXidCriticalError, 48))
    peer.same("its GPU", nvml.nvmlDeviceGetIndex(event.device), 1)
    nvml.nvmlEventSetFree(waiting)


def health(peer):
    gpu = nvml.nvmlDeviceGetHandleByIndex(0)
    peer.true("power", 0 < nvml.nvmlDeviceGetPowerUsage(gpu) <=
              nvml.nvmlDeviceGetEnforcedPowerLimit(gpu))
    peer.true("energy", nvml.nvmlDeviceGetTotalEnergyConsumption(gpu) > 0)
    peer.true("temperature", 0 < nvml.nvmlDeviceGetTemperatureV(gpu, 0) < 100)
    peer.same("ECC", nvml.nvmlDeviceGetEccMode(gpu), [1, 1])
    peer.same("errors", nvml.nvmlDeviceGetTotalEccErrors(gpu, 1, 0), 0)
    for function in (nvml.nvmlDeviceGetActiveVgpus, nvml.nvmlDeviceGetSupportedVgpus,
                     nvml.nvmlDeviceGetVirtualizationMode):
        peer.refused(function.__name__, nvml.NVML_ERROR_NOT_SUPPORTED, function, gpu)


def faults(peer):
    gpu = nvml.nvmlDeviceGetHandleByIndex(0)
    peer.run("fault", "create")
    peer.refused("a failing create", nvml.NVML_ERROR_UNKNOWN, create, gpu, ONE)
    nvml.nvmlGpuInstanceDestroy(create(gpu, ONE))
    peer.run("fault", "no-permission")
    peer.refused("as if not root", nvml.NVML_ERROR_NO_PERMISSION, create, gpu, ONE)
    peer.run("fault", "no-permission", "--value", 0)
    peer.run("fault", "lost", "--gpu", 1)
    lost = nvml.NVML_ERROR_GPU_IS_LOST
    peer.refused("a lost GPU", lost, nvml.nvmlDeviceGetHandleByIndex, 1)
    peer.true("its neighbour", nvml.nvmlDeviceGetUUID(gpu))


def forks(peer):
    """A child that NVML was initialised before uses it as its parent does."""
    gpu = nvml.nvmlDeviceGetHandleByIndex(0)
    made = create(gpu, SEVEN)
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if len(instances_of(gpu, SEVEN)) == 1 else 1)
        except BaseException:
            os._exit(2)
    peer.same("a child's answer", os.waitpid(child, 0)[1], 0)
    nvml.nvmlGpuInstanceDestroy(made)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", required=True, type=pathlib.Path)
    parser.add_argument("--tool", required=True, type=pathlib.Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tessera-nvml-") as folder:
        state = os.path.join(folder, "machine")
        os.environ["TESSERA_FAKE_GPUS"] = state
        peer = Peer(options.tool.resolve(), state)
        # The bindings load "libnvidia-ml.so.1" by name; a library of that name that is already
        # loaded is what they get.
        ctypes.CDLL(str(options.library.resolve()), mode=ctypes.RTLD_GLOBAL)
        peer.run("init", "--model", "H100-80GB-SXM5", "--gpus", 2)
        nvml.nvmlInit()
        for section in (declarations, enumeration, undivided, profiles, placements, devices, forks,
                        events, health, faults):
            peer.section(section)
        nvml.nvmlShutdown()
        peer.refused("after the end", nvml.NVML_ERROR_UNINITIALIZED, nvml.nvmlDeviceGetCount)
    for finding in peer.findings:
        print("differs:", finding)
    print(f"{peer.checks} checks, {len(peer.findings)} differ")
    return 1 if peer.findings else 0


if __name__ == "__main__":
    sys.exit(main())

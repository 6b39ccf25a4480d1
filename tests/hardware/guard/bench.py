"""What the experiments with the guard on a GPU have in common: where the libraries are, the driver as
Python sees it, programs under the guard, and the result.

An experiment is a program. Run without --worker it measures, prints one JSON object and ends with 0 (the
mark is met), 1 (it is not), 2 (something broke) or 77 (skipped, and why). What must run under the
guard, or be killed, is the same program with --worker: the guard reads its settings once.
"""

import argparse
import atexit
import ctypes as c
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
MIB = 1 << 20
SKIPPED = 77
OUT_OF_MEMORY = 2
NOT_READY = 600
RATE = "TESSERA_BENCH_ROUNDS_PER_US"  # for workers: what a microsecond of work is, the same for all


class Skip(Exception):
    """This machine lacks what the experiment needs."""


def options_of(description):
    parser = argparse.ArgumentParser(description=description,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    release = ROOT / "build" / "release"
    parser.add_argument("--guard", default=str(release / "guard" / "libtessera-guard.so"))
    parser.add_argument("--broker", default=str(release / "tests" / "hardware" / "guard_broker"))
    parser.add_argument("--driver", default="libcuda.so.1", help="the real driver, or the stand-in")
    parser.add_argument("--nvml", default="libnvidia-ml.so.1")
    parser.add_argument("--gpu", type=int, default=0)
    parser.add_argument("--quota", type=int, default=4096, metavar="MIB", help="of the tenant")
    parser.add_argument("--seconds", type=float, default=60, help="of each measurement of time")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--brief", action="store_true", help="one setting where there are several")
    parser.add_argument("--sabotage", action="store_true",
                        help="set the guard up wrongly: the experiment must then fail")
    parser.add_argument("--worker", nargs="*", help=argparse.SUPPRESS)
    return parser


class Library:
    """Functions of a C library, which return 0 or are an error that says which."""

    def __init__(self, path):
        self.path = path
        self.library = c.CDLL(path, mode=os.RTLD_NOW | os.RTLD_LOCAL)

    def code(self, name, *arguments):
        return getattr(self.library, name)(*arguments)

    def has(self, name):
        return hasattr(self.library, name)

    def __call__(self, name, *arguments):
        code = self.code(name, *arguments)
        if code != 0:
            raise RuntimeError(f"{name} answers {code}")

    def address(self, name):
        try:
            return c.cast(getattr(self.library, name), c.c_void_p).value
        except AttributeError:
            return None


KERNELS = """.version 6.0
.target sm_50
.address_size 64
"""
# As many rounds as it is told, on every SM: its time is work, and stands still while another's work runs.
SPIN = """.visible .entry spin_{us}(.param .u64 rounds) {{
  .reg .u64 %n, %z; .reg .f32 %a; .reg .pred %p, %q;
  ld.param.u64 %n, [rounds];
  mov.f32 %a, 0f3F000000;
AGAIN:
  fma.rn.f32 %a, %a, 0f3F7FBE77, 0f3A83126F;
  sub.u64 %n, %n, 1;
  setp.ne.u64 %p, %n, 0;
  @%p bra AGAIN;
  setp.gt.f32 %q, %a, 0f7149F2CA;
  mov.u64 %z, 0;
  @%q st.global.f32 [%z], %a;
  ret;
}}
"""


class Cuda(Library):
    """A driver, or the guard, with the primary context of one GPU made current."""

    def __init__(self, path, gpu):
        super().__init__(path)
        self.gpu = gpu
        self.context = c.c_void_p()
        self("cuInit", 0)
        self("cuDevicePrimaryCtxRetain", c.byref(self.context), gpu)
        self("cuCtxSetCurrent", self.context)
        self.sms = self.attribute(16) or 1

    def attribute(self, number):
        value = c.c_int()
        return 0 if self.code("cuDeviceGetAttribute", c.byref(value), number, self.gpu) else value.value

    def info(self):
        """(free, total) in bytes."""
        free, total = c.c_size_t(), c.c_size_t()
        self("cuMemGetInfo_v2", c.byref(free), c.byref(total))
        return free.value, total.value

    def used(self):
        free, total = self.info()
        return total - free

    def kernel(self, name, source):
        module, function = c.c_void_p(), c.c_void_p()
        # The driver may look at it again: it lives as long as this object.
        image = c.create_string_buffer((KERNELS + source).encode())
        self.images = [*getattr(self, "images", []), image]
        self("cuModuleLoadData", c.byref(module), image)
        self("cuModuleGetFunction", c.byref(function), module, name.encode())
        return function

    def event(self):
        event = c.c_void_p()
        self("cuEventCreate", c.byref(event), 0)
        return event

    def stream(self):
        stream = c.c_void_p()
        self("cuStreamCreate", c.byref(stream), 1)
        return stream

    def spin(self, us):
        """A function that launches so many microseconds of work for the whole GPU on a stream."""
        return self.work(us, c.c_uint64(int(us * float(os.environ.get(RATE) or self.rate()))))

    def work(self, us, rounds):
        function = self.kernel(f"spin_{us}", SPIN.format(us=us))
        parameters = (c.c_void_p * 1)(c.cast(c.byref(rounds), c.c_void_p))
        call = self.library.cuLaunchKernel

        def launch(stream=None):
            code = call(function, 2 * self.sms, 1, 1, 256, 1, 1, 0, stream, parameters, None)
            if code:
                raise RuntimeError(f"cuLaunchKernel answers {code}")
        launch.keep = (rounds, parameters)
        return launch

    def rate(self):
        """Rounds of work in a microsecond, once the clocks are up. Nobody else may use the GPU meanwhile."""
        rounds, us = c.c_uint64(100_000), 1000
        launch, until = self.work(us, rounds), time.monotonic() + 0.2
        while time.monotonic() < until:
            begin, end, ms = self.event(), self.event(), c.c_float()
            self("cuEventRecord", begin, None)
            launch()
            self("cuEventRecord", end, None)
            self("cuCtxSynchronize")
            self("cuEventElapsedTime", c.byref(ms), begin, end)
            if ms.value > 0:
                rounds.value = max(1, int(rounds.value * us / (ms.value * 1000)))
        return rounds.value / us

    def wait(self, event):
        while (code := self.code("cuEventQuery", event)) == NOT_READY:
            time.sleep(20e-6)
        if code:
            raise RuntimeError(f"cuEventQuery answers {code}")

    def flood(self, launch, until, stream=None, depth=16):
        """Keeps the GPU busy until then; how many launches were done by then."""
        events = [self.event() for _ in range(depth)]
        issued = done = 0
        while time.monotonic() < until:
            if issued >= depth:
                self.wait(events[issued % depth])
                done = issued - depth + 1
            launch(stream)
            self("cuEventRecord", events[issued % depth], stream)
            issued += 1
        self("cuCtxSynchronize")
        return done


class Bench:
    """One run of one experiment."""

    def __init__(self, script, options):
        self.script, self.options = script, options
        self.figures, self.skipped = [], []
        self.folder = tempfile.mkdtemp(prefix="tessera-bench-")
        atexit.register(shutil.rmtree, self.folder, True)
        self.accounts = 0
        if not pathlib.Path(options.guard).exists():
            raise Skip(f"there is no guard at {options.guard}: build it, or name it with --guard")
        try:
            self.real = Cuda(self.driver_file(), options.gpu)
        except (OSError, RuntimeError) as error:
            raise Skip(f"no usable CUDA driver: {error}") from error

    def driver_file(self):
        """The file, not the name: under the guard the name leads to the guard."""
        library = c.CDLL(self.options.driver)
        with open("/proc/self/maps", encoding="utf-8") as maps:
            names = {line.split(maxsplit=5)[5].strip() for line in maps if line.count("/")}
        base = pathlib.Path(self.options.driver).name.split(".so")[0] + ".so"
        found = [name for name in names if pathlib.Path(name).name.startswith(base)]
        del library
        return str(pathlib.Path(found[0] if found else self.options.driver).resolve())

    def uuid(self):
        uuid = (c.c_ubyte * 16)()
        self.real("cuDeviceGetUuid", uuid, self.options.gpu)
        text = bytes(uuid).hex()
        return "GPU-" + "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))

    def gpu_of_nvml(self):
        """(NVML, its handle of the GPU)"""
        if not hasattr(self, "nvml"):
            try:
                self.nvml, self.handle = Library(self.options.nvml), c.c_void_p()
            except OSError as error:
                raise Skip(f"no NVML: {error}") from error
            self.nvml("nvmlInit_v2")
            self.nvml("nvmlDeviceGetHandleByUUID", self.uuid().encode(), c.byref(self.handle))
        return self.nvml, self.handle

    def physical(self):
        """Bytes in use on the GPU, whoever uses them: NVML's figure."""
        nvml, handle = self.gpu_of_nvml()
        memory = (c.c_uint64 * 3)()
        nvml("nvmlDeviceGetMemoryInfo", handle, memory)
        return memory[2]

    def quota(self):
        return self.options.quota * MIB

    def limits(self, share=1):
        """Settings of a tenant with this part of the quota, and an account of its own."""
        self.accounts += 1
        memory = int(self.quota() * share) * (2 if self.options.sabotage else 1)
        return {"TESSERA_GUARD_MEMORY": str(memory),
                "TESSERA_GUARD_ACCOUNT": os.path.join(self.folder, f"account{self.accounts}")}

    def environment(self, settings=None):
        """For programs that find the driver by its name: the guard stands there, where there are settings."""
        environment = {**os.environ, "TESSERA_GUARD_CUDA": self.real.path}
        if settings is not None:
            link = pathlib.Path(self.folder) / "libcuda.so.1"
            if not link.exists():
                link.symlink_to(pathlib.Path(self.options.guard).resolve())
            environment.update(settings)
            environment["LD_LIBRARY_PATH"] = f"{self.folder}:{os.environ.get('LD_LIBRARY_PATH', '')}"
            preload = [os.environ.get("LD_PRELOAD"), str(pathlib.Path(self.options.guard).resolve())]
            environment["LD_PRELOAD"] = ":".join(filter(None, preload))
        return environment

    def start(self, what, *arguments, settings=None, extra=None):
        """This program as a worker, under the guard where there are settings; its lines are JSON."""
        library = self.options.guard if settings is not None else self.real.path
        environment = {**os.environ, "TESSERA_GUARD_CUDA": self.real.path, **(settings or {}), **(extra or {})}
        words = [sys.executable, self.script, "--driver", library, "--gpu", str(self.options.gpu), "--worker",
                 what, *map(str, arguments)]
        return subprocess.Popen(words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, what, *arguments, **more):
        """The one answer of a worker; what it says is waited for, but not for ever."""
        worker = self.start(what, *arguments, **more)
        try:
            said, _ = worker.communicate(timeout=600)
        finally:
            worker.kill()
        if worker.returncode != 0 or not said:
            raise RuntimeError(f"worker {what} ended with {worker.returncode}")
        return json.loads(said.splitlines()[-1])

    def broker(self, terms):
        """Settings of one tenant per (weight, critical), and what ends the broker."""
        if not os.access(self.options.broker, os.X_OK):
            raise Skip(f"there is no broker at {self.options.broker}: build guard_broker, or name it with --broker")
        words = [self.options.broker, self.uuid()]
        sockets = []
        for number, (weight, critical) in enumerate(terms):
            sockets.append(os.path.join(self.folder, f"socket{self.accounts}-{number}"))
            words += [sockets[-1], str(weight), "critical" if critical else "ordinary"]
        self.accounts += 1
        broker = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        atexit.register(broker.kill)
        if broker.stdout.readline() != "ready\n":
            raise RuntimeError("the broker does not start")

        def end():
            broker.stdin.close()
            broker.wait(timeout=30)
        return [{"TESSERA_GUARD_SOCKET": socket} for socket in sockets], end

    def set_rate(self):
        """Before workers measure: two that found out for themselves, side by side, would both be wrong."""
        if RATE not in os.environ:
            os.environ[RATE] = str(self.real.rate())

    def together(self, *programs, seconds=None):
        """Runs (what, settings, arguments…) at the same time; their answers in this order. Each prints
        "ready", waits for the moment on its input, and works from then on."""
        seconds = seconds or self.options.seconds
        self.set_rate()
        workers = [self.start(what, *arguments, settings=settings) for what, settings, *arguments in programs]
        try:
            for worker in workers:
                if worker.stdout.readline() != "ready\n":
                    raise RuntimeError("a worker does not start")
            begin = time.monotonic() + 0.2
            for worker in workers:
                worker.stdin.write(f"{begin} {begin + seconds}\n")
                worker.stdin.flush()
            return [json.loads(worker.communicate(timeout=seconds + 60)[0].splitlines()[-1])
                    for worker in workers]
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()

    def figure(self, name, value, unit, most=None, least=None):
        """One figure and its mark; without one it is told and decides nothing."""
        passed = (most is None or value <= most) and (least is None or value >= least)
        marks = [f">= {least}"] if least is not None else []
        marks += [f"<= {most}"] if most is not None else []
        mark = " and ".join(marks) or None
        value = round(value, 4) if isinstance(value, float) else value
        self.figures.append({"name": name, "value": value, "unit": unit, "mark": mark, "passed": passed})

    def skip_part(self, name, why):
        self.skipped.append({"part": name, "why": why})

    def facts(self):
        name, version = c.create_string_buffer(96), c.c_int()
        self.real("cuDeviceGetName", name, 96, self.options.gpu)
        self.real("cuDriverGetVersion", c.byref(version))
        guard = hashlib.sha256(pathlib.Path(self.options.guard).read_bytes()).hexdigest()[:12]
        commit = subprocess.run(["git", "-C", str(ROOT), "describe", "--always", "--dirty"], text=True,
                                capture_output=True, check=False).stdout.strip()
        return {"gpu": name.value.decode(), "driver": driver_version(self.options.nvml),
                "cuda": f"{version.value // 1000}.{version.value % 1000 // 10}",
                "guard": f"{commit or 'unknown'}, sha256 {guard}",
                "stand_in": "TESSERA_FAKE_GPUS" in os.environ}


def driver_version(nvml):
    text = c.create_string_buffer(96)
    try:
        library = c.CDLL(nvml)
        if library.nvmlInit_v2() == 0 and library.nvmlSystemGetDriverVersion(text, 96) == 0:
            return text.value.decode()
    except (OSError, AttributeError):
        pass
    return "unknown"


def moment():
    """For workers: says that it is ready; begin and end of the measurement, on time.monotonic()."""
    print("ready", flush=True)
    begin, end = map(float, sys.stdin.readline().split())
    time.sleep(max(0, begin - time.monotonic()))
    return begin, end


def answer(value):
    print(json.dumps(value), flush=True)


def main(number, name, script, measure, workers, parser=None):
    """Runs measure(bench), or one of the workers(cuda, *words)."""
    options = (parser or options_of(sys.modules["__main__"].__doc__)).parse_args()
    if options.worker:
        workers[options.worker[0]](Cuda(options.driver, options.gpu), *options.worker[1:])
        return 0
    result = {"experiment": name, "number": number, "passed": None, "figures": [], "skipped": [],
              "command": " ".join([pathlib.Path(script).name, *sys.argv[1:]])}
    code = 2
    bench = None
    try:
        bench = Bench(script, options)
        result.update(bench.facts())
        measure(bench)
        result["passed"] = bool(bench.figures) and all(each["passed"] for each in bench.figures)
        code = 0 if result["passed"] else 1
    except Skip as skip:
        result["skipped"].append({"part": "all", "why": str(skip)})
        code = SKIPPED
    except Exception:  # the report goes on with the other experiments
        result["error"] = traceback.format_exc().strip().splitlines()[-1]
        result["passed"] = False
    if bench is not None:
        result["figures"], result["skipped"] = bench.figures, result["skipped"] + bench.skipped
    print(json.dumps(result, indent=1))
    return code

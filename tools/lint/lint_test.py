#!/usr/bin/env python3
"""Each check finds what it is there to find, and accepts what is right."""

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import layering
import length
import markers
import purity
from source import code_only


class CheckTest(unittest.TestCase):
    """A repository of its own for every test."""

    def setUp(self) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.root)
        subprocess.run(["git", "init", "-q", str(self.root)], check=True,
                       env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull})

    def lines(self, check, **files: str) -> list[int]:
        """The lines of `check`'s findings; `files` maps a path to its text."""
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return [finding.line for finding in check(self.root)]


class LayeringTest(CheckTest):
    def includes(self, source: str, header: str) -> list[int]:
        return self.lines(layering.check, **{source: f'#pragma once\n#include "{header}"\n'})

    def test_downwards_is_allowed(self) -> None:
        self.assertEqual(self.includes("src/fleet/a.h", "catalog/layout.h"), [])
        self.assertEqual(self.includes("src/control/a.cpp", "placement/spot.h"), [])
        self.assertEqual(self.includes("src/app/main.cpp", "simulation/run.h"), [])

    def test_upwards_is_not(self) -> None:
        self.assertEqual(self.includes("src/catalog/a.h", "fleet/gpu.h"), [2])

    def test_core_includes_no_edge(self) -> None:
        self.assertEqual(self.includes("src/control/a.cpp", "journal/journal.h"), [2])

    def test_request_does_not_know_tenancy(self) -> None:
        self.assertEqual(self.includes("src/request/a.h", "tenancy/team.h"), [2])

    def test_tenancy_does_not_know_request(self) -> None:
        self.assertEqual(self.includes("src/tenancy/a.h", "request/need.h"), [2])

    def test_edges_know_only_the_named_edges(self) -> None:
        self.assertEqual(self.includes("src/gateway/a.cpp", "wire/json.h"), [])
        self.assertEqual(self.includes("src/gateway/b.cpp", "journal/journal.h"), [2])

    def test_tests_of_an_edge_know_every_edge(self) -> None:
        self.assertEqual(self.includes("src/gateway/a_test.cpp", "journal/journal.h"), [])
        self.assertEqual(self.includes("src/control/a_test.cpp", "journal/journal.h"), [2])

    def test_the_guard_stands_alone(self) -> None:
        self.assertEqual(self.includes("src/guard/a.cpp", "base/id.h"), [2])

    def test_an_include_is_written_from_src(self) -> None:
        self.assertEqual(self.includes("src/fleet/a.cpp", "gpu.h"), [2])
        self.assertEqual(self.includes("src/fleet/a.cpp", "../catalog/layout.h"), [2])

    def test_a_new_room_must_be_given_a_place(self) -> None:
        self.assertEqual(self.lines(layering.check, **{"src/attic/a.h": ""}), [0])


class PurityTest(CheckTest):
    def findings(self, line: str, source: str = "src/control/step.cpp") -> list[int]:
        return self.lines(purity.check, **{source: line + "\n"})

    def test_what_the_core_may_not_do(self) -> None:
        for line in ("#include <thread>", "#include <mutex>", "#include <iostream>",
                     "#include <fstream>", "#include <spdlog/spdlog.h>",
                     "#include <nlohmann/json.hpp>", "auto t = std::chrono::steady_clock::now();",
                     "auto t = std::chrono::system_clock::now();", "int i = rand();",
                     "std::random_device d;", "std::unordered_map<int, int> m;",
                     'auto* home = getenv("HOME");', 'printf("x");', "std::cout << 1;"):
            self.assertEqual(self.findings(line), [1], line)

    def test_words_in_comments_and_strings_are_no_code(self) -> None:
        self.assertEqual(self.findings("// an unordered_map would do"), [])
        self.assertEqual(self.findings('auto s = "rand()";'), [])

    def test_a_reason_allows_a_line(self) -> None:
        self.assertEqual(self.findings("std::unordered_map<int, int> m;  // purity: never iterated"), [])
        self.assertEqual(self.findings("std::unordered_map<int, int> m;  // purity:"), [1])

    def test_edges_may(self) -> None:
        self.assertEqual(self.findings("#include <thread>", "src/journal/a.cpp"), [])

    def test_tests_of_the_core_may_use_a_set_but_no_clock(self) -> None:
        self.assertEqual(self.findings("std::unordered_set<int> s;", "src/fleet/a_test.cpp"), [])
        self.assertEqual(self.findings("std::random_device d;", "src/fleet/a_test.cpp"), [1])


class LengthTest(CheckTest):
    def test_the_limit(self) -> None:
        self.assertEqual(self.lines(length.check, **{"src/base/a.h": "\n" * 500}), [])
        self.assertEqual(self.lines(length.check, **{"src/base/a.h": "\n" * 501}), [501])

    def test_a_reason_lifts_it(self) -> None:
        self.assertEqual(
            self.lines(length.check, **{"a.cpp": "// length: one table\n" + "\n" * 600}), [])

    def test_data_is_not_measured(self) -> None:
        self.assertEqual(self.lines(length.check, **{"data/a.json": "\n" * 900}), [])


class MarkersTest(CheckTest):
    def findings(self, line: str) -> list[int]:
        return self.lines(markers.check, **{"docs/a.md": line + "\n"})

    def test_unfinished_work(self) -> None:
        for line in ("// TODO: later", "FIXME", "this is not implemented", "<<<<<<< HEAD"):
            self.assertEqual(self.findings(line), [1], line)

    def test_paths_of_one_machine(self) -> None:
        self.assertEqual(self.findings("see /home/ada/tessera"), [1])
        self.assertEqual(self.findings("https://example.org/home/page"), [])
        self.assertEqual(self.findings("in ~/work/tessera"), [])

    def test_a_reason_allows_a_line(self) -> None:
        self.assertEqual(self.findings("cd /root/x  # markers: inside a container"), [])


class SourceTest(unittest.TestCase):
    def test_code_only_keeps_lines_and_numbers(self) -> None:
        text = "a = 1'000; /* x\ny */ b = 'c'; // z\n"
        code = code_only(text)
        self.assertEqual(code.count("\n"), text.count("\n"))
        self.assertIn("1'000", code)
        self.assertNotIn("y", code)
        self.assertNotIn("c'", code)

    def test_raw_strings_are_blanked(self) -> None:
        self.assertNotIn("rand", code_only('auto s = R"x(rand() " )x"; int i;'))


class TidyTest(CheckTest):
    """The checks of .clang-tidy do fire, headers of ours included."""

    CODE = """#include <string>
#include <utility>
std::size_t twice(std::string text) {
  const std::string taken = std::move(text);
  return taken.size() + text.size();
}
"""

    def test_use_after_move_is_found_and_a_clean_file_leaves_a_stamp(self) -> None:
        here = Path(__file__).resolve().parent
        shutil.copy(here.parent.parent / ".clang-tidy", self.root)
        source = self.root / "src/base/a.cpp"
        source.parent.mkdir(parents=True)
        (self.root / "compile_commands.json").write_text(
            f'[{{"directory": "{self.root}", "file": "{source}", "command": "g++ -std=c++23 {source}"}}]')

        def run() -> subprocess.CompletedProcess:
            return subprocess.run(["python3", str(here / "tidy.py"), ".", "stamps"], cwd=self.root,
                                  capture_output=True, text=True)

        source.write_text(self.CODE)
        bad = run()
        self.assertEqual(bad.returncode, 1)
        self.assertIn("bugprone-use-after-move", bad.stdout)
        source.write_text(self.CODE.replace("text.size()", "1"))
        self.assertIn("1 checked, 0 with findings", run().stdout)
        self.assertIn("0 checked", run().stdout)


if __name__ == "__main__":
    unittest.main()

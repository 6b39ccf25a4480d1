// Bundles src/**/*.test.ts and runs them with node's own test runner.
import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const source = fileURLToPath(new URL("../src/", import.meta.url));

async function filesUnder(folder, pattern) {
  const entries = await readdir(folder, { withFileTypes: true });
  const found = await Promise.all(
    entries.map((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return filesUnder(path, pattern);
      return pattern.test(entry.name) ? [path] : [];
    }),
  );
  return found.flat().sort();
}

const out = await mkdtemp(join(tmpdir(), "tessera-console-unit-"));
try {
  await build({
    entryPoints: await filesUnder(source, /\.test\.tsx?$/),
    outdir: out,
    outbase: source,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node18",
    sourcemap: "inline",
    jsx: "automatic",
    jsxImportSource: "preact",
    logLevel: "warning",
  });
  const run = spawnSync(
    process.execPath,
    ["--enable-source-maps", "--test", "--test-reporter=tap", ...(await filesUnder(out, /\.mjs$/))],
    { stdio: "inherit" },
  );
  process.exitCode = run.status ?? 1;
} finally {
  await rm(out, { recursive: true, force: true });
}

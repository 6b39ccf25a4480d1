// Starts a server on simulated GPUs, runs the browser tests against it, stops it.
//   node tests/e2e/run.mjs build/release/tessera     the real server
//   node tests/e2e/run.mjs --mock                    the console's mock; needs console/dist
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const tests = fileURLToPath(new URL("console.test.mjs", import.meta.url));

async function freePort() {
  const probe = createServer();
  await new Promise((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

async function ready(url, server, patience = 20_000) {
  const end = Date.now() + patience;
  while (Date.now() < end) {
    if (server.exitCode !== null)
      throw new Error(`the server ended with ${server.exitCode} before it was ready`);
    const answer = await fetch(`${url}/readyz`).catch(() => null);
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${url}/readyz did not answer within ${patience} ms`);
}

/** `tessera up` with a data folder of its own. */
async function startTessera(binary) {
  const data = await mkdtemp(join(tmpdir(), "tessera-e2e-data-"));
  const url = `http://127.0.0.1:${await freePort()}`;
  const fleet = join(root, "examples/three-tier.yaml");
  const server = spawn(
    binary,
    ["up", "--fleet", fleet, "--data", data, "--listen", url.replace("http://", "")],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  const stop = async () => {
    if (server.exitCode === null) {
      const ended = new Promise((resolve) => server.once("exit", resolve));
      server.kill("SIGTERM");
      const timer = setTimeout(() => server.kill("SIGKILL"), 5000);
      await ended;
      clearTimeout(timer);
    }
    await rm(data, { recursive: true, force: true });
  };
  try {
    await ready(url, server);
    const token = /^\s*token:\s*"?([^"\s]+)"?\s*$/m.exec(
      await readFile(join(data, "context.yaml"), "utf8"),
    )?.[1];
    if (!token) throw new Error(`${data}/context.yaml has no token`);
    return { url, token, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startMockServer() {
  const { startMock } = await import("../../console/mock/server.mjs");
  const { url, token, close } = await startMock({ dist: join(root, "console/dist") });
  return { url, token, stop: async () => close() };
}

const [what] = process.argv.slice(2);
if (!what) {
  console.error("usage: node tests/e2e/run.mjs BINARY | --mock");
  process.exit(2);
}
const server = what === "--mock" ? await startMockServer() : await startTessera(what);
try {
  const run = spawn(process.execPath, ["--test", "--test-reporter=tap", tests], {
    stdio: "inherit",
    env: { ...process.env, BASE_URL: server.url, TOKEN: server.token },
  });
  process.exitCode = await new Promise((resolve) => run.once("exit", (code) => resolve(code ?? 1)));
} finally {
  await server.stop();
}

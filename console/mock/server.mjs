// The API of docs/api.md over the mock world, and the console's files. For work on the console and
// for its browser tests without the real server; it checks no roles and keeps nothing.
//   node mock/server.mjs [--port N] [--token T] [--nodes N] [--load]
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { startLoad } from "./load.mjs";
import { explain, problem } from "./placement.mjs";
import { World } from "./world.mjs";

const kTypes = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
  ".map": "application/json",
};
// The real server's policy (src/gateway/site.cpp): what breaks there shall break here.
const kPolicy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
  "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const kLists = ["gpus", "requests", "leases", "tiers", "teams", "pools", "nodes", "plans"];

function answer(response, status, body) {
  const type = body?.problem ? "application/problem+json" : "application/json";
  response.writeHead(body?.problem?.status ?? status, { "Content-Type": type, "Cache-Control": "no-store" });
  response.end(JSON.stringify(body?.problem ?? body));
}

async function bodyOf(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  const text = Buffer.concat(parts).toString();
  return text ? JSON.parse(text) : {};
}

function watch(world, url, response) {
  const since = Number(url.searchParams.get("since") ?? world.revision);
  const kinds = new Set((url.searchParams.get("kinds") ?? "").split(",").filter(Boolean));
  if (since + 1 < (world.history[0]?.revision ?? 0))
    return answer(response, 410, problem(410, "TooOld", `revision ${since} is no longer held`));
  response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
  const send = ({ revision, type, kind, data }) => {
    if (kinds.size === 0 || kinds.has(kind))
      response.write(`event: ${type}\nid: ${revision}\ndata: ${data}\n\n`);
  };
  const bookmark = () =>
    response.write(`event: BOOKMARK\nid: ${world.revision}\ndata: {"revision":${world.revision}}\n\n`);
  for (const event of world.history) if (event.revision > since) send(event);
  bookmark();
  world.listeners.add(send);
  const timer = setInterval(bookmark, 10_000);
  response.on("close", () => {
    clearInterval(timer);
    world.listeners.delete(send);
  });
}

function readApi(world, url, response) {
  const path = url.pathname.replace("/v1/", "");
  const parts = path.split("/").map(decodeURIComponent);
  if (path === "whoami") return answer(response, 200, { name: "admin", role: "admin", subject: "" });
  if (path === "version") return answer(response, 200, { version: "0.1.0-mock" });
  if (path === "capacity") return answer(response, 200, world.capacity());
  if (path === "watch") return watch(world, url, response);
  if (kLists.includes(path)) {
    const items = world.list(path);
    const from = Number(url.searchParams.get("continue") ?? 0);
    const to = from + Math.min(1000, Number(url.searchParams.get("limit") ?? 500));
    return answer(response, 200, {
      kind: "List",
      metadata: { revision: world.revision, continue: to < items.length ? String(to) : null },
      items: items.slice(from, to),
    });
  }
  const request = parts[0] === "requests" && world.requests.get(parts[1]);
  if (request && parts[2] === "explanation")
    return answer(
      response,
      200,
      explain(world, request.spec, request.status.state === "queued" ? request.status : undefined),
    );
  const object =
    kLists.includes(parts[0]) &&
    world.list(parts[0]).find((o) => o.metadata.name === parts.slice(1).join("/"));
  return object
    ? answer(response, 200, object)
    : answer(response, 404, problem(404, "UnknownObject", `there is no ${path}`));
}

function act(world, path, body) {
  const [kind, name, verb] = path.split("/").map(decodeURIComponent);
  if (kind === "requests" && verb === "cancel" && world.requests.has(name))
    return world.cancel(world.requests.get(name));
  const lease = kind === "leases" && world.leases.get(name);
  if (lease && lease.status.state !== "active")
    return problem(409, "WrongState", `${name} is ${lease.status.state}`);
  if (lease && verb === "release") return world.release(lease);
  if (lease && verb === "renew") {
    const hours = Number.parseInt(body.extra, 10);
    lease.status.expiresAt = new Date(Date.parse(lease.status.expiresAt) + hours * 3.6e6).toISOString();
    const request = world.requests.get(lease.spec.request);
    request.status.expiresAt = lease.status.expiresAt;
    world.publish("MODIFIED", lease);
    world.publish("MODIFIED", request);
    return lease;
  }
  const node = kind === "nodes" && world.nodes.get(name);
  if (node && (verb === "cordon" || verb === "uncordon")) {
    node.status.cordoned = verb === "cordon";
    world.publish("MODIFIED", node);
    for (const gpu of world.gpusByNode.get(name)) world.touch(gpu);
    return node;
  }
  if (kind === "gpus" && path.endsWith("/restore")) {
    const gpu = world.gpuMap.get(path.split("/").slice(1, 3).join("/"));
    gpu.health = "healthy";
    world.touch(gpu);
    return world.gpuObject(gpu);
  }
  return problem(404, "UnknownObject", `there is no ${path}`);
}

async function writeApi(world, url, request, response) {
  const path = url.pathname.replace("/v1/", "");
  const body = await bodyOf(request);
  const dryRun = url.searchParams.get("dryRun") === "true";
  if (path === "explain") return answer(response, 200, explain(world, body.spec));
  if (path === "requests") return answer(response, dryRun ? 200 : 201, world.submit(body.spec, { dryRun }));
  return answer(response, 200, act(world, path, body));
}

async function serveFile(dist, url, response) {
  const name = normalize(url.pathname === "/" ? "/index.html" : url.pathname);
  try {
    const bytes = await readFile(join(dist, name));
    response.writeHead(200, {
      "Content-Type": kTypes[extname(name)] ?? "application/octet-stream",
      "Content-Security-Policy": kPolicy,
    });
    response.end(bytes);
  } catch {
    answer(response, 404, problem(404, "UnknownObject", `there is no ${name}`));
  }
}

export async function startMock({
  port = 0,
  token = "mock-token",
  dist,
  load = false,
  world = new World(),
  history,
} = {}) {
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, "http://mock");
    try {
      if (url.pathname === "/readyz") return answer(response, 200, { ready: true });
      if (!url.pathname.startsWith("/v1/")) return await serveFile(dist, url, response);
      if (request.headers.authorization !== `Bearer ${token}`)
        return answer(response, 401, problem(401, "Unauthenticated", "this token is not known here"));
      return request.method === "GET"
        ? readApi(world, url, response)
        : await writeApi(world, url, request, response);
    } catch (error) {
      return answer(response, 500, problem(500, "Internal", String(error)));
    }
  });
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  const stopLoad = load ? startLoad(world, history) : () => {};
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    token,
    world,
    close: () => {
      stopLoad();
      server.closeAllConnections?.();
      server.close();
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const option = (name, fallback) =>
    process.argv.includes(name) ? process.argv[process.argv.indexOf(name) + 1] : fallback;
  const nodes = Number(option("--nodes", 0));
  const { url, token } = await startMock({
    port: Number(option("--port", 8480)),
    token: option("--token", "mock-token"),
    dist: fileURLToPath(new URL("../dist", import.meta.url)),
    load: process.argv.includes("--load"),
    world: new World(nodes ? { nodes: [["h100", nodes, 8]] } : {}),
  });
  console.log(`console: ${url}/#token=${token}`);
}

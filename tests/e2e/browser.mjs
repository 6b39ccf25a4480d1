// What the browser tests share: a fresh browser, a signed-in page, the API beside it.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

// The packages are the console's: one installation, one lock file.
const fromConsole = createRequire(new URL("../../console/package.json", import.meta.url));
const { chromium } = fromConsole("playwright-core");

export const base = (process.env.BASE_URL ?? "").replace(/\/$/, "");
export const token = process.env.TOKEN ?? "";
if (!base || !token)
  throw new Error("set BASE_URL and TOKEN, or run tests/e2e/run.mjs, which starts a server");

const kFlags = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
export const kPatience = 15_000;

/** One browser with a profile of its own; closed and removed by `close`. */
export async function openBrowser(options = {}) {
  const profile = await mkdtemp(join(tmpdir(), "tessera-e2e-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: kFlags,
    viewport: { width: 1440, height: 900 },
    ...options,
  });
  context.setDefaultTimeout(kPatience);
  const seen = { urls: [], complaints: [] };
  const follow = (page) => {
    page.on("request", (request) => seen.urls.push(request.url()));
    page.on("pageerror", (error) => seen.complaints.push(`error: ${error.message}`));
    page.on("console", (message) => {
      if (/Content Security Policy/i.test(message.text())) seen.complaints.push(message.text());
    });
  };
  context.pages().forEach(follow);
  context.on("page", follow);
  return {
    context,
    seen,
    close: async () => {
      await context.close();
      await rm(profile, { recursive: true, force: true });
    },
  };
}

/** A page that is signed in and shows `view`. */
export async function signedIn(context, view = "fleet") {
  const page = await context.newPage();
  await page.goto(`${base}/#token=${token}`);
  await page.waitForSelector(".seg");
  if (view !== "fleet") await page.goto(`${base}/#/${view}`);
  return page;
}

/** The API, as any other client sees it. */
export async function call(method, path, body) {
  const response = await fetch(`${base}/v1${path}`, {
    method,
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${JSON.stringify(answer)}`);
  return answer;
}

/** Asks until `holds(answer)`, for a bounded time. */
export async function eventually(what, ask, holds, patience = kPatience) {
  const end = Date.now() + patience;
  let last;
  while (Date.now() < end) {
    last = await ask();
    if (holds(last)) return last;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${what}: still ${JSON.stringify(last)} after ${patience} ms`);
}

export async function accessibilityViolations(page) {
  const source = await readFile(fromConsole.resolve("axe-core/axe.min.js"), "utf8");
  await page.evaluate(source);
  const { violations } = await page.evaluate(() =>
    globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"] }),
  );
  return violations.map(
    (v) =>
      `${v.id}: ${v.help} (${v.nodes.length}: ${v.nodes
        .slice(0, 3)
        .map((n) => `${n.target.join(" ")} ${n.any[0]?.message ?? ""}`)
        .join("; ")})`,
  );
}

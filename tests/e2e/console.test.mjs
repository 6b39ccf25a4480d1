// The console in a real browser against a real server: what a person can see and do.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessibilityViolations, base, call, eventually, openBrowser, signedIn, token } from "./browser.mjs";

let browser;
before(async () => {
  browser = await openBrowser({ colorScheme: "light" });
});
after(async () => {
  await browser?.close();
});

async function requestNames() {
  return (await call("GET", "/requests?limit=1000")).items.map((item) => item.metadata.name);
}
const stateOf = (name) => async () => (await call("GET", `/requests/${name}`)).status.state;

/** Fills the form and waits for the answer to these very fields. */
async function ask(page, fields) {
  for (const [id, value] of Object.entries(fields)) {
    const field = page.locator(`#f-${id}`);
    if ((await field.evaluate((element) => element.tagName)) === "SELECT") await field.selectOption(value);
    else await field.fill(value);
  }
  await page.waitForTimeout(100);
  await page.waitForSelector(".answer[aria-busy='false']");
  return (await page.locator(".answer").innerText()).replace(/\s+/g, " ");
}

/** Submits what the form says and returns the request's name, shown by the page's address. */
async function submit(page) {
  await page.locator(".ask-submit .button.primary").click();
  await page.waitForURL(/#\/requests\/req-\d+$/);
  return page.url().split("/").at(-1);
}

test("a token opens the console, a wrong one is refused in words", async () => {
  const page = await browser.context.newPage();
  await page.goto(base);
  await page.fill("#token", "not-a-token");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#token-error:not(:empty)");
  await page.fill("#token", token);
  await page.keyboard.press("Enter");
  await page.waitForSelector(".seg");
  assert.equal(
    await page.evaluate(() => sessionStorage.length > 0 && localStorage.getItem("tessera.token")),
    null,
  );
  await page.getByLabel("Sign out").click();
  await page.waitForSelector("#token");
  await page.close();
});

test("a token in the fragment is taken and leaves the address bar", async () => {
  const page = await signedIn(browser.context);
  assert.ok(!page.url().includes(token));
  await page.reload();
  await page.waitForSelector(".seg");
  await page.close();
});

test("the grid shows every GPU, to one scale", async () => {
  const page = await signedIn(browser.context);
  const gpus = (await call("GET", "/gpus?limit=1000")).items;
  for (const card of await page.locator(".node").all()) await card.scrollIntoViewIfNeeded();
  await eventually(
    "rows",
    () => page.locator("[role=row]").count(),
    (count) => count === Math.min(gpus.length, count) && count > 0,
  );
  const { rows, scale } = await page.evaluate(() => {
    const box = (element) => element.getBoundingClientRect();
    const rows = [...document.querySelectorAll("[role=row]")].map((row) => {
      const axis = box(row.querySelector(".axis"));
      const cells = [...row.querySelectorAll(".seg")].map((cell) => ({
        gpu: cell.dataset.gpu,
        left: box(cell).left - axis.left,
        width: box(cell).width,
      }));
      return { gpu: cells[0].gpu, width: axis.width, cells };
    });
    return { rows, scale: box(document.querySelector(".axis-space")).width };
  });
  const inMib = (text) => Number.parseInt(text, 10) * (text.endsWith("GiB") ? 1024 : 1);
  const memoryOf = new Map(gpus.map((gpu) => [gpu.metadata.name, inMib(gpu.status.memory)]));
  const largest = Math.max(...memoryOf.values());
  const unit = Math.max(...rows.map((row) => row.width)) / largest;
  assert.ok(unit * largest <= scale + 1);
  for (const row of rows) {
    assert.ok(Math.abs(row.width - unit * memoryOf.get(row.gpu)) < 1.5, `${row.gpu} is to scale`);
    const covered = row.cells.reduce((sum, cell) => sum + cell.width, 0);
    assert.ok(Math.abs(covered - row.width) < 1.5, `${row.gpu}'s cells cover its memory`);
  }
  await page.close();
});

test("the form answers before anything is submitted", async () => {
  const page = await signedIn(browser.context, "new");
  const earlier = await requestNames();
  const small = await ask(page, { team: "vision", memory: "10GB", duration: "8h" });
  assert.match(small, /You would get 1g\.10gb on h100 now, 0\.\d+ per hour/);
  const large = await ask(page, { memory: "10GiB" });
  assert.match(large, /1g\.20gb/);
  assert.match(await page.locator(".answer .hint").first().innerText(), /10 ?GB/);
  const never = await ask(page, { memory: "900GB" });
  assert.match(never, /Can never fit/);
  assert.ok(await page.locator(".ask-submit .button.primary").isDisabled());
  const wrong = await ask(page, { memory: "10" });
  assert.match(wrong, /InvalidQuantity/);
  assert.deepEqual(await requestNames(), earlier, "a dry run leaves no trace");
  await page.close();
});

test("a submitted request becomes a slice that appears in an open grid, and goes when released", async () => {
  const grid = await signedIn(browser.context);
  const form = await signedIn(browser.context, "new");
  await ask(form, { team: "vision", memory: "10GB", purpose: "browser test" });
  const name = await submit(form);
  await eventually("active", stateOf(name), (state) => state === "active");
  await form.waitForSelector(".panel .is-active");
  const lease = (await call("GET", `/requests/${name}`)).status.lease;
  const slice = (await call("GET", `/leases/${lease}`)).status.slices[0];
  assert.equal(slice.profile, "1g.10gb");

  const cell = grid.locator(`.seg.is-in-use[data-gpu="${slice.gpu}"][aria-label*="team vision"]`).first();
  await cell.waitFor();
  assert.match(await cell.getAttribute("aria-label"), /1g\.10gb, 9\.75 GiB, team vision, in-use/);

  await form.locator(".panel").getByRole("button", { name: "Release" }).click();
  await eventually("released", stateOf(name), (state) => state === "released");
  await form.waitForSelector(".panel .is-released");
  const leased = async () =>
    (await call("GET", `/gpus/${slice.gpu}`)).status.slices.some((one) => one.lease === lease);
  await eventually("slice given back", leased, (there) => !there);
  await grid.close();
  await form.close();
});

test("a request that waits is explained, and an alternative is one click away", async () => {
  const nodes = (await call("GET", "/nodes?limit=1000")).items.filter((node) => node.spec.pool === "h100");
  for (const node of nodes) await call("POST", `/nodes/${node.metadata.name}/cordon`, {});
  const page = await signedIn(browser.context, "new");
  try {
    await page.locator(".more summary").click();
    const answer = await ask(page, { team: "speech", memory: "10GB", pool: "h100", purpose: "waits" });
    assert.match(answer, /Queued, because /);
    const name = await submit(page);
    await page.waitForSelector(".panel .is-queued");
    await page.waitForSelector(".panel .blocker");
    assert.match(await page.locator(".panel .why").innerText(), /h100[\s\S]*away/);
    const take = page.locator(".panel").getByRole("button", { name: "Take this" }).first();
    await take.click();
    await page.waitForFunction(
      (old) => location.hash.startsWith("#/requests/req-") && !location.hash.endsWith(old),
      name,
    );
    await eventually("old one cancelled", stateOf(name), (state) => state === "cancelled");
    const other = page.url().split("/").at(-1);
    await eventually("new one active", stateOf(other), (state) => state === "active");
    await page.waitForSelector(".panel .is-active");
    await call("POST", `/leases/${(await call("GET", `/requests/${other}`)).status.lease}/release`, {});
  } finally {
    for (const node of nodes) await call("POST", `/nodes/${node.metadata.name}/uncordon`, {});
    await page.close();
  }
});

test("requests can be filtered, renewed and cancelled", async () => {
  const made = await call("POST", "/requests", {
    kind: "Request",
    spec: { team: "vision", memory: "10GB", isolation: "partition", duration: "8h", purpose: "filter me" },
  });
  const { name } = made.metadata;
  await eventually("active", stateOf(name), (state) => state === "active");
  const page = await signedIn(browser.context, "requests");
  await page.keyboard.press("/");
  await page.keyboard.type("filter me");
  await page.waitForSelector(`tr[data-request="${name}"]`);
  assert.ok((await page.locator("tr[data-request]").count()) >= 1);
  await page.locator(`tr[data-request="${name}"]`).click();
  const expires = async () => Date.parse((await call("GET", `/requests/${name}`)).status.expiresAt);
  const earlier = await expires();
  await page.getByRole("button", { name: "Renew 4 h" }).click();
  await eventually("renewed", expires, (at) => at - earlier >= 3.9 * 3600_000);
  await page.locator(".panel").getByRole("button", { name: "Release" }).click();
  await eventually("released", stateOf(name), (state) => state === "released");
  await page.close();
});

test("tiers and capacity count in slots and say why", async () => {
  const page = await signedIn(browser.context, "capacity");
  const { tiers } = await call("GET", "/capacity");
  await page.waitForSelector(".tier");
  const shown = await page.locator(".tier").allInnerTexts();
  assert.equal(shown.length, tiers.length);
  for (const [i, tier] of tiers.entries()) {
    const words = shown[i].replace(/\s+/g, " ");
    assert.ok(words.includes(`${tier.potential.slots} slots`), words);
    if (tier.potential.note) assert.ok(words.includes(tier.potential.note.replace(/\s+/g, " ")), words);
    for (const { pool } of tier.pools) assert.match(words, new RegExp(`pools? .*\\b${pool}\\b`));
    assert.doesNotMatch(words, /\[object|NaN|undefined/);
    assert.match(words, /\d+ % used/);
  }
  await page.close();
});

test("on a phone every view fits and can be reached", async () => {
  const page = await signedIn(browser.context);
  await page.setViewportSize({ width: 390, height: 844 });
  for (const name of ["Requests", "New request", "Tiers and capacity", "Fleet"]) {
    const link = page.getByRole("navigation", { name: "Views" }).getByRole("link", { name, exact: true });
    const box = await link.boundingBox();
    assert.ok(box.x >= 0 && box.x + box.width <= 390, `${name} is on the screen`);
    await link.click();
    await page.waitForTimeout(300);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(wide <= 390, `${name} is ${wide} px wide`);
  }
  await page.close();
});

test("everything can be done with the keyboard alone", async () => {
  const page = await browser.context.newPage();
  await page.goto(base);
  await page.waitForSelector("#token:focus");
  await page.keyboard.type(token);
  await page.keyboard.press("Enter");
  await page.waitForSelector(".seg");

  await page.keyboard.press("?");
  await page.waitForSelector("dialog[open]");
  await page.keyboard.press("Escape");
  await page.waitForSelector("dialog:not([open])", { state: "attached" });

  await page.keyboard.press("n");
  await page.waitForSelector("#f-team");
  for (let i = 0; i < 60; i++) {
    if (await page.evaluate(() => document.activeElement?.id === "f-purpose")) break;
    await page.keyboard.press("Tab");
  }
  await page.keyboard.type("by keyboard");
  await page.keyboard.press("Tab");
  await page.waitForSelector("#f-memory:focus");
  await page.keyboard.press("Control+a");
  await page.keyboard.type("10GB");
  await page.waitForSelector(".answer-fits[aria-busy='false']");
  await page.keyboard.press("Enter");
  await page.waitForURL(/#\/requests\/req-\d+$/);
  const name = page.url().split("/").at(-1);
  await eventually("active", stateOf(name), (state) => state === "active");

  await page.evaluate(() => document.activeElement?.blur());
  await page.keyboard.press("f");
  await page.waitForSelector(".seg");
  for (let i = 0; i < 80; i++) {
    if (await page.evaluate(() => document.activeElement?.getAttribute("role") === "gridcell")) break;
    await page.keyboard.press("Tab");
  }
  const where = () => page.evaluate(() => document.activeElement?.id);
  const first = await where();
  assert.match(first, /^cell:/);
  await page.keyboard.press("ArrowDown");
  await eventually("moved down", where, (id) => /^cell:/.test(id) && id !== first);
  const second = await where();
  await page.keyboard.press("Enter");
  await page.waitForSelector(".panel");
  await page.keyboard.press("Escape");
  await page.waitForSelector(".panel", { state: "detached" });
  await eventually("focus returned", where, (id) => id === second);
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.equal(outline, "solid", "the focus is visible");

  const lease = (await call("GET", `/requests/${name}`)).status.lease;
  await call("POST", `/leases/${lease}/release`, {});
  await page.close();
});

test("dark is dark, light is light, and the toggle wins over the system", async () => {
  const page = await signedIn(browser.context);
  const luminance = () =>
    page.evaluate(() => {
      const canvas = document.createElement("canvas").getContext("2d");
      canvas.fillStyle = getComputedStyle(document.documentElement).backgroundColor;
      canvas.fillRect(0, 0, 1, 1);
      const [r, g, b] = canvas.getImageData(0, 0, 1, 1).data;
      return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
    });
  await page.emulateMedia({ colorScheme: "dark" });
  assert.ok((await luminance()) < 0.2);
  await page.keyboard.press("t");
  await eventually("light", luminance, (value) => value > 0.8);
  await page.keyboard.press("t");
  await eventually("dark again", luminance, (value) => value < 0.2);
  await page.emulateMedia({ colorScheme: "light" });
  assert.ok((await luminance()) > 0.8);
  await page.close();
});

test("a what-if shows what a plan would do and keeps none; one that is kept can be applied", async (t) => {
  if ((await call("GET", "/version")).version.endsWith("-mock")) return t.skip("the mock plans nothing");
  const page = await signedIn(browser.context, "plan");
  await page.getByLabel("Demand 1: a profile or an amount of memory").fill("1g.10gb");
  await page.getByLabel("Demand 1: how many").fill("2");
  await page.getByRole("button", { name: "What if?" }).click();
  const verdict = page.locator(".plan-verdict");
  await verdict.waitFor();
  assert.match(await verdict.innerText(), /^Serves \d+ of \d+ asked for; moves \d+ leases? and changes \d+ GPUs?\.$/);
  assert.match(await page.locator(".plan-proof").innerText(), /Proven in .* The gap is 0\./);
  assert.deepEqual((await call("GET", "/plans")).items, [], "a dry run leaves no trace");

  await page.getByRole("button", { name: "Compute and keep" }).click();
  await page.waitForURL(/#\/plan\/plan-\d+$/);
  const name = page.url().split("/").at(-1);
  await page.getByRole("button", { name: `Apply ${name}` }).click();
  const over = ["done", "stopped"];
  await eventually("the plan ends", async () => (await call("GET", `/plans/${name}`)).status.state, (state) =>
    over.includes(state),
  );
  await page.locator("#plan-title .plan-state", { hasText: /done|stopped/ }).waitFor();
  await page.close();
});

for (const scheme of ["light", "dark"])
  test(`no accessibility violation in any view, ${scheme}`, async () => {
    const page = await signedIn(browser.context);
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    const found = [];
    for (const view of ["fleet", "requests", "new", "capacity", "plan"]) {
      await page.goto(`${base}/#/${view}`);
      await page.waitForTimeout(600);
      found.push(...(await accessibilityViolations(page)).map((text) => `${view}: ${text}`));
    }
    assert.deepEqual(found, []);
    await page.close();
  });

test("no request left for another host, and nothing broke the security policy", () => {
  const host = new URL(base).host;
  const elsewhere = browser.seen.urls.filter(
    (url) => /^(https?|wss?):/.test(url) && new URL(url).host !== host,
  );
  assert.deepEqual(elsewhere, []);
  assert.deepEqual(browser.seen.complaints, []);
  assert.ok(browser.seen.urls.length > 20);
});

// Rebuilds on every change and serves the result with the mock API: npm run dev, then open the
// address it prints.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startMock } from "../mock/server.mjs";
import { watchConsole } from "./build.mjs";

const out = fileURLToPath(new URL("../dist", import.meta.url));
await watchConsole(out);
const { url, token } = await startMock({ port: 8480, dist: join(out), load: true });
console.log(`console: ${url}/#token=${token}`);

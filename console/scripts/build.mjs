// Builds the console into dist/ (or --out DIR): index.html, hashed script, style and fonts.
// Nothing refers to another host, and nothing is inline, so `default-src 'self'` holds.
import { build, context } from "esbuild";
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

function options(out, development) {
  return {
    absWorkingDir: root,
    entryPoints: { app: "src/main.tsx" },
    outdir: join(out, "assets"),
    entryNames: "[name]-[hash]",
    assetNames: "[name]-[hash]",
    bundle: true,
    format: "esm",
    target: "es2022",
    jsx: "automatic",
    jsxImportSource: "preact",
    loader: { ".woff2": "file", ".svg": "file" },
    minify: !development,
    sourcemap: development ? "linked" : false,
    legalComments: "none",
    metafile: true,
    logLevel: "warning",
  };
}

/** index.html with the names of this build's files. */
async function writePage(out, metafile) {
  const files = Object.keys(metafile.outputs).map((file) => basename(file));
  const named = (ending) => files.find((file) => file.startsWith("app-") && file.endsWith(ending));
  const page = await readFile(join(root, "src/index.html"), "utf8");
  await writeFile(
    join(out, "index.html"),
    page.replaceAll("%SCRIPT%", `assets/${named(".js")}`).replaceAll("%STYLE%", `assets/${named(".css")}`),
  );
  await cp(join(root, "src/favicon.svg"), join(out, "favicon.svg"));
}

export async function buildConsole(out, development = false) {
  await rm(out, { recursive: true, force: true });
  await mkdir(out, { recursive: true });
  const result = await build(options(out, development));
  await writePage(out, result.metafile);
  return result.metafile;
}

/** Rebuilds on every change; the mock server picks the files up from disk. */
export async function watchConsole(out) {
  const page = {
    name: "page",
    setup: (b) => b.onEnd((r) => (r.metafile ? writePage(out, r.metafile) : undefined)),
  };
  await mkdir(out, { recursive: true });
  const watcher = await context({ ...options(out, true), plugins: [page] });
  await watcher.watch();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const flag = process.argv.indexOf("--out");
  const out = resolve(flag > 0 ? process.argv[flag + 1] : join(root, "dist"));
  const { outputs } = await buildConsole(out);
  for (const [file, { bytes }] of Object.entries(outputs))
    console.log(`${(bytes / 1024).toFixed(1).padStart(8)} KiB  ${basename(file)}`);
}

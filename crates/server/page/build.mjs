// Builds dist/ from src/: what the binary embeds. `node build.mjs [--watch] [--out DIR]`.
//
// sources.sha256 lists what it was built from, in the form of sha256sum; `cargo xtask tidy`
// compares it with the files, so that nobody commits one without the other.

import { createHash } from "node:crypto";
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import * as esbuild from "esbuild";

const root = dirname(fileURLToPath(import.meta.url));
const { values } = parseArgs({ options: { watch: { type: "boolean" }, out: { type: "string" } } });
const out = values.out ?? join(root, "dist");

const FONTS = [
  "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2",
  "@fontsource-variable/jetbrains-mono/files/jetbrains-mono-latin-wght-normal.woff2",
];
// Whose code or letters are in dist.
const SHIPPED = [
  "preact",
  "@preact/signals",
  "@preact/signals-core",
  "uplot",
  "@fontsource-variable/inter",
  "@fontsource-variable/jetbrains-mono",
];

const options = {
  absWorkingDir: root,
  entryPoints: { app: "src/main.tsx", theme: "src/theme.ts", app_style: "src/style/index.css" },
  outdir: out,
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2022"],
  jsx: "automatic",
  jsxImportSource: "preact",
  external: ["*.woff2"],
  legalComments: "none",
  logLevel: "warning",
  charset: "utf8",
};

async function files(folder) {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}

async function sources() {
  const found = (await files(join(root, "src"))).map((file) => relative(root, file));
  const wanted = found.filter((file) => file !== "src/api/schema.d.ts");
  wanted.push("build.mjs", "package.json", "package-lock.json");
  wanted.sort();
  const line = async (file) => {
    const digest = createHash("sha256").update(await readFile(join(root, file)));
    return `${digest.digest("hex")}  ${file}\n`;
  };
  return (await Promise.all(wanted.map(line))).join("");
}

async function licences() {
  const parts = SHIPPED.map(async (name) => {
    const folder = join(root, "node_modules", name);
    const { version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    const text = await readFile(join(folder, "LICENSE"), "utf8");
    return `== ${name} ${version} (${license})\n\n${text.trim()}\n`;
  });
  return (await Promise.all(parts)).join("\n");
}

async function assets() {
  for (const file of ["index.html", "icon.svg"]) await cp(join(root, "src", file), join(out, file));
  for (const font of FONTS) await cp(join(root, "node_modules", font), join(out, font.split("/").at(-1)));
  await writeFile(join(out, "licences.txt"), await licences());
}

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
if (values.watch) {
  await assets();
  await (await esbuild.context(options)).watch();
} else {
  await Promise.all([esbuild.build(options), assets()]);
  if (!values.out) await writeFile(join(root, "sources.sha256"), await sources());
}

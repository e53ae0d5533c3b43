/**
 * Makes of the program's modules one file for each command and thread (dist/bundle): a hundred small
 * modules cost 65 ms of processor time to find, read and link, one file 10 to 20 ms, and that time
 * passes before the first answer of a start, and before the next one after a server was killed.
 * CommonJS, because its loader costs less than that of ES modules. Not one file for all, because of
 * 100 kB each 2 ms go into parsing, needed or not.
 *
 *     node dist/tools/bundle.js
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
const SOURCES = join(PROJECT, "src");
const BUNDLE = join(PROJECT, "dist/bundle");

/** What these import dynamically, the commands, is a file of its own. */
const COMMAND_TABLES = ["cli/main", "cli/subcommands"];
/** Files that are started as threads. */
const THREADS = ["daemon/worker", "attach/worker"];

/** Tells a module where it would lie if it were a file of its own: what it names by that is found. */
const BANNER = `"use strict";
const moduleUrl = (path) => require("node:url").pathToFileURL(require("node:path").join(__dirname, "..", path)).href;`;

const isCommandTable = (path: string): boolean =>
  COMMAND_TABLES.some((table) => path === sourceOf(table));

const plugin: Plugin = {
  name: "bundle",
  setup: (building) => {
    building.onResolve({ filter: /^\.\/.*\.ts$/ }, ({ kind, importer, path }) =>
      kind === "dynamic-import" && isCommandTable(importer)
        ? { path: path.replace(/\.ts$/, ".js"), external: true }
        : undefined,
    );
    building.onLoad({ filter: /\/src\/.*\.ts$/ }, ({ path }) => {
      const url = `moduleUrl(${JSON.stringify(relative(SOURCES, path))})`;
      const text = readFileSync(path, "utf8");
      return { contents: text.replaceAll("import.meta.url", url), loader: "ts" };
    });
  },
};

function sourceOf(entry: string): string {
  return join(SOURCES, `${entry}.ts`);
}

/** The modules that a command table loads when a command is given. */
function commandsOf(table: string): string[] {
  const names = readFileSync(sourceOf(table), "utf8").matchAll(/import\("\.\/(\w+)\.ts"\)/g);
  return [...names].map(([, name = ""]) => join(dirname(table), name));
}

rmSync(BUNDLE, { recursive: true, force: true });
await build({
  entryPoints: ["cli/main", ...COMMAND_TABLES.flatMap(commandsOf), ...THREADS].map(sourceOf),
  outdir: BUNDLE,
  outbase: SOURCES,
  bundle: true,
  packages: "external",
  platform: "node",
  format: "cjs",
  target: "node20",
  // import() would start the loader of ES modules.
  supported: { "dynamic-import": false },
  banner: { js: BANNER },
  plugins: [plugin],
  logLevel: "warning",
});
// The project's own package.json says that .js files are ES modules.
writeFileSync(join(BUNDLE, "package.json"), `{ "type": "commonjs" }\n`);

/** The npm package: packed, installed globally into a directory of its own, and run from there. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { section } from "../runtimes/document.ts";
import { Container } from "../support/container.ts";
import { whyNoMounts } from "../support/lab.ts";
import { keyedNumbers } from "../support/parse.ts";
import { projectRoot } from "../support/project.ts";
import { installed, run } from "../support/run.ts";
import { Server } from "../support/server.ts";

const document = section("npm", "docs/install.md");

void describe("the npm package", { skip: installed("npm") ? false : "needs npm" }, () => {
  let directory: string;
  let tarball: string;
  const lxcfs = (): string => join(directory, "prefix/bin/lxcfs");

  before(() => {
    directory = mkdtempSync(join(tmpdir(), "lxcfs-npm-"));
    const pack = `${document.command("npm pack")} --silent --pack-destination ${directory}`;
    const name = run(["sh", "-c", `cd '${projectRoot}' && ${pack}`]).trim();
    tarball = join(directory, name.split("\n").at(-1) ?? "");
    const install = `${document.command("npm install")} --prefix ${directory}/prefix`;
    run(["sh", "-c", `cd '${directory}' && ${install}`], { timeoutMs: 120_000 });
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  void test("holds what runs and no tests", () => {
    const files = run(["tar", "-tzf", tarball]).trim().split("\n");
    assert.ok(files.includes("package/bin/holder.sh"));
    assert.ok(files.includes("package/dist/bundle/cli/main.js"));
    assert.ok(files.includes("package/share/lxcfs.service"));
    const odd = files.filter((file) => /\.test\.|\.cases\.|fixtures|node_modules/.test(file));
    assert.deepEqual(odd, []);
  });

  void test("publint has nothing to say", () => {
    const publint = join(projectRoot, "node_modules/.bin/publint");
    run([process.execPath, publint, "run", tarball, "--strict"]);
  });

  void test("tells its version and has its library", () => {
    const { version } = JSON.parse(readFileSync(join(projectRoot, "package.json"), "utf8")) as {
      version: string;
    };
    assert.equal(run([lxcfs(), "--version"]), `"${version}"\n`);
    const fuse = join(directory, "prefix/lib/node_modules/lxcfs-ts/dist/src/fuse/index.js");
    assert.ok(existsSync(fuse));
    const script = `import("${fuse}").then((m) => console.log(Object.keys(m).length > 0))`;
    assert.equal(run([process.execPath, "-e", script]), "true\n");
  });

  void test("serves a container from where it was installed", { skip: whyNoMounts() }, async () => {
    const server = await Server.start({ command: lxcfs() });
    try {
      const limits = { memoryBytes: 64 << 20 };
      const container = await Container.start({ mountpoint: server.mountpoint, limits });
      try {
        assert.equal(keyedNumbers(container.read("/proc/meminfo")).get("MemTotal"), 65_536);
      } finally {
        container.stop();
      }
    } finally {
      await server.stop();
    }
  });
});

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { after, describe, it } from "node:test";
import { nodePath } from "./node_path.ts";

describe("paths of the node", () => {
  const root = mkdtempSync(`${tmpdir()}/lxcfs-node-path-`);
  after(() => rmSync(root, { recursive: true }));
  for (const name of ["run/nri", "var/lib", "opt"])
    mkdirSync(`${root}/${name}`, { recursive: true });
  symlinkSync("/run", `${root}/var/run`);
  symlinkSync("../run", `${root}/var/relative`);
  symlinkSync("../../../../run/nri", `${root}/opt/above`);
  symlinkSync("again", `${root}/opt/again`);

  it("stay within its root, whatever links there are", () => {
    const cases: [string, string][] = [
      ["/run/nri/nri.sock", "/run/nri/nri.sock"],
      ["/var/run/nri/nri.sock", "/run/nri/nri.sock"],
      ["/var/relative/nri/nri.sock", "/run/nri/nri.sock"],
      ["/opt/above/nri.sock", "/run/nri/nri.sock"],
      ["/nowhere/nri.sock", "/nowhere/nri.sock"],
      ["/opt/again/x", "/opt/again/x"],
    ];
    for (const [path, expected] of cases) assert.equal(nodePath(path, root), root + expected, path);
  });
});

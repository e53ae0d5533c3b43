import assert from "node:assert/strict";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { after, describe, it } from "node:test";
import { install, removeUnused, versionsMounted } from "./install.ts";

describe("installation on the node", () => {
  const root = mkdtempSync(`${tmpdir()}/lxcfs-install-`);
  after(() => rmSync(root, { recursive: true }));
  const [usr, target, proc] = [`${root}/usr`, `${root}/target`, `${root}/proc`];
  mkdirSync(`${usr}/bin`, { recursive: true });
  mkdirSync(`${usr}/share/doc/x`, { recursive: true });
  mkdirSync(target);
  writeFileSync(`${usr}/bin/node`, "program");
  writeFileSync(`${usr}/share/doc/x/readme`, "text");
  symlinkSync("node", `${usr}/bin/nodejs`);

  it("copies what runs, once for each version", () => {
    const first = install(usr, target);
    assert.equal(readFileSync(`${first}/usr/bin/node`, "utf8"), "program");
    assert.equal(readlinkSync(`${first}/usr/bin/nodejs`), "node");
    assert.deepEqual(readdirSync(`${first}/usr/share`), []);
    assert.equal(install(usr, target), first);
    writeFileSync(`${usr}/share/doc/x/readme`, "other text");
    assert.equal(install(usr, target), first);
    writeFileSync(`${usr}/bin/node`, "newer program");
    const second = install(usr, target);
    assert.notEqual(second, first);
    assert.equal(readdirSync(target).length, 2);
  });

  it("knows a version by its mount and keeps what a process has mounted", () => {
    const current = install(usr, target);
    const other = readdirSync(target).find((name) => !current.endsWith(name)) ?? "";
    mkdirSync(`${proc}/42`, { recursive: true });
    // As in mountinfo of a process whose root was made by the agent.
    const line = (version: string) =>
      `612 598 254:0 /var/lib/lxcfs-ts/${version}/usr /usr rw,relatime - ext4 /dev/vda rw\n`;
    writeFileSync(`${proc}/42/mountinfo`, line(other));
    assert.deepEqual(versionsMounted(proc, 42, readdirSync(target)), [other]);
    assert.deepEqual(versionsMounted(proc, 43, readdirSync(target)), []);
    mkdirSync(`${target}/0000.partial-1`);
    assert.deepEqual(removeUnused(target, current, proc), ["0000.partial-1"]);
    writeFileSync(`${proc}/42/mountinfo`, line(current.slice(current.lastIndexOf("/") + 1)));
    assert.deepEqual(removeUnused(target, current, proc), [other]);
    assert.deepEqual(readdirSync(target), [current.slice(current.lastIndexOf("/") + 1)]);
  });
});

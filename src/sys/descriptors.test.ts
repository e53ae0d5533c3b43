import assert from "node:assert/strict";
import { closeSync, openSync } from "node:fs";
import { test } from "node:test";
import { descriptorLimit, openDescriptors, parseDescriptorLimit } from "./descriptors.ts";

test("what is opened is counted", () => {
  const before = openDescriptors();
  const fds = Array.from({ length: 20 }, () => openSync("/dev/null", "r"));
  assert.equal(openDescriptors() - before, 20);
  for (const fd of fds) closeSync(fd);
  assert.equal(openDescriptors(), before);
});

test("the soft limit is found in the kernel's table", () => {
  const table = `Limit                     Soft Limit           Hard Limit           Units     \nMax open files            1024                 524288               files     \n`;
  assert.equal(parseDescriptorLimit(table), 1024);
  assert.equal(parseDescriptorLimit(table.replace("1024     ", "unlimited")), Infinity);
  assert.equal(parseDescriptorLimit(""), Infinity);
  assert.ok(descriptorLimit() > openDescriptors());
});

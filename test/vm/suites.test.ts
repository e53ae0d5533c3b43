/** The table of what runs in the machines names files that there are. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { layouts } from "./layout.ts";
import { repository } from "./repository.ts";
import { guestFiles, guestSuites } from "./suites.ts";

void test("every file that is named is there: a misspelt one would never run", () => {
  for (const { name, files, short = [], apart = [] } of guestSuites) {
    for (const named of [...layouts.map((layout) => files[layout]), short, apart]) {
      if (typeof named === "string") continue;
      for (const file of named) {
        const path = join("test", name, `${file}.test.ts`);
        assert.ok(existsSync(join(repository, path)), path);
      }
    }
  }
});

void test("what takes the machine for itself has a process of its own", () => {
  const wanted = { layouts, suites: ["guest"], files: [], short: false, every: true };
  const groups = guestFiles(wanted).map(({ paths }) => paths);
  const alone = groups.filter((paths) => paths.some((path) => path.includes("nspawn_unit")));
  assert.deepEqual(
    alone,
    layouts.map(() => ["dist/test/guest/nspawn_unit.test.js"]),
  );
  for (const paths of groups) assert.ok(paths.length > 0);
});

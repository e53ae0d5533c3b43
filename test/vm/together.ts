/**
 * Runs several test files in one process, one after the other: in emulation a process costs a
 * second, and a server ten. Servers that are started alike are shared (test/support/lab.ts).
 *
 *     LXCFS_TEST_SHARE=1 node dist/test/vm/together.js FILE...
 */
import { resolve } from "node:path";
import { after } from "node:test";
import { stopShared } from "../support/lab.ts";

after(stopShared);
for (const path of process.argv.slice(2)) await import(resolve(path));

/** Test program: waits for events on a file; prints "waiting", then what poll(2) returned. */
import { openSync } from "node:fs";
import { POLL, pollFd } from "../../src/sys/native.ts";

const fd = openSync(process.argv[2] ?? "", "r");
process.stdout.write("waiting\n", () => {
  process.stdout.write(`events ${pollFd(fd, POLL.PRI, 10_000)}\n`);
});

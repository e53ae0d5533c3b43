/**
 * What one container's readers do to another's. The exit code is 1 if the other one's p99 is more than
 * five times what it is alone. Wants an idle machine.
 *
 *     npm run fairness [ROUNDS [SECONDS]]
 */
import { Server } from "../support/server.ts";
import { describe, measureFairness } from "./fairness.ts";

const MOST = 5;
const [rounds = "5", seconds = "2"] = process.argv.slice(2);
const server = await Server.start();
try {
  const found = await measureFairness(server, Number(rounds), Number(seconds));
  process.stdout.write(`${describe(found)}\n`);
  if (found.ratio > MOST) process.exitCode = 1;
} finally {
  server.kill();
}

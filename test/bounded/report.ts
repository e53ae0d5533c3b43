/**
 * Whether anything grows: ten million reads over 2,000 containers that come and go. Takes as long as
 * the machine needs for the reads. The exit code is 1 if something has grown.
 *
 *     npm run churn [READS [CONTAINERS]]
 */
import { Server } from "../support/server.ts";
import { churn, growth } from "./churn.ts";

const [reads = "10000000", containers = "2000"] = process.argv.slice(2);
const server = await Server.start();
try {
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  const churned = await churn(server, {
    reads: Number(reads),
    containers: Number(containers),
    atOnce: 100,
    say,
  });
  const grown = growth(churned);
  say(grown.length === 0 ? `nothing has grown over ${churned.reads} reads` : grown.join("\n"));
  process.exitCode = grown.length === 0 ? 0 : 1;
} finally {
  server.kill();
}

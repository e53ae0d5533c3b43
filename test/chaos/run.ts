/**
 * The chaos suite at full length: one line for each fault, with what readers in three containers saw.
 * The exit code is 1 if one was not survived.
 *
 *     npm run chaos                          every fault
 *     npm run chaos -- server-killed upgrade these only
 *     npm run chaos -- --short               as the ordinary tests do it
 */
import { lineOf, suffer } from "./fault.ts";
import { FAULTS } from "./faults.ts";
import { Stage } from "./stage.ts";

async function main(args: readonly string[]): Promise<number> {
  const names = args.filter((arg) => !arg.startsWith("--"));
  const unknown = names.find((name) => FAULTS.every((fault) => fault.name !== name));
  if (unknown !== undefined) {
    process.stderr.write(`chaos: no fault "${unknown}"; there are:\n`);
    for (const { name, what } of FAULTS) process.stderr.write(`  ${name.padEnd(18)} ${what}\n`);
    return 2;
  }
  const stage = await Stage.set(!args.includes("--short"));
  let lost = 0;
  try {
    for (const fault of FAULTS) {
      if (names.length > 0 && !names.includes(fault.name)) continue;
      const reason = fault.whyNot?.();
      if (reason !== undefined) {
        process.stdout.write(`${fault.name.padEnd(18)} not done: ${reason}\n`);
        continue;
      }
      const outcome = await suffer(stage, fault);
      if (!outcome.survived) lost++;
      process.stdout.write(`${lineOf(outcome)}\n`);
    }
  } finally {
    stage.clear();
  }
  return lost === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));

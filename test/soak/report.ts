/**
 * The soak: a mount used and troubled for half an hour, or as long as is said. One line for each
 * trouble. The exit code is 1 if a read failed, was wrong or took too long.
 *
 *     npm run soak [SECONDS]
 */
import { Stage } from "../chaos/stage.ts";
import { soak } from "./soak.ts";

const [seconds = "1800"] = process.argv.slice(2);
const stage = await Stage.set(false);
try {
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  const soaked = await soak(stage, Number(seconds), () => 1, say);
  say(JSON.stringify(soaked));
  process.exitCode = soaked.complaints.length === 0 && soaked.failed === 0 ? 0 : 1;
} finally {
  stage.clear();
}

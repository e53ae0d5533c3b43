/** `lxcfs show FILE --pid PID|--container NAME`: what that process reads, from outside. */
import { textReadBy } from "../explain/served_text.ts";
import { Containers } from "../explain/subject.ts";
import { command } from "./attach_common.ts";
import { noteIfNotAttached, question } from "./explain_common.ts";

export function run(args: readonly string[]): Promise<number> {
  return command("show", async () => {
    const asked = await question("show", args);
    const containers = new Containers();
    try {
      const container = containers.of(asked.pid);
      const text = textReadBy(asked.pid, asked.mountPoint, container, asked.path);
      if (container !== undefined) noteIfNotAttached("show", "its container's", asked);
      if (asked.json) {
        const { pid, path } = asked;
        const shown = { pid, container: container?.name ?? null, path: `/${path}`, text };
        process.stdout.write(`${JSON.stringify(shown, null, 2)}\n`);
      } else process.stdout.write(Buffer.from(text, "latin1"));
    } finally {
      containers.close();
    }
    return 0;
  });
}

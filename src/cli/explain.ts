/** `lxcfs explain FILE --pid PID|--container NAME`: each field, and where it comes from. */
import { explain, explainHost, explanationText } from "../explain/explain.ts";
import { servedText } from "../explain/served_text.ts";
import { Containers } from "../explain/subject.ts";
import { command } from "./attach_common.ts";
import { noteIfNotAttached, question, statusOrNone } from "./explain_common.ts";

export function run(args: readonly string[]): Promise<number> {
  return command("explain", async () => {
    const asked = await question("explain", args);
    const status = await statusOrNone(asked.mountPoint, asked.runtimeDir);
    const containers = new Containers();
    try {
      const container = containers.of(asked.pid);
      const text = servedText(asked.mountPoint, container, asked.path);
      const explanation =
        container === undefined
          ? explainHost(asked.path, text)
          : explain(
              {
                container,
                layout: containers.layout,
                procRoot: "/proc",
                sysRoot: "/sys",
                settings: status?.view,
              },
              asked.path,
              text,
            );
      if (container !== undefined) noteIfNotAttached("explain", "this one", asked);
      const json = { pid: asked.pid, container: container?.name ?? null, ...explanation };
      process.stdout.write(
        asked.json ? `${JSON.stringify(json, null, 2)}\n` : explanationText(explanation),
      );
    } finally {
      containers.close();
    }
    return 0;
  });
}

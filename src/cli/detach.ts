/** `lxcfs detach PID|CONTAINER...|--all`: gives containers the kernel's own files back. */
import { command } from "./attach_common.ts";
import { change } from "./attach.ts";

export function run(args: readonly string[]): Promise<number> {
  return command("detach", () => change("detach", args));
}

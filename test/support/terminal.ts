/** Programs that want a terminal. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Container, quote } from "./container.ts";
import { guardWith } from "./guard.ts";
import { run, tryRun } from "./run.ts";

/** Runs a full-screen program inside, in a terminal of 120 by 30, until `wanted` is on the screen. */
export async function terminal(
  container: Container,
  argv: readonly string[],
  wanted: RegExp,
): Promise<string> {
  const socket = `lxcfs-test-${process.pid}`;
  const undo = guardWith(`tmux -L ${socket} kill-server`);
  const tmux = (...words: string[]): string =>
    run(["tmux", "-L", socket, "-f", "/dev/null", ...words]);
  try {
    const command = container
      .command(["env", "TERM=screen", ...argv])
      .map(quote)
      .join(" ");
    tmux("new-session", "-d", "-x", "120", "-y", "30", command);
    let screen = "";
    for (let tries = 0; tries < 50 && !wanted.test(screen); tries++) {
      await sleep(100);
      screen = tryRun(["tmux", "-L", socket, "capture-pane", "-p"]).stdout;
    }
    return screen;
  } finally {
    undo.run();
  }
}

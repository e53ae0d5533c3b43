/** The completions in the shells themselves, typed in a terminal and completed with Tab. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { guardWith, type Undo } from "../support/guard.ts";
import { projectRoot } from "../support/project.ts";
import { installed, run } from "../support/run.ts";
import { waitFor } from "../support/wait.ts";

const SHARE = join(projectRoot, "share/completions");
const START_MS = 30_000;

/** A shell without anybody's settings, and what makes it know the completions. */
const SHELLS = {
  bash: { argv: ["bash", "--norc", "--noprofile", "-i"], setup: `. ${SHARE}/lxcfs.bash` },
  zsh: {
    argv: ["zsh", "-f", "-i"],
    setup: `fpath=(${SHARE} $fpath); autoload -U compinit; compinit -u -D`,
  },
  fish: {
    argv: ["fish", "--no-config", "-i"],
    setup: `set -g fish_autosuggestion_enabled 0; source ${SHARE}/lxcfs.fish`,
  },
} as const;

/** What is typed before Tab, and what stands there after it. */
const CASES: readonly (readonly [typed: string, completed: string])[] = [
  ["lxcfs exp", "lxcfs explain"],
  ["lxcfs explain memi", "lxcfs explain meminfo"],
  ["lxcfs show meminfo --cont", "lxcfs show meminfo --container"],
  ["lxcfs doctor --js", "lxcfs doctor --json"],
  ["lxcfs attach --al", "lxcfs attach --all"],
  ["lxcfs --cpu-pol", "lxcfs --cpu-policy"],
  ["lxcfs --cpu-policy quo", "lxcfs --cpu-policy quota"],
];

for (const [shell, { argv, setup }] of Object.entries(SHELLS)) {
  const missing = ["tmux", shell].filter((program) => !installed(program));
  const skip = missing.length > 0 && `needs ${missing.join(", ")}`;

  void describe(`completion in ${shell}`, { skip }, () => {
    let directory: string;
    let undo: Undo;
    const tmux = (...args: string[]): string =>
      run(["tmux", "-S", join(directory, "tmux"), "-f", "/dev/null", ...args]);
    const screen = (): string => tmux("capture-pane", "-p", "-J");
    const type = (text: string): string => tmux("send-keys", "-l", text);

    before(async () => {
      directory = mkdtempSync(join(tmpdir(), "lxcfs-completion-"));
      undo = guardWith(`tmux -S '${directory}/tmux' kill-server; rm -rf '${directory}'`);
      const environment = ["env", "-i", `PATH=${process.env["PATH"]}`, `HOME=${directory}`];
      const settings = ["TERM=screen", "LC_ALL=C.UTF-8", "PS1=ready> "];
      tmux(...["new-session", "-d", "-x", "100", "-y", "30"], ...environment, ...settings, ...argv);
      // The answer is not in what was typed.
      type(`${setup} && echo set''up`);
      tmux("send-keys", "Enter");
      await waitFor("the shell has its completions", () => /^setup$/m.test(screen()), START_MS, 50);
    });
    after(() => {
      undo?.run();
      rmSync(directory, { recursive: true, force: true });
    });

    for (const [typed, completed] of CASES) {
      void test(typed, async () => {
        type(typed);
        await waitFor("it is typed", () => screen().includes(typed), START_MS, 20);
        tmux("send-keys", "Tab");
        const there = new RegExp(`(?:^|[ >])${completed}(?:\\s|=|$)`, "m");
        await waitFor(`"${completed}"`, () => there.test(screen()), START_MS, 20).catch(
          (error: unknown) => assert.fail(`${String(error)}\n${screen()}`),
        );
        tmux("send-keys", "C-c");
        tmux("clear-history");
        await waitFor("a new line", () => !screen().trimEnd().endsWith(completed), START_MS, 20);
        type("clear");
        tmux("send-keys", "Enter");
        await waitFor("an empty screen", () => !screen().includes(completed), START_MS, 20);
      });
    }
  });
}

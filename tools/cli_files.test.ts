import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { OPTIONS } from "../src/cli/options.ts";
import { SUBCOMMANDS } from "../src/cli/subcommands.ts";
import { cliFiles } from "./cli_files.ts";

const project = join(dirname(fileURLToPath(import.meta.url)), "../..");

function bashCompletions(...words: string[]): string[] {
  const script = `. share/completions/lxcfs.bash
    COMP_WORDS=(lxcfs "$@") COMP_CWORD=$#; compopt() { :; }; _lxcfs; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout } = spawnSync("bash", ["-c", script, "bash", ...words], {
    cwd: project,
    encoding: "utf8",
  });
  return stdout.trim().split("\n");
}

void describe("man page and completions", () => {
  for (const [path, text] of cliFiles()) {
    void it(`${path} is up to date (node dist/tools/cli_files.js)`, () => {
      assert.equal(readFileSync(join(project, path), "utf8"), text);
    });
  }

  void it("name every option and every command", () => {
    for (const [path, text] of cliFiles()) {
      const plain = text.replaceAll("\\-", "-");
      for (const { name } of OPTIONS) assert.ok(plain.includes(name), `${path}: ${name}`);
      for (const { name, internal } of SUBCOMMANDS) {
        if (internal !== true) assert.ok(plain.includes(name), `${path}: ${name}`);
      }
    }
  });

  void it("complete commands, options, files and values in bash", () => {
    assert.deepEqual(bashCompletions("exp"), ["explain"]);
    assert.deepEqual(bashCompletions("--cpu"), ["--cpu-policy"]);
    assert.deepEqual(bashCompletions("--cpu-policy", "q"), ["quota"]);
    assert.deepEqual(bashCompletions("show", "memi"), ["meminfo"]);
    assert.deepEqual(bashCompletions("attach", "--al"), ["--all"]);
  });

  for (const [shell, file, check] of [
    ["zsh", "_lxcfs", "-n"],
    ["fish", "lxcfs.fish", "--no-execute"],
  ] as const) {
    const skip = existsSync(`/usr/bin/${shell}`) ? false : `${shell} is not installed`;
    void it(`${shell} can read its own`, { skip }, () => {
      const { status, stderr } = spawnSync(
        shell,
        [check, join(project, "share/completions", file)],
        {
          encoding: "utf8",
        },
      );
      assert.equal(status, 0, stderr);
    });
  }

  const noMan = existsSync("/usr/bin/man") ? false : "man is not installed";
  void it("man can read its own", { skip: noMan }, () => {
    const page = join(project, "share/man/lxcfs.1");
    const { stderr } = spawnSync("man", ["--warnings", "-l", page], {
      encoding: "utf8",
      env: { ...process.env, LC_ALL: "C.UTF-8", MANWIDTH: "80" },
    });
    assert.equal(stderr, "");
  });

  const noMandoc = existsSync("/usr/bin/mandoc") ? false : "mandoc is not installed";
  void it("mandoc finds nothing to warn of", { skip: noMandoc }, () => {
    const page = join(project, "share/man/lxcfs.1");
    const { stdout } = spawnSync("mandoc", ["-Tlint", "-Wwarning", page], { encoding: "utf8" });
    assert.equal(stdout, "");
  });
});

/** runc and crun by themselves, with the page's hook in their bundle; and mounts that died, healed. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { waitFor } from "../support/wait.ts";
import { section, sections, serveCommand } from "./document.ts";
import { Machine, whyNoMachine } from "./machine.ts";
import { assertLimited, assertUnlimited, busyboxArchive, runBundle } from "./support.ts";

const document = section("runc and crun");
const dead = section("Dead mounts");

for (const runtime of ["runc", "crun"]) {
  void describe(runtime, { skip: whyNoMachine(runtime) }, () => {
    let machine: Machine;

    before(async () => {
      machine = await Machine.start({ hideCgroup2: runtime === "crun" });
      await machine.serve(serveCommand());
      busyboxArchive(machine);
      machine.run(section("podman and CRI-O").command("-t /usr/share/lxcfs"));
    });
    after(() => machine?.stop());

    const start = (more: object): void => runBundle(machine, runtime, { more });
    const memTotal = `${runtime} exec web head -1 /proc/meminfo`;
    const remove = (): void => void machine.try(`${runtime} delete -f web`);

    void test("a running container is attached, and detached, by its name", () => {
      start({});
      try {
        assertUnlimited(machine.run(memTotal));
        for (const name of ["web", `${runtime}:web`]) {
          const output = machine.run(`lxcfs attach ${name}`);
          assert.match(output, new RegExp(`^${runtime}:web\\b.*: \\d+ attached$`, "m"));
          assertLimited(machine.run(memTotal));
          machine.run(`lxcfs detach ${name}`);
          assertUnlimited(machine.run(memTotal));
        }
      } finally {
        remove();
      }
    });

    void test("the hook of the page gives it its files, pressure included", () => {
      start(JSON.parse(document.file("json")) as object);
      try {
        assertLimited(machine.run(memTotal));
        const pressure = `${runtime} exec web head -1 /proc/pressure/memory`;
        assert.match(machine.run(pressure), /^some avg10=/);
      } finally {
        remove();
      }
    });

    void test("mounts that died are replaced, watched for, or taken away", async () => {
      start(JSON.parse(document.file("json")) as object);
      const dies = (): void => {
        machine.killServer();
        assert.match(machine.try(memTotal).stderr, /not connected/);
      };
      try {
        dies();
        await machine.serve(serveCommand());
        machine.run(dead.exactly("lxcfs heal"));
        assertLimited(machine.run(memTotal));

        const watch = dead.exactly("lxcfs heal --watch");
        const log = await machine.daemon("heal", `exec ${watch}`, "sleep 1");
        dies();
        await machine.serve(serveCommand());
        await waitFor(
          "the watcher heals",
          () => machine.try(memTotal).status === 0,
          20_000,
          200,
        ).catch((error: unknown) => {
          throw new Error(`${String(error)}
${readFileSync(log, "utf8")}`);
        });
        assertLimited(machine.run(memTotal));

        machine.run(
          "for pid in $(grep -ls heal /proc/[0-9]*/cmdline | cut -d/ -f3); do [ $pid = $$ ] || kill $pid || :; done",
        );
        dies();
        machine.run(dead.exactly("lxcfs heal --remove"));
        assertUnlimited(machine.run(memTotal));
        assert.deepEqual(dead.notRun(), []);
      } finally {
        remove();
      }
    });

    void test("nothing of the page was left out", () => assert.deepEqual(document.notRun(), []));
  });
}

void test("every section of the page with commands has its test", () => {
  const tested = [
    "At home with every runtime",
    "Any container that already runs",
    "Dead mounts",
    "LXC",
    "podman and CRI-O",
    "Docker",
    "containerd",
    "runc and crun",
    "systemd-nspawn",
  ];
  const titles = sections().filter((each) => !each.isEmpty);
  assert.deepEqual(
    titles.map(({ title }) => title),
    tested,
  );
});

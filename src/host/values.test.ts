/** What the parsers find in captured texts and in the awkward forms that some kernels write. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, describe, test } from "node:test";
import fc from "fast-check";
import { LOAD_COMM } from "../../tools/capture/plan.ts";
import { fixtureNames, unpackFixture } from "../../tools/fixture.ts";
import { withManyCpus } from "../../tools/many_cpus.ts";
import { formatCpuList, formatCpuMask, parseCpuList, parseCpuMask } from "./cpu_list.ts";
import { cpuinfoField, parseCpuinfo, withCpuinfoField } from "./cpuinfo.ts";
import { parseKeyedNumbers } from "./keyed_numbers.ts";
import { parseMeminfo, readMeminfo } from "./meminfo.ts";
import { parseMountinfo } from "./mountinfo.ts";
import { readNodeCpus, readNodeMeminfo, readOnlineNodes } from "./node.ts";
import { readPageBytes } from "./page_size.ts";
import { ParseError } from "./parse_error.ts";
import { isLinux32 } from "./personality.ts";
import { parsePressure } from "./pressure.ts";
import { parseProcCgroup } from "./proc_cgroup.ts";
import { parseProcessStat, readProcessStat } from "./proc_stat.ts";
import { readProcessStatus, statusField } from "./proc_status.ts";
import { CPU_COLUMN, parseStat, readStat } from "./stat.ts";
import { parseSwaps } from "./swaps.ts";
import { parseTimensOffsets } from "./timens_offsets.ts";

const fixtures = fixtureNames().map((name) => unpackFixture(name));
after(() => fixtures.forEach((fixture) => fixture.remove()));

describe("cpu lists", () => {
  const numbers = fc.uniqueArray(fc.nat(1023)).map((list) => list.sort((a, b) => a - b));

  test("lists and masks come back as they went", () => {
    fc.assert(
      fc.property(numbers, (list) => {
        assert.deepEqual(parseCpuList(formatCpuList(list)), list);
        assert.deepEqual(parseCpuMask(formatCpuMask(list, 1024)), list);
      }),
    );
  });

  test("kernel's forms", () => {
    assert.deepEqual(parseCpuList("0-3,5\n"), [0, 1, 2, 3, 5]);
    assert.deepEqual(parseCpuList("\n"), []);
    assert.equal(formatCpuList([0, 1, 2, 3, 5]), "0-3,5");
    assert.equal(formatCpuList([]), "");
    assert.equal(formatCpuMask([0, 1], 2), "3");
    assert.equal(formatCpuMask([0, 33], 34), "2,00000001");
    assert.deepEqual(parseCpuMask("2,00000001\n"), [0, 33]);
  });

  test("what is no list", () => {
    for (const text of ["a", "3-1", "0-", "0,,1", "0-99999999999", "1;2"]) {
      assert.throws(() => parseCpuList(text), ParseError, text);
    }
  });

  test("masks as this kernel writes them", () => {
    for (const { sys } of fixtures) {
      const online = readFileSync(`${sys}/devices/system/cpu/online`, "latin1");
      const mask = readFileSync(`${sys}/devices/system/node/node0/cpumap`, "latin1");
      assert.deepEqual(parseCpuMask(mask), parseCpuList(online));
    }
  });
});

describe("cpuinfo", () => {
  for (const { name, proc, root } of fixtures) {
    test(`${name}: parts make up the whole`, () => {
      const text = readFileSync(`${proc}/cpuinfo`, "latin1");
      assert.equal(together(text), text);
      const { blocks } = parseCpuinfo(text);
      assert.deepEqual(
        blocks.map((block) => block.processor),
        blocks.map((_, i) => i),
      );
      const last = blocks.at(-1)?.after ?? "";
      assert.equal(cpuinfoField(last, "apicid"), String(blocks.length - 1));
      assert.equal(cpuinfoField(withCpuinfoField(last, "apicid", 77), "apicid"), "77");
      assert.equal(
        cpuinfoField(withCpuinfoField(last, "apicid", 77), "initial apicid"),
        cpuinfoField(last, "initial apicid"),
      );
      assert.equal(cpuinfoField(last, "no such line"), undefined);
    });

    test(`${name}: hundreds of CPUs`, () => {
      withManyCpus(root, 600);
      const { blocks } = parseCpuinfo(readFileSync(`${proc}/cpuinfo`, "latin1"));
      assert.equal(blocks.length, 600);
      assert.equal(blocks.at(-1)?.processor, 599);
      const stat = readStat(proc);
      assert.equal(stat.cpus.length, 600);
      const user = stat.cpus.reduce((sum, row) => sum + (row.ticks[CPU_COLUMN.user] ?? 0), 0);
      assert.equal(stat.totalTicks[CPU_COLUMN.user], user);
    });
  }

  test("32-bit ARM: a header without number, a trailer", () => {
    const text =
      "Processor\t: ARMv7 Processor rev 4 (v7l)\nprocessor\t: 0\nBogoMIPS\t: 38.40\n\nprocessor\t: 1\nBogoMIPS\t: 38.40\n\nHardware\t: BCM2835\nSerial\t\t: 00000000\n";
    const cpuinfo = parseCpuinfo(text);
    assert.equal(together(text), text);
    assert.equal(cpuinfo.header, "Processor\t: ARMv7 Processor rev 4 (v7l)\n");
    assert.equal(cpuinfo.trailer, "Hardware\t: BCM2835\nSerial\t\t: 00000000\n");
    assert.equal(cpuinfo.blocks.length, 2);
  });

  test("s390x: two parts", () => {
    const text =
      "vendor_id       : IBM/S390\n# processors    : 2\nprocessor 0: version = FF,  identification = 0133E8,  machine = 2964\nprocessor 1: version = FF,  identification = 0133E8,  machine = 2964\n\ncpu number      : 0\ncpu MHz dynamic : 5000\n\ncpu number      : 1\ncpu MHz dynamic : 5000\n\n";
    const cpuinfo = parseCpuinfo(text);
    assert.equal(together(text), text);
    assert.deepEqual(
      [cpuinfo.blocks, cpuinfo.details].map((part) => part.map((block) => block.processor)),
      [
        [0, 1],
        [0, 1],
      ],
    );
    assert.equal(cpuinfo.between, "\n");
  });

  function together(text: string): string {
    const { header, blocks, between, details, trailer } = parseCpuinfo(text);
    const join = (part: typeof blocks): string =>
      part.map((block) => block.before + block.processor + block.after).join("");
    return header + join(blocks) + between + join(details) + trailer;
  }
});

describe("memory", () => {
  test("meminfo keeps the host's order, names and numbers", () => {
    for (const { proc } of fixtures) {
      const text = readFileSync(`${proc}/meminfo`, "latin1");
      const meminfo = readMeminfo(proc);
      const lines = text.trimEnd().split("\n");
      assert.deepEqual(
        meminfo.names.map((name, i) => [name, meminfo.values[i]]),
        lines.map((line) => [
          line.split(":")[0],
          Number(/\d+( kB)?$/.exec(line)?.[0].split(" ")[0]),
        ]),
      );
      assert.equal(meminfo.get("Active(anon)"), meminfo.values[meminfo.indexOf("Active(anon)")]);
      const node = readNodeMeminfo(proc.replace(/proc$/, "sys"), 0);
      assert.ok((node.get("MemTotal") ?? 0) > 0);
    }
  });

  test("counters below zero read as 0", () => {
    const table = parseKeyedNumbers(
      "a 18446744073709551615\nb 18446744073709551611\nc 9223372036854771712\n",
    );
    assert.deepEqual(table.values, [0, 0, 9223372036854771712]);
  });

  test("missing lines are said", () => {
    assert.throws(() => parseMeminfo("MemTotal: 12 kB\n"), /expected a line MemFree:/);
    assert.throws(() => parseMeminfo(""), ParseError);
  });

  test("page size and nodes", () => {
    for (const { proc, sys } of fixtures) {
      assert.equal(readPageBytes(proc), 4096);
      assert.deepEqual(readOnlineNodes(sys), [0]);
      assert.ok(readNodeCpus(sys, 0).length >= 2);
    }
  });

  test("swap names with blanks", () => {
    assert.deepEqual(
      parseSwaps(
        "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/var/my\\040swap                          file\t\t1024\t\t8\t\t-2\n",
      ),
      [{ name: "/var/my swap", type: "file", sizeKib: 1024, usedKib: 8, priority: -2 }],
    );
  });
});

describe("processes", () => {
  test("a name with blanks and parentheses", () => {
    for (const { proc, init } of fixtures) {
      const stat = readProcessStat(proc, init);
      assert.equal(stat.comm, LOAD_COMM);
      assert.equal(stat.state, "S");
      assert.ok(stat.startTicks > 100);
      const status = readProcessStatus(proc, init);
      assert.equal(status.name, LOAD_COMM);
      assert.deepEqual(status.namespacePids, [init, 1]);
      assert.deepEqual(status.uids, [0, 0, 0, 0]);
      assert.equal(status.parentPid, stat.parentPid);
    }
  });

  test("a name that looks like the rest of the line", () => {
    const text = "7 (x) R 1 2 3) S 4 5 6 7 -1 8 9 10 11 12 13 14 15 16 20 0 17 0 18 19\n";
    const stat = parseProcessStat(text);
    assert.equal(stat.comm, "x) R 1 2 3");
    assert.deepEqual(
      [stat.state, stat.parentPid, stat.userTicks, stat.systemTicks],
      ["S", 4, 13, 14],
    );
    assert.deepEqual([stat.threads, stat.startTicks], [17, 18]);
  });

  test("a status field is a whole line's", () => {
    const text = "Name:\tPid:\t9\nTgid:\t3\nNgid:\t0\nPid:\t3\nPPid:\t2\n";
    assert.equal(statusField(text, "Pid"), "3");
    assert.equal(statusField(text, "Name"), "Pid:\t9");
    assert.equal(statusField(text, "id"), undefined);
  });

  test("cgroup paths with colons, and of removed cgroups", () => {
    const [odd, gone] = parseProcCgroup("4:memory:/a:b c/d\n0::/x (deleted)\n");
    assert.equal(odd?.path, "/a:b c/d");
    assert.deepEqual(odd.controllers, ["memory"]);
    assert.deepEqual(gone, { hierarchyId: 0, controllers: [], path: "/x", deleted: true });
  });

  test("personality", () => {
    assert.deepEqual([0, 8, 0x0040008, 0x10].map(isLinux32), [false, true, true, false]);
  });

  test("time namespace offsets may be negative, clocks may be numbered", () => {
    assert.deepEqual(
      parseTimensOffsets("monotonic           0         0\nboottime      -864000         5\n"),
      {
        monotonicNs: 0,
        boottimeNs: -864000e9 + 5,
      },
    );
    assert.equal(parseTimensOffsets("1 7 0\n7 9 0\n").boottimeNs, 9e9);
  });
});

describe("other files", () => {
  test("stat with the columns of an old kernel", () => {
    const stat = parseStat(
      "cpu  1 2 3 4\ncpu3 1 2 3 4\nintr 9 1\nctxt 8\nbtime 7\nnew_line 1\nprocesses 6\n",
    );
    assert.deepEqual(stat.cpus, [{ cpu: 3, ticks: [1, 2, 3, 4, 0, 0, 0, 0, 0, 0] }]);
    assert.deepEqual(
      [stat.interrupts, stat.contextSwitches, stat.btimeSeconds, stat.processes],
      [9, 8, 7, 6],
    );
    assert.equal(stat.rest, "intr 9 1\nctxt 8\nbtime 7\nnew_line 1\nprocesses 6\n");
  });

  test("mountinfo: escapes, optional fields, roots outside of the namespace", () => {
    const [mount] = parseMountinfo(
      "35 31 0:32 /../x\\040y /mnt/a\\134b rw shared:1 master:2 - cgroup2 no\\011ne rw,nsdelegate\n",
    );
    assert.equal(mount?.root, "/../x y");
    assert.equal(mount.mountPoint, "/mnt/a\\b");
    assert.deepEqual(mount.optionalFields, ["shared:1", "master:2"]);
    assert.equal(mount.source, "no\tne");
    assert.throws(() => parseMountinfo("35 31 0:32 / /mnt rw cgroup2\n"), /filesystem type/);
  });

  test("pressure of irq has no line some", () => {
    const pressure = parsePressure("full avg10=0.00 avg60=0.12 avg300=3.00 total=42\n");
    assert.equal(pressure.some, undefined);
    assert.deepEqual(pressure.full, { avg10: 0, avg60: 0.12, avg300: 3, totalUs: 42 });
  });
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { filterProgram, type Machine, parseNote, REFUSE, refusal } from "./seccomp.ts";

const MACHINE: Machine = { auditArch: 0xc000003e, numbers: { read: 0, write: 1, exit: 60 } };
const ALLOWED = 0x7fff0000;
const ENOSYS = REFUSE.errno | 38;

/** Does what the kernel's machine does with the four instructions that are used. */
function run(program: Buffer, data: { readonly number: number; readonly arch: number }): number {
  let loaded = 0;
  for (let at = 0; at < program.length; at += 8) {
    const value = program.readUInt32LE(at + 4);
    const jump = (yes: boolean): number => program.readUInt8(at + (yes ? 2 : 3)) * 8;
    switch (program.readUInt16LE(at)) {
      case 0x20:
        loaded = value === 0 ? data.number : data.arch;
        break;
      case 0x15:
        at += jump(loaded === value);
        break;
      case 0x35:
        at += jump(loaded >= value);
        break;
      case 0x06:
        return value;
      default:
        assert.fail(`instruction ${program.readUInt16LE(at)}`);
    }
  }
  return assert.fail("the program has no end");
}

void test("calls on the list are allowed, all others refused", () => {
  const program = filterProgram(MACHINE, ["exit", "read", "write"], 470, REFUSE.notify);
  for (let number = 0; number < 600; number++) {
    const expected = [0, 1, 60].includes(number) ? ALLOWED : number >= 470 ? ENOSYS : REFUSE.notify;
    assert.equal(run(program, { number, arch: MACHINE.auditArch }), expected, `call ${number}`);
  }
});

void test("numbers of another machine's programs, which mean something else, are refused", () => {
  const program = filterProgram(MACHINE, ["read"], 470, REFUSE.errno | 1);
  assert.equal(run(program, { number: 0, arch: 0x40000003 }), REFUSE.errno | 1);
  // x32, which shares the machine and sets a bit
  assert.equal(run(program, { number: 0x40000000, arch: MACHINE.auditArch }), ENOSYS);
});

void test("calls that a machine does not have are passed over, and too many are not cut", () => {
  const plain = filterProgram(MACHINE, ["read"], 470, REFUSE.notify);
  assert.deepEqual(filterProgram(MACHINE, ["read", "poll"], 470, REFUSE.notify), plain);
  const many = Array.from({ length: 241 }, (_, index) => `call${index}`);
  const numbers = Object.fromEntries(many.map((name, index) => [name, index]));
  assert.throws(() => filterProgram({ ...MACHINE, numbers }, many, 470, 0), /240/);
});

void test("notes and refusals are where the kernel has them", () => {
  const note = Buffer.alloc(80);
  note.writeBigUInt64LE(7n, 0);
  note.writeUInt32LE(4711, 8);
  note.writeInt32LE(165, 16);
  assert.deepEqual(parseNote(note), { id: 7n, tid: 4711, number: 165 });
  assert.equal(refusal(7n, 1).toString("hex"), `07${"00".repeat(15)}ffffffff00000000`);
});

/**
 * A seccomp filter that lets a list of system calls through, as the program for the kernel's BPF
 * machine, and the notes by which the kernel tells of the others: linux/seccomp.h, linux/filter.h,
 * seccomp_unotify(2). Pure bytes; `native.ts` makes the calls.
 */

/** System call numbers of a machine by their names. */
export interface Machine {
  /** AUDIT_ARCH_*: numbers mean something else for programs of another machine. */
  readonly auditArch: number;
  readonly numbers: Readonly<Record<string, number>>;
}

/** What becomes of a call that is not on the list: SECCOMP_RET_* with its data. */
export const REFUSE = { notify: 0x7fc00000, errno: 0x00050000 } as const;

const ALLOW = 0x7fff0000;
const LOAD_WORD = 0x20;
const JUMP_IF_EQUAL = 0x15;
const JUMP_IF_GREATER_OR_EQUAL = 0x35;
const RETURN = 0x06;
/** Offsets in struct seccomp_data. */
const DATA_NUMBER = 0;
const DATA_ARCH = 4;
const INSTRUCTION_BYTES = 8;
/** Jumps are 8 bits wide. */
const MAX_CALLS = 240;

/**
 * @param calls allowed, the most frequent first: kernels before 5.11 go through them one by one
 * @param known calls from this number on are newer than the list. They fail as on a kernel that has
 *   none of them, which is what libraries are made for
 * @returns an array of struct sock_filter
 */
export function filterProgram(
  machine: Machine,
  calls: readonly string[],
  known: number,
  refuse: number,
): Buffer {
  const numbers = calls.flatMap((name) => machine.numbers[name] ?? []);
  if (numbers.length > MAX_CALLS) throw new RangeError(`More than ${MAX_CALLS} calls in a filter`);
  const ENOSYS = 38;
  /** From the first of the list to the instruction that allows; the one that refuses is before it. */
  const toAllow = numbers.length + 1;
  const program: (readonly [code: number, ifTrue: number, ifFalse: number, value: number])[] = [
    [LOAD_WORD, 0, 0, DATA_ARCH],
    [JUMP_IF_EQUAL, 0, toAllow + 1, machine.auditArch],
    [LOAD_WORD, 0, 0, DATA_NUMBER],
    ...numbers.map((number, index) => [JUMP_IF_EQUAL, toAllow - index, 0, number] as const),
    [JUMP_IF_GREATER_OR_EQUAL, 2, 0, known],
    [RETURN, 0, 0, refuse],
    [RETURN, 0, 0, ALLOW],
    [RETURN, 0, 0, REFUSE.errno | ENOSYS],
  ];
  const bytes = Buffer.alloc(program.length * INSTRUCTION_BYTES);
  for (const [index, [code, ifTrue, ifFalse, value]] of program.entries()) {
    const at = index * INSTRUCTION_BYTES;
    bytes.writeUInt16LE(code, at);
    bytes.writeUInt8(ifTrue, at + 2);
    bytes.writeUInt8(ifFalse, at + 3);
    bytes.writeUInt32LE(value >>> 0, at + 4);
  }
  return bytes;
}

/** Bytes of struct seccomp_notif. */
export const NOTE_BYTES = 80;

/** A call that a thread waits to be told about. */
export interface RefusedCall {
  readonly id: bigint;
  readonly tid: number;
  readonly number: number;
}

export function parseNote(note: Buffer): RefusedCall {
  return {
    id: note.readBigUInt64LE(0),
    tid: note.readUInt32LE(8),
    number: note.readInt32LE(16),
  };
}

/** struct seccomp_notif_resp: the call `id` fails with `errno`. */
export function refusal(id: bigint, errno: number): Buffer {
  const answer = Buffer.alloc(24);
  answer.writeBigUInt64LE(id, 0);
  answer.writeInt32LE(-errno, 16);
  return answer;
}

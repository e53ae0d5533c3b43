/**
 * States of all threads of a cgroup v1 in one question to the kernel: CGROUPSTATS of the taskstats
 * netlink family (Documentation/accounting/cgroupstats.rst). For 50 threads it costs about as much
 * as looking at one of them in /proc.
 *
 * The answer is `struct cgroupstats`, five counts: sleeping, running, stopped, in uninterruptible
 * sleep, waiting for I/O. Threads in any other state (killable sleep without I/O, idle, traced, and
 * from Linux 6.1 on the freezable sleep of most system calls) are in none of them, so the answer is
 * whole mostly on the older kernels, where cgroup v1 lives. The cgroups below are not counted in.
 */
import { closeSync, openSync } from "node:fs";
import { opening } from "../../sys/exhaustion.ts";
import { closeFd, netlinkAsk, netlinkSocket } from "../../sys/native.ts";

export interface TaskStates {
  readonly running: number;
  readonly blocked: number;
  /** Those whose state is told. */
  readonly threads: number;
}

const NETLINK_GENERIC = 16;
const GENL_ID_CTRL = 16;
const CTRL_CMD_GETFAMILY = 3;
const CTRL_ATTR_FAMILY_ID = 1;
const CTRL_ATTR_FAMILY_NAME = 2;
const CGROUPSTATS_CMD_GET = 4;
const CGROUPSTATS_CMD_ATTR_FD = 1;
const NLM_F_REQUEST = 1;
const NLMSG_ERROR = 2;
const HEAD_BYTES = 20;
const STATS_BYTES = 40;

/** A socket for such questions, opened when first asked. Not to be shared between threads. */
export class CgroupStats {
  #socket = -1;
  #family = 0;
  #refused = false;
  readonly #answer = Buffer.alloc(4096);

  /** @returns `undefined` where the kernel does not answer: no such family, no right, no v1 cgroup */
  ask(directory: string): TaskStates | undefined {
    if (this.#refused) return undefined;
    let fd = -1;
    try {
      if (this.#family === 0) this.#open();
      fd = opening(() => openSync(directory, "r"));
      const number = Buffer.alloc(4);
      number.writeUInt32LE(fd);
      const length = this.#send(this.#family, CGROUPSTATS_CMD_GET, CGROUPSTATS_CMD_ATTR_FD, number);
      return parseCgroupStats(this.#answer.subarray(0, length));
    } catch {
      return undefined;
    } finally {
      if (fd >= 0) closeSync(fd);
    }
  }

  close(): void {
    if (this.#socket >= 0) closeFd(this.#socket);
    this.#socket = -1;
    this.#family = 0;
  }

  #open(): void {
    this.#refused = true;
    this.#socket = netlinkSocket(NETLINK_GENERIC);
    const name = Buffer.from("TASKSTATS\0");
    const length = this.#send(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME, name);
    for (const [type, at] of attributes(this.#answer.subarray(0, length))) {
      if (type === CTRL_ATTR_FAMILY_ID) this.#family = this.#answer.readUInt16LE(at);
    }
    this.#refused = this.#family === 0;
  }

  #send(family: number, command: number, attribute: number, value: Buffer): number {
    const padded = Math.ceil(value.length / 4) * 4;
    const message = Buffer.alloc(HEAD_BYTES + 4 + padded);
    message.writeUInt32LE(message.length, 0);
    message.writeUInt16LE(family, 4);
    message.writeUInt16LE(NLM_F_REQUEST, 6);
    message.writeUInt8(command, 16);
    message.writeUInt8(1, 17);
    message.writeUInt16LE(4 + value.length, HEAD_BYTES);
    message.writeUInt16LE(attribute, HEAD_BYTES + 2);
    value.copy(message, HEAD_BYTES + 4);
    return netlinkAsk(this.#socket, message, this.#answer);
  }
}

/** Type and position of each attribute of a generic netlink message. */
function* attributes(message: Buffer): Generator<[number, number]> {
  for (let at = HEAD_BYTES; at + 4 <= message.length;) {
    const length = message.readUInt16LE(at);
    if (length < 4) return;
    yield [message.readUInt16LE(at + 2), at + 4];
    at += Math.ceil(length / 4) * 4;
  }
}

/** The counts of an answer; `undefined` for an error or anything shorter. */
export function parseCgroupStats(message: Buffer): TaskStates | undefined {
  if (message.length < HEAD_BYTES + 4 + STATS_BYTES || message.readUInt16LE(4) === NLMSG_ERROR) {
    return undefined;
  }
  for (const [, at] of attributes(message)) {
    if (at + STATS_BYTES > message.length) return undefined;
    const count = (index: number): number => Number(message.readBigUInt64LE(at + index * 8));
    const [sleeping, running, stopped] = [count(0), count(1), count(2)];
    const blocked = count(3) + count(4);
    return { running, blocked, threads: sleeping + running + stopped + blocked };
  }
  return undefined;
}

/** INTERIM engine. */
import { readSync, writeSync } from "node:fs";
import { errno, errnoOf } from "../sys/errno.ts";
import { Opcode } from "../fuse/wire/abi.ts";
import { Reply } from "../fuse/wire/reply.ts";
import { Request } from "../fuse/wire/request.ts";
import type { SharedState } from "./state.ts";
import type { Slot } from "./slots.ts";

export type End = "stopped" | "unmounted";

export class Engine {
  readonly #fd: number;
  readonly #slot: Slot;
  readonly #state: SharedState;
  readonly #request = new Request(1 << 17);
  readonly #reply = new Reply(1 << 17);

  constructor(fd: number, slot: Slot, state: SharedState) {
    this.#fd = fd;
    this.#slot = slot;
    this.#state = state;
  }

  handshake(): void {
    this.#receive();
    this.replay();
  }

  serve(): End {
    for (;;) {
      if (this.#slot.stopping) return "stopped";
      if (!this.#receive()) return "unmounted";
      this.replay();
    }
  }

  #receive(): boolean {
    for (;;) {
      this.#slot.clear();
      try {
        readSync(this.#fd, this.#slot.buffer);
        return true;
      } catch (error) {
        const code = errnoOf(error);
        if (code === errno.ENODEV) return false;
        if (code !== errno.ENOENT && code !== errno.EINTR && code !== errno.EAGAIN) throw error;
      }
    }
  }

  replay(): void {
    const raw = this.#slot.request();
    raw.copy(this.#request.buffer);
    const r = this.#request;
    r.lengthBytes = raw.length;
    r.decodeHeader();
    let n = -errno.ENOSYS;
    const p = this.#reply;
    p.begin(65536);
    const dir = { ino: 1, mode: 0o40555 };
    const file = { ino: 3, mode: 0o100444 };
    if (r.opcode === Opcode.FORGET || r.opcode === Opcode.BATCH_FORGET || r.opcode === Opcode.INTERRUPT) return;
    if (r.opcode !== Opcode.INIT) r.decodeBody();
    switch (r.opcode) {
      case Opcode.INIT: {
        p.data.fill(0, 0, 64);
        p.data.writeUInt32LE(7, 0);
        p.data.writeUInt32LE(40, 4);
        p.data.writeUInt32LE(2 ** 30, 12);
        p.data.writeUInt16LE(16, 16);
        p.data.writeUInt16LE(8, 18);
        p.data.writeUInt32LE(65536, 20);
        p.data.writeUInt32LE(1, 24);
        p.data.writeUInt32LE(1 << 7, 32);
        this.#state.set("protocolMajor", 7);
        this.#state.set("protocolMinor", 40);
        n = 64;
        break;
      }
      case Opcode.LOOKUP:
        n = r.nodeId === 1 && r.name === "proc" ? p.entry(2, { ...dir, ino: 2 }) : r.nodeId === 2 && r.name === "meminfo" ? p.entry(3, file) : -errno.ENOENT;
        break;
      case Opcode.GETATTR:
        n = p.attributes(r.nodeId === 3 ? file : dir);
        break;
      case Opcode.OPEN:
      case Opcode.OPENDIR:
        n = p.opened(0, 1);
        break;
      case Opcode.READ:
        n = r.offset === 0 ? p.text("MemTotal:       262144 kB\n") : 0;
        break;
      case Opcode.READDIR:
        if (r.offset === 0) p.dirent(3, r.nodeId === 1 ? "proc" : "meminfo", r.nodeId === 1 ? 0o40555 : 0o100444, 1);
        n = p.length;
        break;
      case Opcode.STATFS:
        n = p.statfs({ blocks: 0, bfree: 0, bavail: 0, files: 0, ffree: 0, bsize: 512, namelen: 255, frsize: 512 });
        break;
      case Opcode.RELEASE:
      case Opcode.RELEASEDIR:
      case Opcode.FLUSH:
        n = 0;
    }
    const length = p.header(r.uniqueLow, r.uniqueHigh, Math.min(n, 0), Math.max(n, 0));
    try {
      writeSync(this.#fd, p.buffer, 0, length);
    } catch (error) {
      if (errnoOf(error) !== errno.ENOENT) throw error;
    }
  }
}

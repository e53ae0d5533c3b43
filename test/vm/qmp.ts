/** A client of QEMU's machine protocol: JSON messages, one a line (QEMU's docs/interop/qmp-spec). */
import type { Socket } from "node:net";
import { createInterface } from "node:readline";

/** What QEMU answers to a command. */
type Answer = { readonly return?: unknown; readonly error?: { readonly desc: string } };

export class Qmp {
  readonly #socket: Socket;
  readonly #waiting: ((answer: Answer) => void)[] = [];

  /** @param socket connected to a monitor in control mode, nothing read from it yet */
  constructor(socket: Socket) {
    this.#socket = socket;
    createInterface({ input: socket }).on("line", (line) => {
      const message = JSON.parse(line) as Record<string, unknown>;
      // greetings and events carry neither
      if ("return" in message || "error" in message) this.#waiting.shift()?.(message);
    });
    socket.on("error", () => {}); // the machine's end is seen by its exit
    socket.on("close", () => {
      for (const answer of this.#waiting.splice(0)) answer({ error: { desc: "QEMU has ended" } });
    });
  }

  /**
   * Runs one command; commands are answered in order.
   * @throws Error with QEMU's own words
   */
  async run(command: string, parameters: Record<string, unknown> = {}): Promise<unknown> {
    const answer = await new Promise<Answer>((resolve) => {
      this.#waiting.push(resolve);
      this.#socket.write(`${JSON.stringify({ execute: command, arguments: parameters })}\n`);
    });
    if (answer.error) throw new Error(`QEMU refused ${command}: ${answer.error.desc}`);
    return answer.return;
  }
}

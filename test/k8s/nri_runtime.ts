/**
 * The runtime's side of NRI, for tests: listens on a socket as containerd does, and calls the plugin
 * that connects. Written against the published protocol and on protobufjs, sharing no code with the
 * plugin, so that both sides can only agree on what the protocol says.
 */
import { EventEmitter, once } from "node:events";
import type { Server, Socket } from "node:net";
import { createServer } from "node:net";
import protobuf from "protobufjs";

const PROTO = `
syntax = "proto3";
package nri;
message RegisterPluginRequest { string plugin_name = 1; string plugin_idx = 2; string NRI_version = 3; }
message Empty {}
message ConfigureRequest {
  string config = 1; string runtime_name = 2; string runtime_version = 3;
  int64 registration_timeout = 4; int64 request_timeout = 5; string NRI_version = 6;
}
message ConfigureResponse { int32 events = 2; int64 request_timeout = 3; }
message SynchronizeRequest { repeated PodSandbox pods = 1; repeated Container containers = 2; bool more = 3; }
message SynchronizeResponse { bool more = 2; }
message StateChangeEvent { int32 event = 1; PodSandbox pod = 2; Container container = 3; }
message StartContainerRequest { PodSandbox pod = 1; Container container = 2; }
message PodSandbox {
  string id = 1; string name = 2; string uid = 3; string namespace = 4;
  map<string, string> labels = 5; map<string, string> annotations = 6;
  string runtime_handler = 7; LinuxPodSandbox linux = 8; uint32 pid = 9; repeated string ips = 10;
}
message LinuxPodSandbox { string cgroup_parent = 3; string cgroups_path = 4; repeated LinuxNamespace namespaces = 5; }
message Container {
  string id = 1; string pod_sandbox_id = 2; string name = 3; int32 state = 4;
  map<string, string> labels = 5; map<string, string> annotations = 6;
  repeated string args = 7; repeated string env = 8; repeated Mount mounts = 9;
  LinuxContainer linux = 11; uint32 pid = 12; int64 created_at = 14; int32 exit_code = 17;
}
message Mount { string destination = 1; string type = 2; string source = 3; repeated string options = 4; }
message LinuxContainer { repeated LinuxNamespace namespaces = 1; string cgroups_path = 5; }
message LinuxNamespace { string type = 1; string path = 2; }
message Request { string service = 1; string method = 2; bytes payload = 3; int64 timeout_nano = 4; }
message Response { Status status = 1; bytes payload = 2; }
message Status { int32 code = 1; string message = 2; }
`;

const root = protobuf.parse(PROTO, { keepCase: true }).root;
const encode = (type: string, value: object) =>
  Buffer.from(
    root
      .lookupType(`nri.${type}`)
      .encode(root.lookupType(`nri.${type}`).fromObject(value))
      .finish(),
  );
const decode = (type: string, bytes: Buffer) =>
  root.lookupType(`nri.${type}`).toObject(root.lookupType(`nri.${type}`).decode(bytes), {
    defaults: true,
    longs: Number,
  }) as Record<string, unknown>;

const PLUGIN = "nri.pkg.api.v1alpha1.Plugin";

/** What the runtime tells of pods and containers; fields by their protocol names. */
export interface RuntimeState {
  pods: object[];
  containers: object[];
}

/** One runtime. `registered` resolves with what each plugin that connects says of itself. */
export class NriRuntime {
  readonly #events = new EventEmitter();
  readonly #state: RuntimeState;
  readonly #requestTimeoutMs: number;
  #server: Server | undefined;
  #socket: Socket | undefined;
  #stream = 1;
  #waiting = new Map<number, (response: Record<string, unknown>) => void>();
  /** Pieces in which Synchronize is sent. */
  chunks = 1;
  /** The event mask the plugin asked for. */
  events = 0;

  constructor(state: RuntimeState = { pods: [], containers: [] }, requestTimeoutMs = 2000) {
    this.#state = state;
    this.#requestTimeoutMs = requestTimeoutMs;
  }

  async listen(path: string): Promise<void> {
    this.#server = createServer((socket) => this.#serve(socket)).listen(path);
    await once(this.#server, "listening");
  }

  /** Waits for a plugin to register, be configured and synchronized. */
  async plugin(): Promise<{ plugin_name: string; plugin_idx: string }> {
    const [registration] = (await once(this.#events, "synchronized")) as [never];
    return registration;
  }

  /** Calls the plugin. @throws with the status of an answer that is an error */
  async call(
    method: string,
    type: string,
    value: object,
    answer = "Empty",
  ): Promise<Record<string, unknown>> {
    return decode(answer, await this.raw(PLUGIN, method, encode(type, value)));
  }

  async raw(service: string, method: string, payload: Buffer): Promise<Buffer> {
    const id = this.#stream;
    this.#stream += 2;
    const answered = new Promise<Record<string, unknown>>((resolve) =>
      this.#waiting.set(id, resolve),
    );
    const request = { service, method, payload, timeout_nano: this.#requestTimeoutMs * 1e6 };
    this.#send(1, id, 1, encode("Request", request));
    const response = await answered;
    const status = response["status"] as { code: number; message: string } | null;
    if (status?.code) throw new Error(`status ${status.code}: ${status.message}`);
    return Buffer.from(response["payload"] as Uint8Array);
  }

  /** Sends bytes as they are, for what no runtime would send. */
  sendBytes(bytes: Buffer): void {
    this.#socket?.write(bytes);
  }

  /** Closes the connection to the plugin, as a restart of the runtime does. */
  disconnect(): void {
    this.#socket?.destroy();
  }

  async close(): Promise<void> {
    this.#socket?.destroy();
    await new Promise((resolve) => this.#server?.close(resolve));
  }

  #serve(socket: Socket): void {
    this.#socket = socket;
    socket.on("error", () => undefined);
    const inputs = new Map<number, Buffer>();
    let trunk = Buffer.alloc(0);
    socket.on("data", (bytes: Buffer) => {
      trunk = Buffer.concat([trunk, bytes]);
      while (trunk.length >= 8 && trunk.length >= 8 + trunk.readUInt32BE(4)) {
        const id = trunk.readUInt32BE(0);
        const length = trunk.readUInt32BE(4);
        // What containerd's reader of 4096 bytes cannot take in at once it cannot read at all.
        if (length > 4096) return socket.destroy();
        const input = Buffer.concat([
          inputs.get(id) ?? Buffer.alloc(0),
          trunk.subarray(8, 8 + length),
        ]);
        trunk = trunk.subarray(8 + length);
        inputs.set(id, this.#messages(id, input));
      }
      return undefined;
    });
  }

  #messages(connection: number, input: Buffer): Buffer {
    let rest = input;
    while (rest.length >= 10 && rest.length >= 10 + rest.readUInt32BE(0)) {
      const end = 10 + rest.readUInt32BE(0);
      this.#message(connection, rest.readUInt32BE(4), rest.readUInt8(8), rest.subarray(10, end));
      rest = rest.subarray(end);
    }
    return rest;
  }

  #message(connection: number, id: number, type: number, data: Buffer): void {
    if (connection === 1 && type === 2) {
      this.#waiting.get(id)?.(decode("Response", data));
      this.#waiting.delete(id);
    } else if (connection === 2 && type === 1) {
      const request = decode("Request", data);
      const registration = decode(
        "RegisterPluginRequest",
        Buffer.from(request["payload"] as Uint8Array),
      );
      this.#send(2, id, 2, encode("Response", { status: {}, payload: Buffer.alloc(0) }));
      if (
        request["service"] === "nri.pkg.api.v1alpha1.Runtime" &&
        request["method"] === "RegisterPlugin"
      )
        void this.#welcome(registration);
    }
  }

  async #welcome(registration: Record<string, unknown>): Promise<void> {
    const configuration = {
      runtime_name: "containerd",
      runtime_version: "v2.1.0",
      registration_timeout: 5000,
      request_timeout: this.#requestTimeoutMs,
    };
    const configured = await this.call(
      "Configure",
      "ConfigureRequest",
      configuration,
      "ConfigureResponse",
    );
    this.events = Number(configured["events"]);
    for (let chunk = 0; chunk < this.chunks; chunk++) {
      const part = <T>(list: T[]) => list.filter((_, index) => index % this.chunks === chunk);
      const more = chunk < this.chunks - 1;
      const state = {
        pods: part(this.#state.pods),
        containers: part(this.#state.containers),
        more,
      };
      const answer = await this.call(
        "Synchronize",
        "SynchronizeRequest",
        state,
        "SynchronizeResponse",
      );
      if (answer["more"] !== more) throw new Error("the plugin does not want the rest");
    }
    this.#events.emit("synchronized", registration);
  }

  #send(connection: number, id: number, type: number, data: Buffer): void {
    const message = Buffer.alloc(10);
    message.writeUInt32BE(data.length, 0);
    message.writeUInt32BE(id, 4);
    message.writeUInt8(type, 8);
    const frame = Buffer.alloc(8);
    frame.writeUInt32BE(connection, 0);
    frame.writeUInt32BE(10 + data.length, 4);
    this.#socket?.write(Buffer.concat([frame, message, data]));
  }
}

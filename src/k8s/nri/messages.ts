/**
 * The messages of NRI's v1alpha1 protocol that this plugin reads and writes. Field numbers are those
 * of `nri.pkg.api.v1alpha1`; fields that are not looked at are passed over.
 */
import { fields, MessageWriter } from "./protobuf.ts";

export const PLUGIN_SERVICE = "nri.pkg.api.v1alpha1.Plugin";
export const RUNTIME_SERVICE = "nri.pkg.api.v1alpha1.Runtime";

/** Events by number; a plugin subscribes to bit `number - 1`. */
export const EVENT = { START_CONTAINER: 6, POST_START_CONTAINER: 7 } as const;

/** A pod as the runtime knows it. */
export interface PodSandbox {
  id: string;
  name: string;
  uid: string;
  namespace: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  runtimeHandler: string;
  /** Types of the namespaces that are the pod's own. */
  namespaceTypes: string[];
}

/** A container as the runtime knows it. */
export interface NriContainer {
  id: string;
  podSandboxId: string;
  name: string;
  /** 1 created, 2 paused, 3 running, 4 stopped. */
  state: number;
  labels: Record<string, string>;
  /** 0 while there is no process. In StartContainer it is the init that has not yet executed. */
  pid: number;
  cgroupsPath: string;
  mountDestinations: string[];
  namespaceTypes: string[];
}

export const CONTAINER_RUNNING = 3;

export interface ConfigureRequest {
  runtimeName: string;
  runtimeVersion: string;
  requestTimeoutMs: number;
}

export interface SynchronizeRequest {
  pods: PodSandbox[];
  containers: NriContainer[];
  more: boolean;
}

/** An event, or the request of a call named as the event. */
export interface ContainerEvent {
  /** 0 in a request. */
  event: number;
  pod: PodSandbox | undefined;
  container: NriContainer | undefined;
}

export function encodeRegisterPlugin(name: string, index: string, version: string): Buffer {
  return new MessageWriter().string(1, name).string(2, index).string(3, version).finish();
}

export function decodeConfigure(message: Buffer): ConfigureRequest {
  const request = { runtimeName: "", runtimeVersion: "", requestTimeoutMs: 0 };
  for (const { number, bytes, integer } of fields(message)) {
    if (number === 2) request.runtimeName = bytes.toString();
    else if (number === 3) request.runtimeVersion = bytes.toString();
    else if (number === 5) request.requestTimeoutMs = integer;
  }
  return request;
}

/** @param events the numbers of the events to be told of */
export function encodeConfigureResponse(events: readonly number[]): Buffer {
  const mask = events.reduce((bits, event) => bits | (1 << (event - 1)), 0);
  return new MessageWriter().integer(2, mask).finish();
}

export function decodeSynchronize(message: Buffer): SynchronizeRequest {
  const request: SynchronizeRequest = { pods: [], containers: [], more: false };
  for (const { number, bytes, integer } of fields(message)) {
    if (number === 1) request.pods.push(decodePod(bytes));
    else if (number === 2) request.containers.push(decodeContainer(bytes));
    else if (number === 3) request.more = integer !== 0;
  }
  return request;
}

/** @param more whether further parts of the state are welcome: what the request asked */
export function encodeSynchronizeResponse(more: boolean): Buffer {
  return new MessageWriter().bool(2, more).finish();
}

/** A `StateChangeEvent`: event, pod, container. */
export function decodeStateChange(message: Buffer): ContainerEvent {
  return decodeEvent(message, 1);
}

/** A `StartContainerRequest` and its like: pod, container. */
export function decodeContainerRequest(message: Buffer): ContainerEvent {
  return decodeEvent(message, 0);
}

function decodeEvent(message: Buffer, shift: number): ContainerEvent {
  const found: ContainerEvent = { event: 0, pod: undefined, container: undefined };
  for (const { number, bytes, integer } of fields(message)) {
    if (number === shift) found.event = integer;
    else if (number === shift + 1) found.pod = decodePod(bytes);
    else if (number === shift + 2) found.container = decodeContainer(bytes);
  }
  return found;
}

function decodePod(message: Buffer): PodSandbox {
  const pod: PodSandbox = {
    id: "",
    name: "",
    uid: "",
    namespace: "",
    labels: {},
    annotations: {},
    runtimeHandler: "",
    namespaceTypes: [],
  };
  for (const { number, bytes } of fields(message)) {
    if (number === 1) pod.id = bytes.toString();
    else if (number === 2) pod.name = bytes.toString();
    else if (number === 3) pod.uid = bytes.toString();
    else if (number === 4) pod.namespace = bytes.toString();
    else if (number === 5) addEntry(pod.labels, bytes);
    else if (number === 6) addEntry(pod.annotations, bytes);
    else if (number === 7) pod.runtimeHandler = bytes.toString();
    else if (number === 8) pod.namespaceTypes = namespaceTypes(bytes, 5);
  }
  return pod;
}

function decodeContainer(message: Buffer): NriContainer {
  const container: NriContainer = {
    id: "",
    podSandboxId: "",
    name: "",
    state: 0,
    labels: {},
    pid: 0,
    cgroupsPath: "",
    mountDestinations: [],
    namespaceTypes: [],
  };
  for (const { number, bytes, integer } of fields(message)) {
    if (number === 1) container.id = bytes.toString();
    else if (number === 2) container.podSandboxId = bytes.toString();
    else if (number === 3) container.name = bytes.toString();
    else if (number === 4) container.state = integer;
    else if (number === 5) addEntry(container.labels, bytes);
    else if (number === 9) container.mountDestinations.push(textOf(bytes, 1));
    else if (number === 11) {
      container.namespaceTypes = namespaceTypes(bytes, 1);
      container.cgroupsPath = textOf(bytes, 5);
    } else if (number === 12) container.pid = integer;
  }
  return container;
}

function addEntry(entries: Record<string, string>, message: Buffer): void {
  entries[textOf(message, 1)] = textOf(message, 2);
}

function textOf(message: Buffer, wanted: number): string {
  let text = "";
  for (const { number, bytes } of fields(message)) if (number === wanted) text = bytes.toString();
  return text;
}

/** `type` (field 1) of each namespace in field `wanted`. */
function namespaceTypes(message: Buffer, wanted: number): string[] {
  const types: string[] = [];
  for (const { number, bytes } of fields(message))
    if (number === wanted) types.push(textOf(bytes, 1));
  return types;
}

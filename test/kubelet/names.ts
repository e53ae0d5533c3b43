/** What the machine that stages a node and the guest that is one agree on. */

/** Where the guest finds programs, images and the agent's pod. */
export const GUEST_KUBERNETES = "/opt/kubernetes";

export const SANDBOX_IMAGE = "localhost/pause:guest";
export const POD_IMAGE = "busybox:guest";
export const AGENT_IMAGE = "lxcfs-ts:guest";

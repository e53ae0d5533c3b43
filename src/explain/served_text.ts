/** A file's text as the running server gives it to one container. */
import { existsSync, readFileSync } from "node:fs";
import type { Container } from "../caller/container.ts";
import { ExplainError } from "./error.ts";

/**
 * @param mountPoint where a server answers
 * @param container `undefined`: a process in no container, which is shown the host's own file
 * @param path below the mount
 * @throws ExplainError
 */
export function servedText(
  mountPoint: string,
  container: Container | undefined,
  path: string,
): string {
  if (container === undefined) return textOf(`/${path}`);
  if (!existsSync(`${mountPoint}/containers`)) {
    throw new ExplainError(
      "no-server",
      `what serves ${mountPoint} has no view by container (the original LXCFS?): start lxcfs-ts`,
    );
  }
  return textOf(`${mountPoint}/containers/${container.name}/${path}`);
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch (thrown) {
    const code = thrown instanceof Error && "code" in thrown ? String(thrown.code) : "";
    const why = code === "ENOENT" ? "this kernel, or this container, has no such file" : code;
    throw new ExplainError("failed", `Cannot read ${path}: ${why}`);
  }
}

/** What the doctor says: one thing that is wrong, or right, and what to do. */

/** `ok`; `note`: works, but less well than it could; `warning`: some containers see wrong values; `error`: nothing works. */
type Severity = "ok" | "note" | "warning" | "error";

export interface Finding {
  /** Names the check; scripts go by it. */
  readonly check: string;
  readonly severity: Severity;
  readonly message: string;
  /** A command or a setting. */
  readonly remedy?: string;
}

/** Exit code for a set of findings: 0 nothing wrong, 1 warnings, 2 errors. */
export function exitCodeOf(findings: readonly Finding[]): number {
  if (findings.some(({ severity }) => severity === "error")) return 2;
  return findings.some(({ severity }) => severity === "warning") ? 1 : 0;
}

export function findingsText(findings: readonly Finding[]): string {
  return findings
    .map(({ severity, check, message, remedy }) => {
      const line = `${severity.padEnd(8)}${check}: ${message}\n`;
      return remedy === undefined || severity === "ok" ? line : `${line}        ${remedy}\n`;
    })
    .join("");
}

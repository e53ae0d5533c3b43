/** What people can mend, in one line; the command line turns each reason into its exit code. */

export type Reason = "usage" | "unknown" | "no-rights" | "no-server" | "failed";

export class ExplainError extends Error {
  readonly reason: Reason;

  constructor(reason: Reason, message: string) {
    super(message);
    this.name = "ExplainError";
    this.reason = reason;
  }
}

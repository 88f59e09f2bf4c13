/** The other side of a process that the main process has started: it does tasks, one at a time, until it is let go. */
import type { Reply } from "./tasks.ts";

export function respond<Task>(perform: (task: Task) => Promise<unknown>): void {
  process.on("message", (task: Task) => {
    perform(task).then(
      (result) => reply({ result }),
      (error: unknown) => reply({ error: error instanceof Error ? `${error.stack}` : String(error) }),
    );
  });
  process.on("disconnect", () => process.exit());
}

function reply(message: Reply): void {
  process.send?.(message);
}

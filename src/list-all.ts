/** All runs of a filter, page by page, newest first. */
import type { RunFilter, RunRecord, RunStore } from "./store.ts";

const pageSize = 500;

export async function* listAll(
  store: Pick<RunStore, "list">,
  filter: Omit<RunFilter, "before" | "limit">,
): AsyncGenerator<RunRecord, void> {
  for (let before: string | undefined; ; ) {
    const page = await store.list({
      ...filter,
      limit: pageSize,
      ...(before === undefined ? {} : { before }),
    });
    yield* page;
    before = page.at(-1)?.runId;
    if (page.length < pageSize) return;
  }
}

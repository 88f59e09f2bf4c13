/** How CPU and time are taken, and how many figures become one. */

export interface Batch {
  readonly runs: number;
  readonly concurrency: number;
}

/** CPU of this process (its garbage collector included) and time on the clock, for the whole batch, in ms. */
export interface Cost {
  readonly cpuMs: number;
  readonly wallMs: number;
}

export async function costOf(run: () => Promise<unknown>, { runs, concurrency }: Batch): Promise<Cost> {
  globalThis.gc?.();
  const cpu = process.cpuUsage();
  const start = performance.now();
  await repeat(run, { runs, concurrency });
  const { user, system } = process.cpuUsage(cpu);
  return { cpuMs: (user + system) / 1000, wallMs: performance.now() - start };
}

/** Keeps `concurrency` runs at work until `runs` are done. */
export async function repeat(run: () => Promise<unknown>, { runs, concurrency }: Batch): Promise<void> {
  let left = runs;
  const lane = async () => {
    while (left-- > 0) await run();
  };
  await Promise.all(Array.from({ length: concurrency }, lane));
}

/**
 * Runs until so much CPU is used, so that what is measured is compiled code, also where the machine is busy.
 * Gives the CPU of one run of the second half, in ms.
 */
export async function warmUp(
  run: () => Promise<unknown>,
  { concurrency, ms }: { readonly concurrency: number; readonly ms: number },
): Promise<number> {
  let runs = 0;
  let used = 0;
  let runsBefore = 0;
  let usedBefore = 0;
  const start = process.cpuUsage();
  while (used < ms) {
    await repeat(run, { runs: concurrency, concurrency });
    const { user, system } = process.cpuUsage(start);
    if (used < ms / 2) {
      runsBefore = runs;
      usedBefore = used;
    }
    used = (user + system) / 1000;
    runs += concurrency;
  }
  return (used - usedBefore) / (runs - runsBefore);
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const place = (sorted.length - 1) * share;
  const below = sorted[Math.floor(place)] ?? Number.NaN;
  const above = sorted[Math.ceil(place)] ?? Number.NaN;
  return below + (above - below) * (place % 1);
}

/** The monotonic clock that all processes of the machine share, in ms. */
export function machineNow(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** The entries that one manager object has made, so that it removes its own and never those of another. */
import { randomUUID } from "node:crypto";

/** An entry of a run: several may exist for one id, each with a token of its own. */
export interface Entry {
  readonly runId: string;
  readonly token: string;
}

export class OwnEntries {
  readonly #remove: (entry: Entry) => Promise<void>;
  readonly #tokens = new Map<string, string[]>();
  /** Ended, but still there, as the backend was down. */
  readonly #left: Entry[] = [];

  /** @param remove takes an entry out of the backend */
  constructor(remove: (entry: Entry) => Promise<void>) {
    this.#remove = remove;
  }

  add(runId: string): Entry {
    const token = randomUUID();
    const tokens = this.#tokens.get(runId) ?? [];
    this.#tokens.set(runId, tokens);
    tokens.push(token);
    return { runId, token };
  }

  /** Ends the oldest entry of the run, at once: a newer one belongs to a run that began since. */
  async end(runId: string): Promise<void> {
    const tokens = this.#tokens.get(runId);
    const token = tokens?.shift();
    if (tokens?.length === 0) this.#tokens.delete(runId);
    if (token === undefined) return;
    await this.#take({ runId, token });
    await this.endLeft();
  }

  /** Tries again to remove what could not be removed before. */
  async endLeft(): Promise<void> {
    for (let entry = this.#left.pop(); entry !== undefined; entry = this.#left.pop()) await this.#take(entry);
  }

  /** Ends all entries. */
  async endAll(): Promise<void> {
    this.#left.push(...this.all);
    this.#tokens.clear();
    await this.endLeft();
  }

  has({ runId, token }: Entry): boolean {
    return this.#tokens.get(runId)?.includes(token) === true;
  }

  get all(): Entry[] {
    return [...this.#tokens].flatMap(([runId, tokens]) => tokens.map((token) => ({ runId, token })));
  }

  get isEmpty(): boolean {
    return this.#tokens.size === 0;
  }

  async #take(entry: Entry): Promise<void> {
    try {
      await this.#remove(entry);
    } catch (error) {
      this.#left.push(entry);
      throw error;
    }
  }
}

/** Works out an arithmetic expression by reading it, so that no text of a model is ever run as code. */

const LONGEST = 500;
/** Other ways to write the same signs. */
const SIGNS: Readonly<Record<string, string>> = { "×": "*", "·": "*", "÷": "/", "−": "-", "**": "^" };

/**
 * Numbers with decimals, `+ - * / % ^`, brackets and signs; `^` binds to the right and before a sign, so
 * `-2^2` is -4. `%` is the remainder.
 *
 * @throws Error that says what is wrong, and where
 */
export function evaluate(expression: string): number {
  if (expression.length > LONGEST) throw new Error(`The expression is longer than ${LONGEST} characters.`);
  const result = new Reader(tokensOf(expression)).whole();
  if (!Number.isFinite(result)) throw new Error("The result is no number that can be written down.");
  // 0.1 + 0.2 is meant to be 0.3; whole numbers keep every digit that they have.
  return Number.isInteger(result) ? result : Number(result.toPrecision(15));
}

interface Token {
  readonly text: string;
  /** Where it stands, counted from 1. */
  readonly at: number;
}

function tokensOf(expression: string): Token[] {
  // Commas between groups of three digits are taken for the thousands' marks that they are.
  const plain = expression.replace(/(?<=\d),(?=\d{3}(?!\d))/g, "");
  const tokens: Token[] = [];
  for (const match of plain.matchAll(/\d+(?:\.\d+)?(?:e[-+]?\d+)?|\.\d+|\*\*|\S/gi)) {
    const [text] = match;
    tokens.push({ text: SIGNS[text] ?? text, at: match.index + 1 });
  }
  return tokens;
}

class Reader {
  readonly #tokens: readonly Token[];
  #next = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  whole(): number {
    const result = this.#sum();
    const rest = this.#tokens[this.#next];
    if (rest !== undefined) throw new Error(`"${rest.text}" at position ${rest.at} does not belong there.`);
    return result;
  }

  #sum(): number {
    let result = this.#product();
    for (;;) {
      if (this.#take("+")) result += this.#product();
      else if (this.#take("-")) result -= this.#product();
      else return result;
    }
  }

  #product(): number {
    let result = this.#signed();
    for (;;) {
      if (this.#take("*")) result *= this.#signed();
      else if (this.#take("/")) result /= this.#divisor();
      else if (this.#take("%")) result %= this.#divisor();
      else return result;
    }
  }

  #divisor(): number {
    const divisor = this.#signed();
    if (divisor === 0) throw new Error("A division by zero has no result.");
    return divisor;
  }

  #signed(): number {
    if (this.#take("-")) return -this.#signed();
    if (this.#take("+")) return this.#signed();
    return this.#power();
  }

  #power(): number {
    const base = this.#atom();
    return this.#take("^") ? base ** this.#signed() : base;
  }

  #atom(): number {
    const token = this.#tokens[this.#next];
    if (token === undefined) throw new Error("The expression ends where a number is expected.");
    this.#next++;
    if (token.text === "(") {
      const result = this.#sum();
      if (!this.#take(")")) throw new Error(`The bracket at position ${token.at} is not closed.`);
      return result;
    }
    if (/^[\d.]/.test(token.text) && !Number.isNaN(Number(token.text))) return Number(token.text);
    throw new Error(`A number is expected at position ${token.at}, not "${token.text}".`);
  }

  #take(text: string): boolean {
    if (this.#tokens[this.#next]?.text !== text) return false;
    this.#next++;
    return true;
  }
}

/** Tables: for the terminal, for Markdown, and as data. */

export type Cell = string | number | null;

export interface Table {
  readonly title: string;
  /** How it was measured and how to read it. */
  readonly note: string;
  /** The heads of the columns; the first is the row's name. */
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
  /** Digits behind the point of each column but the first, or of all. */
  readonly digits: number | readonly number[];
}

export function toMarkdown(table: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const marks = table.columns.map((_, index) => (index === 0 ? "---" : "---:"));
  const rows = table.rows.map((row) => line(row.map((cell, index) => text(cell, index, table))));
  return [`## ${table.title}`, "", table.note, "", line(table.columns), line(marks), ...rows, ""].join("\n");
}

export function toText(table: Table): string {
  const rows = [
    table.columns,
    ...table.rows.map((row) => row.map((cell, index) => text(cell, index, table))),
  ];
  const widths = table.columns.map((_, index) => Math.max(...rows.map((row) => row[index]?.length ?? 0)));
  const lines = rows.map((row) =>
    row
      .map((cell, index) => (index === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[index] ?? 0)))
      .join("   "),
  );
  return [`\n${table.title}`, table.note, ...lines].join("\n");
}

function text(cell: Cell, column: number, { digits }: Table): string {
  if (cell === null || (typeof cell === "number" && Number.isNaN(cell))) return "–";
  if (typeof cell === "string") return cell;
  return cell.toFixed(typeof digits === "number" ? digits : (digits[column - 1] ?? 0));
}

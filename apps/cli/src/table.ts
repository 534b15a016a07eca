type Cell = string | number | null;

/** One row of a list, by the names of its columns. */
export type Row = Readonly<Record<string, Cell>>;

/** A list for people, with a line of headings and aligned columns; with `json` for programs, as an array of objects. */
export function renderList(columns: readonly string[], rows: readonly Row[], json: boolean): string {
  if (json) return `${JSON.stringify(rows, null, 2)}\n`;
  const lines = [
    columns.map((column) => column.toUpperCase()),
    ...rows.map((row) => columns.map((name) => show(row[name]))),
  ];
  const widths = columns.map((_, at) => Math.max(...lines.map((line) => line[at]?.length ?? 0)));
  return lines
    .map(
      (line) =>
        `${line
          .map((cell, at) => cell.padEnd(widths[at] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

function show(cell: Cell | undefined): string {
  return cell === null || cell === undefined || cell === '' ? '-' : String(cell);
}

/** How the commands of `bench` hand over a report. */
import type { Report } from '../bench/schema.js';
import { print, printJson } from '../output.js';

export interface OutputOptions {
  readonly json?: true | undefined;
  /** A page with plots is written there. */
  readonly html?: string | undefined;
}

export const HTML_OPTION = '--html <file>';
export const HTML_HELP = 'write a page with plots';

/** Tells what a run will take, unless standard output is for JSON alone. */
export function announcing({ json }: OutputOptions): (text: string) => Promise<void> {
  return async (text) => {
    if (json !== true) await print(text);
  };
}

export async function giveReport(report: Report, { json, html }: OutputOptions): Promise<void> {
  if (html !== undefined) {
    const { reportHtml } = await import('../bench/html.js');
    const { writeText } = await import('../bench/write-text.js');
    await writeText(html, reportHtml(report));
  }
  if (json === true) {
    await printJson(report);
    return;
  }
  const { showReport } = await import('../bench/show.js');
  await print(`\n${showReport(report)}`);
}

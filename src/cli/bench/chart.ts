/** Line charts as SVG text: a handful of lines with whiskers is all that a report draws. */

export interface Point {
  readonly x: number;
  readonly y: number;
  readonly least?: number;
  readonly greatest?: number;
}

export interface Series {
  readonly name: string;
  readonly points: readonly Point[];
  /** A ceiling: dashed, from edge to edge where it has one point. */
  readonly dashed?: boolean;
}

export interface Chart {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly series: readonly Series[];
  /** Text of a tick at such an x; ticks of a logarithmic x stand where points are. */
  readonly xText: (x: number) => string;
  /** Logarithmic in y too, as x is. */
  readonly logY?: boolean;
  /** Linear in x, with ticks where they fall: time. */
  readonly linearX?: boolean;
}

const WIDTH = 640;
const HEIGHT = 340;
const LEFT = 64;
const RIGHT = 16;
const TOP = 16;
const BOTTOM = 48;
/** Told apart by those who see few colours (Okabe and Ito), and by their marks. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#595959'];
const Y_TICKS = 5;
const ASIDE = 24;

/** The chart as `<figure>`, with a legend below; an empty text without points. */
export function drawChart(chart: Chart): string {
  const points = chart.series.flatMap((series) => series.points);
  if (points.length === 0) return '';
  const xs = points.map(({ x }) => x);
  const linear = chart.linearX === true;
  const across = scale(linear ? [0, ...xs] : xs, LEFT, WIDTH - RIGHT, !linear, linear ? 0 : 0.15);
  // Points of one x alone would lie upon each other.
  const apart = new Set(xs).size === 1 ? ASIDE : 0;
  const values = points.flatMap(({ y, least = y, greatest = y }) => [y, least, greatest]);
  const up = scale(chart.logY === true ? values : [0, ...values], HEIGHT - BOTTOM, TOP, chart.logY === true, 0.06);
  const body = [
    ...up.ticks(Y_TICKS).map((y) => gridLine(up.at(y), tickText(y))),
    ...(linear ? across.ticks(8) : [...new Set(xs)]).map((x) =>
      text(across.at(x), HEIGHT - BOTTOM + 18, chart.xText(x), 'middle'),
    ),
    text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, chart.xLabel, 'middle'),
    `<text transform="translate(14 ${(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">${escapeHtml(chart.yLabel)}</text>`,
    ...chart.series.map((series, i) => {
      const aside = (i - (chart.series.length - 1) / 2) * apart;
      return drawSeries(series, COLOURS[i % COLOURS.length] ?? '#000', (x) => across.at(x) + aside, up.at);
    }),
  ];
  const legend = chart.series.map(
    ({ name, dashed }, i) =>
      `<li><svg width="22" height="10"><path d="M0 5H22" stroke="${COLOURS[i % COLOURS.length] ?? '#000'}" stroke-width="2"${dashed === true ? ' stroke-dasharray="5 3"' : ''}/></svg> ${escapeHtml(name)}</li>`,
  );
  return (
    `<figure><figcaption>${escapeHtml(chart.title)}</figcaption>` +
    `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeHtml(chart.title)}">${body.join('')}</svg>` +
    `<ul class="legend">${legend.join('')}</ul></figure>\n`
  );
}

/** A text for HTML, in attributes too. */
export function escapeHtml(value: string): string {
  return value.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

interface Scale {
  readonly at: (value: number) => number;
  readonly ticks: (count: number) => number[];
}

/** From values to pixels; a margin of so much of the span on both sides, but never below 0 on a linear one. */
function scale(values: readonly number[], from: number, to: number, log: boolean, margin: number): Scale {
  const place = (value: number) => (log ? Math.log2(value) : value);
  const placed = values.map(place).filter(Number.isFinite);
  const [least, greatest] = [Math.min(...placed), Math.max(...placed)];
  const span = greatest - least || (log ? 1 : greatest) || 1;
  const low = log ? least - span * margin : least;
  const high = greatest + span * margin;
  return {
    at: (value) => from + ((place(value) - low) / (high - low)) * (to - from),
    ticks: (count) => {
      const step = log ? Math.max(1, Math.ceil((high - low) / count)) : roundStep((high - low) / count);
      const ticks: number[] = [];
      for (let at = Math.ceil(low / step) * step; at <= high; at += step) ticks.push(log ? 2 ** at : at);
      return ticks;
    },
  };
}

/** The next of 1, 2, 5 × 10^n. */
function roundStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * ([1, 2, 5].find((digit) => digit * power >= least) ?? 10);
}

function tickText(value: number): string {
  return value >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(2)));
}

function gridLine(y: number, label: string): string {
  return `<path class="grid" d="M${LEFT} ${y.toFixed(1)}H${WIDTH - RIGHT}"/>${text(LEFT - 6, y + 4, label, 'end')}`;
}

function text(x: number, y: number, content: string, anchor: string): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}">${escapeHtml(content)}</text>`;
}

function drawSeries(
  { name, points, dashed }: Series,
  colour: string,
  across: (x: number) => number,
  up: (y: number) => number,
): string {
  const sorted = [...points].sort((a, b) => a.x - b.x);
  const [first] = sorted;
  const line =
    dashed === true && sorted.length === 1 && first !== undefined
      ? `M${LEFT} ${up(first.y).toFixed(1)}H${WIDTH - RIGHT}`
      : sorted.map(({ x, y }, i) => `${i === 0 ? 'M' : 'L'}${across(x).toFixed(1)} ${up(y).toFixed(1)}`).join('');
  const marks = sorted.map(({ x, y, least, greatest }) => {
    const at = across(x).toFixed(1);
    const whisker =
      least === undefined || greatest === undefined
        ? ''
        : `<path d="M${at} ${up(least).toFixed(1)}V${up(greatest).toFixed(1)}"/>`;
    const title = `<title>${escapeHtml(`${name}: ${y.toPrecision(3)}`)}</title>`;
    return `${whisker}<circle cx="${at}" cy="${up(y).toFixed(1)}" r="3.5" fill="${colour}" stroke="none">${title}</circle>`;
  });
  const dash = dashed === true ? ' stroke-dasharray="6 4"' : '';
  return `<g fill="none" stroke="${colour}" stroke-width="2"><path d="${line}"${dash}/>${marks.join('')}</g>`;
}

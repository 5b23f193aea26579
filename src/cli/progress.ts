/** A progress bar on stderr, where that is a terminal. */

const APPEARS_AFTER_MS = 300;
const REDRAWN_EVERY_MS = 100;
const BAR = 30;
const CLEAR = '\r\x1b[K';

/** Where a bar is drawn; {@link process.stderr} is one. */
export interface ProgressTarget {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** One bar. What is over soon draws none, and what is over leaves none behind. */
export class Progress {
  readonly #label: string;
  readonly #total: number;
  readonly #target: ProgressTarget;
  readonly #now: () => number;
  readonly #began: number;
  #next: number;
  #done = 0;
  #drawn = false;

  /** @param total - units of work, such as bytes */
  constructor(
    label: string,
    total: number,
    target: ProgressTarget = process.stderr,
    now: () => number = () => performance.now(),
  ) {
    this.#label = label;
    this.#total = total;
    this.#target = target;
    this.#now = now;
    this.#began = now();
    this.#next = this.#began + APPEARS_AFTER_MS;
  }

  /** So many units more are done. */
  advance(units: number): void {
    this.#done += units;
    if (this.#target.isTTY !== true || this.#now() < this.#next) return;
    this.#next = this.#now() + REDRAWN_EVERY_MS;
    const part = this.#total > 0 ? Math.min(this.#done / this.#total, 1) : 1;
    const full = Math.round(part * BAR);
    const percent = `${Math.floor(part * 100)}%`.padStart(4);
    const left = part > 0 ? `, ${timeText(((this.#now() - this.#began) / part) * (1 - part))} left` : '';
    this.#target.write(`${CLEAR}${this.#label} [${'#'.repeat(full)}${'.'.repeat(BAR - full)}]${percent}${left}`);
    this.#drawn = true;
  }

  /** Takes the bar away. */
  end(): void {
    if (this.#drawn) this.#target.write(CLEAR);
    this.#drawn = false;
  }
}

/** `5 s`, `2:05 min`. */
function timeText(milliseconds: number): string {
  const seconds = Math.ceil(milliseconds / 1000);
  if (seconds < 60) return `${seconds} s`;
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')} min`;
}

// Reading a Python stack trace for the one place a person wants to see.

/** A line of the program's own source. */
export interface IUserFrame {
  /** Relative to the program's source. */
  path: string;
  line: number;
  /** The source line, where the trace has it. */
  code: string;
}

const FRAME = /^ *File "(.+)", line (\d+)/;

/**
 * The innermost frame that lies in the run's own source; null when there is none. The runtime names
 * files of the source relative to it, and all others by their absolute path.
 */
export function findUserFrame(stackTrace: string): IUserFrame | null {
  const lines = stackTrace.split('\n');
  for (let at = lines.length - 1; at >= 0; at--) {
    const match = FRAME.exec(lines[at] as string);
    if (match && !/^[/<]/.test(match[1] as string)) {
      const next = lines[at + 1] ?? '';
      return {
        path: match[1] as string,
        line: Number(match[2]),
        code: next.startsWith('    ') && !FRAME.test(next) ? next.trim() : ''
      };
    }
  }
  return null;
}

// Why a run failed, without opening the log: one sentence, the line that raised it, the next step.

import { useEffect, useState, type ReactElement } from 'react';
import type { RunsApi } from '../../api/rest.js';
import type { LogFrame, Run } from '../../api/schema.js';
import { CommandIDs, type ICommands } from '../../commands.js';
import { reasonText } from '../../components/status.js';
import type { ITranslation } from '../../format.js';
import { isUnmet } from '../../models/statuses.js';
import { findUserFrame } from './frames.js';

const LONG = 400; // characters; what is longer is folded
const LAST_LINES = 10;

interface IFailureProps {
  run: Run;
  api: RunsApi;
  /** For *Retry with changes…*; null where there is a button for it beside the box. */
  commands: ICommands | null;
  trans: ITranslation;
}

/** The box above the tabs; nothing for runs that went well. */
export function FailureBox(props: IFailureProps): ReactElement | null {
  const { run, trans } = props;
  if (isUnmet(run)) {
    const count = run.metrics.loops_exhausted;
    return (
      <div className="jp-MelleaRun-failure jp-mod-unmet" role="alert">
        <p>
          {trans._n(
            'The program ended well, but %1 sampling loop ended before its requirements were met.',
            'The program ended well, but %1 sampling loops ended before their requirements were met.',
            count
          )}
        </p>
      </div>
    );
  }
  return run.status === 'failed' ? <Failure {...props} /> : null;
}

function Failure({ run, api, commands, trans }: IFailureProps): ReactElement {
  const { error } = run;
  const trace = error?.stack_trace ?? '';
  const place = findUserFrame(trace);
  return (
    <div className="jp-MelleaRun-failure" role="alert">
      <LongText text={failureText(run, trans)} trans={trans} />
      {place && (
        <p className="jp-MelleaRun-place">
          {trans.__('%1, line %2', place.path, place.line)}
          {place.code && <code>{place.code}</code>}
        </p>
      )}
      {trace ? (
        <details>
          <summary>{trans.__('Stack trace')}</summary>
          <pre tabIndex={0}>{trace}</pre>
        </details>
      ) : (
        <LastErrorLines runId={run.id} api={api} trans={trans} />
      )}
      {commands?.hasCommand(CommandIDs.retryEdited) && (
        <button
          type="button"
          className="jp-MelleaButton"
          onClick={() => void commands.execute(CommandIDs.retryEdited, { runId: run.id })}
        >
          {trans.__('Retry with changes…')}
        </button>
      )}
    </div>
  );
}

/** What failed, in the most complete of the words there are; they repeat each other. */
function failureText(run: Run, trans: ITranslation): string {
  const said = run.error_message ?? '';
  const reason = reasonText(run, trans);
  if (run.error) {
    const raised = `${run.error.type.replace(/^builtins\./, '')}: ${run.error.message}`;
    const isSame = said === '' || raised.startsWith(said.replace(/…$/, '').slice(0, 80));
    return isSame ? raised : said.includes(run.error.message) ? said : `${said}\n${raised}`;
  }
  return said || reason || trans.__('It failed, and nothing says why.');
}

function LongText({ text, trans }: { text: string; trans: ITranslation }): ReactElement {
  const [isWhole, setWhole] = useState(false);
  const isLong = text.length > LONG;
  return (
    <p className="jp-MelleaRun-reason">
      {isLong && !isWhole ? `${text.slice(0, LONG).trimEnd()}… ` : text}
      {isLong && (
        <button
          type="button"
          className="jp-MelleaButton jp-mod-link"
          aria-expanded={isWhole}
          onClick={() => setWhole(!isWhole)}
        >
          {isWhole ? trans.__('Show less') : trans.__('Show all')}
        </button>
      )}
    </p>
  );
}

/** What the program last wrote as an error, where no exception was recorded. */
function LastErrorLines(props: {
  runId: string;
  api: RunsApi;
  trans: ITranslation;
}): ReactElement | null {
  const { runId, api, trans } = props;
  const [lines, setLines] = useState<LogFrame[]>([]);
  useEffect(() => {
    const reading = new AbortController();
    api.readLog(runId, { tail: LAST_LINES, level: ['error'] }, { signal: reading.signal }).then(
      page => setLines(page.frames),
      () => undefined // the log below says why it can not be read
    );
    return () => reading.abort();
  }, [api, runId]);
  if (lines.length === 0) {
    return null;
  }
  return (
    <details open>
      <summary>{trans.__('Last error lines')}</summary>
      <pre tabIndex={0}>{lines.map(frame => frame.message).join('\n')}</pre>
    </details>
  );
}
